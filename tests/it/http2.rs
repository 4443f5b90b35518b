//! HTTP/2 over TLS: curl as a client that keeps the rules, and frames made by hand, sent
//! through openssl, as one that does not.

use crate::tls::Secured;
use portcullis_tests::{
    Upstream,
    frames::{
        END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, RST_STREAM, SETTINGS, block, frame, parsed,
    },
    services::service,
    site::PASSWORD,
    until,
    upstream::{answer, ok},
};
use std::fs;

pub fn request(stream: u32, more: &[(&str, &str)]) -> Vec<u8> {
    let usual = [(":method", "GET"), (":path", "/public/x")];
    let all: Vec<_> = usual.iter().chain(more).copied().collect();
    // Pseudo-header fields come first.
    let (pseudo, plain): (Vec<_>, Vec<_>) = all.into_iter().partition(|(name, _)| name.starts_with(':'));
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block(&[pseudo, plain].concat()))
}

/// Sends frames behind the preface; the frames that came back: kind, stream, payload.
pub fn exchange(site: &Secured, frames: &[Vec<u8>]) -> Vec<Frame> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frames.concat());
    let done = |bytes: &[u8]| {
        let seen = parsed(bytes);
        seen.iter().any(|(kind, stream, _)| {
            *kind == GOAWAY || ([HEADERS, RST_STREAM].contains(kind) && *stream == 1)
        })
    };
    parsed(&site.openssl_until(&["-alpn", "h2", "-servername", "gw.test", "-quiet"], &bytes, done))
}

#[test]
fn the_answers_are_those_of_http_1() {
    let Some(_) = service("curl") else { return };
    let site = Secured::start();
    for (host, path, more) in [
        ("gw.test", "/public/x?y=1", &[][..]),
        ("gw.test", "/x", &[]),
        ("gw.test", "/x", &["-H", "Accept: text/html"]),
        ("gw.test", "/admin/x", &["-H", "Authorization: Bearer x.y.z"]),
        ("gw.test", "/public/%00", &[]),
        ("gw.test", "/public/%2f", &[]),
        ("gw.test", "/auth/current", &[]),
        ("gw.test", "/public/x", &["-X", "TRACE"]),
        ("gw.test", "/public/x", &["-I"]),
        ("gw.test", "/public/x", &["-d", "a=b"]),
        ("gw.test", "/public/x", &["-H", "Host: adm.test"]),
        ("gw.test", "/public/x", &["-H", "Host: nobody.test"]),
    ] {
        let ask = |version: &str, number: &str| {
            let all = ["-o", "/dev/null", "-w", "%{http_version} %{http_code}", version];
            let said = site.curl(host, &[&all, more].concat(), path);
            let (spoken, status) = said.split_once(' ').unwrap();
            assert_eq!(spoken, number, "{path}");
            status.to_owned()
        };
        assert_eq!(ask("--http2", "2"), ask("--http1.1", "1.1"), "{path} {more:?}");
    }
}

#[test]
fn people_sign_in_and_the_upstream_hears_who_they_are() {
    let Some(_) = service("curl") else { return };
    let site = Secured::start();
    let password = format!("password={PASSWORD}");
    let jar = site.gateway.file("jar").display().to_string();
    let login = ["--http2", "-c", &jar, "--data-urlencode", "username=alice", "--data-urlencode", &password];
    let said = site.curl("gw.test", &login, "/login/local");
    assert!(said.contains("\"success\":true"), "{said}");
    let forged = ["--http2", "-b", &jar, "-b", "other=1", "-H", "Remote-User: admin", "-H", "TE: trailers"];
    assert_eq!(site.status("gw.test", &forged, "/staff/x?q=1"), "200");
    let seen = site.upstream.last();
    assert_eq!(seen.headers("remote-user"), ["alice"]);
    assert_eq!(seen.header("x-forwarded-proto"), Some("https"));
    assert_eq!(seen.target, "/staff/x?q=1");
    until("its line of the log", || site.gateway.output().contains("\"path\":\"/staff/x\"").then_some(()));
}

