//! Heads that break the grammar, methods that are not registered, limits (contract
//! sections 3 and 4; M-10, M-11, M-15 and D-02 of the attack catalogue).

use portcullis_tests::raw::{get_with, send};

// M-10, M-11, S-07, S-08
#[test]
fn heads_that_break_the_grammar_are_refused() {
    send("GET /public/MARK HTTP/1.1\nHost: 127.0.0.1\n\n").refused();
    for lines in [
        "A: b\nC: d\r\n",
        "A: b\rC: d\r\n",
        "A: b\r\r\n",
        ": x\r\n",
        "X : x\r\n",
        "X\t: x\r\n",
        "Xnocolon\r\n",
        " X: x\r\n",
        "A: b\r\n c\r\n",
        "A: b\r\n\tc\r\n",
        "A: \0\r\n",
        "A: \u{1}\r\n",
        "A: \u{7f}\r\n",
        "A\u{e9}: b\r\n",
        "A(: b\r\n",
        "A\": b\r\n",
        "A/: b\r\n",
        "A: b\u{b}\r\n",
        "\r: b\r\n",
        "A\0: b\r\n",
        "[A]: b\r\n",
        "@: b\r\n",
    ] {
        send(get_with(lines)).refused();
    }
    // Before the first field, where a folded line has nothing to continue.
    send("GET /public/MARK HTTP/1.1\r\n Host: 127.0.0.1\r\nHost: 127.0.0.1\r\n\r\n").refused();
}

// M-11
#[test]
fn request_lines_that_break_the_grammar_are_refused() {
    for line in [
        "GET  /public/MARK HTTP/1.1",
        "GET /public/MARK  HTTP/1.1",
        "GET /public/MARK HTTP/1.2",
        "GET /public/MARK HTTP/2.0",
        "GET /public/MARK HTTP/0.9",
        "GET /public/MARK",
        "GET /public/MARK http/1.1",
        "GET /public/MARK HTTP/1.1 ",
        " GET /public/MARK HTTP/1.1",
        "GET\t/public/MARK HTTP/1.1",
        "GET /public/MARK x HTTP/1.1",
        "GET /public/MARK HTTP/11",
        "GET /public/MARK HTTP/1.",
        "/public/MARK HTTP/1.1",
        "G(T /public/MARK HTTP/1.1",
        "GET /public/MARK HTTPS/1.1",
        "GET /public/MARK HTTP/1.10",
        "GET /public/MARK\u{1} HTTP/1.1",
    ] {
        send(format!("{line}\r\nHost: 127.0.0.1\r\n\r\n")).answered_alone(400, "");
    }
    send(b"GET /public/MARK\xe9 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").answered_alone(400, "");
}

// M-15
#[test]
fn methods_that_are_not_registered_are_405() {
    for method in ["get", "Get", "TRACE", "TRACK", "DEBUG", "FOO", "M-SEARCH", "PRI"] {
        let mut sent = send(format!("{method} /public/MARK HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"));
        let answer = sent.answered_alone(405, "method_not_allowed");
        assert!(answer.header("allow").is_some(), "{method}: {answer:?}");
    }
    for target in ["/public/MARK", "127.0.0.1:80"] {
        let mut sent =
            send(format!("CONNECT {target} HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX-Mark: MARK\r\n\r\n"));
        let status = sent.answer().status;
        assert!(matches!(status, 405 | 400), "CONNECT {target}: {status}");
        sent.unheard();
    }
}

// D-02: limits of the contract, section 3
#[test]
fn heads_beyond_the_limits_are_431_and_414() {
    let many: String = (0..101).map(|i| format!("X-{i}: y\r\n")).collect();
    send(get_with(&many)).refused_with(431, "headers_too_large");
    send(get_with(&format!("X: {}\r\n", "y".repeat(33 * 1024)))).refused_with(431, "headers_too_large");
    let long = "a".repeat(17 * 1024);
    send(format!("GET /public/MARK/{long} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"))
        .refused_with(414, "uri_too_long");
    let enough: String = (0..90).map(|i| format!("X-{i}: y\r\n")).collect();
    send(get_with(&enough)).forwarded();
}
