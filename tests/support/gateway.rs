//! One running gateway in a folder of its own, on a port of its own.

use crate::{
    connection::Connection,
    libraries,
    program::{self, Ended},
    request::Request,
    response::Response,
    wait::{PATIENCE, until},
};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A gateway that `serve` runs.
pub struct Gateway {
    /// Where it listens.
    pub address: SocketAddr,
    folder: Arc<TempDir>,
    child: Child,
    guard: Guard,
    output: Arc<Mutex<String>>,
}

/// Ends a child when the test program itself ends without dropping it: a shell that
/// waits for the end of its input, which comes with the end of this process.
pub(crate) struct Guard {
    shell: Child,
    _input: ChildStdin,
}

impl Gateway {
    /// Starts one with this configuration, in a new folder. `@` problems of the file are
    /// the test's: it panics with what the gateway said.
    #[track_caller]
    pub fn start(config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let config = config.to_owned() + &libraries::instead_of_built_in();
        fs::write(folder.path().join("portcullis.toml"), config).expect("it can be written");
        Self::start_in(Arc::new(folder), &[])
    }

    /// Starts one in a folder that has its configuration, with variables.
    #[track_caller]
    pub fn start_in(folder: Arc<TempDir>, variables: &[(&str, &str)]) -> Self {
        let mut command = program::command(folder.path());
        command.args(["serve", "-c", "portcullis.toml"]).envs(variables.iter().copied());
        Self::spawn(folder, &mut command)
    }

    /// Starts a prepared command that says `listening on` once it accepts.
    #[track_caller]
    pub fn spawn(folder: Arc<TempDir>, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let guard = Guard::over(&child);
        let output = Arc::new(Mutex::new(String::new()));
        gather(child.stdout.take(), &output);
        gather(child.stderr.take(), &output);
        let start = Instant::now();
        let address = loop {
            let said = text(&output);
            if let Some(address) = listening(&said) {
                break address;
            }
            let ended = child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "the gateway ended ({ended:?}):\n{}", text(&output));
            assert!(start.elapsed() < PATIENCE, "the gateway does not listen:\n{said}");
            thread::sleep(Duration::from_millis(5));
        };
        Self { address, folder, child, guard, output }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its resident memory in kB.
    #[track_caller]
    pub fn memory(&self) -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux says it");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// How long it has kept processors busy so far.
    #[track_caller]
    pub fn worked(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        // Behind the name, which may have spaces: the state is the first field, the times of
        // user and system the 12th and 13th, in hundredths of a second.
        let (_, rest) = stat.rsplit_once(')').expect("a name");
        let ticks = rest.split_whitespace().skip(11).take(2).map(|n| n.parse::<u64>().expect("a number"));
        Duration::from_millis(10 * ticks.sum::<u64>())
    }

    /// Its origin.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Everything it has written so far, both streams.
    pub fn output(&self) -> String {
        text(&self.output)
    }

    /// Waits until it has written this: what is logged of a request may come after its answer.
    #[track_caller]
    pub fn says(&self, what: &str) {
        let start = Instant::now();
        while !self.output().contains(what) {
            assert!(start.elapsed() < PATIENCE, "it never says {what}:\n{}", self.output());
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Opens a connection.
    #[track_caller]
    pub fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    #[track_caller]
    pub fn send(&self, request: &Request) -> Response {
        self.connect().send(request)
    }

    /// Runs a verb with this gateway's configuration.
    pub fn verb(&self, arguments: &[&str], input: &str) -> Ended {
        let mut all = arguments.to_vec();
        all.extend(["-c", "portcullis.toml"]);
        program::run(self.folder(), &all, input)
    }

    /// `user add`, and waits until the gateway knows the account.
    #[track_caller]
    pub fn add_user(&self, name: &str, password: &str, more: &[&str]) {
        let mut arguments = vec!["user", "add", name, "--password-stdin"];
        arguments.extend(more);
        // A hash takes ten seconds at most. On a machine that does much else it can come to that,
        // and then nothing has changed.
        let added = until("the account", || {
            let ended = self.verb(&arguments, &format!("{password}\n"));
            (!ended.stderr.contains("could not decide; nothing is changed")).then_some(ended)
        });
        added.with_code(0);
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().expect("kill runs");
        assert!(sent.success(), "kill -s {name}");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        until("the gateway's end", || self.child.try_wait().expect("it can be asked"))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it can be asked").is_none()
    }

    /// Ends it by SIGKILL and starts it again in the same folder, on another port.
    #[track_caller]
    pub fn kill_and_restart(mut self) -> Self {
        let _ = self.child.kill();
        let _ = self.child.wait();
        Self::start_in(self.folder.clone(), &[])
    }

    /// Ends it by SIGTERM and starts it again in the same folder, on another port.
    #[track_caller]
    pub fn restart(mut self) -> Self {
        self.signal("TERM");
        let status = self.wait();
        assert!(status.success(), "{status}:\n{}", self.output());
        Self::start_in(self.folder.clone(), &[])
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The guard first: it must not aim at a pid that is no longer ours.
        self.guard.leave();
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- the gateway said:\n{}---", self.output());
        }
    }
}

impl Guard {
    pub(crate) fn over(child: &Child) -> Self {
        let mut shell = Command::new("sh")
            .args(["-c", "read _; kill -s KILL \"$0\" 2>/dev/null", &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let input = shell.stdin.take().expect("it was piped");
        Self { shell, _input: input }
    }

    /// Aims at nobody any more.
    pub(crate) fn leave(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

fn gather(stream: Option<impl Read + Send + 'static>, into: &Arc<Mutex<String>>) {
    let into = into.clone();
    let stream = stream.expect("it was piped");
    thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
            let mut all = into.lock().unwrap_or_else(PoisonError::into_inner);
            all.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    });
}

fn text(output: &Mutex<String>) -> String {
    output.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The address out of `listening on http://127.0.0.1:PORT`, or https.
fn listening(said: &str) -> Option<SocketAddr> {
    let rest = said.split("listening on http").nth(1)?;
    let rest = rest.strip_prefix("s").unwrap_or(rest).strip_prefix("://")?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:[]abcdef".contains(c)))?;
    rest[..end].parse().ok()
}
