//! WebSocket and other upgrades (contract section 7; S-10 and S-15 of the attack
//! catalogue), with every byte by hand.

use portcullis_tests::{
    Request, Site, Upstream,
    login::login,
    site::{PASSWORD, ROUTES},
    upstream::{ok, read_head},
    wait::PATIENCE,
    websocket::{accept, echo, frame, handshake},
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::{Mutex, mpsc},
    time::{Duration, Instant},
};

/// What is waited when something must not come.
const MOMENT: Duration = Duration::from_millis(200);

/// Before an upstream whose connections are handled like this; each head is handed over.
fn before(script: impl Fn(&mut TcpStream, &str) + Send + Sync + 'static) -> (Site, mpsc::Receiver<String>) {
    let (tell, heads) = mpsc::channel();
    let tell = Mutex::new(tell);
    let upstream = Upstream::scripted(move |stream, _| {
        while let Some(head) = read_head(stream) {
            let head = String::from_utf8(head).unwrap();
            tell.lock().unwrap().send(head.clone()).unwrap();
            script(stream, &head);
        }
    });
    (Site::before(upstream, "", ROUTES), heads)
}

fn next(heads: &mpsc::Receiver<String>) -> String {
    heads.recv_timeout(PATIENCE).expect("a request upstream")
}

#[test]
fn a_websocket_passes_with_the_identity_of_its_session() {
    let (site, heads) = before(|stream, _| {
        let _ = stream.write_all(&accept());
        let mut piece = [0; 1024];
        while let Ok(n @ 1..) = stream.read(&mut piece) {
            let _ = stream.write_all(&piece[..n]);
        }
    });
    let request = handshake("/app/chat?room=1")
        .cookie(&format!("mine=1; {}", site.alice.cookie))
        .with("Origin", &site.gateway.url())
        .with("Sec-WebSocket-Protocol", "chat")
        .with("Remote-User", "attacker");
    let mut connection = site.gateway.connect();
    connection.upgrade(&request);
    let head = next(&heads);
    for line in [
        "GET /app/chat?room=1 HTTP/1.1",
        "Connection: upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: chat",
        "Remote-User: alice",
        "Cookie: mine=1",
    ] {
        assert_eq!(head.lines().filter(|l| l.eq_ignore_ascii_case(line)).count(), 1, "{line}\n{head}");
    }
    assert!(!head.contains("attacker") && !head.contains("portcullis="), "{head}");
    connection.write(b"any bytes at all\0\r\n\r\n");
    assert_eq!(connection.exactly(21).unwrap(), b"any bytes at all\0\r\n\r\n");
}

#[test]
fn a_websocket_is_full_duplex_and_whole_at_any_size() {
    let site = Site::before(Upstream::scripted(|stream, _| echo(stream)), "", ROUTES);
    let mut connection = site.gateway.connect();
    connection.upgrade(&handshake("/app").cookie(&site.alice.cookie));
    for length in [0, 1, 125, 126, 70_000, 3_000_000] {
        let text: Vec<u8> = (0..length).map(|i: u32| u8::try_from(i % 251).unwrap()).collect();
        assert!(connection.echoes(&text).unwrap() == text, "{length} bytes there and back");
    }
    let (one, two) = (frame(b"one", Some([9; 4])), frame(b"two", Some([8; 4])));
    connection.write(&[one, two].concat());
    assert_eq!(connection.frame().unwrap(), b"one");
    assert_eq!(connection.frame().unwrap(), b"two");
}

