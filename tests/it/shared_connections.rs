//! What must not pass from one person to another by way of what they share: upstream
//! connections and caches (contract sections 6 and 7; D-07).

use portcullis_tests::{
    Request, Site, Upstream,
    site::ROUTES,
    upstream::{answer, read_head},
};
use std::{
    io::Write,
    sync::{Mutex, mpsc},
};

/// How many connections two requests take, one after the other, of one worker: it would
/// find the first one's connection.
fn connections(upstream: Upstream, request: &Request, status: u16) -> usize {
    let site = Site::before(upstream, "threads = 1", ROUTES);
    for _ in 0..2 {
        site.send(request).expect(status, "");
    }
    site.upstream.connections()
}

// D-07
#[test]
fn a_connection_that_signs_somebody_in_is_not_used_for_the_next() {
    for (challenge, expected) in [
        ("NTLM TlRMTVNTUAAC", 2),
        ("Negotiate x", 2),
        ("Negotiate, NTLM", 2),
        ("NTLM,Basic realm=x", 2),
        ("Basic realm=\"x\", NTLM", 2),
        ("Basic realm=\"x\",\tnegotiate\tx", 2),
        ("Basic realm=x", 1),
        ("Digest realm=\"x\", Basic realm=\"y\"", 1),
    ] {
        let upstream = Upstream::answering(move |_| answer(401, &[("WWW-Authenticate", challenge)], b"no"));
        assert_eq!(connections(upstream, &Request::get("/public"), 401), expected, "{challenge}");
    }
}

// D-07: also where the body comes long after the head
#[test]
fn nor_is_one_whose_answer_comes_in_pieces() {
    for (challenge, expected) in [("Basic realm=\"x\", NTLM", 2), ("Basic realm=\"x\"", 1)] {
        let (go_on, may_go_on) = mpsc::channel();
        let may_go_on = Mutex::new(may_go_on);
        let upstream = Upstream::scripted(move |stream, _| {
            while read_head(stream).is_some() {
                let head = format!(
                    "HTTP/1.1 401 No\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 4\r\n\r\nno"
                );
                let _ = stream.write_all(head.as_bytes());
                let _ = may_go_on.lock().unwrap().recv();
                let _ = stream.write_all(b"no");
            }
        });
        let site = Site::before(upstream, "threads = 1", ROUTES);
        let mut client = site.gateway.connect();
        for _ in 0..2 {
            client.start(&Request::get("/public"));
            assert_eq!(client.head().unwrap().0, 401);
            assert_eq!(client.exactly(2).unwrap(), b"no");
            go_on.send(()).unwrap();
            assert_eq!(client.exactly(2).unwrap(), b"no");
        }
        assert_eq!(site.upstream.connections(), expected, "{challenge}");
    }
}

// D-07: the last message of such a sign-in is answered without a challenge
#[test]
fn nor_is_one_that_a_request_signed_in() {
    for (name, value, expected) in [
        ("Authorization", "NTLM TlRMTVNTUAAD", 2),
        ("Authorization", "negotiate YII=", 2),
        ("Authorization", "Basic YTpi", 1),
        ("X-Other", "NTLM x", 1),
    ] {
        let request = Request::get("/public").with(name, value);
        assert_eq!(connections(Upstream::start(), &request, 200), expected, "{name}: {value}");
    }
    for (name, value) in [("Persistent-Auth", "true"), ("Proxy-Support", "Session-Based-Authentication")] {
        let upstream = Upstream::answering(move |_| answer(200, &[(name, value)], b"ok"));
        assert_eq!(connections(upstream, &Request::get("/public"), 200), 2, "{name}");
    }
}

#[test]
fn an_answer_that_takes_a_cookie_back_is_kept_by_no_shared_cache() {
    let upstream =
        Upstream::answering(|_| answer(200, &[("Cache-Control", "public, s-maxage=60, max-age=60")], b"ok"));
    let site = Site::before(upstream, "", ROUTES);
    let dead = format!("portcullis={}", "A".repeat(43));
    let plain = site.send(&Request::get("/public").navigation()).expect(200, "");
    assert_eq!(plain.header("cache-control"), Some("public, s-maxage=60, max-age=60"));
    let taken = site.send(&Request::get("/public").navigation().cookie(&dead)).expect(200, "");
    assert!(taken.header("set-cookie").is_some_and(|c| c.starts_with("portcullis=;")), "{taken:?}");
    assert_eq!(taken.header("cache-control"), Some("max-age=60, private"));
}
