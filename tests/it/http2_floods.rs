//! Clients that keep HTTP/2 busy without asking for anything: each loses its connection, the
//! memory stays where it was, and others are served (Q-06 to Q-09 of the security anchors).
//! Q-11 is about HTTP/2 upstreams, which are not spoken to.

use crate::{bodies::resident, http2::request, tls::Secured};
use portcullis_tests::{
    Upstream,
    frames::{
        DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, block,
        frame, parsed,
    },
    services::service,
    until,
    upstream::{answer, read_head},
};
use std::{
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

const WINDOW_UPDATE: u8 = 8;
const USUAL: [(&str, &str); 2] = [(":scheme", "https"), (":authority", "gw.test")];
const MIB: usize = 1024 * 1024;

/// A head without the end of its stream.
fn open(stream: u32, path: &str) -> Vec<u8> {
    let all = [(":method", "POST"), (":path", path), USUAL[0], USUAL[1]];
    frame(HEADERS, END_HEADERS, stream, &block(&all))
}

fn told_to_go(frames: &[Frame]) -> bool {
    frames.iter().any(|(kind, ..)| *kind == GOAWAY)
}

/// Sends a flood until the connection is over: GOAWAY came, or it ended before anybody
/// could read that (what is unread when a socket closes is reset).
fn until_it_is_over(site: &Secured, flood: &[Vec<u8>]) -> Vec<Frame> {
    exchange_until(site, flood, told_to_go)
}

/// Others are served, and what was taken is given back.
fn unharmed(site: &Secured, before: usize) {
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
    let after = resident(&site.gateway);
    assert!(after < before + 8 * MIB, "{before} bytes before, {after} after");
}

// whoever makes us reset streams pays for them as for resets of their own.
#[test]
fn streams_that_we_are_made_to_reset_lose_the_connection() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let site = Secured::start();
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
    let before = resident(&site.gateway);
    let nothing_more = |n: u32| [open(n, "/public/x"), frame(WINDOW_UPDATE, 0, n, &[0; 4])].concat();
    let too_much =
        |n: u32| [open(n, "/public/x"), frame(WINDOW_UPDATE, 0, n, &[0x7f, 255, 255, 255])].concat();
    let malformed = |n: u32| request(n, &[USUAL[0], USUAL[1], ("connection", "close")]);
    let kinds: [&dyn Fn(u32) -> Vec<u8>; 3] = [&nothing_more, &too_much, &malformed];
    for kind in kinds {
        let flood: Vec<_> = (0..3000).map(|i| kind(2 * i + 3)).collect();
        let frames = until_it_is_over(&site, &flood);
        let resets = frames.iter().filter(|(kind, ..)| *kind == RST_STREAM).count();
        assert!(resets <= 1_024, "{resets} resets");
    }
    unharmed(&site, before);
}

// DATA without data on a stream that nobody reads.
#[test]
fn empty_frames_on_a_stream_that_nobody_reads_take_no_memory() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let stuck = Upstream::scripted(|stream, _| {
        if read_head(stream).is_some_and(|head| head.starts_with(b"GET")) {
            let _ = std::io::Write::write_all(stream, &answer(200, &[("Connection", "close")], b"ok"));
            return;
        }
        std::thread::park();
    });
    let site = Secured::before(stuck);
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
    let before = resident(&site.gateway);
    let piece = frame(DATA, 0, 3, &[b'x'; 16_000]);
    let empty = frame(DATA, 0, 3, &[]).repeat(1000);
    let flood: Vec<_> =
        [open(3, "/public/up")].into_iter().chain(vec![piece; 4]).chain(vec![empty; 300]).collect();
    let ping = frame(PING, 0, 0, b"the end.");
    exchange_until(&site, &[flood, vec![ping]].concat(), |frames| {
        told_to_go(frames) || frames.iter().any(|(kind, _, payload)| *kind == PING && payload == b"the end.")
    });
    unharmed(&site, before);
}

fn exchange_until(site: &Secured, frames: &[Vec<u8>], done: impl Fn(&[Frame]) -> bool) -> Vec<Frame> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    bytes.extend(frames.concat());
    let done = |bytes: &[u8]| done(&parsed(bytes));
    parsed(&site.openssl_until(&["-alpn", "h2", "-servername", "gw.test", "-quiet"], &bytes, done))
}

//
#[test]
fn a_client_that_takes_nothing_is_left_and_the_upstream_is_released() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let released = Arc::new(AtomicUsize::new(0));
    let count = released.clone();
    let large = Upstream::scripted(move |stream, _| {
        let Some(_) = read_head(stream) else { return };
        let _ = std::io::Write::write_all(stream, &answer(200, &[], &vec![b'x'; 4 * MIB]));
        let _ = stream.read(&mut [0; 16]);
        count.fetch_add(1, Ordering::SeqCst);
    });
    let site = Secured::limited(
        large,
        "body_stall = \"3s\"
",
    );
    // No window at all, and then requests.
    let none = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let asks: Vec<_> = (0..5).map(|i| request(2 * i + 3, &USUAL)).collect();
    exchange_until(&site, &[vec![none], asks].concat(), |frames| {
        told_to_go(frames) || frames.iter().filter(|(kind, ..)| *kind == RST_STREAM).count() == 5
    });
    until("the upstream's connections", || (released.load(Ordering::SeqCst) == 5).then_some(()));
}

