//! What a client can write in frames that a client of HTTP/1.1 could not, or would write
//! otherwise: heads, bodies, trailers (RFC 9113 §8; rows M-05, M-17 to M-20, P-06, P-24,
//! S-11, S-17, Q-01 to Q-03, D-02 and H-08).

use crate::tls::Secured;
use portcullis_tests::{
    Upstream,
    frames::{
        DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, block, frame,
        parsed, status,
    },
    readers::folding,
    services::service,
    site::{PASSWORD, mark},
    until,
    upstream::ok,
};
use std::sync::OnceLock;

/// One site for all tests here; none without its programs.
fn site() -> Option<&'static Secured> {
    static SITE: OnceLock<Secured> = OnceLock::new();
    service("openssl")?;
    Some(SITE.get_or_init(|| Secured::before(Upstream::answering(|r| ok(&r.target)))))
}

/// Pseudo-header fields of an ordinary request, with some in place of those of their name.
fn usual<'a>(instead: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let usual = [(":method", "GET"), (":path", "/public/x"), (":scheme", "https"), (":authority", "gw.test")];
    let kept = usual.into_iter().filter(|(name, _)| !instead.iter().any(|(other, _)| other == name));
    let (pseudo, plain): (Vec<_>, Vec<_>) =
        kept.chain(instead.iter().copied()).partition(|(name, _)| name.starts_with(':'));
    [pseudo, plain].concat()
}

/// A stream with a head and perhaps a body, which ends it.
fn stream(number: u32, fields: &[(&str, &str)], body: Option<&[u8]>) -> Vec<u8> {
    let end = if body.is_none() { END_STREAM } else { 0 };
    let mut all = frame(HEADERS, end | END_HEADERS, number, &block(fields));
    if let Some(body) = body {
        all.extend(frame(DATA, END_STREAM, number, body));
    }
    all
}

/// Sends frames on one connection until each of `streams` has ended or the connection has.
fn talk(site: &Secured, frames: &[u8], streams: &[u32]) -> Vec<Frame> {
    let bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[]), frames].concat();
    let done = |bytes: &[u8]| {
        let seen = parsed(bytes);
        let over = |number: &u32| {
            seen.iter().any(|(kind, stream, _)| stream == number && *kind == RST_STREAM)
                || ended(bytes, *number)
        };
        seen.iter().any(|(kind, ..)| *kind == GOAWAY) || streams.iter().all(over)
    };
    parsed(&site.openssl_until(&["-alpn", "h2", "-servername", "gw.test", "-quiet"], &bytes, done))
}

/// Whether a stream's last frame has come.
fn ended(mut bytes: &[u8], number: u32) -> bool {
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        if rest.len() < length {
            return false;
        }
        if stream == number && [DATA, HEADERS].contains(&head[3]) && head[4] & END_STREAM != 0 {
            return true;
        }
        bytes = &rest[length..];
    }
    false
}

/// The status that a stream was answered with; none: it was reset, or the connection ended.
fn answered(seen: &[Frame], number: u32) -> Option<u16> {
    seen.iter().find(|(kind, stream, _)| *kind == HEADERS && *stream == number).and_then(|f| status(&f.2))
}

/// Panics unless the stream was reset or refused with one of these, and nobody heard of it.
#[track_caller]
fn refused(site: &Secured, fields: &[(&str, &str)], body: Option<&[u8]>, with: &[u16]) {
    let mark = mark();
    let marked: Vec<_> = fields.iter().copied().chain([("x-mark", mark.as_str())]).collect();
    let seen = talk(site, &stream(1, &marked, body), &[1]);
    if let Some(status) = answered(&seen, 1) {
        assert!(with.contains(&status), "{fields:?}: {status}");
    }
    assert!(site.upstream.all_marked(&mark).is_empty(), "{fields:?} reached the upstream");
}

