//! Listening sockets, one of each address for every worker, and how many connections
//! are let in.

use crate::metrics::Limit;
use portcullis_config::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Connections that the system keeps for a worker that is busy.
const BACKLOG: i32 = 4096;

/// Descriptors that are not client connections: store, log, upstreams at rest, …
const RESERVED: usize = 256;

/// Bound sockets.
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    workers: Vec<Vec<TcpListener>>,
}

impl Listeners {
    /// Binds every address once for each worker. An address that anybody else listens on
    /// is an error, also when the other one would share it.
    pub fn bind(addresses: &[SocketAddr], workers: usize) -> Result<Self, (SocketAddr, io::Error)> {
        let mut all = Self { addresses: Vec::new(), workers: (0..workers).map(|_| Vec::new()).collect() };
        for &address in addresses {
            all.bind_one(address).map_err(|error| (address, error))?;
        }
        Ok(all)
    }

    /// Where they listen, with the port that the system chose where it was asked to.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// One set for each worker.
    pub(super) fn into_workers(self) -> Vec<Vec<TcpListener>> {
        self.workers
    }

    fn bind_one(&mut self, address: SocketAddr) -> io::Result<()> {
        // Alone first: sharing must be ours, not an unnoticed second gateway's.
        let alone = socket(address, false)?;
        let address = alone.local_addr()?.as_socket().unwrap_or(address);
        drop(alone);
        for listeners in &mut self.workers {
            let socket = socket(address, true)?;
            socket.listen(BACKLOG)?;
            socket.set_nonblocking(true)?;
            listeners.push(socket.into());
        }
        self.addresses.push(address);
        Ok(())
    }
}

fn socket(address: SocketAddr, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Otherwise a restart meets its own connections in TIME_WAIT.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// How many connections are open, in all and by address.
pub struct Admission {
    limit: usize,
    per_address: Option<usize>,
    open: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; dropping it makes room.
pub struct Place {
    admission: Arc<Admission>,
    counted: Option<IpAddr>,
}

impl Admission {
    /// From the limits of the configuration, or of the system.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limit: limits.connections.unwrap_or_else(from_descriptors),
            per_address: limits.per_address_connections,
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
        }
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for a connection of this address, or the limit that leaves none.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Limit> {
        if self.open.fetch_add(1, Ordering::Relaxed) >= self.limit {
            self.open.fetch_sub(1, Ordering::Relaxed);
            return Err(Limit::Connections);
        }
        let mut place = Place { admission: self.clone(), counted: None };
        if let Some(limit) = self.per_address {
            let mut all = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let open = all.entry(address).or_default();
            if *open >= limit {
                drop(all);
                return Err(Limit::PerAddress);
            }
            *open += 1;
            place.counted = Some(address);
        }
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.admission.open.fetch_sub(1, Ordering::Relaxed);
        let Some(address) = self.counted else { return };
        let mut all = self.admission.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = all.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                all.remove(&address);
            }
        }
    }
}

/// Takes as many descriptors as this process may have: what a shell or a supervisor gives
/// at first is meant for programs that still use `select`.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit on descriptors stays where it was");
    }
}

/// A request may need a descriptor for its client and one for its upstream.
fn from_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(1 << 20);
    (limit.saturating_sub(RESERVED) / 2).max(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_address: Option<usize>) -> Arc<Admission> {
        Arc::new(Admission {
            limit: connections,
            per_address,
            open: AtomicUsize::new(0),
            by_address: Mutex::default(),
        })
    }

    #[test]
    fn an_address_in_use_is_an_error_also_when_it_is_shared() {
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = Listeners::bind(&[loopback], 2).expect("free");
        let taken = first.addresses()[0];
        let error = Listeners::bind(&[taken], 2).err().expect("taken");
        assert_eq!((error.0, error.1.kind()), (taken, io::ErrorKind::AddrInUse));
    }

    #[test]
    fn connections_are_let_in_up_to_the_limit_and_again_when_one_leaves() {
        let admission = admission(2, None);
        let address = IpAddr::from([127, 0, 0, 1]);
        let one = admission.enter(address).expect("room");
        let _two = admission.enter(address).expect("room");
        assert_eq!(admission.enter(address).err(), Some(Limit::Connections));
        drop(one);
        assert!(admission.enter(address).is_ok());
    }

    #[test]
    fn one_address_cannot_take_every_place() {
        let admission = admission(10, Some(1));
        let (a, b) = (IpAddr::from([127, 0, 0, 1]), IpAddr::from([127, 0, 0, 2]));
        let _one = admission.enter(a).expect("room");
        assert_eq!(admission.enter(a).err(), Some(Limit::PerAddress));
        assert!(admission.enter(b).is_ok());
        assert_eq!(admission.open.load(Ordering::Relaxed), 1);
    }
}
