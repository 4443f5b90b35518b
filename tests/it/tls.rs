//! TLS listeners: curl and openssl as clients, and certificates that cannot be used.

use crate::{
    descriptors::under,
    reload::{DONE, KEPT, reload},
};
use portcullis_tests::{
    Gateway, Upstream,
    certificates::Authority,
    program,
    services::{curl, service},
    site::{PASSWORD, ROUTES},
    wait::PATIENCE,
};
use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
};
use tempfile::TempDir;

const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://gw.test\"\n";

/// A gateway with TLS, and what is behind it.
pub struct Secured {
    pub gateway: Gateway,
    pub upstream: Upstream,
    ca: String,
}

impl Secured {
    pub fn start() -> Self {
        Self::before(Upstream::start())
    }

    pub fn before(upstream: Upstream) -> Self {
        Self::of(upstream, "")
    }

    /// With lines for `[server]`.
    pub fn with(server: &str) -> Self {
        Self::of(Upstream::start(), server)
    }

    /// With lines for `[limits]`.
    pub fn limited(upstream: Upstream, limits: &str) -> Self {
        Self::of(upstream, &format!("[limits]\n{limits}"))
    }

    /// Started by a shell that says this first, before this upstream and one more server of it.
    pub fn confined(upstream: Upstream, other: &Upstream, limits: &str) -> Self {
        let urls = format!("{}\", \"{}", upstream.url(), other.url());
        Self::started(upstream, "", &urls, |folder| {
            Gateway::spawn(folder.clone(), &mut under(&folder, limits))
        })
    }

    /// With lines for `[server]`, and tables behind them.
    fn of(upstream: Upstream, server: &str) -> Self {
        let url = upstream.url();
        Self::started(upstream, server, &url, |folder| Gateway::start_in(folder, &[]))
    }

    fn started(
        upstream: Upstream,
        server: &str,
        url: &str,
        start: impl FnOnce(Arc<TempDir>) -> Gateway,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::new();
        authority.issue(folder.path(), "gw", &["gw.test", "127.0.0.1"]);
        authority.issue(folder.path(), "adm", &["adm.test", "*.wild.test"]);
        let ca = authority.write(folder.path());
        let tls = "tls = [{ certificate = \"gw.pem\", key = \"gw.key\" }, \
                   { certificate = \"adm.pem\", key = \"adm.key\" }]\n";
        write_config(folder.path(), &format!("{tls}hosts = [\"a.wild.test\", \"127.0.0.1\"]\n{server}"), url);
        let gateway = start(Arc::new(folder));
        gateway.add_user("alice", PASSWORD, &["--role", "staff"]);
        Self { gateway, upstream, ca }
    }

    /// curl to a host of ours, its name resolved to the gateway.
    pub fn curl(&self, host: &str, arguments: &[&str], path: &str) -> String {
        let port = self.gateway.address.port();
        let resolve = format!("{host}:{port}:127.0.0.1");
        let url = format!("https://{host}:{port}{path}");
        let mut all = vec!["--cacert", &self.ca, "--resolve", &resolve];
        all.extend(arguments);
        all.push(&url);
        curl(&all).unwrap()
    }

    pub fn status(&self, host: &str, arguments: &[&str], path: &str) -> String {
        let mut all = vec!["-o", "/dev/null", "-w", "%{http_code}"];
        all.extend(arguments);
        self.curl(host, &all, path)
    }

    /// Sends bytes by `openssl s_client` and reads until `done`, or the end.
    pub fn openssl_until(&self, arguments: &[&str], input: &[u8], done: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let input = input.to_vec();
        self.openssl_writing(arguments, move |to| drop(to.write_all(&input)), done)
    }