// M-17, M-18, M-20, Q-01 to Q-03, P-24
#[test]
fn a_malformed_stream_is_reset_or_refused_and_reaches_nobody() {
    let Some(site) = site() else { return };
    for instead in [
        &[(":path", "admin.Svc/Do")][..],
        &[(":path", "")],
        &[(":path", "*")],
        &[(":path", "https://gw.test/public/x")],
        &[(":method", "G ET")],
        &[(":method", "")],
        &[(":scheme", "http")],
        &[(":scheme", "ftp")],
        &[(":authority", "a@gw.test")],
        &[(":authority", "gw.test, adm.test")],
        &[(":authority", "gw.test"), ("host", "adm.test")],
        &[(":authority", "gw.test"), ("host", "gw.test"), ("host", "gw.test")],
        &[("host", "gw.test"), ("host", "adm.test")],
        &[(":status", "200")],
        &[(":protocol", "websocket")],
        &[("", "x")],
        &[("x y", "z")],
        &[("x:", "z")],
        &[("X", "z")],
        &[("connection", "close")],
        &[("keep-alive", "1")],
        &[("proxy-connection", "close")],
        &[("transfer-encoding", "chunked")],
        &[("upgrade", "websocket")],
        &[("te", "gzip")],
        &[("te", "trailers, deflate")],
        &[("x", " 1")],
        &[("x", "1\t")],
        &[("x", "a\nb: c")],
        &[("x", "a\r\nb: c")],
        &[("x", "a\0")],
        &[("cookie", "a=1 ")],
        &[("transfer_encoding", "chunked")],
        &[("content_length", "3")],
        &[("expect", "200-ok")],
    ] {
        refused(site, &usual(instead), None, &[400, 417, 421]);
    }
    let twice = [&usual(&[])[..], &[(":path", "/public/y")]].concat();
    let late = [&usual(&[])[1..], &[("x", "y"), (":method", "GET")]].concat();
    for fields in [twice, late] {
        refused(site, &fields, None, &[]);
    }
}

// S-17, M-20: the length that is said is the length that comes
#[test]
fn a_length_that_is_not_that_of_the_frames_reaches_nobody_as_a_whole_request() {
    let Some(site) = site() else { return };
    for (length, body) in [
        ("5", None),
        ("5", Some(&b"abc"[..])),
        ("2", Some(b"abc")),
        ("0", Some(b"abc")),
        ("+3", Some(b"abc")),
        ("03", Some(b"abc")),
        ("3, 3", Some(b"abc")),
        ("", Some(b"abc")),
        ("18446744073709551616", Some(b"abc")),
    ] {
        refused(site, &usual(&[(":method", "POST"), ("content-length", length)]), body, &[400]);
    }
    let twice = usual(&[(":method", "POST"), ("content-length", "3"), ("content-length", "3")]);
    refused(site, &twice, Some(b"abc"), &[400]);
}

// P-06, M-06, M-15: one normal form and one list of methods, whatever speaks
#[test]
fn paths_and_methods_are_judged_as_on_http_1() {
    let Some(site) = site() else { return };
    for (path, with) in [
        ("/public/../admin", 401),
        ("/public/%2e%2e/admin", 401),
        ("//admin", 401),
        ("/%61dmin", 401),
        ("/%41dmin", 400),
        ("/public/..%2fadmin", 400),
        ("/public/a%5cb", 400),
        ("/public\\..\\admin", 400),
        ("/public/%00", 400),
        ("/public/%zz", 400),
        ("/..", 400),
        ("/public;/admin", 400),
        ("/ADMIN", 400),
    ] {
        refused(site, &usual(&[(":path", path)]), None, &[with]);
    }
    for method in ["get", "TRACE", "DEBUG", "PRI"] {
        refused(site, &usual(&[(":method", method)]), None, &[405]);
    }
}