#[test]
fn bodies_of_megabytes_stream_both_ways() {
    let Some(_) = service("curl") else { return };
    let bytes: Vec<u8> = (0..3_000_000u32).map(|i| (i % 251) as u8).collect();
    let back = bytes.clone();
    let site = Secured::before(Upstream::answering(move |request| match request.target.as_str() {
        "/public/chunks" => {
            let mut all = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            for part in back.chunks(10_000) {
                all.extend(format!("{:x}\r\n", part.len()).as_bytes());
                all.extend(part);
                all.extend(b"\r\n");
            }
            all.extend(b"0\r\n\r\n");
            all
        }
        "/public/length" => answer(200, &[], &back),
        _ => ok("thank you"),
    }));
    let file = site.gateway.file("large");
    fs::write(&file, &bytes).unwrap();
    let body = format!("@{}", file.display());
    for more in [&[][..], &["-H", "Content-Length:"], &["-H", "Expect: 100-continue"]] {
        let said = site.curl("gw.test", &[&["--http2", "--data-binary", &body], more].concat(), "/public/up");
        assert_eq!(said, "thank you", "{more:?}");
        assert!(site.upstream.last().body == bytes, "{more:?}");
    }
    let copy = site.gateway.file("copy").display().to_string();
    for path in ["/public/chunks", "/public/length"] {
        site.curl("gw.test", &["--http2", "-o", &copy], path);
        assert!(fs::read(&copy).unwrap() == bytes, "{path}");
    }
}

//
#[test]
fn what_http_2_forbids_resets_the_stream_or_is_refused_and_reaches_no_upstream() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::start();
    let usual = [(":scheme", "https"), (":authority", "gw.test")];
    let fine = exchange(&site, &[request(1, &usual)]);
    assert!(fine.iter().any(|(kind, _, block)| *kind == HEADERS && block[0] == 0x88), "{fine:?}");
    let before = site.upstream.requests().len();
    for (more, status) in [
        (&[(":scheme", "https"), (":authority", "gw.test"), ("host", "adm.test")][..], None),
        (&[(":scheme", "https"), (":authority", "gw.test"), ("connection", "close")], None),
        (&[(":scheme", "https"), (":authority", "gw.test"), ("transfer-encoding", "chunked")], None),
        (&[(":scheme", "https"), (":authority", "gw.test"), ("x", "\t1 ")], None),
        (&[(":scheme", "https"), (":authority", "gw.test"), ("x", "a\r\nb: c")], None),
        (&[(":scheme", "https"), (":authority", "gw.test"), ("X-Upper", "1")], None),
        (&[(":scheme", "https"), (":authority", "gw.test"), (":odd", "1")], None),
        (&[(":scheme", "http"), (":authority", "gw.test")], Some(0x8c)),
        (&[(":scheme", "https")], Some(0x8c)),
        (&[(":scheme", "https"), (":authority", "a@gw.test")], Some(0x8c)),
    ] {
        let frames = exchange(&site, &[request(1, more)]);
        let found = match status {
            None => frames.iter().any(|(kind, ..)| [RST_STREAM, GOAWAY].contains(kind)),
            // RFC 7541, appendix A: `:status: 400`.
            Some(code) => frames.iter().any(|(kind, _, block)| {
                [RST_STREAM, GOAWAY].contains(kind) || (*kind == HEADERS && block[0] == code)
            }),
        };
        assert!(found, "{more:?}: {frames:?}");
    }
    assert_eq!(site.upstream.requests().len(), before);
}

//
#[test]
fn a_flood_of_resets_or_of_continuations_loses_the_connection() {
    let Some(_) = service("openssl") else { return };
    let site = Secured::start();
    let usual = [(":scheme", "https"), (":authority", "gw.test")];
    let reset = |n: u32| [request(n, &usual), frame(RST_STREAM, 0, n, &[0, 0, 0, 8])].concat();
    let resets: Vec<_> = (0..3000).map(|i| reset(2 * i + 3)).collect();
    let begun = frame(HEADERS, END_STREAM, 3, &block(&usual));
    let endless =
        std::iter::once(begun).chain((0..5000).map(|_| frame(9, 0, 3, &block(&[("x", "yyyyyyyyyyyyyyyy")]))));
    for flood in [resets, endless.collect()] {
        // Whoever is reset at once may not have read GOAWAY: what counts is the end.
        let frames = exchange(&site, &flood);
        let told = frames.iter().any(|(kind, ..)| *kind == GOAWAY);
        assert!(told || !frames.iter().any(|(_, stream, _)| *stream == 1), "{frames:?}");
    }
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
}

// The limit of 256 fields is the upstream's: ours come on top, over either protocol.
#[test]
fn an_answer_of_as_many_fields_as_an_upstream_may_send_passes_over_both_protocols() {
    let Some(_) = service("curl") else { return };
    let many = |n: usize| (0..n).map(|i| format!("X-{i}: y\r\n")).collect::<String>();
    let upstream = Upstream::answering(move |request| {
        let fields = many(if request.target.contains("more") { 256 } else { 255 });
        format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n{fields}\r\nok").into_bytes()
    });
    let site = Secured::before(upstream);
    for version in ["--http1.1", "--http2"] {
        assert_eq!(site.status("gw.test", &[version], "/public/x"), "200", "{version}");
        assert_eq!(site.status("gw.test", &[version], "/public/more"), "502", "{version}");
    }
}