    /// The same; `write` says when what is sent.
    pub fn openssl_writing(
        &self,
        arguments: &[&str],
        write: impl FnOnce(&mut dyn Write) + Send + 'static,
        done: impl Fn(&[u8]) -> bool,
    ) -> Vec<u8> {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &self.gateway.address.to_string(), "-CAfile", &self.ca])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // Kept open: its end would end the connection.
        let writer = std::thread::spawn(move || {
            write(&mut stdin);
            stdin
        });
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut some = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut some) {
                if sender.send(some[..read].to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut all = Vec::new();
        loop {
            match pieces.recv_timeout(PATIENCE) {
                Ok(piece) => all.extend(piece),
                // It ended by itself.
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {
                    let _ = child.kill();
                    panic!("neither more nor an end: {}", String::from_utf8_lossy(&all));
                }
            }
            if done(&all) {
                break;
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        drop(writer.join());
        all
    }

    /// A connection of HTTP/2 that sends this and stays open; what comes is not kept.
    pub fn hold(&self, frames: &[u8]) -> Held {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &self.gateway.address.to_string(), "-CAfile", &self.ca])
            .args(["-alpn", "h2", "-servername", "gw.test", "-quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        child.stdin.as_mut().unwrap().write_all(frames).unwrap();
        Held(child)
    }

    /// What `openssl s_client` says.
    pub fn openssl(&self, arguments: &[&str], input: &str) -> String {
        let mut child = Command::new("openssl")
            .args(["s_client", "-connect", &self.gateway.address.to_string(), "-CAfile", &self.ca])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }
}

/// A client that is ended when it is dropped.
pub struct Held(Child);

impl Drop for Held {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write_config(folder: &Path, server: &str, upstream: &str) {
    let text = format!(
        "{SERVER}{server}[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"{upstream}\"]\n{ROUTES}"
    );
    fs::write(folder.join("portcullis.toml"), text).unwrap();
}

#[test]
fn people_sign_in_over_tls_and_the_upstream_hears_that_it_was_https() {
    let Some(_) = service("curl") else { return };
    let site = Secured::start();
    let password = format!("password={PASSWORD}");
    let jar = site.gateway.file("jar").display().to_string();
    let login = ["-i", "-c", &jar, "--data-urlencode", "username=alice", "--data-urlencode", &password];
    let answer = site.curl("gw.test", &login, "/login/local");
    let cookie = answer.lines().find(|l| l.starts_with("set-cookie:")).unwrap_or_else(|| panic!("{answer}"));
    assert!(cookie.contains("__Host-portcullis=") && cookie.contains("Secure"), "{cookie}");
    assert_eq!(site.status("gw.test", &["-b", &jar, "-H", "X-Forwarded-Proto: http"], "/staff/x"), "200");
    let seen = site.upstream.last();
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("remote-user"), Some("alice"));
    let url = format!("https://{}", site.gateway.address);
    site.gateway.says(&format!("listening on {url}"));
}

#[test]
fn a_body_of_megabytes_passes_both_ways() {
    let Some(_) = service("curl") else { return };
    let site = Secured::start();
    let file = site.gateway.file("large");
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    fs::write(&file, &bytes).unwrap();
    let body = format!("@{}", file.display());
    assert_eq!(site.status("gw.test", &["--data-binary", &body], "/public/x"), "200");
    assert_eq!(site.upstream.last().body, bytes);
}

#[test]
fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::start();
    let request = "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n";
    for version in ["-tls1_2", "-tls1_3"] {
        let said =
            site.openssl(&[version, "-servername", "gw.test", "-ign_eof", "-verify_return_error"], request);
        assert!(said.contains("HTTP/1.1 200 OK"), "{version}: {said}");
    }
    let said = site.openssl(&["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0", "-servername", "gw.test"], request);
    assert!(!said.contains("HTTP/1.1"), "{said}");
}

#[test]
fn the_certificate_is_the_one_for_the_name_that_was_asked_for() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::start();
    let shown = |arguments: &[&str]| {
        let said = site.openssl(&[arguments, &["-showcerts"]].concat(), "");
        let pem = said.split("-----BEGIN CERTIFICATE-----").nth(1).unwrap_or_else(|| panic!("{said}"));
        let pem = pem.split("-----END").next().unwrap().trim().replace(['\n', '\r'], "");
        let is = |name: &str| {
            let file = fs::read_to_string(site.gateway.file(name)).unwrap();
            file.replace(['\n', '\r'], "").contains(&pem)
        };
        if is("gw.pem") {
            "gw"
        } else if is("adm.pem") {
            "adm"
        } else {
            "another"
        }
    };
    assert_eq!(shown(&["-servername", "gw.test"]), "gw");
    assert_eq!(shown(&["-servername", "ADM.test"]), "adm");
    assert_eq!(shown(&["-servername", "a.wild.test"]), "adm");
    assert_eq!(shown(&["-servername", "nobody.test"]), "gw");
    assert_eq!(shown(&["-noservername"]), "gw");
}

