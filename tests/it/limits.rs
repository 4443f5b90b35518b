//! Each limit of `[limits]`: what lies at it passes, what lies one above is refused and
//! counted (contract section 3; section 6 of the attack catalogue; rows M-16, D-01, D-02,
//! D-03). Those of HTTP/2 are in `http2_rules.rs`, those of logins in `guessing.rs`.

use portcullis_tests::{
    Broken, Connection, Gateway, Request, Response, Site, Upstream,
    login::login_request,
    site::{PASSWORD, ROUTES, config},
    until,
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::OnceLock,
    time::{Duration, Instant},
};

const LIMITS: &str = "[limits]\nheader_bytes = 2000\nheaders = 20\nrequest_line = 200\nlogin_body = 500\n\
                      json_depth = 4\njson_fields = 8\n";

/// A site with small limits, and where its numbers are.
struct Limited {
    site: Site,
    admin: SocketAddr,
}

impl Limited {
    fn new(limits: &str) -> Self {
        // The admin listener does not say which port it got.
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let more = format!("{ROUTES}\n[admin]\nlisten = \"{admin}\"\n\n{limits}");
        Self { site: Site::before(Upstream::start(), "", &more), admin }
    }

    fn shared() -> &'static Self {
        static SHARED: OnceLock<Limited> = OnceLock::new();
        SHARED.get_or_init(|| Self::new(LIMITS))
    }

    /// Refusals so far by this limit.
    fn refused(&self, limit: &str) -> u64 {
        let mut stream = TcpStream::connect(self.admin).expect("the admin listener accepts");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let sample = format!("portcullis_limit_refusals_total{{limit=\"{limit}\"}} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&sample));
        line.unwrap_or_else(|| panic!("no sample of {limit}:\n{text}")).parse().unwrap()
    }

    /// Sends raw bytes on a connection of their own.
    fn raw(&self, bytes: impl AsRef<[u8]>) -> Response {
        self.site.gateway.connect().write(bytes.as_ref()).response()
    }

    /// One below and at the limit it passes; one above it is refused and counted.
    #[track_caller]
    fn holds(&self, limit: &str, at: usize, refusal: (u16, &str), ask: impl Fn(&Self, usize) -> Response) {
        let before = self.refused(limit);
        for size in [at - 1, at] {
            let answer = ask(self, size);
            assert_eq!(answer.status, 200, "{limit} at {size}: {}", answer.text());
        }
        assert_eq!(self.refused(limit), before, "{limit}: nothing was refused yet");
        ask(self, at + 1).expect(refusal.0, refusal.1);
        assert_eq!(self.refused(limit), before + 1, "{limit}");
    }
}

#[test]
fn a_head_may_have_so_many_bytes() {
    Limited::shared().holds("header_bytes", 2000, (431, "headers_too_large"), |limited, size| {
        let fixed = "GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \r\n\r\n".len();
        let value = "y".repeat(size - fixed);
        limited.raw(format!("GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {value}\r\n\r\n"))
    });
}

#[test]
fn a_head_may_have_so_many_fields() {
    Limited::shared().holds("headers", 20, (431, "headers_too_large"), |limited, count| {
        let lines: String = (1..count).map(|n| format!("X-{n}: y\r\n")).collect();
        limited.raw(format!("GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n"))
    });
}

