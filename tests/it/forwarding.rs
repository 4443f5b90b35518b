//! What an upstream receives and what its answers become (contract section 7), and every
//! way an upstream can fail (section 8; S-14 and S-15 of the attack catalogue).

use portcullis_tests::{
    Broken, Request, Site, Upstream,
    ports::nobody,
    site::{ROUTES, mark},
    upstream::{answer, ok, read_head},
    wait::PATIENCE,
};
use std::{io::Write, net::TcpListener, sync::mpsc, time::Duration};

#[test]
fn method_query_body_and_other_fields_arrive_as_sent() {
    let site = Site::shared();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"] {
        let mark = mark();
        let request = Request::new(method, &format!("/public/{mark}?a=1&b=%20%2F"))
            .with("X-Mine", "one")
            .with("X-Mine", "two")
            .with("Accept-Encoding", "gzip, br")
            .with("Via", "1.0 fred")
            .body(b"\x00\xff body".to_vec());
        site.send(&request).expect(200, "");
        let seen = site.upstream.marked(&mark);
        assert_eq!(seen.method, method);
        assert_eq!(seen.target, format!("/public/{mark}?a=1&b=%20%2F"));
        assert_eq!(seen.body, b"\x00\xff body");
        assert_eq!(seen.headers("x-mine"), ["one", "two"]);
        assert_eq!(seen.header("accept-encoding"), Some("gzip, br"));
        assert_eq!(seen.header("via"), Some("1.0 fred"));
    }
}

#[test]
fn the_host_goes_along_unless_the_upstream_wants_its_own() {
    let site = Site::before(Upstream::start(), "", &format!("preserve_host = false\n{ROUTES}"));
    site.send(&Request::get("/public").with("Host", "pub.test:77")).expect(200, "");
    let seen = site.upstream.last();
    assert_eq!(seen.header("host"), Some(site.upstream.address.to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("pub.test:77"));
    let shared = Site::shared();
    let mark = mark();
    shared.send(&Request::get(&format!("/public/{mark}")).with("Host", "pub.test:77")).expect(200, "");
    assert_eq!(shared.upstream.marked(&mark).header("host"), Some("pub.test:77"));
}

#[test]
fn a_trusted_proxy_is_believed_and_its_peer_is_added() {
    let site = Site::before(Upstream::start(), "trusted_proxies = [\"127.0.0.0/8\"]", ROUTES);
    let request = Request::get("/public")
        .with("X-Forwarded-For", "6.6.6.6, 10.9.8.7")
        .with("X-Forwarded-Proto", "https")
        .with("X-Request-Id", "from-the-proxy-1");
    let answer = site.send(&request).expect(200, "");
    let seen = site.upstream.last();
    let chain: Vec<String> =
        seen.header("x-forwarded-for").unwrap().split(',').map(|a| a.trim().into()).collect();
    assert_eq!(chain, ["6.6.6.6", "10.9.8.7", "127.0.0.1"]);
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.header("x-request-id"), Some("from-the-proxy-1"));
    assert_eq!(answer.header("x-request-id"), Some("from-the-proxy-1"));
}