// C-16
#[test]
fn an_upgrade_is_decided_like_any_request_before_the_upstream_hears_of_it() {
    let site = Site::before(Upstream::scripted(|stream, _| echo(stream)), "", ROUTES);
    let as_alice = |target: &str| handshake(target).cookie(&site.alice.cookie);
    site.send(&handshake("/app")).expect(401, "login_required");
    site.send(&as_alice("/admin")).expect(403, "forbidden");
    for (name, value) in [
        ("Origin", "http://evil.test"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        site.send(&as_alice("/app").with(name, value)).expect(403, "foreign_origin");
    }
    assert_eq!(site.upstream.connections(), 0);
    let by_token = handshake("/app").bearer(&site.alice.token).with("Origin", "http://evil.test");
    site.gateway.connect().upgrade(&by_token);
    site.gateway.connect().upgrade(&handshake("/public"));
}

#[test]
fn http_and_tls_are_no_protocols_to_switch_to() {
    let site = Site::own();
    for protocol in
        ["h2c", "H2C", "HTTP/2.0", "http/1.1", "TLS/1.2", "tls/1.0", "websocket, h2c", "h2c,websocket"]
    {
        let request = Request::get("/public")
            .with("Connection", "Upgrade, HTTP2-Settings")
            .with("Upgrade", protocol)
            .with("HTTP2-Settings", "AAMAAABkAAQAAP__");
        site.send(&request).expect(200, "");
        let seen = site.upstream.last();
        for name in ["upgrade", "http2-settings", "connection"] {
            assert!(seen.header(name).is_none(), "{protocol}: {}", seen.text());
        }
    }
    let unsaid = Request::get("/public").with("Upgrade", "websocket");
    site.send(&unsaid).expect(200, "");
    assert!(site.upstream.last().header("upgrade").is_none(), "without Connection it is not asked for");
}

// S-10
#[test]
fn what_follows_an_upgrade_that_is_not_granted_is_a_request_like_any_other() {
    let (site, heads) = before(|stream, _| {
        let _ = stream.write_all(&ok("plain"));
    });
    let first = handshake("/app").cookie(&site.alice.cookie);
    let second = Request::get("/admin").cookie(&site.alice.cookie);
    let mut connection = site.gateway.connect();
    connection.write(&[first.bytes("127.0.0.1"), second.bytes("127.0.0.1")].concat());
    assert_eq!(connection.response().expect(200, "").text(), "plain");
    connection.response().expect(403, "forbidden");
    assert!(next(&heads).starts_with("GET /app "));
    assert!(heads.try_recv().is_err(), "the second was decided here");
}

// S-10
#[test]
fn nothing_of_the_client_reaches_the_upstream_before_its_101() {
    let (tell, heard) = mpsc::channel();
    let tell = Mutex::new(tell);
    let (site, _heads) = before(move |stream, _| {
        stream.set_read_timeout(Some(MOMENT)).unwrap();
        let early = stream.read(&mut [0; 64]).map_err(|e| e.kind());
        stream.set_read_timeout(None).unwrap();
        let _ = stream.write_all(&accept());
        let mut after = [0; 10];
        let _ = stream.read_exact(&mut after);
        tell.lock().unwrap().send((early, after)).unwrap();
    });
    let mut connection = site.gateway.connect();
    // One piece comes with the head, the other later.
    connection.write(&[handshake("/public").bytes("127.0.0.1"), b"early".to_vec()].concat()).write(b"later");
    let (early, after) = heard.recv_timeout(PATIENCE).unwrap();
    assert!(matches!(early, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{early:?}");
    assert_eq!(&after, b"earlylater");
}

// S-15
#[test]
fn a_101_that_was_not_asked_for_like_this_is_502() {
    for answer in [
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: canary\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 101 X\r\nUpgrade: websocket\r\n\r\n",
        "HTTP/1.1 101 X\r\n\r\n",
    ] {
        let (site, _heads) = before(move |stream, _| {
            let _ = stream.write_all(format!("{answer}canary").as_bytes());
        });
        let refused = site.send(&handshake("/public")).expect(502, "upstream_invalid");
        assert!(!refused.text().contains("canary"), "{answer:?}");
    }
    let (site, _heads) = before(|stream, _| {
        let _ = stream.write_all(&accept());
    });
    site.send(&Request::get("/public")).expect(502, "upstream_invalid");
    let unsaid = Request::get("/public").with("Upgrade", "websocket");
    site.send(&unsaid).expect(502, "upstream_invalid");
}

#[test]
fn an_upgrade_with_a_body_switches_once_the_body_is_through() {
    let (site, heads) = before(|stream, head| {
        let switch = b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n";
        if head.starts_with("POST /public/whole") {
            let mut body = [0; 4];
            let _ = stream.read_exact(&mut body);
            assert_eq!(&body, b"body");
            let _ = stream.write_all(switch);
            let _ = stream.write_all(b"hello");
            let mut more = [0; 4];
            let _ = stream.read_exact(&mut more);
            let _ = stream.write_all(&more);
        } else {
            let _ = stream.write_all(switch);
            let _ = stream.read(&mut [0; 64]);
        }
    });
    let head = |target: &str| {
        format!(
            "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: upgrade\r\nUpgrade: tcp\r\nContent-Length: 4\r\n\r\n"
        )
    };
    let mut connection = site.gateway.connect();
    connection.write(head("/public/whole").as_bytes()).write(b"bodymore");
    assert_eq!(connection.head().unwrap().0, 101);
    assert_eq!(connection.exactly(9).unwrap(), b"hellomore");
    assert!(next(&heads).contains("Upgrade: tcp\r\n"));
    let mut connection = site.gateway.connect();
    connection.write(head("/public/early").as_bytes()).write(b"bo");
    connection.response().expect(502, "upstream_invalid");
}

#[test]
fn each_side_may_finish_sending_and_the_end_of_both_is_the_end() {
    let (site, _heads) = before(|stream, head| {
        let _ = stream.write_all(&accept());
        if head.starts_with("GET /public/first") {
            let _ = stream.write_all(b"bye");
            let _ = stream.shutdown(Shutdown::Write);
        }
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all);
        let _ = stream.write_all(&all);
    });
    let mut connection = site.gateway.connect();
    connection.upgrade(&handshake("/public"));
    connection.write(b"to the end").finish_writing();
    assert_eq!(connection.rest().unwrap(), b"to the end");
    let mut connection = site.gateway.connect();
    connection.upgrade(&handshake("/public/first"));
    assert_eq!(connection.rest().unwrap(), b"bye");
}

#[test]
fn a_side_that_leaves_takes_the_other_with_it() {
    let (tell, heard) = mpsc::channel();
    let tell = Mutex::new(tell);
    let (site, _heads) = before(move |stream, head| {
        let _ = stream.write_all(&accept());
        if !head.contains("/leave") {
            let ended = matches!(stream.read(&mut [0; 8]), Ok(0) | Err(_));
            tell.lock().unwrap().send(ended).unwrap();
        }
        let _ = stream.shutdown(Shutdown::Both);
    });
    let mut connection = site.gateway.connect();
    connection.upgrade(&handshake("/public"));
    drop(connection);
    assert!(heard.recv_timeout(PATIENCE).unwrap(), "the upstream hears of the client's end");
    let mut connection = site.gateway.connect();
    connection.upgrade(&handshake("/public/leave"));
    assert!(connection.ends(), "the client hears of the upstream's end");
}

#[test]
fn an_upgraded_connection_that_is_silent_for_too_long_ends() {
    let upstream = Upstream::scripted(|stream, _| echo(stream));
    let site = Site::before(upstream, "", &format!("idle_timeout = \"4s\"\n{ROUTES}"));
    let mut connection = site.gateway.connect();
    connection.upgrade(&handshake("/public"));
    assert_eq!(connection.echoes(b"still here").unwrap(), b"still here");
    assert!(connection.ends());
}

#[test]
fn what_a_client_sends_is_use_of_its_session_and_what_it_gets_is_not() {
    let upstream = Upstream::scripted(|stream, _| {
        let Some(head) = read_head(stream) else { return };
        let _ = stream.write_all(&accept());
        stream.set_read_timeout(Some(MOMENT)).unwrap();
        let chatty = head.starts_with(b"GET /app/chatty");
        // The client's bytes are swallowed; one side or the other keeps talking.
        while !matches!(stream.read(&mut [0; 8]), Ok(0)) && (!chatty || stream.write_all(b"x").is_ok()) {}
    });
    let site = Site::before(upstream, "", &format!("{ROUTES}\n[token]\nrefresh_idle = \"4s\"\n"));
    let talks = login(&site.gateway, "alice", PASSWORD);
    let mut talking = site.gateway.connect();
    talking.upgrade(&handshake("/app").cookie(&talks.cookie));
    let listens = login(&site.gateway, "alice", PASSWORD);
    let mut listening = site.gateway.connect();
    listening.upgrade(&handshake("/app/chatty").cookie(&listens.cookie));
    // Longer than a session may be idle, and until the other one has idled away.
    let listened = std::thread::spawn(move || listening.rest());
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(6) || !listened.is_finished() {
        talking.write(b"x");
        std::thread::sleep(MOMENT);
    }
    let heard = listened.join().unwrap().expect("its session idled away");
    assert!(!heard.is_empty());
    site.send(&Request::get("/app").cookie(&listens.cookie)).expect(401, "");
    let answer = site.send(&Request::get("/auth/current").cookie(&talks.cookie)).expect(200, "");
    assert_eq!(answer.json()["authenticated"]["name"], "alice", "it was in use all the time");
}
