//! Connections to upstreams, kept after an answer for the next request of the same
//! worker. A connection is handed out once and given back only when both sides of it
//! are known to be at rest.

use super::stream::Stream;
use crate::snapshot::Upstream;
use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    time::{Duration, Instant},
};
use tokio::net::TcpStream;

/// Kept connections of one worker to one upstream.
const KEPT: usize = 256;

/// Shorter than the minute after which most servers close, so that we close first.
const KEPT_FOR: Duration = Duration::from_secs(55);

/// Kept connections, by upstream.
#[derive(Default)]
pub struct Pool(RefCell<HashMap<(String, u16), Vec<Kept>>>);

struct Kept {
    stream: Stream,
    since: Instant,
}

impl Pool {
    /// A kept connection that the upstream has not closed, the youngest first.
    pub fn take(&self, upstream: &Upstream) -> Option<Stream> {
        let mut pool = self.0.borrow_mut();
        let kept = pool.get_mut(&upstream.address)?;
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
    pub fn give(&self, upstream: &Upstream, stream: Stream) {
        let mut pool = self.0.borrow_mut();
        if !pool.contains_key(&upstream.address) {
            pool.insert(upstream.address.clone(), Vec::new());
        }
        if let Some(kept) = pool.get_mut(&upstream.address) {
            if kept.len() == KEPT {
                kept.remove(0);
            }
            kept.push(Kept { stream, since: Instant::now() });
        }
    }

    /// Closes what has been kept for too long.
    pub fn prune(&self) {
        for kept in self.0.borrow_mut().values_mut() {
            kept.retain(|k| k.since.elapsed() <= KEPT_FOR);
        }
    }
}

/// A new connection; names are looked up, and their addresses tried in turn.
pub async fn connect(upstream: &Upstream) -> io::Result<Stream> {
    let (host, port) = &upstream.address;
    let stream = TcpStream::connect((host.as_str(), *port)).await?;
    stream.set_nodelay(true)?;
    Ok(Stream::Plain(stream))
}
