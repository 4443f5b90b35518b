//! Limits of one HTTP/2 connection: what lies at them passes, what lies one above is refused
//! and counted (section 6 of the attack catalogue; rows ). Exact numbers of frames
//! in a second are tested beside the budget: `gateway/src/proxy/http2/frames.rs`.

use crate::{http2::request, tls::Secured};
use portcullis_tests::{
    Upstream,
    frames::{
        DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, SETTINGS, block,
        frame, parsed, status,
    },
    ports::nobody,
    services::service,
    until,
    upstream::{answer, read_head},
};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Condvar, Mutex},
};

const USUAL: [(&str, &str); 2] = [(":scheme", "https"), (":authority", "gw.test")];
const CONTINUATION: u8 = 9;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A site whose numbers can be read.
struct Counted {
    site: Secured,
    admin: SocketAddr,
}

impl Counted {
    /// None without the programs that it needs.
    fn new(upstream: Upstream, limits: &str) -> Option<Self> {
        service("openssl")?;
        // The admin listener does not say which port it got.
        let admin = nobody();
        let site = Secured::limited(upstream, &format!("{limits}\n[admin]\nlisten = \"{admin}\"\n"));
        Some(Self { site, admin })
    }

    fn sample(&self, start: &str) -> u64 {
        let mut stream = TcpStream::connect(self.admin).expect("the admin listener accepts");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text.lines()
            .find_map(|line| line.strip_prefix(start))
            .map_or(0, |count| count.trim().parse().unwrap())
    }

    fn limit(&self, limit: &str) -> u64 {
        self.sample(&format!("portcullis_limit_refusals_total{{limit=\"{limit}\"}}"))
    }

    fn told(&self, what: &str, reason: &str) -> u64 {
        self.sample(&format!("portcullis_http2_refusals_total{{what=\"{what}\",reason=\"{reason}\"}}"))
    }

    /// Sends frames behind the preface and reads until `done`.
    fn talk(&self, frames: &[u8], done: impl Fn(&[Frame]) -> bool) -> Vec<Frame> {
        let bytes = [PREFACE, &frame(SETTINGS, 0, 0, &[]), frames].concat();
        let done = |bytes: &[u8]| done(&parsed(bytes));
        parsed(&self.site.openssl_until(&["-alpn", "h2", "-servername", "gw.test", "-quiet"], &bytes, done))
    }

    /// So many frames lose no connection, which then answers a last PING.
    #[track_caller]
    fn keeps(&self, frames: &[u8]) {
        let last = frame(PING, 0, 0, b"the last");
        let seen = self.talk(&[frames, &last].concat(), |seen| over(seen) || ponged(seen));
        assert!(ponged(&seen) && !over(&seen), "{seen:?}");
    }

    /// So many do, and it is counted.
    #[track_caller]
    fn loses(&self, frames: &[u8], limit: Option<&str>) {
        let before = limit.map(|limit| self.limit(limit));
        let told = self.told("connection", "enhance_your_calm");
        let seen = self.talk(frames, over);
        // Whoever is reset at once may not have read GOAWAY.
        let codes: Vec<u32> = seen.iter().filter(|f| f.0 == GOAWAY).map(|f| code(&f.2[4..])).collect();
        assert!(codes.iter().all(|code| *code == ENHANCE_YOUR_CALM), "{seen:?}");
        until("its place in the numbers", || {
            let counted = limit.map(|limit| self.limit(limit)) > before || limit.is_none();
            (counted && self.told("connection", "enhance_your_calm") > told).then_some(())
        });
    }
}

fn code(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().expect("four bytes"))
}

fn over(seen: &[Frame]) -> bool {
    seen.iter().any(|(kind, ..)| *kind == GOAWAY)
}

fn ponged(seen: &[Frame]) -> bool {
    seen.iter().any(|(kind, _, payload)| *kind == PING && payload == b"the last")
}

// the answer to each costs us, and none of them is a request
#[test]
fn so_many_pings_and_settings_a_second_and_no_more() {
    let Some(counted) = Counted::new(Upstream::start(), "") else { return };
    let ping = frame(PING, 0, 0, b"12345678");
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    // One more of each is part of every talk.
    counted.keeps(&ping.repeat(99));
    counted.keeps(&settings.repeat(49));
    assert_eq!((counted.limit("h2_pings"), counted.limit("h2_settings")), (0, 0));
    // In two seconds as in one.
    counted.loses(&ping.repeat(203), Some("h2_pings"));
    counted.loses(&settings.repeat(103), Some("h2_settings"));
    assert_eq!((counted.limit("h2_pings"), counted.limit("h2_settings")), (1, 1));
}

// what the library counts by itself is counted here as well
#[test]
fn a_connection_that_the_library_ends_is_counted_by_its_reason() {
    let Some(counted) = Counted::new(Upstream::start(), "") else { return };
    let head = block(&[(":method", "GET"), (":path", "/public/x"), USUAL[0], USUAL[1]]);
    // A head of 32 KiB needs two frames; five more may come, odd pieces of it.
    let pieces = |count: usize| {
        let mut all = frame(HEADERS, END_STREAM, 1, &head);
        (0..count).for_each(|n| all.extend(frame(CONTINUATION, 0, 1, &block(&[(&format!("x-{n}"), "y")]))));
        all.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
        all
    };
    for fine in [4, 5] {
        counted.keeps(&pieces(fine));
    }
    counted.loses(&pieces(6), None);
    let up = block(&[(":method", "POST"), (":path", "/public/up"), USUAL[0], USUAL[1]]);
    let empty = frame(DATA, 0, 1, &[]).repeat(100_000);
    counted.loses(&[frame(HEADERS, END_HEADERS, 1, &up), empty].concat(), None);
}