// M-05: the library cuts a fragment off before anybody can see it; so what is matched is
// still what is forwarded
#[test]
fn a_fragment_never_travels_on_and_never_chooses_a_route() {
    let Some(site) = site() else { return };
    refused(site, &usual(&[(":path", "/admin#/public")]), None, &[400, 401]);
    let mark = mark();
    let fields = usual(&[(":path", "/public/x#/admin"), ("x-mark", &mark)]);
    let seen = talk(site, &stream(1, &fields, None), &[1]);
    assert_eq!(answered(&seen, 1), Some(200));
    let targets: Vec<_> = site.upstream.all_marked(&mark).into_iter().map(|r| r.target).collect();
    assert_eq!(targets, ["/public/x"]);
}

// M-19, C-02: crumbs are one field again, and two cookies of ours are none
#[test]
fn cookie_crumbs_are_joined_and_judged_together() {
    let Some(site) = site() else { return };
    let mark = mark();
    let fields = usual(&[("cookie", "a=1"), ("x-mark", &mark), ("cookie", "b=2"), ("cookie", "c=3")]);
    talk(site, &stream(1, &fields, None), &[1]);
    assert_eq!(site.upstream.marked(&mark).header("cookie"), Some("a=1; b=2; c=3"));
    let password = format!("password={PASSWORD}");
    let login = ["-i", "--data-urlencode", "username=alice", "--data-urlencode", &password];
    let said = site.curl("gw.test", &login, "/login/local");
    let line = said.lines().find_map(|l| l.split_once("__Host-portcullis=")).expect("a session cookie").1;
    let cookie = format!("__Host-portcullis={}", line.split(';').next().unwrap());
    for (crumbs, with) in [
        (vec![cookie.as_str()], 200),
        (vec!["x=1", &cookie], 200),
        (vec![&cookie, "__Host-portcullis=evil"], 401),
        (vec!["__Host-portcullis=evil", &cookie], 401),
    ] {
        let crumbs: Vec<_> = crumbs.iter().map(|c| ("cookie", *c)).collect();
        let fields = usual(&[&[(":path", "/x")], &crumbs[..]].concat());
        assert_eq!(answered(&talk(site, &stream(1, &fields, None), &[1]), 1), Some(with), "{crumbs:?}");
    }
}

// H-08, Q-03, M-18: of trailers nothing travels on, whatever they are called
#[test]
fn trailers_reach_nobody() {
    let Some(site) = site() else { return };
    // What is no well-formed trailer may cost the stream: then nobody hears of it.
    for (trailer, forwarded) in [
        (("remote-user", "admin"), true),
        (("x_any", "admin"), true),
        ((":path", "/admin"), false),
        (("x", " admin"), false),
    ] {
        let mark = mark();
        let fields = usual(&[(":method", "POST"), ("x-mark", &mark), ("trailer", "remote-user")]);
        let mut bytes = frame(HEADERS, END_HEADERS, 1, &block(&fields));
        bytes.extend(frame(DATA, 0, 1, b"abc"));
        bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[trailer])));
        let status = answered(&talk(site, &bytes, &[1]), 1);
        let all = site.upstream.all_marked(&mark);
        if forwarded || status == Some(200) {
            assert_eq!((status, all.len()), (Some(200), 1), "{trailer:?}");
        }
        for seen in all {
            assert!(seen.trailers.is_empty() && !seen.text().contains("admin"), "{}", seen.text());
            assert_eq!(seen.body, b"abc");
            assert!(!folding(&seen).contains_key("TRAILER"));
        }
    }
}

