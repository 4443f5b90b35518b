//! Each limit of `[limits]`: what lies at it passes, what lies one above is refused and
//! counted (contract section 3; section 6 of the attack catalogue; rows M-16, D-01, D-02,
//! D-03). Those of HTTP/2 are in `http2_rules.rs`, those of logins in `guessing.rs`.

use portcullis_tests::{
    Broken, Connection, Gateway, Numbers, Request, Response, Site, Upstream,
    login::login_request,
    site::{PASSWORD, ROUTES, config},
    until,
};
use std::{
    io::Write,
    net::TcpStream,
    sync::OnceLock,
    time::{Duration, Instant},
};

const LIMITS: &str = "[limits]\nheader_bytes = 2000\nheaders = 20\nrequest_line = 200\nlogin_body = 500\n\
                      json_depth = 4\njson_fields = 8\n";

/// A site with limits, and its numbers.
struct Limited {
    site: Site,
    numbers: Numbers,
}

impl Limited {
    fn new(limits: &str) -> Self {
        let numbers = Numbers::place();
        let more = format!("{ROUTES}{}\n{limits}", numbers.table());
        Self { site: Site::before(Upstream::start(), "", &more), numbers }
    }

    fn shared() -> &'static Self {
        static SHARED: OnceLock<Limited> = OnceLock::new();
        SHARED.get_or_init(|| Self::new(LIMITS))
    }

    /// Refusals so far by this limit.
    #[track_caller]
    fn refused(&self, limit: &str) -> u64 {
        self.numbers.refused(limit)
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
        until("its place in the numbers", || (self.refused(limit) > before).then_some(()));
        assert_eq!(self.refused(limit), before + 1, "{limit}");
    }
}

/// A head of so many bytes.
fn head(limited: &Limited, size: usize) -> Response {
    let fixed = "GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\nX: \r\n\r\n".len();
    let value = "y".repeat(size - fixed);
    limited.raw(format!("GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\nX: {value}\r\n\r\n"))
}

/// A head of so many fields.
fn fields(limited: &Limited, count: usize) -> Response {
    let lines: String = (1..count).map(|n| format!("X-{n}: y\r\n")).collect();
    limited.raw(format!("GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n"))
}