// M-09
#[test]
fn hop_by_hop_fields_end_here_in_both_directions() {
    let hop = [
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("X-Private", "1"),
    ];
    let upstream = Upstream::answering(move |_| {
        answer(
            200,
            &[
                ("Connection", "keep-alive, X-Secret"),
                ("X-Secret", "1"),
                ("Keep-Alive", "timeout=9"),
                ("X-Kept", "1"),
                ("Proxy-Authenticate", "Basic"),
                ("Upgrade", "h2c"),
            ],
            b"ok",
        )
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut request =
        Request::get("/public").with("Connection", "x-private, keep-alive").with("Upgrade", "h2c");
    for (name, value) in hop {
        request = request.with(name, value);
    }
    let response = site
        .send(&request.with("Proxy-Authorization", "Basic x").with("HTTP2-Settings", "AAAA"))
        .expect(200, "");
    let seen = site.upstream.last();
    for name in [
        "keep-alive",
        "proxy-connection",
        "te",
        "x-private",
        "upgrade",
        "proxy-authorization",
        "http2-settings",
    ] {
        assert!(seen.header(name).is_none(), "{name}: {}", seen.text());
    }
    for name in ["x-secret", "keep-alive", "upgrade", "proxy-authenticate"] {
        assert!(response.header(name).is_none(), "{name}: {response:?}");
    }
    assert_eq!(response.header("x-kept"), Some("1"));
}

#[test]
fn other_peoples_cookies_pass_and_ours_do_not() {
    let upstream = Upstream::answering(|_| {
        answer(
            200,
            &[
                ("Set-Cookie", "theirs=1; Path=/"),
                ("Set-Cookie", "portcullis=evil"),
                ("set-cookie", "__Host-portcullis=evil; Secure"),
                ("Set-Cookie", "portcullis-refresh=evil"),
                ("Set-Cookie", " portcullis-flow =evil"),
                ("Set-Cookie", "other=2"),
            ],
            b"ok",
        )
    });
    let site = Site::before(upstream, "", ROUTES);
    let line = format!("a=1; {}; b=\"x y\"; portcullis-refresh=r;c=3", site.alice.cookie);
    let response = site.send(&Request::get("/app").cookie(&line)).expect(200, "");
    assert_eq!(response.headers("set-cookie"), ["theirs=1; Path=/", "other=2"]);
    let seen = site.upstream.last();
    let cookies: Vec<String> =
        seen.header("cookie").unwrap().split(';').map(|c| c.trim().to_owned()).collect();
    assert_eq!(cookies, ["a=1", "b=\"x y\"", "c=3"]);
    site.send(&Request::get("/app").cookie(&site.alice.cookie)).expect(200, "");
    assert!(site.upstream.last().header("cookie").is_none(), "an empty line is none");
}

#[test]
fn authorization_goes_upstream_only_where_asked_and_never_ours() {
    let more = format!(
        "{ROUTES}\n[[routes]]\npath = \"/fwd/*\"\nupstream = \"api\"\npolicy = \"public\"\nforward_authorization = true\n\
         [[routes]]\npath = \"/guarded/*\"\nupstream = \"api\"\nforward_authorization = true\n\
         [[routes]]\npath = \"/bearer/*\"\nupstream = \"api\"\nassertion = \"authorization\"\n"
    );
    let site = Site::before(Upstream::start(), "", &more);
    let theirs = "Basic dXNlcjpwYXNz";
    let sent = |request: Request| {
        site.send(&request).expect(200, "");
        site.upstream.last().header("authorization").map(str::to_owned)
    };
    assert_eq!(sent(site.as_alice("/app").with("Authorization", theirs)), None);
    assert_eq!(sent(Request::get("/fwd").with("Authorization", theirs)).as_deref(), Some(theirs));
    assert_eq!(
        sent(Request::get("/fwd").bearer("their-own-opaque-value")).as_deref(),
        Some("Bearer their-own-opaque-value")
    );
    assert_eq!(sent(site.as_alice("/guarded").with("Authorization", theirs)).as_deref(), Some(theirs));
    assert_eq!(sent(Request::get("/fwd").bearer(&site.alice.token)), None);
    assert_eq!(sent(Request::get("/guarded").bearer(&site.alice.token)), None);
    let assertion = sent(site.as_alice("/bearer")).unwrap();
    assert!(
        assertion.strip_prefix("Bearer ").is_some_and(|t| t.split('.').count() == 3 && t != site.alice.token)
    );
    assert!(site.upstream.last().header("x-portcullis-assertion").is_none());
    // A token of ours in another scheme, and a refresh value.
    for value in [
        format!("Basic {}", site.alice.token),
        "Bearer pcr_abcdefgh".into(),
        "Bearer\tpcr_abcdefgh".into(),
        format!("Token token=\"{}\"", site.alice.token),
        format!("bearer  {}", site.alice.token),
        format!("X Bearer {}", site.alice.token),
        "X Bearer pcr_abcdefgh".into(),
        format!("Custom token=\"{}\"", site.alice.token),
        "pcr_abcdefgh".into(),
    ] {
        site.send(&Request::get("/fwd").with("Authorization", &value));
        let last = site.upstream.last();
        assert!(
            !last.text().contains(&site.alice.token) && !last.text().contains("pcr_"),
            "{value}: {}",
            last.text()
        );
    }
}

#[test]
fn bodies_stream_both_ways_before_they_are_whole() {
    let (tell, heard) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let upstream = Upstream::scripted(move |stream, _| {
        let Some(_) = read_head(stream) else { return };
        stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        let mut byte = [0];
        while matches!(std::io::Read::read(stream, &mut byte), Ok(1)) {
            if byte[0] == b'!' {
                tell.lock().unwrap().send(()).unwrap();
                stream.write_all(b"5\r\nheard\r\n").unwrap();
            } else if byte[0] == b'.' {
                stream.write_all(b"0\r\n\r\n").unwrap();
            }
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    connection
        .write(b"POST /public HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n");
    heard.recv_timeout(PATIENCE).expect("the first piece arrives while the body is open");
    assert_eq!(connection.head().unwrap().0, 200);
    assert_eq!(connection.chunk().unwrap(), b"heard");
    connection.write(b"1\r\n!\r\n");
    assert_eq!(connection.chunk().unwrap(), b"heard");
    connection.write(b"1\r\n.\r\n0\r\n\r\n");
    assert_eq!(connection.chunk().unwrap(), b"");
}

#[test]
fn server_sent_events_are_flushed_at_once() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::scripted(move |stream, _| {
        let Some(_) = read_head(stream) else { return };
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").unwrap();
        let wait = wait.lock().unwrap();
        while wait.recv().is_ok() {
            stream.write_all(b"data: x\n\n").unwrap();
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    connection.start(&Request::get("/public"));
    let (status, fields) = connection.head().unwrap();
    let chunked = fields.iter().any(|(n, _)| n.eq_ignore_ascii_case("transfer-encoding"));
    assert_eq!(status, 200);
    for _ in 0..3 {
        go.send(()).unwrap();
        let event = if chunked { connection.chunk() } else { connection.exactly(9) };
        assert_eq!(event.unwrap(), b"data: x\n\n");
    }
}

#[test]
fn large_bodies_pass_whole() {
    let upstream = Upstream::answering(|r| answer(200, &[], &r.body));
    let site = Site::before(upstream, "", ROUTES);
    let body: Vec<u8> = (0..8_000_000u32).map(|i| u8::try_from(i % 251).unwrap()).collect();
    let writing = body.clone();
    let mut connection = site.gateway.connect();
    connection.start(&Request::post("/public").body(writing));
    assert!(connection.response().body == body, "eight megabytes there and back");
}

#[test]
fn head_and_bodiless_answers_have_no_body() {
    let upstream = Upstream::answering(|r| match r.target.as_str() {
        "/public/204" => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        "/public/304" => b"HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n".to_vec(),
        _ => b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n".to_vec(),
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    for _ in 0..2 {
        let head = connection.send(&Request::new("HEAD", "/public"));
        assert_eq!((head.status, head.header("content-length")), (200, Some("7")));
        assert_eq!(connection.send(&Request::get("/public/204")).status, 204);
        assert_eq!(connection.send(&Request::get("/public/304")).header("etag"), Some("\"x\""));
    }
}

#[test]
fn connections_to_the_upstream_are_kept_and_used_again() {
    let site = Site::own();
    let mut connection = site.gateway.connect();
    for _ in 0..20 {
        connection.send(&Request::get("/public")).expect(200, "");
    }
    assert_eq!(site.upstream.requests().len(), 20);
    assert!(site.upstream.connections() <= 2, "{} connections", site.upstream.connections());
}

#[test]
fn a_kept_connection_that_the_upstream_closed_costs_nobody_a_request() {
    let upstream = Upstream::scripted(|stream, _| {
        if read_head(stream).is_some() {
            let _ = stream.write_all(&ok("once"));
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    for _ in 0..20 {
        site.send(&Request::get("/public")).expect(200, "");
    }
}

#[test]
fn every_answer_has_a_request_id_and_an_identity_makes_it_private() {
    let upstream =
        Upstream::answering(|_| answer(200, &[("Cache-Control", "public, s-maxage=60, max-age=5")], b"ok"));
    let more = format!("{ROUTES}\n[[routes]]\npath = \"/cdn/*\"\nupstream = \"api\"\nshared_cache = true\n");
    let site = Site::before(upstream, "", &more);
    let control = |request: Request| {
        let answer = site.send(&request).expect(200, "");
        assert!(answer.header("x-request-id").is_some_and(|id| !id.is_empty()));
        answer.header("cache-control").unwrap_or_default().to_owned()
    };
    let signed_in = control(site.as_alice("/app"));
    assert!(!signed_in.contains("public") && !signed_in.contains("s-maxage"), "{signed_in}");
    assert!(signed_in.contains("private") && signed_in.contains("max-age=5"), "{signed_in}");
    assert!(control(Request::get("/public")).contains("s-maxage=60"));
    assert!(control(site.as_alice("/cdn")).contains("public"));
    for request in [Request::get("/app"), Request::get("/auth/current"), Request::get("/%zz")] {
        assert!(site.send(&request).header("x-request-id").is_some());
    }
}

/// An upstream that answers every request with these bytes and then closes.
fn hostile(bytes: &'static [u8]) -> Site {
    let upstream = Upstream::scripted(move |stream, _| {
        if read_head(stream).is_some() {
            let _ = stream.write_all(bytes);
        }
    });
    Site::before(upstream, "", ROUTES)
}

// S-14, S-15
#[test]
fn an_answer_that_is_not_http_is_502_and_its_bytes_go_no_further() {
    let cases: &[&[u8]] = &[
        b"garbage canary\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nabc",
        b"HTTP/1.1 200 OK\nX: canary\n\n",
        b"HTTP/1.1 200 OK\r\nX: a\r\n canary\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX : canary\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\ncanary",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: canary\r\nConnection: upgrade\r\n\r\ncanary",
        b"HTTP/1.1 200 OK\r\nX: can",
        b"",
    ];
    for case in cases {
        let site = hostile(case);
        let answer = site.send(&Request::get("/public"));
        assert_eq!(answer.status, 502, "{:?}: {answer:?}", String::from_utf8_lossy(case));
        assert_eq!(answer.code(), "upstream_invalid", "{:?}", String::from_utf8_lossy(case));
        assert!(!answer.text().contains("canary"), "{}", answer.text());
        assert_eq!(site.send(&Request::get("/auth/current")).status, 200);
    }
}

// S-14
#[test]
fn an_answer_that_breaks_off_is_never_made_whole() {
    for case in [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".as_slice(),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n",
    ] {
        let site = hostile(case);
        let mut connection = site.gateway.connect();
        let answer = connection.start(&Request::get("/public")).try_response_to("GET");
        assert!(matches!(answer, Err(Broken::Closed(_))), "{answer:?}");
    }
}

// S-14: excess bytes are nobody's answer
#[test]
fn bytes_behind_an_answer_are_never_the_next_clients() {
    let upstream = Upstream::scripted(|stream, _| {
        while read_head(stream).is_some() {
            let evil = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
            if stream.write_all(evil).is_err() {
                return;
            }
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    for _ in 0..100 {
        assert_eq!(site.send(&Request::get("/public")).expect(200, "").text(), "ok");
    }
}

// S-15
#[test]
fn interim_answers_pass_or_vanish_but_the_final_one_comes() {
    let site = hostile(
        b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    assert_eq!(site.send(&Request::get("/public")).expect(200, "").text(), "ok");
    let upstream = Upstream::scripted(|stream, _| {
        if read_head(stream).is_some() {
            for _ in 0..1000 {
                if stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_err() {
                    return;
                }
            }
            let _ = stream.write_all(&ok("late"));
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    connection.start(&Request::get("/public"));
    let mut interim = 0;
    loop {
        let answer = connection.try_response_to("GET").unwrap();
        if answer.status >= 200 {
            assert_eq!(answer.status, 502);
            break;
        }
        interim += 1;
    }
    assert!(interim <= 10, "{interim} interim answers");
}

#[test]
fn an_upstream_that_is_down_is_502() {
    let port = nobody();
    let config = portcullis_tests::site::config(&format!("http://{port}"), "", ROUTES);
    let gateway = portcullis_tests::Gateway::start(&config);
    let answer = gateway.send(&Request::get("/public")).expect(502, "upstream_unreachable");
    assert!(
        !answer.text().contains(&port.to_string()) && !answer.text().contains("refused"),
        "{}",
        answer.text()
    );
}

#[test]
fn an_upstream_that_does_not_answer_is_504() {
    let (stop, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let upstream = Upstream::scripted(move |stream, _| {
        let _ = read_head(stream);
        let _ = wait.lock().unwrap().recv();
    });
    let site = Site::before(upstream, "", &format!("response_timeout = \"300ms\"\n{ROUTES}"));
    site.send(&Request::get("/public")).expect(504, "upstream_timeout");
    drop(stop);
}

#[test]
fn an_upstream_that_does_not_even_accept_is_502_in_time() {
    // A listener with a queue of one that nobody empties: the kernel drops what follows.
    let Some(full) = full_listener() else { return };
    let more = format!("connect_timeout = \"300ms\"\n{ROUTES}");
    let config = portcullis_tests::site::config(&format!("http://{}", full.1), "", &more);
    let gateway = portcullis_tests::Gateway::start(&config);
    gateway.send(&Request::get("/public")).expect(502, "upstream_unreachable");
}

/// A listener whose queue is full, with the connections that fill it.
#[allow(clippy::type_complexity)]
fn full_listener() -> Option<(TcpListener, std::net::SocketAddr, Vec<std::net::TcpStream>)> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    // The standard library asks for a queue of 128; the kernel may cut or add to that.
    for _ in 0..5000 {
        match std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
            Ok(stream) => held.push(stream),
            Err(_) => return Some((listener, address, held)),
        }
    }
    eprintln!("SKIPPED: this kernel's queue does not fill");
    None
}

#[test]
fn a_client_that_leaves_ends_its_upstream_request() {
    let (tell, heard) = mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let upstream = Upstream::scripted(move |stream, _| {
        if read_head(stream).is_some() {
            let _ = tell.lock().unwrap().send("begun");
            let mut bytes = [0; 16];
            // A body, and then the end.
            while matches!(std::io::Read::read(stream, &mut bytes), Ok(1..)) {}
            let _ = tell.lock().unwrap().send("ended");
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let hear = || heard.recv_timeout(PATIENCE).expect("the upstream hears of it");
    // Also one whose body is through: it need not wait for `response_timeout`.
    for request in [Request::get("/public"), Request::post("/public").body("all of it")] {
        let mut connection = site.gateway.connect();
        connection.start(&request);
        assert_eq!(hear(), "begun");
        drop(connection);
        assert_eq!(hear(), "ended", "{request:?}");
    }
}