// S-11: a tunnel is refused, and what was to go through it is nobody's request
#[test]
fn after_a_connect_with_a_body_everybody_gets_their_own_answer() {
    let Some(site) = site() else { return };
    let smuggled = b"GET /public/smuggled HTTP/1.1\r\nHost: gw.test\r\n\r\n";
    for pseudo in [
        &[(":method", "CONNECT"), (":authority", "gw.test:443")][..],
        &[(":method", "CONNECT"), (":scheme", "https"), (":path", "/public/x"), (":authority", "gw.test")],
    ] {
        let mut bytes = stream(1, pseudo, Some(smuggled));
        let victims: Vec<u32> = (1..=8).map(|n| 2 * n + 1).collect();
        for number in &victims {
            let path = format!("/public/victim-{number}");
            bytes.extend(stream(*number, &usual(&[(":path", &path)]), None));
        }
        let seen = talk(site, &bytes, &victims);
        assert!(matches!(answered(&seen, 1), None | Some(400 | 405 | 421)), "{seen:?}");
        if seen.iter().any(|(kind, ..)| *kind == GOAWAY) {
            continue;
        }
        for number in &victims {
            let own = format!("/public/victim-{number}");
            let body: Vec<u8> = seen
                .iter()
                .filter(|(kind, stream, _)| *kind == DATA && stream == number)
                .flat_map(|(.., payload)| payload.clone())
                .collect();
            assert_eq!(String::from_utf8_lossy(&body), own);
        }
    }
    assert!(!site.upstream.requests().iter().any(|r| r.text().contains("smuggled")));
}

// D-02, M-16, M-19: the limits of `[limits]` for streams
#[test]
fn a_head_of_too_many_fields_or_bytes_is_refused_and_one_at_the_limit_is_not() {
    let Some(site) = site() else { return };
    let names: Vec<String> = (0..120).map(|n| format!("x-{n}")).collect();
    // `Host` is one of the fields that count.
    for (count, with) in [(98, Some(200)), (99, Some(200)), (100, Some(431))] {
        let more: Vec<_> = names[..count].iter().map(|name| (name.as_str(), "y")).collect();
        let seen = talk(site, &stream(1, &usual(&more), None), &[1]);
        assert_eq!(answered(&seen, 1), with, "{count} fields");
    }
    // Each field counts 32 bytes more than it has (RFC 9113 §10.5.1).
    let list = |bytes: usize| {
        let fixed: usize = usual(&[("x-long", "")]).iter().map(|(n, v)| n.len() + v.len() + 32).sum();
        "y".repeat(bytes - fixed)
    };
    for (bytes, fine) in [(30_000, true), (32 * 1024 + 1, false), (60_000, false)] {
        let value = list(bytes);
        let fields = block(&usual(&[("x-long", &value)]));
        let mut parts = fields.chunks(16_000).peekable();
        let mut all = frame(HEADERS, END_STREAM, 1, parts.next().unwrap());
        while let Some(part) = parts.next() {
            all.extend(frame(9, if parts.peek().is_none() { END_HEADERS } else { 0 }, 1, part));
        }
        let status = answered(&talk(site, &all, &[1]), 1);
        assert_eq!(status == Some(200), fine, "{bytes} bytes: {status:?}");
    }
}

// the old way from HTTP/1.1 to HTTP/2 leads nowhere
#[test]
fn an_upgrade_to_h2c_is_an_ordinary_request_without_the_upgrade() {
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n",
        "Connection: upgrade\r\nUpgrade: H2C\r\nhttp2-settings: AAMAAABk\r\n",
        "Connection: upgrade\r\nUpgrade: websocket, h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
    ] {
        let seen = portcullis_tests::raw::send(portcullis_tests::raw::get_with(lines)).forwarded();
        let folded = folding(&seen);
        assert!(!folded.contains_key("HTTP2_SETTINGS"), "{}", seen.text());
        let upgrade = folded.get("UPGRADE").cloned().unwrap_or_default();
        assert!(!upgrade.to_lowercase().contains("h2c"), "{}", seen.text());
    }
    until("the preface of HTTP/2 is no request", || {
        let mut sent = portcullis_tests::raw::send(PREFACE);
        sent.try_answer().ok().filter(|answer| matches!(answer.status, 400 | 405))
    });
}