// resets of a client's own, beyond as many as it let finish
#[test]
fn streams_that_are_taken_back_are_counted() {
    let Some(counted) = Counted::new(Upstream::start(), "") else { return };
    let reset = |n: u32| [request(n, &USUAL), frame(RST_STREAM, 0, n, &[0, 0, 0, 8])].concat();
    let flood: Vec<u8> = (0..3000).flat_map(|i| reset(2 * i + 1)).collect();
    counted.loses(&flood, None);
}

// Section 6: h2 streams
#[test]
fn so_many_streams_at_a_time_and_the_next_is_refused_alone() {
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waits = gate.clone();
    let upstream = Upstream::scripted(move |stream, _| {
        if read_head(stream).is_some() {
            let open = waits.0.lock().unwrap();
            drop(waits.1.wait_while(open, |open| !*open).unwrap());
            let _ = stream.write_all(&answer(200, &[("Connection", "close")], b"ok"));
        }
    });
    let Some(counted) = Counted::new(upstream, "h2_streams = 3\n") else { return };
    let resets = |seen: &[Frame]| -> Vec<(u32, u32)> {
        seen.iter().filter(|f| f.0 == RST_STREAM).map(|f| (f.1, code(&f.2))).collect()
    };
    for fine in [2, 3] {
        let asks: Vec<u8> = (0..fine).flat_map(|n| request(2 * n + 1, &USUAL)).collect();
        let last = frame(PING, 0, 0, b"the last");
        let seen = counted.talk(&[asks, last].concat(), |seen| over(seen) || ponged(seen));
        assert_eq!(resets(&seen), [], "{fine} at a time");
    }
    assert_eq!(counted.limit("h2_streams"), 0);
    let asks: Vec<u8> = (0..4).flat_map(|n| request(2 * n + 1, &USUAL)).collect();
    let seen = counted.talk(&asks, |seen| over(seen) || !resets(seen).is_empty());
    assert_eq!(resets(&seen), [(7, REFUSED_STREAM)]);
    until("its place in the numbers", || (counted.limit("h2_streams") == 1).then_some(()));
    assert_eq!(counted.told("stream", "refused_stream"), 1);
    *gate.0.lock().unwrap() = true;
    gate.1.notify_all();
}

// streams that were taken back are closed for the library, and still ours to end.
#[test]
fn a_stream_counts_until_its_pipeline_has_ended() {
    let Some(counted) = Counted::new(Upstream::start(), "h2_streams = 3\n") else { return };
    let asks = |from: u32| (from..from + 3).flat_map(|n| request(2 * n + 1, &USUAL)).collect::<Vec<u8>>();
    let back = (0..3).flat_map(|n| frame(RST_STREAM, 0, 2 * n + 1, &[0, 0, 0, 8]));
    // All at once: none of the first three can have ended when the others come.
    let all: Vec<u8> = asks(0).into_iter().chain(back).chain(asks(3)).collect();
    let refused = |seen: &[Frame]| -> Vec<(u32, u32)> {
        seen.iter().filter(|f| f.0 == RST_STREAM).map(|f| (f.1, code(&f.2))).collect()
    };
    let seen = counted.talk(&all, |seen| over(seen) || refused(seen).len() == 3);
    assert_eq!(refused(&seen), [7, 9, 11].map(|stream| (stream, REFUSED_STREAM)));
    until("their place in the numbers", || (counted.limit("h2_streams") == 3).then_some(()));
    counted.keeps(&asks(0));
}

// Section 6: h2 header list
#[test]
fn a_head_may_have_so_many_bytes_when_it_is_unpacked() {
    let Some(counted) = Counted::new(Upstream::start(), "h2_header_list = 2000\n") else { return };
    let ask = |bytes: usize| {
        let of = |value: &str| {
            let all = [(":method", "GET"), (":path", "/public/x"), USUAL[0], USUAL[1], ("x", value)];
            all.map(|(name, value)| (name.to_owned(), value.to_owned()))
        };
        // Each field counts 32 bytes more than it has (RFC 9113 §10.5.1).
        let fixed: usize = of("").iter().map(|(name, value)| name.len() + value.len() + 32).sum();
        let fields = of(&"y".repeat(bytes - fixed));
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let head = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&fields));
        let answered =
            |seen: &[Frame]| seen.iter().find(|f| f.0 == HEADERS && f.1 == 1).and_then(|f| status(&f.2));
        answered(&counted.talk(&head, |seen| over(seen) || answered(seen).is_some()))
    };
    assert_eq!([1999, 2000].map(ask), [Some(200), Some(200)]);
    assert_eq!(counted.limit("h2_header_list"), 0);
    assert_eq!(ask(2001), Some(431));
    until("its place in the numbers", || (counted.limit("h2_header_list") == 1).then_some(()));
}
