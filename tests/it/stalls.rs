//! Handshakes that begin and do not go on (row D-01: "TLS hello 1 byte/s"): each ends at
//! `header_timeout`, is counted, and keeps nobody else from being served.

use crate::tls::Secured;
use portcullis_tests::{Connection, Numbers, Upstream, services::service, until};
use std::{io::Write, net::TcpStream};

/// The beginning of a ClientHello in one record of 16 KiB, which never becomes whole.
const HELLO: &[u8] = &[0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3];

/// How many of each kind stall at a time.
const MANY: u64 = 20;

fn stalled(numbers: &Numbers, time: &str) -> (Secured, u64) {
    let limits = format!("header_timeout = \"{time}\"\n{}", numbers.table());
    let site = Secured::limited(Upstream::start(), &limits);
    let before = numbers.refused("header_timeout");
    (site, before)
}

#[test]
fn handshakes_that_stall_end_in_time_and_hold_nobody_up() {
    let numbers = Numbers::place();
    // Long enough for one that does not stall, on a machine that has more to do.
    let (site, before) = stalled(&numbers, "3s");
    let begin = |bytes: &[u8]| {
        let mut connection = Connection::over(TcpStream::connect(site.gateway.address).unwrap());
        connection.write(bytes);
        connection
    };
    let held: Vec<_> = (0..MANY).flat_map(|_| [&HELLO[..0], &HELLO[..1], HELLO].map(begin)).collect();
    if service("curl").is_some() {
        assert_eq!(site.status("gw.test", &[], "/public/x"), "200");
    }
    for mut connection in held {
        // An alert may say why; there is nothing else to say.
        let last = connection.rest().expect("it ends");
        assert!(last.len() <= 7, "{last:?}");
    }
    until("all of them in the numbers", || {
        (numbers.refused("header_timeout") == before + 3 * MANY).then_some(())
    });
}

#[test]
fn a_hello_whose_bytes_drip_is_bounded_as_a_whole() {
    let numbers = Numbers::place();
    let (site, before) = stalled(&numbers, "700ms");
    let mut slow = TcpStream::connect(site.gateway.address).unwrap();
    let mut bytes = HELLO.iter().copied().chain(std::iter::repeat(0));
    let mut sent = 0;
    until("the end of a handshake that drips", || {
        // Its end may come before the next byte.
        sent += usize::from(slow.write_all(&[bytes.next()?]).is_ok());
        (numbers.refused("header_timeout") == before + 1).then_some(())
    });
    assert!(sent > HELLO.len(), "it dripped: {sent} bytes");
}
