//! Real WebSockets through the gateway: server and client of the `websockets` package
//! from PyPI, and many at once. Programs that may be missing are skipped loudly.

use portcullis_tests::{
    Connection, Gateway, Login, Request, Site, Upstream,
    login::login,
    program::root,
    services::package,
    site::{PASSWORD, ROUTES, config},
    wait::PATIENCE,
    websocket::{echo, handshake},
};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

/// `websocket_peer.py` in one of its parts, ended with the test.
pub struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Peer {
    pub fn start(packages: &Path, arguments: &[&str]) -> Self {
        let mut child = Command::new("python3")
            .env("PYTHONPATH", packages)
            .arg(root().join("tests/it/websocket_peer.py"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // Read by a thread, so that waiting for a line can have an end.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Self { input: child.stdin.take(), child, lines }
    }

    pub fn says(&mut self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("it says something in time")
    }

    pub fn send(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn real_websockets_and_events_end_with_their_session_and_nobody_elses_do() {
    let Some(packages) = package("websockets") else { return };
    let mut server = Peer::start(&packages, &["serve"]);
    let ports = server.says();
    let (sockets, events) = ports.split_once(' ').unwrap();
    let more = format!(
        "[upstreams.events]\nurls = [\"http://127.0.0.1:{events}\"]\n{ROUTES}\n\
         [[routes]]\npath = \"/events\"\nupstream = \"events\"\n"
    );
    let gateway = Gateway::start(&config(&format!("http://127.0.0.1:{sockets}"), "", &more));
    let [alice, bob] = ["alice", "bob"].map(|name| {
        gateway.add_user(name, PASSWORD, &[]);
        login(&gateway, name, PASSWORD)
    });
    let foreign = handshake("/app").cookie(&alice.cookie).with("Origin", "http://evil.test");
    gateway.send(&foreign).expect(403, "foreign_origin");
    let url = format!("ws://{}/app", gateway.address);
    let open = |login: &Login, name: &str| {
        let mut client = Peer::start(&packages, &["client", &url, &gateway.url(), &login.cookie]);
        assert_eq!(client.says(), format!("hello {name}"));
        let text = "x".repeat(200_000);
        client.send(&text);
        assert!(client.says() == text);
        client
    };
    let (mut of_alice, mut of_bob) = (open(&alice, "alice"), open(&bob, "bob"));
    let listen = |login: &Login, event: &[u8]| {
        let mut connection = gateway.connect();
        connection.start(&Request::get("/events").cookie(&login.cookie));
        assert_eq!(connection.head().unwrap().0, 200);
        assert_eq!(connection.chunk().unwrap(), event);
        connection
    };
    let mut to_alice = listen(&alice, b"data: alice\n\n");
    let mut to_bob = listen(&bob, b"data: bob\n\n");
    gateway.send(&Request::post("/logout").cookie(&alice.cookie)).expect(200, "");
    assert_eq!(of_alice.says(), "closed");
    let ends = Instant::now() + PATIENCE;
    while let Ok(event) = to_alice.chunk() {
        assert!(Instant::now() < ends, "her events go on");
        assert!(!event.is_empty(), "events that are broken off do not look whole");
    }
    of_bob.send("still here");
    assert_eq!(of_bob.says(), "still here");
    for _ in 0..10 {
        assert_eq!(to_bob.chunk().unwrap(), b"data: bob\n\n");
    }
}

/// `tests/run --long` asks for 1,000 and reads the figures.
#[test]
fn many_websockets_of_one_person_end_at_once_and_those_of_others_stay() {
    let asked = std::env::var("PORTCULLIS_SOCKETS").ok().and_then(|n| n.parse().ok());
    let count: usize = asked.unwrap_or(25);
    let site = Site::before(Upstream::scripted(|stream, _| echo(stream)), "", ROUTES);
    site.gateway.add_user("bob", PASSWORD, &[]);
    let bob = login(&site.gateway, "bob", PASSWORD);
    let open = |login: &Login| -> Vec<Connection> {
        let request = handshake("/app").cookie(&login.cookie);
        let open = || {
            let mut connection = site.gateway.connect();
            connection.upgrade(&request);
            connection
        };
        (0..count).map(|_| open()).collect()
    };
    let (mut alices, mut bobs) = (open(&site.alice), open(&bob));
    let all_echo = |all: &mut [Connection]| all.iter_mut().all(|c| c.echoes(b"on").is_ok_and(|t| t == b"on"));
    assert!(all_echo(&mut alices) && all_echo(&mut bobs), "all are open");
    let start = Instant::now();
    site.send(&Request::post("/logout").cookie(&site.alice.cookie)).expect(200, "");
    let answered = start.elapsed();
    assert!(alices.iter_mut().all(Connection::ends));
    let ended = start.elapsed();
    assert!(all_echo(&mut bobs), "nobody else's end");
    println!(
        "{count} WebSockets of one person: logout answered after {answered:?}, all closed after {ended:?};"
    );
    println!("{count} of another: all open, all echo");
    // The target is a second; a figure fails at three times its target.
    assert!(asked.is_none() || ended < Duration::from_secs(3), "{ended:?}");
}