#[test]
fn a_request_line_may_be_so_long() {
    Limited::shared().holds("request_line", 200, (414, "uri_too_long"), |limited, size| {
        let rest = "a".repeat(size - "GET /public/ HTTP/1.1".len());
        limited.raw(format!("GET /public/{rest} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
    });
}

#[test]
fn a_body_for_an_endpoint_may_be_so_large_whether_it_says_so_or_not() {
    let body = |size: usize| {
        let text = format!(r#"{{"username":"alice","password":"{PASSWORD}","x":"#);
        format!("{text}{:?}}}", "y".repeat(size - text.len() - 3))
    };
    for chunked in [false, true] {
        Limited::shared().holds("login_body", 500, (413, "body_too_large"), |limited, size| {
            let body = body(size);
            assert_eq!(body.len(), size);
            let framing = if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {size}") };
            let body = if chunked { format!("{size:x}\r\n{body}\r\n0\r\n\r\n") } else { body };
            limited.raw(format!(
                "POST /login/local HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{framing}\r\n\r\n{body}"
            ))
        });
    }
}

#[test]
fn a_json_body_may_be_so_deep_and_have_so_many_fields() {
    let login = |more: String| {
        let body = format!(r#"{{"username":"alice","password":"{PASSWORD}"{more}}}"#);
        Request::post("/login/local").with("Content-Type", "application/json").body(body)
    };
    Limited::shared().holds("json_depth", 4, (400, "malformed"), |limited, depth| {
        let more = format!(r#","x":{}{}"#, "[".repeat(depth - 1), "]".repeat(depth - 1));
        limited.site.send(&login(more))
    });
    Limited::shared().holds("json_fields", 8, (400, "malformed"), |limited, count| {
        limited.site.send(&login((2..count).map(|n| format!(r#","x{n}":1"#)).collect()))
    });
    Limited::shared().holds("json_fields", 8, (400, "malformed"), |limited, count| {
        let password = PASSWORD.replace(' ', "+");
        let more: String = (2..count).map(|n| format!("&x{n}=1")).collect();
        limited
            .site
            .send(&Request::post("/login/local").form(&format!("username=alice&password={password}{more}")))
    });
}

// D-01: a head that does not end, a body that stops, a connection that says nothing
#[test]
fn what_does_not_come_in_time_is_closed_and_counted_and_what_is_quick_is_not() {
    let limited = Limited::new(
        "[limits]\nheader_timeout = \"600ms\"\nidle_timeout = \"700ms\"\nbody_stall = \"500ms\"\n",
    );
    let (heads, bodies) = (limited.refused("header_timeout"), limited.refused("body_stall"));
    let open = || limited.site.gateway.connect();
    let closes = |mut connection: Connection, at_least: u64| {
        let start = Instant::now();
        let ended = connection.rest();
        let took = start.elapsed();
        assert!(took >= Duration::from_millis(at_least), "{took:?}: {ended:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        ended
    };
    let mut begun = open();
    begun.write(b"GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ");
    assert_eq!(closes(begun, 400), Ok(Vec::new()));
    assert_eq!(closes(open(), 400), Ok(Vec::new()), "one that says nothing");
    let mut kept = open();
    kept.send(&Request::get("/public")).expect(200, "");
    assert_eq!(closes(kept, 500), Ok(Vec::new()), "between requests");
    let mut stalled = open();
    stalled.write(b"POST /public HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc");
    assert_eq!(closes(stalled, 300), Ok(Vec::new()), "a body that stops");
    let mut stalled = open();
    stalled.write(b"POST /login/local HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc");
    closes(stalled, 300).unwrap();
    assert_eq!(limited.refused("body_stall"), bodies + 2);
    assert_eq!(limited.refused("header_timeout"), heads + 1);
    drip(&limited);
}

/// A head whose bytes come one after another is bounded as a whole; a body whose bytes
/// do may take its time.
fn drip(limited: &Limited) {
    let head = limited.refused("header_timeout");
    let mut slow = TcpStream::connect(limited.site.gateway.address).unwrap();
    slow.write_all(b"GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\n").unwrap();
    until("the end of a head that drips", || {
        let _ = slow.write_all(b"X");
        (limited.refused("header_timeout") == head + 1).then_some(())
    });
    let mut body = limited.site.gateway.connect();
    body.write(b"POST /public HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 200\r\n\r\n");
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < Duration::from_millis(900) {
        body.write(b"x");
        sent += 1;
        // A rate and no condition: one byte in each tenth of the limit.
        std::thread::sleep(Duration::from_millis(50));
    }
    body.write(&vec![b'x'; 200 - sent]);
    body.response().expect(200, "");
}

#[test]
fn so_many_connections_are_let_in_and_again_when_one_leaves() {
    for (limits, limit) in
        [("connections = 3", "connections"), ("per_address_connections = 3", "per_address_connections")]
    {
        // One thread has one way of being asked: each connection is where it says.
        let admin = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let upstream = Upstream::start();
        let more = format!("{ROUTES}\n[admin]\nlisten = \"{admin}\"\n\n[limits]\n{limits}\n");
        let gateway = Gateway::start(&config(&upstream.url(), "", &more));
        let mut held: Vec<Connection> = (0..3).map(|_| gateway.connect()).collect();
        for connection in &mut held {
            connection.send(&Request::get("/public")).expect(200, "");
        }
        let mut fourth = gateway.connect();
        let answer = fourth.start(&Request::get("/public")).try_response_to("GET");
        assert_eq!(answer.map(|a| a.status), Err(Broken::Closed(Vec::new())), "{limit}");
        held.pop();
        until("room again", || {
            let mut connection = gateway.connect();
            connection.start(&Request::get("/public")).try_response_to("GET").ok().filter(|a| a.status == 200)
        });
        let mut text = String::new();
        let mut stream = TcpStream::connect(admin).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_string(&mut text).unwrap();
        let none = format!("portcullis_limit_refusals_total{{limit=\"{limit}\"}} 0\n");
        assert!(!text.contains(&none), "{limit} was counted:\n{text}");
    }
}

// Section 6, what `[limits]` does not name: an identity header is sent whole or not at all
#[test]
fn an_identity_header_has_8_kib_at_most_and_is_never_cut() {
    let limited = Limited::new("");
    let role = |n: usize, length: usize| format!("r{n:03}{}", "x".repeat(length - 4));
    // 64 roles of 127 bytes with 63 commas are 8,191 bytes; one byte more in one role is the limit.
    for (name, last, status) in [("a", 127, 200), ("b", 128, 200), ("c", 1, 431)] {
        let mut roles: Vec<String> = (0..63).map(|n| role(n, 127)).collect();
        roles.push(role(63, last.max(128).min(if last == 127 { 127 } else { 128 })));
        if last == 1 {
            roles.push("z".into());
        }
        let mut more = Vec::new();
        for role in &roles {
            more.extend(["--role", role.as_str()]);
        }
        limited.site.gateway.add_user(name, PASSWORD, &more);
        let login = portcullis_tests::login::login(&limited.site.gateway, name, PASSWORD);
        let answer = limited.site.send(&Request::get("/app").cookie(&login.cookie));
        assert_eq!(answer.status, status, "{name}: {}", answer.text());
        if status == 200 {
            let groups = limited.site.upstream.last().header("remote-groups").map(str::len);
            assert_eq!(groups, Some(8191 + (last - 127)));
        }
    }
    assert_eq!(limited.refused("identity_header"), 1);
}

// D-03: what is packed stays packed
#[test]
fn a_packed_body_is_not_unpacked_and_a_wrong_type_not_read() {
    let request = login_request("alice", PASSWORD);
    let site = &Limited::shared().site;
    for coding in ["gzip", "deflate", "br", "identity, gzip"] {
        let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 100]].concat();
        let answer =
            site.send(&Request { body: Some(bomb), ..request.clone() }.with("Content-Encoding", coding));
        assert!(matches!(answer.status, 400 | 415), "{coding}: {answer:?}");
    }
}
