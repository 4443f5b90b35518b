//! Connections to upstreams, kept after an answer for the next request of the same
//! worker. A connection is handed out once and given back only when both sides of it
//! are known to be at rest.

use super::{
    stream::Stream,
    upstream::{Place, Secure, Server},
};
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    net::IpAddr,
    time::{Duration, Instant},
};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// Kept connections of one worker to one server of an upstream.
const KEPT: usize = 256;

/// Shorter than the minute after which most servers close, so that we close first.
const KEPT_FOR: Duration = Duration::from_secs(55);

/// Kept connections, by server.
#[derive(Default)]
pub struct Pool {
    kept: RefCell<HashMap<Place, Vec<Kept>>>,
    /// By upstream: how many requests went there.
    turns: RefCell<Vec<usize>>,
}

struct Kept {
    stream: Stream,
    since: Instant,
}

impl Pool {
    /// A kept connection that the upstream has not closed, the youngest first.
    pub fn take(&self, server: &Server) -> Option<Stream> {
        let mut pool = self.kept.borrow_mut();
        let kept = pool.get_mut(&server.place)?;
        while let Some(Kept { mut stream, since }) = kept.pop() {
            if since.elapsed() > KEPT_FOR {
                // The rest are older.
                kept.clear();
                return None;
            }
            // At rest nothing may come: bytes or an end mean it is of no use any more.
            if stream.is_at_rest() {
                return Some(stream);
            }
        }
        None
    }

    /// Keeps a connection for later.
    pub fn give(&self, server: &Server, stream: Stream) {
        let mut pool = self.kept.borrow_mut();
        if !pool.contains_key(&server.place) {
            pool.insert(server.place.clone(), Vec::new());
        }
        if let Some(kept) = pool.get_mut(&server.place) {
            if kept.len() == KEPT {
                kept.remove(0);
            }
            kept.push(Kept { stream, since: Instant::now() });
        }
    }

    /// Closes all that are kept: their descriptors are needed. True: there were some.
    pub fn clear(&self) -> bool {
        !std::mem::take(&mut *self.kept.borrow_mut()).is_empty()
    }

    /// Closes what has been kept for too long.
    pub fn prune(&self) {
        self.kept.borrow_mut().retain(|_, kept| {
            kept.retain(|k| k.since.elapsed() <= KEPT_FOR);
            !kept.is_empty()
        });
    }

    /// Counts the requests of this worker to an upstream: its servers are taken in turn.
    pub fn turn(&self, upstream: usize) -> usize {
        let mut turns = self.turns.borrow_mut();
        if turns.len() <= upstream {
            turns.resize(upstream + 1, 0);
        }
        turns[upstream] = turns[upstream].wrapping_add(1);
        turns[upstream]
    }
}

/// A new connection. A name is looked up each time, so that a change counts at once, and
/// its addresses are tried in turn; while nobody answers the look-up, those of the last
/// one are. Over TLS it is one only when the server's certificate holds.
pub async fn connect(server: &Server) -> io::Result<Stream> {
    let Place { host, port, .. } = &server.place;
    let stream = match host.parse::<IpAddr>() {
        Ok(address) => TcpStream::connect((address, *port)).await?,
        Err(_) => {
            let found = lookup_host((host.as_str(), *port)).await.map(Iterator::collect);
            TcpStream::connect(&*server.condition.addresses(found)?).await?
        }
    };
    stream.set_nodelay(true)?;
    let Some(Secure { config, name }) = &server.secure else { return Ok(Stream::Plain(stream)) };
    // Rarer, and larger: boxed, so that a request does not pay for it.
    let handshake = Box::pin(TlsConnector::from(config.clone()).connect(name.clone(), stream));
    Ok(Stream::tls(handshake.await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    // Section 6 of the attack catalogue: 55 s
    #[tokio::test]
    async fn a_kept_connection_is_used_for_so_long_and_closed_then() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it has one");
        let place = Place { host: "127.0.0.1".into(), port: address.port(), setting: 0 };
        let condition = std::sync::Arc::default();
        let server = Server { place, secure: None, host_field: address.to_string(), condition };
        for (age, used) in [(0, true), (50, true), (56, false)] {
            for pruned in [false, true] {
                let pool = Pool::default();
                pool.give(&server, connect(&server).await.expect("it listens"));
                let mut kept = pool.kept.borrow_mut();
                let since = &mut kept.get_mut(&server.place).expect("it was given")[0].since;
                *since = since.checked_sub(Duration::from_secs(age)).expect("the machine is older");
                drop(kept);
                if pruned {
                    pool.prune();
                }
                assert_eq!(pool.take(&server).is_some(), used, "{age} s, pruned: {pruned}");
                assert!(pool.kept.borrow().values().all(Vec::is_empty), "{age} s");
            }
        }
    }
}
