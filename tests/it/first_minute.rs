//! `docs/first-minute.md` is a session at a terminal, and this runs it: each line after `$`
//! is typed as it stands, and what comes back is what the page has, but for what is new
//! each time (ports, passwords, tokens, ids, dates). `PORTCULLIS_WRITE=1` writes the page anew.

use portcullis_tests::{
    ports::free_port,
    program::{program, root},
    services::service,
    until,
};
use std::{
    fs,
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

/// The application of the page.
const API: &str = r#"from http.server import BaseHTTPRequestHandler, HTTPServer

class Api(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        name, roles = self.headers["Remote-User"], self.headers["Remote-Groups"]
        self.wfile.write(f"hello {name}, you are {roles}\n".encode())
    log_message = lambda *_: None

HTTPServer(("127.0.0.1", 3000), Api).serve_forever()
"#;

/// A terminal in a folder of its own.
struct Terminal {
    folder: tempfile::TempDir,
    /// What is really there, and what the page has for it.
    shown: Vec<(String, String)>,
    running: Vec<Child>,
}

impl Drop for Terminal {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Terminal {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().canonicalize().unwrap().display().to_string();
        let mut terminal = Self { folder, shown: vec![(home, "/home/you/gate".into())], running: Vec::new() };
        terminal.show(&format!(":{}", free_port()), ":3000");
        let api = API.replace("3000", &terminal.real(":3000")[1..]);
        fs::write(terminal.folder.path().join("api.py"), api).unwrap();
        let example = fs::read_to_string(root().join("config/examples/quickstart.toml")).unwrap();
        let (_, file) = example.split_once("\n\n").unwrap();
        fs::write(terminal.folder.path().join("portcullis.toml"), terminal.real(file)).unwrap();
        terminal
    }

    fn show(&mut self, real: &str, shown: &str) {
        self.shown.retain(|(_, before)| before != shown);
        self.shown.push((real.into(), shown.into()));
    }

    /// What is typed for what the page has.
    fn real(&self, text: &str) -> String {
        self.shown.iter().fold(text.to_owned(), |text, (real, shown)| text.replace(shown, real))
    }

    /// What the page has for what came.
    fn masked(&self, text: &str) -> String {
        let text = self.shown.iter().fold(text.to_owned(), |text, (real, shown)| text.replace(real, shown));
        // The API's own port stands without a colon in its source.
        let api = self.real(":3000");
        text.replace(&api[1..], "3000").lines().map(|line| masked(line) + "\n").collect()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("exec 2>&1\n{line}")]).current_dir(self.folder.path());
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PORTCULLIS_"))
        {
            command.env_remove(name);
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", program().parent().unwrap().display()));
        if let Some((real, _)) = self.shown.iter().find(|(_, shown)| shown == ":8080") {
            command.env("PORTCULLIS_SERVER__LISTEN", format!("127.0.0.1{real}"));
        }
        command
    }

    /// Types a line; what it prints, as the page has it.
    fn typed(&mut self, line: &str) -> String {
        match line {
            "portcullis demo" => self.demo(),
            "portcullis serve" => {
                let output =
                    self.starts("exec portcullis serve", ":8080", |said| said.contains("listening on"));
                self.masked(&output)
            }
            "python3 api.py" => {
                self.starts("exec python3 api.py", "", |_| true);
                let api = self.real("127.0.0.1:3000");
                until("the application", || TcpStream::connect(&api).ok());
                String::new()
            }
            line => {
                let output = self.command(&self.real(line)).stdin(Stdio::null()).output().unwrap();
                self.masked(&String::from_utf8_lossy(&output.stdout))
            }
        }
    }

    fn demo(&mut self) -> String {
        let port = free_port();
        let line = format!("exec portcullis demo --listen 127.0.0.1:{port}");
        let output = self.starts(&line, "", |said| said.contains("Ctrl-C ends it"));
        self.show(&format!(":{port}"), ":8080");
        let after = |mark: &str| {
            let rest = output.split(mark).nth(1).unwrap_or_else(|| panic!("no `{mark}` in {output}"));
            rest.split_whitespace().next().unwrap().to_owned()
        };
        self.show(&after("password  "), "the-password-it-made");
        let jar = after(" -c ");
        self.show(jar.strip_suffix("/cookies").unwrap(), "/tmp/portcullis-demo");
        self.masked(&output)
    }

    /// Starts what goes on; what it says until it is there, without its log.
    fn starts(&mut self, line: &str, listen: &str, there: impl Fn(&str) -> bool) -> String {
        if !listen.is_empty() {
            self.show(&format!(":{}", free_port()), listen);
        }
        let said = self.folder.path().join(format!(".said-{}", self.running.len()));
        let file = fs::File::create(&said).unwrap();
        let child = self.command(line).stdin(Stdio::null()).stdout(file).spawn().unwrap();
        self.running.push(child);
        until(line, || Some(fs::read_to_string(&said).unwrap()).filter(|said| there(said)))
            .lines()
            .filter(|line| !line.starts_with("{\"ts\""))
            .map(|line| format!("{line}\n"))
            .collect()
    }
}

/// A line without what is new each time.
fn masked(line: &str) -> String {
    for varies in ["date: ", "content-length: "] {
        if line.starts_with(varies) {
            return format!("{varies}…");
        }
    }
    let is_word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut masked = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        masked.push_str(if masked.ends_with("curl/") { "…" } else { shortened(word) });
        let next = after.chars().next().map_or(0, char::len_utf8);
        masked.push_str(&after[..next]);
        rest = &after[next..];
    }
    masked
}

fn shortened(word: &str) -> &str {
    let hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let is_uuid = word.len() == 36 && word.split('-').count() == 5 && word.split('-').all(hex);
    match word {
        _ if word.len() > 60 && word.starts_with("eyJ") => "eyJ…",
        _ if is_uuid || (word.len() == 24 && hex(word)) => "…",
        _ if word.len() == 10 && word.chars().all(|c| c.is_ascii_digit()) => "…",
        _ => word,
    }
}

/// The page again, with what came back now.
fn played(page: &str) -> String {
    let mut terminal = Terminal::new();
    let mut again = String::new();
    let mut inside = false;
    for line in page.lines() {
        if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            again.push_str(&format!("{line}\n"));
            again.push_str(&terminal.typed(command));
        } else if !inside || line.starts_with("```") {
            inside = line == "```console";
            again.push_str(&format!("{line}\n"));
        }
    }
    again
}

#[test]
fn the_first_minute_is_as_the_page_has_it() {
    if service("curl").is_none() || service("python3").is_none() {
        return;
    }
    let path: &Path = &root().join("docs/first-minute.md");
    let page = fs::read_to_string(path).unwrap();
    let again = played(&page);
    if std::env::var_os("PORTCULLIS_WRITE").is_some() {
        fs::write(path, &again).unwrap();
    }
    for (line, (was, is)) in page.lines().zip(again.lines()).enumerate() {
        assert_eq!(was, is, "docs/first-minute.md:{}; now it is:\n{again}", line + 1);
    }
    assert_eq!(page.lines().count(), again.lines().count(), "{again}");
}
