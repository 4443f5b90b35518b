//! Clients that take what they asked for slowly, or not at all: they lose it in time and cost
//! little until then. Who waits for an upstream, with nothing to take, is not slow.

use crate::{bodies::resident, http2::request, tls::Secured};
use portcullis_tests::{
    Site, Upstream,
    frames::{DATA, Frame, PREFACE, RST_STREAM, SETTINGS, frame, parsed},
    services::service,
    site::ROUTES,
    until,
    upstream::{answer, read_head},
};
use std::{
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

const WINDOW_UPDATE: u8 = 8;
const MIB: usize = 1024 * 1024;
const USUAL: [(&str, &str); 2] = [(":scheme", "https"), (":authority", "gw.test")];
const ALPN: [&str; 5] = ["-alpn", "h2", "-servername", "gw.test", "-quiet"];

/// Answers with more than anybody takes; counts those it was let go by.
fn large(released: Arc<AtomicUsize>) -> impl Fn(&mut TcpStream, usize) + Send + Sync {
    move |stream, _| {
        let Some(_) = read_head(stream) else { return };
        let _ = stream.write_all(&answer(200, &[], &vec![b'x'; 8 * MIB]));
        let _ = stream.read(&mut [0; 16]);
        released.fetch_add(1, Ordering::SeqCst);
    }
}

fn no_window() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])].concat()
}

// a window of one byte, again and again
#[test]
fn a_byte_now_and_then_is_not_taking_an_answer() {
    let Some(_) = service("openssl") else { return };
    let released = Arc::new(AtomicUsize::new(0));
    let site = Secured::limited(Upstream::scripted(large(released.clone())), "body_stall = \"1s\"\n");
    let (stop, stopped) = mpsc::channel();
    let asks = [no_window(), request(3, &USUAL)].concat();
    let drip = move |to: &mut dyn Write| {
        let mut alive = to.write_all(&asks).is_ok();
        // As slowly as it can be without looking idle.
        while alive && stopped.recv_timeout(Duration::from_millis(50)) == Err(mpsc::RecvTimeoutError::Timeout)
        {
            alive =
                to.write_all(&frame(WINDOW_UPDATE, 0, 3, &[0, 0, 0, 1])).and_then(|()| to.flush()).is_ok();
        }
    };
    let reset = |bytes: &[u8]| parsed(bytes).iter().any(|(kind, ..)| *kind == RST_STREAM);
    let stop = Mutex::new(stop);
    let ended = |bytes: &[u8]| {
        let over = reset(bytes);
        if over {
            let _ = stop.lock().unwrap().send(());
        }
        over
    };
    let seen: Vec<Frame> = parsed(&site.openssl_writing(&ALPN, drip, ended));
    let taken: usize = seen.iter().filter(|f| f.0 == DATA).map(|f| f.2.len()).sum();
    assert!(seen.iter().any(|f| f.0 == RST_STREAM) && taken > 0, "{taken} bytes taken");
    until("the upstream to be released", || (released.load(Ordering::SeqCst) == 1).then_some(()));
}

#[test]
fn the_same_over_http_1() {
    let released = Arc::new(AtomicUsize::new(0));
    let limits = format!("{ROUTES}\n[limits]\nbody_stall = \"1s\"\n");
    let site = Site::before(Upstream::scripted(large(released.clone())), "", &limits);
    let mut client = TcpStream::connect(site.gateway.address).unwrap();
    client.write_all(b"GET /public HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").unwrap();
    until("the upstream to be released", || {
        let _ = client.read(&mut [0]);
        (released.load(Ordering::SeqCst) == 1).then_some(())
    });
}

// SSE, long-poll: there is nothing to take.
#[test]
fn who_waits_for_the_upstream_is_not_slow() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let upstream = || {
        Upstream::scripted(|stream, _| {
            let Some(_) = read_head(stream) else { return };
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\non");
            // Longer than a client may take over what waits for it.
            let (_never, told) = mpsc::channel::<()>();
            let _ = told.recv_timeout(Duration::from_millis(2500));
            let _ = stream.write_all(b"ce");
            let _ = stream.read(&mut [0; 16]);
        })
    };
    let site = Secured::limited(upstream(), "body_stall = \"1s\"\n");
    for version in ["--http1.1", "--http2"] {
        assert_eq!(site.curl("gw.test", &[version], "/public/x"), "once", "{version}");
    }
}

// what is not taken is not read either.
#[test]
fn a_hundred_answers_that_nobody_takes_cost_little() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let upstream = Upstream::scripted(|stream, number| {
        let Some(_) = read_head(stream) else { return };
        let length = if number == 0 { 2 } else { 8 * MIB };
        let _ = stream.write_all(&answer(200, &[("Connection", "close")], &vec![b'x'; length]));
    });
    let site = Secured::before(upstream);
    assert_eq!(site.status("gw.test", &["--http2"], "/public/x"), "200");
    let before = resident(&site.gateway);
    let asks: Vec<u8> = (1..=100).flat_map(|n| request(2 * n + 1, &USUAL)).collect();
    let _held = site.hold(&[no_window(), asks].concat());
    until("all of them upstream", || (site.upstream.connections() == 101).then_some(()));
    let (mut most, mut quiet) = (0, 0);
    until("what they hold to settle", || {
        let now = resident(&site.gateway);
        quiet = if now > most { 0 } else { quiet + 1 };
        most = most.max(now);
        (quiet == 50).then_some(())
    });
    assert!(most < before + 10 * MIB, "{} KiB more", (most - before) / 1024);
}

// and neither are others slowed down by the pieces getting smaller.
#[test]
fn an_answer_of_megabytes_passes_whole_beside_those_that_nobody_takes() {
    let (Some(_), Some(_)) = (service("openssl"), service("curl")) else { return };
    let upstream = Upstream::scripted(large(Arc::default()));
    let site = Secured::before(upstream);
    let asks: Vec<u8> = (1..=100).flat_map(|n| request(2 * n + 1, &USUAL)).collect();
    let _held: Vec<_> = (0..3).map(|_| site.hold(&[no_window(), asks.clone()].concat())).collect();
    until("all of them upstream", || (site.upstream.connections() >= 300).then_some(()));
    for version in ["--http1.1", "--http2"] {
        let told = site.curl("gw.test", &[version, "-o", "/dev/null", "-w", "%{size_download}"], "/public/x");
        assert_eq!(told, (8 * MIB).to_string(), "{version}");
    }
}