//
#[test]
fn certificates_are_swapped_by_sighup_and_open_connections_go_on() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let site = Secured::start();
    let address = site.gateway.address.to_string();
    let mut old = Command::new("openssl")
        .args(["s_client", "-connect", &address, "-servername", "gw.test", "-CAfile", &site.ca, "-quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (old.stdin.take().unwrap(), old.stdout.take().unwrap());
    let mut ask = || {
        to.write_all(b"GET /public/x HTTP/1.1\r\nHost: gw.test\r\n\r\n").unwrap();
        let (mut all, mut some) = (Vec::new(), [0; 4096]);
        while !all.ends_with(b"\r\n\r\nok") {
            let read = from.read(&mut some).unwrap();
            assert!(read > 0, "it ended: {}", String::from_utf8_lossy(&all));
            all.extend(&some[..read]);
        }
        assert!(all.starts_with(b"HTTP/1.1 200"));
    };
    ask();
    let text = fs::read_to_string(site.gateway.file("portcullis.toml")).unwrap();
    // A new authority: whoever knows only the new one sees the new certificate or none.
    let (before, next) = (fs::read(&site.ca).unwrap(), Authority::named("The next authority"));
    next.issue(site.gateway.folder(), "gw", &["gw.test"]);
    next.write(site.gateway.folder());
    let port = site.gateway.address.port();
    let url = format!("https://gw.test:{port}/public/x");
    let resolve = format!("gw.test:{port}:127.0.0.1");
    let trusts = |ca: &str| {
        let command = Command::new("curl")
            .args([
                "-q",
                "-sS",
                "--max-time",
                "30",
                "-o",
                "/dev/null",
                "--cacert",
                ca,
                "--resolve",
                &resolve,
                &url,
            ])
            .stderr(Stdio::null())
            .status();
        command.unwrap().success()
    };
    let former = site.gateway.file("former.pem");
    fs::write(&former, before).unwrap();
    let former = former.display().to_string();
    assert!(trusts(&former) && !trusts(&site.ca), "files alone change nothing");
    reload(&site.gateway, &text, DONE);
    assert!(trusts(&site.ca) && !trusts(&former));
    ask();
    // T-01: what cannot be used leaves the new one in force.
    fs::write(site.gateway.file("gw.key"), "").unwrap();
    reload(&site.gateway, &text, KEPT);
    assert!(trusts(&site.ca));
    ask();
    let _ = old.kill();
    let _ = old.wait();
}

//
#[test]
fn a_host_that_another_certificate_was_made_for_is_misdirected() {
    let Some(_) = service("curl") else { return };
    let site = Secured::start();
    assert_eq!(site.status("adm.test", &[], "/"), "401");
    assert_eq!(site.status("a.wild.test", &[], "/public/x"), "200");
    assert_eq!(site.status("gw.test", &["-H", "Host: adm.test"], "/"), "421");
    assert_eq!(site.status("gw.test", &["-H", "Host: A.Wild.test"], "/public/x"), "421");
    assert_eq!(site.status("adm.test", &["-H", "Host: gw.test"], "/public/x"), "421");
    // No certificate was made for it: it belongs to the first, and to any.
    assert_eq!(site.status("adm.test", &["-H", "Host: pub.test"], "/"), "200");
}

// T-02
#[test]
fn a_session_is_resumed_under_its_own_name_only() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::start();
    let file = site.gateway.file("session").display().to_string();
    let request = "GET /public/x HTTP/1.1\r\nHost: gw.test\r\nConnection: close\r\n\r\n";
    let ask = |name: &str, with: &str| site.openssl(&["-servername", name, with, &file, "-ign_eof"], request);
    assert!(ask("gw.test", "-sess_out").contains("HTTP/1.1 200 OK"));
    let other = ask("adm.test", "-sess_in");
    assert!(other.contains("New, TLS"), "{other}");
    assert!(ask("gw.test", "-sess_out").contains("HTTP/1.1 200 OK"));
    let own = ask("gw.test", "-sess_in");
    assert!(own.contains("Reused, TLS"), "{own}");
}

