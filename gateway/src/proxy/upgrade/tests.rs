//! What may be asked for, what is an answer to it, and a tunnel between two pipes.

use super::*;
use crate::{
    clock::Clock,
    proxy::{
        http1::{
            head::{Limits, Scanner},
            response,
        },
        timers::Timers,
    },
};
use proptest::prelude::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    task::{LocalSet, spawn_local},
};

fn asked(lines: &str) -> Option<String> {
    let bytes = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n").into_bytes();
    let mut head = Head::default();
    head.read(&bytes, Limits { bytes: 1 << 16, fields: 100, request_line: 1 << 14 }).unwrap();
    Asked::of(&head, &bytes).map(|asked| String::from_utf8(asked.protocols).unwrap())
}

#[test]
fn a_protocol_is_asked_for_by_both_fields_together() {
    for (lines, wanted) in [
        ("Connection: Upgrade\r\nUpgrade: websocket\r\n", Some("websocket")),
        ("Connection: keep-alive, upgrade\r\nUpgrade: WebSocket\r\n", Some("WebSocket")),
        (
            "Connection: keep-alive\r\nConnection: UPGRADE\r\nUpgrade: a/1\r\nUpgrade: b, c\r\n",
            Some("a/1, b, c"),
        ),
        ("Upgrade: websocket\r\n", None),
        ("Connection: upgrade\r\n", None),
        ("Connection: upgrade\r\nUpgrade: \r\n", None),
        ("Connection: upgraded\r\nUpgrade: websocket\r\n", None),
    ] {
        assert_eq!(asked(lines).as_deref(), wanted, "{lines:?}");
    }
}

#[test]
fn other_spellings_of_http_and_tls_are_never_asked_for() {
    for protocol in [
        "h2c",
        "H2C",
        "h2c/1",
        "h2",
        "HTTP/2.0",
        "http/1.1",
        "HTTP",
        "TLS/1.0",
        "tls",
        "websocket, h2c",
        "h2c, websocket",
        "web socket",
        "websocket/1/h2c",
        "websocket/",
        "/h2c",
        "h2c;q=1",
        "\"h2c\"",
    ] {
        assert_eq!(asked(&format!("Connection: upgrade\r\nUpgrade: {protocol}\r\n")), None, "{protocol:?}");
    }
}

fn is_granted(asked: &Asked, lines: &str) -> bool {
    let bytes = format!("HTTP/1.1 101 X\r\n{lines}\r\n").into_bytes();
    let head = response::read(&bytes, &mut Scanner::default(), false).unwrap().unwrap();
    asked.is_granted(&head, &bytes)
}

#[test]
fn a_101_counts_only_if_it_names_what_was_asked_for() {
    let asked = Asked { protocols: b"websocket, foo/2".to_vec(), may_switch: Cell::new(true) };
    for (lines, granted) in [
        ("Connection: Upgrade\r\nUpgrade: WebSocket\r\n", true),
        ("Connection: upgrade\r\nUpgrade: foo/2\r\n", true),
        ("Connection: upgrade\r\nUpgrade: foo/2, websocket\r\n", true),
        ("Connection: upgrade\r\nUpgrade: foo\r\n", false),
        ("Connection: upgrade\r\nUpgrade: h2c\r\n", false),
        ("Connection: upgrade\r\nUpgrade: websocket, h2c\r\n", false),
        ("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n", false),
        ("Connection: upgrade\r\n", false),
        ("Upgrade: websocket\r\n", false),
        ("", false),
    ] {
        assert_eq!(is_granted(&asked, lines), granted, "{lines:?}");
    }
    asked.may_switch.set(false);
    assert!(
        !is_granted(&asked, "Connection: upgrade\r\nUpgrade: websocket\r\n"),
        "before the request was whole"
    );
}