/// A request line of so many bytes.
fn line(limited: &Limited, size: usize) -> Response {
    let rest = "a".repeat(size - "GET /public/ HTTP/1.1".len());
    limited.raw(format!("GET /public/{rest} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
}

/// A login whose body has so many bytes, no text of it more than 10,000.
fn body(limited: &Limited, size: usize, chunked: bool) -> Response {
    let mut body = format!(r#"{{"username":"alice","password":"{PASSWORD}""#);
    let mut left = size - body.len() - 1;
    for n in 0.. {
        let name = format!(",\"x{n}\":");
        // What is left for the next one is enough to be one.
        let text = if left > 10_050 { 10_000 } else { left - name.len() - 2 };
        body += &format!("{name}{:?}", "y".repeat(text));
        left -= name.len() + 2 + text;
        if left == 0 {
            break;
        }
    }
    body.push('}');
    assert_eq!(body.len(), size);
    let framing =
        if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {size}") };
    let body = if chunked { format!("{size:x}\r\n{body}\r\n0\r\n\r\n") } else { body };
    limited.raw(format!(
        "POST /login/local HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n{framing}\r\n\r\n{body}"
    ))
}

/// A login by JSON with more members.
fn json_login(limited: &Limited, more: &str) -> Response {
    let body = format!(r#"{{"username":"alice","password":"{PASSWORD}"{more}}}"#);
    limited.site.send(&Request::post("/login/local").with("Content-Type", "application/json").body(body))
}

/// A login whose body is so deep.
fn depth(limited: &Limited, depth: usize) -> Response {
    json_login(limited, &format!(r#","x":{}{}"#, "[".repeat(depth - 1), "]".repeat(depth - 1)))
}

/// A login whose body has so many fields.
fn members(limited: &Limited, count: usize) -> Response {
    json_login(limited, &(2..count).map(|n| format!(r#","x{n}":1"#)).collect::<String>())
}

/// A login by a form with so many fields.
fn form_fields(limited: &Limited, count: usize) -> Response {
    let password = PASSWORD.replace(' ', "+");
    let more: String = (2..count).map(|n| format!("&x{n}=1")).collect();
    limited
        .site
        .send(&Request::post("/login/local").form(&format!("username=alice&password={password}{more}")))
}

const HEAD: (u16, &str) = (431, "headers_too_large");
const LINE: (u16, &str) = (414, "uri_too_long");
const BODY: (u16, &str) = (413, "body_too_large");
const MALFORMED: (u16, &str) = (400, "malformed");

#[test]
fn a_head_may_have_so_many_bytes() {
    Limited::shared().holds("header_bytes", 2000, HEAD, head);
}

#[test]
fn a_head_may_have_so_many_fields() {
    Limited::shared().holds("headers", 20, HEAD, fields);
}

#[test]
fn a_request_line_may_be_so_long() {
    Limited::shared().holds("request_line", 200, LINE, line);
}

#[test]
fn a_body_for_an_endpoint_may_be_so_large_whether_it_says_so_or_not() {
    for chunked in [false, true] {
        Limited::shared().holds("login_body", 500, BODY, |limited, size| body(limited, size, chunked));
    }
}

#[test]
fn a_json_body_may_be_so_deep_and_have_so_many_fields() {
    Limited::shared().holds("json_depth", 4, MALFORMED, depth);
    Limited::shared().holds("json_fields", 8, MALFORMED, members);
    Limited::shared().holds("json_fields", 8, MALFORMED, form_fields);
}

// Section 6 of the attack catalogue, as it is when the configuration says nothing
#[test]
fn the_limits_that_nobody_sets_are_those_of_the_contract() {
    const KIB: usize = 1024;
    let limited = Limited::new("");
    limited.holds("header_bytes", 32 * KIB, HEAD, head);
    limited.holds("headers", 100, HEAD, fields);
    limited.holds("request_line", 16 * KIB, LINE, line);
    limited.holds("login_body", 64 * KIB, BODY, |limited, size| body(limited, size, false));
    limited.holds("json_depth", 16, MALFORMED, depth);
    limited.holds("json_fields", 64, MALFORMED, members);
    limited.holds("json_fields", 64, MALFORMED, form_fields);
    limited.holds("body_text", 16 * KIB, MALFORMED, |limited, size| {
        json_login(limited, &format!(",\"x\":{:?}", "y".repeat(size)))
    });
    // None of these is anybody's: what is counted is that one was not looked at. Those that
    // are good are tested where tokens are.
    for (size, counted) in [(16 * KIB - 1, 0), (16 * KIB, 0), (16 * KIB + 1, 1)] {
        let request = Request::get("/private").bearer(&"a".repeat(size));
        limited.site.send(&request).expect(401, "invalid_token");
        assert_eq!(limited.refused("token_bytes"), counted, "{size}");
    }
}

// D-02: what is too much is not kept either
#[test]
fn heads_that_are_refused_take_no_memory() {
    let limited = Limited::new("");
    let over = |ask: &dyn Fn(&Limited, usize) -> Response, most: usize, status: u16| {
        assert_eq!(ask(&limited, most + 1).status, status);
    };
    let cookies: String = (0..200).map(|n| format!("Cookie: c{n}=v\r\n")).collect();
    let cookies = format!("GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookies}\r\n");
    let all = || {
        over(&head, 32 * 1024, 431);
        over(&fields, 100, 431);
        over(&line, 16 * 1024, 414);
        assert_eq!(limited.raw(&cookies).status, 431);
    };
    (0..20).for_each(|_| all());
    let before = limited.site.gateway.memory();
    (0..100).for_each(|_| all());
    let after = limited.site.gateway.memory();
    assert!(after <= before + 4096, "{before} kB, then {after} kB");
}

// D-02: in one line they are a line like any other, but for the one that is ours
#[test]
fn of_two_hundred_cookies_all_arrive_but_the_sessions() {
    let site = Site::own();
    let mut cookies: Vec<String> = (0..200).map(|n| format!("c{n}=v{n}")).collect();
    let others = cookies.join("; ");
    cookies.insert(100, site.alice.cookie.clone());
    site.send(&Request::get("/app").cookie(&cookies.join("; "))).expect(200, "");
    let seen = site.upstream.last();
    assert_eq!((seen.header("cookie"), seen.header("remote-user")), (Some(others.as_str()), Some("alice")));
}

// D-01: a head that does not end, a body that stops, a connection that says nothing
#[test]
fn what_does_not_come_in_time_is_closed_and_counted_and_what_is_quick_is_not() {
    let limited = Limited::new(
        "[limits]\nheader_timeout = \"3s\"\nidle_timeout = \"3500ms\"\nbody_stall = \"2500ms\"\n",
    );
    let (heads, bodies) = (limited.refused("header_timeout"), limited.refused("body_stall"));
    let idle = limited.refused("idle_timeout");
    // All at a time. None ends before its limit, however late it is looked at.
    let closes = |at_least: u64, prepare: &dyn Fn(&mut Connection)| {
        let start = Instant::now();
        let mut connection = limited.site.gateway.connect();
        prepare(&mut connection);
        let ended = connection.rest();
        assert!(start.elapsed() >= Duration::from_millis(at_least), "{:?}: {ended:?}", start.elapsed());
        ended
    };
    let post = |target: &str| {
        let text = format!("POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nabc");
        move |connection: &mut Connection| {
            connection.write(text.as_bytes());
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let begun = |connection: &mut Connection| {
                connection.write(b"GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ");
            };
            assert_eq!(closes(2500, &begun), Ok(Vec::new()));
        });
        scope.spawn(|| assert_eq!(closes(2500, &|_| ()), Ok(Vec::new()), "one that says nothing"));
        scope.spawn(|| {
            let used = |connection: &mut Connection| {
                connection.send(&Request::get("/public")).expect(200, "");
            };
            assert_eq!(closes(3000, &used), Ok(Vec::new()), "between requests");
        });
        scope.spawn(|| assert_eq!(closes(2000, &post("/public")), Ok(Vec::new()), "a body that stops"));
        scope.spawn(|| closes(2000, &post("/login/local")).unwrap());
    });
    until("their places in the numbers", || {
        let now = (limited.refused("body_stall"), limited.refused("header_timeout"));
        (now.0 >= bodies + 2 && now.1 >= heads + 2).then_some(())
    });
    assert_eq!(limited.refused("body_stall"), bodies + 2);
    assert_eq!(limited.refused("header_timeout"), heads + 2);
    assert_eq!(limited.refused("idle_timeout"), idle + 1);
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
    while start.elapsed() < Duration::from_millis(3200) {
        body.write(b"x");
        sent += 1;
        // A rate and no condition: some bytes in the time of the limit.
        std::thread::sleep(Duration::from_millis(100));
    }
    body.write(&vec![b'x'; 200 - sent]);
    body.response().expect(200, "");
    drip_at_an_endpoint(limited);
}

/// A body that is kept whole is bounded as a whole, also one that nobody wants.
fn drip_at_an_endpoint(limited: &Limited) {
    for (path, answer) in [("/login/local", None), ("/private", Some(401))] {
        let before = limited.refused("body_stall");
        let mut slow = limited.site.gateway.connect();
        slow.write(
            format!("POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 60000\r\n").as_bytes(),
        );
        slow.write(b"Content-Type: application/json\r\n\r\n");
        until("the end of a body that drips", || {
            slow.write(b" ");
            (limited.refused("body_stall") == before + 1).then_some(())
        });
        let seen = slow.try_response_to("POST");
        assert_eq!(seen.ok().map(|answer| answer.status), answer, "{path}");
    }
}

#[test]
fn so_many_connections_are_let_in_and_again_when_one_leaves() {
    for (limits, limit) in
        [("connections = 3", "connections"), ("per_address_connections = 3", "per_address_connections")]
    {
        let upstream = Upstream::start();
        let numbers = Numbers::place();
        let more = format!("{ROUTES}{}\n[limits]\n{limits}\n", numbers.table());
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
        assert!(numbers.refused(limit) > 0, "{limit}");
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
    until("its place in the numbers", || (limited.refused("identity_header") == 1).then_some(()));
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