#[test]
fn what_is_not_tls_gets_no_answer_of_http() {
    let site = Secured::start();
    let mut stream = std::net::TcpStream::connect(site.gateway.address).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nHost: gw.test\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&answer));
}

fn folder_of_bad_files() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let authority = Authority::new();
    authority.issue(at, "gw", &["gw.test"]);
    authority.issue(at, "other", &["gw.test"]);
    authority.issue_until(at, "old", &["gw.test"], 2020);
    fs::write(at.join("empty.pem"), "").unwrap();
    fs::write(at.join("text.pem"), "this is no certificate\n").unwrap();
    let pem = fs::read_to_string(at.join("gw.pem")).unwrap();
    fs::write(at.join("cut.pem"), &pem[..pem.len() / 2]).unwrap();
    fs::write(at.join("odd.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    fs::create_dir(at.join("folder.pem")).unwrap();
    folder
}

// T-01
#[test]
fn files_that_cannot_be_used_are_one_clear_line_at_check_and_at_start() {
    let folder = folder_of_bad_files();
    for (certificate, key, file, reason) in [
        ("missing.pem", "gw.key", "missing.pem", "there is no such file"),
        ("gw.pem", "missing.key", "missing.key", "there is no such file"),
        ("folder.pem", "gw.key", "folder.pem", "cannot be read"),
        ("empty.pem", "gw.key", "empty.pem", "holds no certificate"),
        ("text.pem", "gw.key", "text.pem", "holds no certificate"),
        ("cut.pem", "gw.key", "cut.pem", "is malformed"),
        ("odd.pem", "gw.key", "odd.pem", "malformed"),
        ("gw.pem", "empty.pem", "empty.pem", "holds no private key"),
        ("gw.pem", "gw.pem", "gw.pem", "holds no private key"),
        ("gw.pem", "other.key", "other.key", "is not the key of"),
    ] {
        let tls = format!("tls = {{ certificate = \"{certificate}\", key = \"{key}\" }}\n");
        write_config(folder.path(), &tls, "http://127.0.0.1:1");
        for verb in ["check", "serve"] {
            let ended = program::run(folder.path(), &[verb, "-c", "portcullis.toml"], "").with_code(1);
            let line = ended.stderr.lines().find(|l| l.contains(file) && l.contains(reason));
            let line = line.unwrap_or_else(|| panic!("{verb} {certificate} {key}: {}", ended.stderr));
            assert!(line.contains("portcullis.toml:4:7"), "{line}");
        }
    }
}

#[test]
fn an_expired_certificate_is_served_with_a_warning() {
    let folder = folder_of_bad_files();
    write_config(
        folder.path(),
        "tls = { certificate = \"old.pem\", key = \"old.key\" }\n",
        "http://127.0.0.1:1",
    );
    let checked = program::run(folder.path(), &["check", "-c", "portcullis.toml"], "").with_code(0);
    let warned = |text: &str| text.contains("old.pem: the certificate has expired");
    assert!(warned(&checked.stderr), "{}", checked.stderr);
    let gateway = Gateway::start_in(Arc::new(folder), &[]);
    assert!(warned(&gateway.output()), "{}", gateway.output());
}
