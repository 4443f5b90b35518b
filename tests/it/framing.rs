//! Framing and heads that another reader could see differently are refused before the
//! upstream hears of them (contract section 4; M-01 to M-15 and S-01 to S-18 of the
//! attack catalogue).

use portcullis_tests::{
    Request, Site, Upstream,
    raw::{get_with, post_with, send},
    site::{ROUTES, mark},
    until,
};

const SMUGGLED: &str = "GET /public/MARK/smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";

// M-01
#[test]
fn no_host_two_hosts_or_a_host_that_is_none_is_refused() {
    send("GET /public/MARK HTTP/1.1\r\n\r\n").refused();
    for host in [
        "",
        "a, b",
        "a b",
        "a/x",
        "good@evil",
        "a:80@b",
        "127.0.0.1:port",
        "127.0.0.1:99999",
        "[::1",
        "a\\b",
        "a#b",
        "a?b",
        "::1",
        "a:80:80",
        "a:-1",
        "a,127.0.0.1",
        "http://a",
    ] {
        send(format!("GET /public/MARK HTTP/1.1\r\nHost: {host}\r\n\r\n")).refused();
    }
    for (first, second) in [("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "evil.test"), ("", "127.0.0.1")] {
        send(format!("GET /public/MARK HTTP/1.1\r\nHost: {first}\r\nhost: {second}\r\n\r\n")).refused();
    }
}

// M-02, S-01
#[test]
fn length_together_with_coding_is_refused_in_either_order() {
    for connection in ["", "Connection: keep-alive\r\n", "Connection: close\r\n"] {
        for (one, other) in [
            ("Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"),
            ("content-length: 0\r\n", "transfer-encoding: chunked\r\n"),
            ("Content-Length: 6\r\n", "Transfer-Encoding: identity\r\n"),
        ] {
            let body = format!("0\r\n\r\n{SMUGGLED}");
            send(post_with(&format!("{one}{other}{connection}"), &body)).refused();
            send(post_with(&format!("{other}{connection}{one}"), &body)).refused();
        }
    }
}

// M-03, M-11, S-02
#[test]
fn only_the_one_coding_chunked_is_a_transfer_coding() {
    for coding in [
        ",chunked",
        "chunked,",
        "gzip, chunked",
        "chunked, chunked",
        "chunked, identity",
        "identity",
        "gzip",
        "chunked;q=1",
        "\u{b}chunked",
        "xchunked",
        "chunkedx",
        "chun ked",
        "\"chunked\"",
        "",
        "chunked\u{b}",
        "\u{a0}chunked",
        "deflate",
        "chunked;",
    ] {
        send(post_with(&format!("Transfer-Encoding: {coding}\r\n"), &format!("0\r\n\r\n{SMUGGLED}")))
            .refused();
    }
    for (one, other) in
        [("chunked", "chunked"), ("identity", "chunked"), ("chunked", "identity"), ("", "chunked")]
    {
        let lines = format!("Transfer-Encoding: {one}\r\nTransfer-Encoding: {other}\r\n");
        send(post_with(&lines, &format!("0\r\n\r\n{SMUGGLED}"))).refused();
    }
}

// S-02: the legal twins are written anew, never copied
#[test]
fn a_legal_coding_is_forwarded_in_our_own_words() {
    for line in ["Transfer-Encoding: CHUNKED", "transfer-encoding:\tchunked", "Transfer-Encoding:chunked  "] {
        let mut sent = send(post_with(&format!("{line}\r\n"), "3\r\nabc\r\n0\r\n\r\n"));
        let seen = sent.forwarded();
        assert_eq!(seen.body, b"abc");
        let coding = seen.headers("transfer-encoding");
        assert!(coding.is_empty() || coding == ["chunked"], "{coding:?}");
    }
}

// M-11, M-13, S-03
#[test]
fn a_length_that_is_not_one_plain_number_is_refused() {
    for length in [
        "",
        "1, 1",
        "01",
        "+1",
        "-0",
        "-1",
        "0x1",
        "1_0",
        "18446744073709551616",
        "99999999999999999999999",
        "1 1",
        "1;",
        "1.0",
        "1e3",
        "\u{661}",
        "a",
        "1,",
        "00",
    ] {
        send(post_with(&format!("Content-Length: {length}\r\n"), "x")).refused();
    }
    for (one, other) in [("1", "1"), ("1", "2"), ("0", "1"), ("1", "")] {
        send(post_with(&format!("Content-Length: {one}\r\nContent-Length: {other}\r\n"), "x")).refused();
    }
}

// M-12, M-13, S-04, S-05: the first chunk decides before the upstream is contacted
#[test]
fn a_malformed_first_chunk_size_is_refused_before_the_upstream_hears_of_it() {
    for line in [
        "0x1",
        "+1",
        "-1",
        "1_0",
        " 1",
        "1 ",
        "\t1",
        "1\t",
        "",
        "11111111111111111",
        "ffffffffffffffff1",
        "g",
        "1;a\nZ",
        "1;a\rX",
        "2\r\r;a",
        "1;",
        "1;\u{1}",
        "1,",
        "1 ;a=b",
        "\u{661}",
        "1\n",
    ] {
        send(post_with("Transfer-Encoding: chunked\r\n", &format!("{line}\r\nZ\r\n0\r\n\r\n"))).refused();
    }
    send(post_with("Transfer-Encoding: chunked\r\n", "1\nZ\r\n0\r\n\r\n")).refused();
}

// S-05
#[test]
fn a_legal_chunk_extension_goes_no_further() {
    for line in ["1;a=b", "1;a", "1;a=\"b\"", "01", "1;a=b;c=d"] {
        let mut sent =
            send(post_with("Transfer-Encoding: chunked\r\n", &format!("{line}\r\nZ\r\n0\r\n\r\n")));
        let seen = sent.forwarded();
        assert_eq!(seen.body, b"Z", "{line}");
        assert!(!seen.text().contains(";a"), "{}", seen.text());
    }
}

// M-12, S-04, S-06: a later one can only be cut off
#[test]
fn a_later_malformed_chunk_never_becomes_a_whole_request_upstream() {
    for rest in [
        "0x1\r\nZ\r\n0\r\n\r\n",
        "1\r\nZ0\r\n\r\n",
        "1\r\nZ\n0\r\n\r\n",
        "-1\r\n\r\n",
        "1;\r\nZ\r\n0\r\n\r\n",
    ] {
        let body = format!("3\r\nabc\r\n{rest}");
        let mut sent = send(post_with("Transfer-Encoding: chunked\r\n", &body));
        sent.answered_400_after_the_head();
        assert_eq!(sent.connection.rest(), Ok(Vec::new()), "closed after {rest:?}");
        assert_eq!(sent.count(), 0, "{rest:?} became a whole request");
    }
    for rest in ["0\r\n\n", "0\r\nX POST\r\n\r\n", "0\r\n : x\r\n\r\n", "0\r\nA: b\n\r\n"] {
        let mut sent = send(post_with("Transfer-Encoding: chunked\r\n", &format!("3\r\nabc\r\n{rest}")));
        sent.answered_400_after_the_head();
        assert_eq!(sent.count(), 0, "{rest:?} became a whole request");
    }
}

trait After {
    fn answered_400_after_the_head(&mut self);
}

impl After for portcullis_tests::raw::Raw {
    #[track_caller]
    fn answered_400_after_the_head(&mut self) {
        let answer = self.answer();
        assert_eq!((answer.status, answer.code().as_str()), (400, "bad_request"));
    }
}

// M-04, M-13, S-06, H-08: trailers are read, checked and dropped
#[test]
fn a_legal_trailer_is_dropped_and_makes_no_second_request() {
    let trailers = "0\r\nX: POST / HTTP/1.1\r\nRemote-User: admin\r\nX-User: admin\r\n\r\n";
    let mut sent = send(post_with(
        "Trailer: Remote-User\r\nTransfer-Encoding: chunked\r\n",
        &format!("1\r\nZ\r\n{trailers}"),
    ));
    let seen = sent.forwarded();
    assert_eq!((seen.body.as_slice(), seen.trailers.len()), (b"Z".as_slice(), 0));
    assert!(!seen.text().contains("admin"), "{}", seen.text());
    assert_eq!(sent.count(), 1);
}

// M-05
#[test]
fn a_fragment_in_the_target_is_refused() {
    for target in ["/public/MARK#/pub", "/public/MARK?a#b", "/#/public/MARK", "/public/MARK#"] {
        send(format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")).refused_with(400, "bad_path");
    }
}

// M-07, P-14
#[test]
fn a_target_that_is_no_path_or_names_another_host_is_refused() {
    for (target, host) in [
        ("http://adm.test/public/MARK", "pub.test"),
        ("http://user@pub.test/public/MARK", "pub.test"),
        ("ftp://pub.test/public/MARK", "pub.test"),
        ("https://evil.test/public/MARK", "pub.test"),
        ("http:///public/MARK", "pub.test"),
        ("http://[/public/MARK", "pub.test"),
        ("http://pub.test@adm.test/MARK", "pub.test"),
        ("public/MARK", "pub.test"),
        ("pub.test:80", "pub.test"),
        ("*", "pub.test"),
        ("?MARK", "pub.test"),
    ] {
        let mut sent = send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nX-Mark: MARK\r\n\r\n"));
        sent.answered_alone(400, "");
        assert!(sent.connection.ends(), "{target} is closed");
    }
}

// M-07: a matching absolute form is the same request
#[test]
fn an_absolute_form_that_agrees_with_the_host_is_the_same_request() {
    let seen = send("GET http://pub.test/MARK?q=1 HTTP/1.1\r\nHost: pub.test\r\n\r\n").forwarded();
    assert!(seen.target.starts_with("/mark-") && seen.target.ends_with("?q=1"), "{}", seen.target);
}

// M-11, S-09
#[test]
fn http_1_0_has_no_chunks_and_an_unframed_body_is_no_request() {
    send("POST /public/MARK HTTP/1.0\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        .refused();
    let mut sent = send(format!("POST /public/MARK HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n{SMUGGLED}"));
    sent.answer();
    assert_eq!(sent.connection.rest(), Ok(Vec::new()), "what follows on 1.0 is never parsed");
    assert!(sent.count() <= 1);
    let mut kept =
        send(format!("GET /public/MARK HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n{SMUGGLED}"));
    kept.answer();
    assert_eq!(kept.connection.rest(), Ok(Vec::new()));
    assert_eq!(kept.count(), 1);
}

// M-14, S-13
#[test]
fn an_expectation_other_than_continue_is_417() {
    for expectation in
        ["200-ok", "y 100-continue", "100-continue, 200-ok", "100-continue;q=1", "\"100-continue\"", "x"]
    {
        let mut sent = send(post_with(&format!("Expect: {expectation}\r\nContent-Length: 0\r\n"), ""));
        sent.answered_alone(417, "expectation_failed");
    }
    let mut twice = send(post_with("Expect: 100-continue\r\nExpect: x\r\nContent-Length: 0\r\n", ""));
    twice.answered_alone(417, "expectation_failed");
}

// S-13
#[test]
fn a_client_that_waits_for_continue_gets_it_and_is_one_request() {
    let mut sent = send(post_with("Expect: 100-continue\r\nContent-Length: 3\r\n", ""));
    let first = sent.try_answer().expect("something comes before the body");
    assert_eq!(first.status, 100, "{first:?}");
    sent.connection.write(b"abc");
    let seen = sent.forwarded();
    assert_eq!(seen.body, b"abc");
    assert_eq!(sent.count(), 1);
}

// S-13: a body where none is usual is still one request
#[test]
fn a_body_on_get_head_or_options_stays_that_requests_body() {
    for method in ["GET", "HEAD", "OPTIONS", "DELETE"] {
        let smuggled = SMUGGLED.replace("MARK", &mark());
        let length = smuggled.len();
        let mut sent = send(format!(
            "{method} /public/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n{smuggled}"
        ));
        let seen = sent.forwarded();
        assert_eq!(seen.body, smuggled.as_bytes(), "{method}");
        assert_eq!(sent.count(), 1);
    }
}

// S-10: an upgrade that the upstream does not grant: what follows is parsed by us
#[test]
fn bytes_behind_an_upgrade_are_the_next_request_and_are_judged() {
    let lines = "Connection: Upgrade\r\nUpgrade: foo\r\n";
    let next = "GET /admin/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    let mut sent = send([get_with(lines), next.into()].concat());
    let seen = sent.forwarded();
    assert_eq!(seen.header("upgrade"), Some("foo"), "{}", seen.text());
    match sent.try_answer() {
        Ok(second) => assert_eq!(second.status, 401),
        Err(closed) => assert_eq!(closed, portcullis_tests::Broken::Closed(Vec::new())),
    }
    assert_eq!(sent.count(), 1);
}

// S-12
#[test]
fn a_body_that_was_refused_unread_is_never_parsed_as_a_request() {
    let body = SMUGGLED.repeat(20_000);
    let lines = format!("Content-Type: text/plain\r\nContent-Length: {}\r\n", body.len());
    let mut sent = send(format!("POST /login/local HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n{body}"));
    // With a megabyte unread the answer may be lost to a reset; a second answer may not come.
    if let Ok(answer) = sent.try_answer() {
        assert!(matches!(answer.status, 413 | 415), "{answer:?}");
        if let Ok(second) = sent.try_answer() {
            panic!("a second answer: {second:?}");
        }
    }
    assert_eq!(sent.count(), 0);
}

// S-16: 400, closed, and no reader sees two framings
#[test]
fn names_that_fold_to_framing_reach_nobody() {
    for name in
        ["Transfer_Encoding", "Content_Length", "Transfer.Encoding", "content_length", "TRANSFER_ENCODING"]
    {
        let value = if name.to_lowercase().starts_with('t') { "chunked" } else { "3" };
        send(post_with(&format!("{name}: {value}\r\nContent-Length: 1\r\n"), "x")).refused();
        send(get_with(&format!("{name}: {value}\r\n"))).refused();
    }
}

// S-18
#[test]
fn fifty_pipelined_requests_get_fifty_answers_in_order_each_with_its_own_identity() {
    let site = Site::before(
        portcullis_tests::Upstream::answering(|r| {
            let user = r.header("remote-user").unwrap_or("nobody").to_owned();
            portcullis_tests::upstream::ok(&format!("{} {user}", r.target))
        }),
        "",
        portcullis_tests::site::ROUTES,
    );
    site.gateway.add_user("bob", portcullis_tests::site::PASSWORD, &[]);
    let bob = portcullis_tests::login::login(&site.gateway, "bob", portcullis_tests::site::PASSWORD);
    let mut bytes = Vec::new();
    let mut expected = Vec::new();
    for i in 0..50 {
        let target = format!("/public/{i}");
        let (request, name) = match i % 3 {
            0 => (Request::get(&target).cookie(&site.alice.cookie), "alice"),
            1 => (Request::get(&target).bearer(&bob.token), "bob"),
            _ => (Request::get(&target), "nobody"),
        };
        bytes.extend(request.bytes("127.0.0.1"));
        expected.push(format!("{target} {name}"));
    }
    let mut connection = site.gateway.connect();
    connection.write(&bytes);
    let seen: Vec<String> = expected.iter().map(|_| connection.response().text()).collect();
    assert_eq!(seen, expected);
}

// M-12: and the broken upstream connection is not used again
#[test]
fn an_upstream_connection_with_half_a_request_is_closed() {
    let site = Site::own();
    let mut connection = site.gateway.connect();
    connection.write(
        b"POST /public/x HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    );
    until("the first chunk upstream", || site.upstream.everything().ends_with(b"abc\r\n").then_some(()));
    connection.write(b"0x1\r\nZ\r\n0\r\n\r\n");
    assert_eq!(connection.response().status, 400);
    until("the end of the upstream connection", || (site.upstream.ended() >= 1).then_some(()));
    assert_eq!(site.send(&Request::get("/public/y")).status, 200);
    let requests = site.upstream.requests();
    assert_eq!(requests.iter().map(|r| r.target.as_str()).collect::<Vec<_>>(), ["/public/y"]);
}

// RFC 9110 §7.6.1 lets `Connection` name fields of the hop; the length is the message's.
#[test]
fn an_answer_whose_connection_field_names_its_length_keeps_it() {
    let upstream = Upstream::answering(|_| {
        b"HTTP/1.1 200 OK\r\nConnection: content-length, x-hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\nok"
            .to_vec()
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    for _ in 0..2 {
        connection.start(&Request::get("/public"));
        let answer = connection.response().expect(200, "");
        assert_eq!((answer.header("content-length"), answer.header("x-hop")), (Some("2"), None));
        assert_eq!(answer.text(), "ok");
    }
}