// frames that ask for nothing are no use of a connection.
#[test]
fn pings_and_settings_keep_no_connection_open() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let site = Secured::limited(Upstream::start(), "idle_timeout = \"3s\"\n");
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
    let before = resident(&site.gateway);
    let ping = frame(PING, 0, 0, b"12345678").repeat(100);
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]).repeat(100);
    let flood: Vec<_> = (0..100).flat_map(|_| [ping.clone(), settings.clone()]).collect();
    until_it_is_over(&site, &flood);
    unharmed(&site, before);
}

/// A string of HPACK without Huffman coding (RFC 7541 §5.2).
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match bytes.len() {
        short @ 0..127 => out.push(short as u8),
        mut rest => {
            out.push(127);
            rest -= 127;
            while rest >= 128 {
                out.push(128 | (rest % 128) as u8);
                rest /= 128;
            }
            out.push(rest as u8);
        }
    }
    out.extend(bytes);
    out
}

// one field of 3,900 bytes, put into the table once and named a hundred times.
#[test]
fn a_head_that_grows_when_it_is_unpacked_is_refused_at_the_limit() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let site = Secured::start();
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
    let (before, asked) = (resident(&site.gateway), site.upstream.requests().len());
    let usual = block(&[(":method", "GET"), (":path", "/public/x"), USUAL[0], USUAL[1]]);
    let grown = [vec![0x40], text(b"x-large"), text(&[b'y'; 3900])].concat();
    let bomb = |stream: u32, first: bool| {
        // 62 is the youngest entry of the table.
        let named = vec![0x80 | 62; 100];
        let block = if first {
            [usual.clone(), grown.clone(), named].concat()
        } else {
            [usual.clone(), named].concat()
        };
        frame(HEADERS, END_HEADERS | 1, stream, &block)
    };
    let flood: Vec<_> = (0..100).map(|i| bomb(2 * i + 3, i == 0)).collect();
    let answered = |frames: &[Frame]| {
        let refused = |(kind, stream, _): &&Frame| [HEADERS, RST_STREAM].contains(kind) && *stream != 0;
        told_to_go(frames) || frames.iter().filter(refused).count() >= 100
    };
    exchange_until(&site, &flood, answered);
    assert_eq!(site.upstream.requests().len(), asked, "none of them went on");
    unharmed(&site, before);
}

// a request with a body that is taken back once its upstream has it. It counts at
// once, and the upstream is let go at once: of one connection no more run than it may have.
#[test]
fn requests_with_a_body_that_are_taken_back_count_and_keep_no_upstream_busy() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let [begun, let_go] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let (count, gone) = (begun.clone(), let_go.clone());
    let slow = Upstream::scripted(move |stream, _| {
        let Some(head) = read_head(stream) else { return };
        if head.starts_with(b"GET") {
            let _ = std::io::Write::write_all(stream, &answer(200, &[("Connection", "close")], b"ok"));
            return;
        }
        count.fetch_add(1, Ordering::SeqCst);
        while matches!(stream.read(&mut [0; 16]), Ok(1..)) {}
        gone.fetch_add(1, Ordering::SeqCst);
    });
    let site = Secured::before(slow);
    let (seen, left) = (begun.clone(), let_go.clone());
    let batch = |first: u32| (first..first + 60).map(|n| 2 * n + 1);
    let write = move |to: &mut dyn std::io::Write| {
        let mut say = |bytes: &[u8]| drop(to.write_all(bytes).and_then(|()| to.flush()));
        say(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        for (round, first) in [1, 61].into_iter().enumerate() {
            let post = |n| [open(n, "/public/slow"), frame(DATA, END_STREAM, n, b"x")].concat();
            say(&batch(first).flat_map(post).collect::<Vec<_>>());
            let all = 60 * (round + 1);
            until("the requests upstream", || (seen.load(Ordering::SeqCst) >= all).then_some(()));
            let back = |n| frame(RST_STREAM, 0, n, &[0, 0, 0, 8]);
            say(&batch(first).flat_map(back).collect::<Vec<_>>());
            // Those that still run count against `h2_streams`.
            until("their upstream to be let go", || (left.load(Ordering::SeqCst) >= all).then_some(()));
        }
    };
    let arguments = ["-alpn", "h2", "-servername", "gw.test", "-quiet"];
    let frames = parsed(&site.openssl_writing(&arguments, write, |bytes| told_to_go(&parsed(bytes))));
    assert!(told_to_go(&frames), "120 were taken back and none was answered: {frames:?}");
    until("the upstream's connections", || (let_go.load(Ordering::SeqCst) == 120).then_some(()));
    assert_eq!(begun.load(Ordering::SeqCst), 120);
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
}