/// A tunnel whose far ends are in the test's hands; how often the client was heard is counted.
async fn between<T>(
    idle: Duration,
    first: (&'static [u8], &'static [u8]),
    test: impl AsyncFnOnce(DuplexStream, DuplexStream, &Cell<u32>) -> T,
) -> (u64, T) {
    let (client, at_client) = duplex(64);
    let (upstream, at_upstream) = duplex(64);
    let timers = Timers::new();
    spawn_local(timers.clone().run(Clock::system()));
    let watch = timers.watch();
    let heard = Cell::new(0);
    let buffers = Buffers::default();
    let used = || heard.set(heard.get() + 1);
    let tunnel = async {
        let ((mut cr, mut cw), (mut ur, mut uw)) = (split(at_client), split(at_upstream));
        let client = End { reader: &mut cr, writer: &mut cw, first: first.0 };
        let upstream = End { reader: &mut ur, writer: &mut uw, first: first.1 };
        tunnel(client, upstream, Surroundings { watch: &watch, idle, buffers: &buffers, used: &used }).await
    };
    tokio::join!(tunnel, test(client, upstream, &heard))
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, test);
}

const LONG: Duration = Duration::from_secs(60);

async fn read(from: &mut DuplexStream, wanted: &[u8]) {
    let mut got = vec![0; wanted.len()];
    from.read_exact(&mut got).await.unwrap();
    assert_eq!(got, wanted);
}

#[test]
fn what_came_before_the_tunnel_goes_first_and_then_both_ways_at_once() {
    run(async {
        let (sent, ()) = between(LONG, (b"early", b"hello"), async |mut client, mut upstream, heard| {
            read(&mut upstream, b"early").await;
            read(&mut client, b"hello").await;
            upstream.write_all(b"down").await.unwrap();
            read(&mut client, b"down").await;
            assert_eq!(heard.get(), 0, "only what the client sends is use of its session");
            client.write_all(b"up").await.unwrap();
            read(&mut upstream, b"up").await;
            assert_eq!(heard.get(), 1);
        })
        .await;
        assert_eq!(sent, 9);
    });
}

#[test]
fn a_side_that_has_finished_sending_still_receives() {
    run(async {
        between(LONG, (b"", b""), async |mut client, mut upstream, _| {
            client.write_all(b"last").await.unwrap();
            client.shutdown().await.unwrap();
            let mut all = Vec::new();
            upstream.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, b"last");
            upstream.write_all(b"answer").await.unwrap();
            read(&mut client, b"answer").await;
            upstream.shutdown().await.unwrap();
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0);
        })
        .await;
    });
}

#[test]
fn silence_from_both_sides_ends_a_tunnel_and_bytes_from_either_keep_it() {
    run(async {
        let idle = Duration::from_secs(4);
        between(idle, (b"", b""), async |mut client, mut upstream, _| {
            for _ in 0..3 {
                tokio::time::sleep(idle / 2).await;
                upstream.write_all(b"x").await.unwrap();
                read(&mut client, b"x").await;
            }
            assert_eq!(client.read(&mut [0]).await.unwrap(), 0, "it has ended");
        })
        .await;
    });
}

#[test]
fn a_side_that_does_not_read_is_not_read_for() {
    run(async {
        between(LONG, (b"", b""), async |mut client, upstream, _| {
            let mut taken = 0;
            // The pipes hold 64 bytes each, the tunnel one piece of at most 64.
            let write = async {
                loop {
                    taken += client.write(&[7; 64]).await.unwrap();
                }
            };
            let stalled = tokio::time::timeout(Duration::from_millis(100), write).await;
            assert!(stalled.is_err() && taken <= 3 * 64, "{taken}");
            drop(upstream);
        })
        .await;
    });
}

proptest! {
    #[test]
    fn every_byte_arrives_once_and_in_order(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..200), 0..20)) {
        run(async {
            let whole = pieces.concat();
            between(LONG, (b"", b""), async |client, upstream, _| {
                let (mut cr, mut cw) = split(client);
                let (mut ur, mut uw) = split(upstream);
                let write = async {
                    for piece in &pieces {
                        cw.write_all(piece).await.unwrap();
                    }
                    cw.shutdown().await.unwrap();
                };
                let echo = async {
                    tokio::io::copy(&mut ur, &mut uw).await.unwrap();
                    uw.shutdown().await.unwrap();
                };
                let mut back = Vec::new();
                let (_, _, read) = tokio::join!(write, echo, cr.read_to_end(&mut back));
                read.unwrap();
                assert_eq!(back, whole);
            })
            .await;
        });
    }
}
