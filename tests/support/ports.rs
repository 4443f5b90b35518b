//! Ports for programs that cannot say which one they were given, and ports where nobody
//! listens. One that the system gave out and that was given back can be anybody's a moment
//! later: another test's upstream, or the near end of any connection. These lie below the
//! range that the system gives out by itself, and none is given out twice.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// The lowest that is given out here.
const LOWEST: u32 = 10_000;

/// A port that nobody listens on, and that nobody else is given.
pub fn free_port() -> u16 {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let ports = end() - LOWEST;
    // Another run beside this one begins elsewhere.
    let first = std::process::id().wrapping_mul(2_654_435_761);
    for _ in 0..ports {
        let turn = first.wrapping_add(TURN.fetch_add(1, Ordering::Relaxed));
        let port = u16::try_from(LOWEST + turn % ports).expect("it is below the range of the system");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// The same as an address.
pub fn nobody() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port()).into()
}

/// Where the range of the system begins.
fn end() -> u32 {
    static END: OnceLock<u32> = OnceLock::new();
    *END.get_or_init(|| {
        let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
        let begin = range.split_whitespace().next().and_then(|word| word.parse().ok());
        // A system that gives out nearly all leaves none for us alone: then any will have to do.
        begin.filter(|begin| (LOWEST + 1000..=65_535).contains(begin)).unwrap_or(32_768)
    })
}
