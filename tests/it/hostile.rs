//! An upstream that does its worst: its bytes reach nobody they were not for, and nobody's
//! answer is another's (rows M-21, S-14, S-15).

use portcullis_tests::{
    Request, Site, Upstream,
    rng::Rng,
    site::ROUTES,
    upstream::{ok, read_head},
};
use std::{io::Write, net::TcpStream};

/// Ways to answer wrongly; the word is what may never be in somebody else's answer.
const TRICKS: &[&str] = &[
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n6\r\ncanary\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n6\r\ncanary\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nContent-Length: 2, 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nContent-Length: +6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n6\r\ncanary\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x6\r\ncanary\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\ncanary",
    "HTTP/1.1 204 No Content\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\nContent-Length: 6\n\ncanary",
    "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nX : a\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\n: a\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/2.0 200 OK\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/0.9 200 OK\r\n\r\ncanary",
    "<html>canary</html>",
    "HTTP/1.1 999999 OK\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 099 OK\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n\r\ncanary",
    "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ncanary",
    "HTTP/1.1 200 OK\r\nX: \0canary\r\nContent-Length: 0\r\n\r\n",
];

fn number(head: &[u8], prefix: &str) -> Option<usize> {
    let text = String::from_utf8_lossy(head);
    let rest = text.split(prefix).nth(1)?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Answers `/public/trick-N` with a trick and everything else with its own target.
fn trickster(stream: &mut TcpStream) {
    while let Some(head) = read_head(stream) {
        let answer = match number(&head, "/trick-") {
            Some(trick) => TRICKS[trick % TRICKS.len()].as_bytes().to_vec(),
            None => ok(&format!("own-{}", number(&head, "/own-").unwrap_or_default())),
        };
        let waits = !answer.windows(4).any(|w| w == b"\r\n\r\n");
        // What looks like half a head would only be waited for.
        if stream.write_all(&answer).is_err() || waits {
            return;
        }
    }
}

// S-14: after each trick a victim, on connections that the gateway may keep
#[test]
fn in_a_thousand_requests_between_tricks_everybody_gets_their_own_answer() {
    let site = Site::before(Upstream::scripted(|stream, _| trickster(stream)), "", ROUTES);
    let mut rng = Rng::new(3);
    let mut tricked = site.gateway.connect();
    let mut victim = site.gateway.connect();
    for round in 0..1000 {
        let trick = rng.below(TRICKS.len());
        // A trick's own asker gets its answer or a failure; it has its connection replaced.
        tricked.start(&Request::get(&format!("/public/trick-{trick}")));
        let kept = tricked.try_response_to("GET").is_ok_and(|a| a.header("connection") != Some("close"));
        if !kept {
            tricked = site.gateway.connect();
        }
        let answer = victim.send(&Request::get(&format!("/public/own-{round}")));
        assert_eq!(answer.status, 200, "after {:?}: {}", TRICKS[trick], answer.text());
        assert_eq!(answer.text(), format!("own-{round}"), "after {:?}", TRICKS[trick]);
    }
}

// S-14: a head of an answer has limits too
#[test]
fn an_answer_of_too_many_fields_or_bytes_is_502() {
    let begin = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n";
    let fields = |count: usize| (1..count).map(|n| format!("X-{n}: y\r\n")).collect::<String>();
    let bytes = |size: usize| format!("X: {}\r\n", "y".repeat(size - begin.len() - "X: \r\n\r\n".len()));
    for (lines, fine) in [
        (fields(255), true),
        (fields(256), true),
        (fields(257), false),
        (bytes(64 * 1024 - 1), true),
        (bytes(64 * 1024), true),
        (bytes(64 * 1024 + 1), false),
        (bytes(2 * 1024 * 1024), false),
    ] {
        let upstream = Upstream::scripted(move |stream, _| {
            if read_head(stream).is_some() {
                let _ = stream.write_all(begin.as_bytes());
                let _ = stream.write_all(lines.as_bytes());
                let _ = stream.write_all(b"\r\n");
            }
        });
        let site = Site::before(upstream, "", ROUTES);
        let answer = site.send(&Request::get("/public"));
        if fine {
            assert_eq!(answer.status, 200);
        } else {
            answer.expect(502, "upstream_invalid");
        }
    }
}

// Section 6: what comes before the answer is no endless story
#[test]
fn so_many_interim_answers_may_come_before_the_answer() {
    let upstream = Upstream::scripted(|stream, _| {
        while let Some(head) = read_head(stream) {
            let early =
                "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(number(&head, "/public/").unwrap_or_default());
            let _ = stream.write_all(&[early.as_bytes(), &ok("final")].concat());
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    for (count, status) in [(9, 200), (10, 200), (11, 502)] {
        assert_eq!(site.send(&Request::get(&format!("/public/{count}"))).status, status, "{count}");
    }
}

// S-15: an interim answer says nothing in the gateway's name
#[test]
fn an_interim_answer_sets_no_cookie_of_ours_and_opens_no_tunnel() {
    let upstream = Upstream::scripted(|stream, _| {
        while read_head(stream).is_some() {
            let interim = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nSet-Cookie: portcullis=evil\r\n\
                           Remote-User: admin\r\nConnection: upgrade\r\nUpgrade: foo\r\n\r\n";
            let _ = stream.write_all(interim.as_bytes());
            let _ = stream.write_all(&ok("final"));
        }
    });
    let site = Site::before(upstream, "", ROUTES);
    let mut connection = site.gateway.connect();
    for _ in 0..2 {
        connection.start(&Request::get("/public"));
        loop {
            let answer = connection.try_response_to("GET").unwrap();
            let said = format!("{:?}", answer.fields).to_lowercase();
            assert!(!said.contains("evil") && !said.contains("upgrade"), "{said}");
            if answer.status >= 200 {
                assert_eq!((answer.status, answer.text().as_str()), (200, "final"));
                break;
            }
        }
    }
}
