//! Listening sockets, one of each address for every worker, and how many connections
//! are let in, and streams of HTTP/2 beyond the first of each (docs/decisions/0039).

use crate::metrics::Limit;
use portcullis_config::Limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    collections::HashMap,
    fmt::{self, Display, Formatter},
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

/// Descriptors that are counted on even where the system gives fewer.
const FEWEST: usize = 32;

/// Bound sockets.
pub struct Listeners {
    addresses: Vec<SocketAddr>,
    workers: Vec<Vec<TcpListener>>,
}

/// Who has connected, and to what kind of listener.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// The client's, or that of a proxy before us.
    pub address: IpAddr,
    /// The listener is bound to loopback: it answers to loopback names (contract section 4), which
    /// no listener that others can reach does.
    pub on_loopback: bool,
}

impl Display for Caller {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
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

/// How many connections are open, in all and by address, and how many streams beyond the
/// first of each. A place is worth two descriptors: its client's and one to an upstream.
pub struct Admission {
    limit: usize,
    /// The limit is ours: streams take of the same descriptors.
    shared: bool,
    descriptors: usize,
    per_address: Option<usize>,
    open: AtomicUsize,
    streams: AtomicUsize,
    /// How often the system had no descriptor for us.
    exhausted: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; dropping it makes room.
pub struct Place {
    admission: Arc<Admission>,
    counted: Option<IpAddr>,
}

/// One stream's, beyond the first of its connection; dropping it makes room.
pub struct StreamPlace(Arc<Admission>);

impl Admission {
    /// From the limits of the configuration, or of the system.
    pub fn new(limits: &Limits) -> Self {
        Self::of(limits.connections, limits.per_address_connections, descriptors())
    }

    fn of(connections: Option<usize>, per_address: Option<usize>, descriptors: usize) -> Self {
        Self {
            limit: connections.unwrap_or(descriptors / 2),
            shared: connections.is_none(),
            descriptors,
            per_address,
            open: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            exhausted: AtomicUsize::new(0),
            by_address: Mutex::default(),
        }
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// A place for a connection of this address, or the limit that leaves none.
    pub fn enter(self: &Arc<Self>, address: IpAddr) -> Result<Place, Limit> {
        let streams = if self.shared { self.streams.load(Ordering::Relaxed).div_ceil(2) } else { 0 };
        if self.open.fetch_add(1, Ordering::Relaxed) + streams >= self.limit {
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

    /// A place for one more stream of a connection that has so many of them already. No
    /// connection gets more of them than it leaves to all others, and all together get
    /// half of the descriptors, so that whoever has many cannot keep others out.
    pub fn enter_stream(self: &Arc<Self>, has: usize) -> Option<StreamPlace> {
        let unused = self.descriptors.saturating_sub(2 * self.open()).min(self.descriptors / 2);
        let one_more = |taken: usize| (has < unused.saturating_sub(taken)).then_some(taken + 1);
        let taken = self.streams.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        taken.ok().map(|_| StreamPlace(self.clone()))
    }

    /// The system has no descriptor left: connections at rest are to go.
    pub fn ran_out(&self) {
        self.exhausted.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that was.
    pub fn exhausted(&self) -> usize {
        self.exhausted.load(Ordering::Relaxed)
    }
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.streams.fetch_sub(1, Ordering::Relaxed);
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

/// Whether this error says that we have no descriptor, memory or port for a socket: it says
/// nothing about whoever was to be reached.
pub fn is_ours(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let ours = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::ADDRNOTAVAIL];
    match error.raw_os_error() {
        Some(code) => ours.iter().any(|errno| errno.raw_os_error() == code),
        // A look-up of a name does not say why it failed.
        None => std::os::unix::net::UnixDatagram::unbound().is_err(),
    }
}

/// What clients and upstreams may have of the descriptors of this process.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    let limit = limit.and_then(|l| usize::try_from(l).ok()).unwrap_or(1 << 20);
    limit.saturating_sub(RESERVED).max(FEWEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, per_address: Option<usize>) -> Arc<Admission> {
        Arc::new(Admission::of(Some(connections), per_address, 2 * connections))
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

    #[test]
    fn streams_of_one_connection_leave_as_many_to_others_and_half_to_connections() {
        let admission = Arc::new(Admission::of(None, None, 64));
        let address = IpAddr::from([127, 0, 0, 1]);
        let mut taken = Vec::new();
        let mut take = || {
            let mut mine = Vec::new();
            while let Some(place) = admission.enter_stream(mine.len()) {
                mine.push(place);
            }
            taken.push(mine);
        };
        (0..5).for_each(|_| take());
        let counts: Vec<_> = taken.iter().map(Vec::len).collect();
        assert_eq!(counts, [16, 8, 4, 2, 1]);
        let places: Vec<_> = std::iter::from_fn(|| admission.enter(address).ok()).collect();
        assert_eq!(places.len(), 16, "a stream is worth half a connection");
        drop(taken);
        assert!(admission.enter(address).is_ok());
        assert_eq!(admission.streams.load(Ordering::Relaxed), 0);
    }

    //
    #[test]
    fn what_we_lack_is_not_the_fault_of_whoever_was_to_be_reached() {
        use rustix::io::Errno;
        let of = |errno: Errno| is_ours(&io::Error::from_raw_os_error(errno.raw_os_error()));
        assert!([Errno::MFILE, Errno::NFILE, Errno::ADDRNOTAVAIL].into_iter().all(of));
        assert!(![Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::CONNRESET].into_iter().any(of));
        assert!(!is_ours(&io::Error::other("no such name")));
    }
}
