//! One worker: a thread with a runtime of its own, its own listeners, its own upstream
//! connections. Workers share what is read without waiting, and nothing else.

use super::{
    access_log::AccessLog,
    connection,
    endpoint::EndpointHandler,
    handshake, health,
    listen::{Admission, Caller, Listeners, is_ours},
    passing::{LARGE, Passing},
    pool::Pool,
    prepared::PreparedHeaders,
    stream::Stream,
    timers::Timers,
};
use crate::{
    clock::Clock,
    metrics::{Meter, Metrics},
    pages::Pages,
    random::Random,
    sessions::Sessions,
    snapshot::Snapshot,
    telemetry::Logger,
    tokens::{Tokens, VerifiedCache},
};
use arc_swap::ArcSwap;
use std::{
    cell::{Cell, RefCell},
    io,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle, LocalOptions},
    sync::{Notify, mpsc},
};

/// Kept buffers of a worker, and the size that a buffer begins with.
const BUFFERS: (usize, usize) = (64, 16 * 1024);

/// How often a worker looks after its log and its pool.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// What may wait in the system for a client, beyond what is on its way.
const UNSENT: u32 = 128 * 1024;

/// How long a kept connection waits for one more request once the gateway drains.
const LAST_REQUESTS: Duration = Duration::from_millis(500);

/// What all workers are given.
#[derive(Clone)]
pub struct Plane {
    /// The configuration that requests read.
    pub snapshot: Arc<ArcSwap<Snapshot>>,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Verifies tokens, signs assertions.
    pub tokens: Arc<Tokens>,
    /// What a browser is shown.
    pub pages: Arc<ArcSwap<Pages>>,
    /// Our own endpoints.
    pub endpoints: EndpointHandler,
    /// Where they run.
    pub control: Handle,
    /// The time.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Where requests are counted.
    pub metrics: Arc<Metrics>,
    /// The access log's way out; none: no access log.
    pub log: Option<Logger>,
}

/// What one worker works with.
pub struct Worker {
    pub(super) sessions: Arc<Sessions>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) pages: Arc<ArcSwap<Pages>>,
    pub(super) endpoints: EndpointHandler,
    pub(super) control: Handle,
    pub(super) clock: Clock,
    pub(super) log: AccessLog,
    pub(super) meter: Meter,
    pub(super) timers: Rc<Timers>,
    pub(super) buffers: Rc<Buffers>,
    pub(super) pool: Pool,
    /// What waits for clients.
    pub(super) passing: Rc<Passing>,
    /// Memory for one piece of an answer, between a read and what is done with it.
    pub(super) piece: RefCell<Box<[u8]>>,
    pub(super) verified: RefCell<VerifiedCache>,
    pub(super) prepared: PreparedHeaders,
    pub(super) admission: Arc<Admission>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    current: RefCell<Rc<Current>>,
    stop: Arc<Stop>,
    ids: (u64, Cell<u64>),
    date: RefCell<(u64, String)>,
    open: Cell<usize>,
    closed: Notify,
}

/// The configuration as this worker holds it.
pub(super) struct Current(Arc<Snapshot>);

impl std::ops::Deref for Current {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.0
    }
}

/// How workers are told to stop.
#[derive(Default)]
struct Stop {
    asked: AtomicBool,
    wake: Notify,
}

impl Worker {
    fn new(plane: Plane, admission: Arc<Admission>, stop: Arc<Stop>) -> Rc<Self> {
        let current = RefCell::new(Rc::new(Current(plane.snapshot.load_full())));
        Rc::new(Self {
            ids: (u64::from_be_bytes(plane.random.bytes()), Cell::new(0)),
            sessions: plane.sessions,
            tokens: plane.tokens,
            pages: plane.pages,
            endpoints: plane.endpoints,
            control: plane.control,
            clock: plane.clock,
            log: AccessLog::new(plane.log),
            meter: plane.metrics.meter(),
            timers: Timers::new(),
            buffers: Rc::default(),
            pool: Pool::default(),
            passing: Rc::default(),
            piece: RefCell::new(vec![0; LARGE].into()),
            verified: RefCell::new(VerifiedCache::new()),
            prepared: PreparedHeaders::default(),
            admission,
            snapshot: plane.snapshot,
            current,
            stop,
            date: RefCell::default(),
            open: Cell::new(0),
            closed: Notify::new(),
        })
    }

    /// The configuration, for a look.
    pub(super) fn snapshot(&self) -> arc_swap::Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// The configuration, for the length of a request. Counted on this thread alone: a
    /// counter that all workers share would cost each of them at every request.
    pub(super) fn current(&self) -> Rc<Current> {
        let latest = self.snapshot.load();
        let mut current = self.current.borrow_mut();
        if !Arc::ptr_eq(&current.0, &latest) {
            *current = Rc::new(Current(Arc::clone(&latest)));
            self.prepared.clear();
        }
        current.clone()
    }

    /// Whether no newer configuration has been seen here than the one that a request holds.
    pub(super) fn is_current(&self, held: &Snapshot) -> bool {
        std::ptr::eq(Arc::as_ptr(&self.current.borrow().0), held)
    }

    /// Unlike any other request's of this process, and hard to guess from another's process.
    pub(super) fn next_request_id(&self) -> String {
        let (prefix, counter) = &self.ids;
        counter.set(counter.get() + 1);
        let mut id = String::with_capacity(24);
        for nibble in
            (0..16).rev().map(|n| prefix >> (4 * n)).chain((0..8).rev().map(|n| counter.get() >> (4 * n)))
        {
            id.push(char::from_digit((nibble & 15) as u32, 16).unwrap_or('0'));
        }
        id
    }

    /// The `Date` of an answer of ours (RFC 9110 §6.6.1), made once a second.
    pub(super) fn http_date(&self) -> String {
        let second = self.clock.now().seconds();
        let mut date = self.date.borrow_mut();
        if date.0 != second {
            *date = (second, httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second)));
        }
        date.1.clone()
    }

    /// No new request is begun.
    pub(super) fn is_draining(&self) -> bool {
        self.stop.asked.load(Ordering::Relaxed)
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        let on_loopback = listener.local_addr().is_ok_and(|own| own.ip().to_canonical().is_loopback());
        let caller =
            |address: std::net::SocketAddr| Caller { address: address.ip().to_canonical(), on_loopback };
        while !self.is_draining() {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.stop.wake.notified() => continue,
            };
            match accepted {
                Ok((stream, peer)) => self.clone().admit(stream, caller(peer)),
                Err(error) => {
                    // Out of descriptors, most likely: others will close theirs.
                    tracing::warn!(%error, "cannot accept a connection");
                    if is_ours(&error) {
                        self.admission.ran_out();
                    }
                    tokio::time::sleep(HOUSEKEEPING).await;
                }
            }
        }
        // The system has accepted these already: closing the listener would reset them.
        let Ok(listener) = listener.into_std() else { return };
        while let Ok((stream, peer)) = listener.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| TcpStream::from_std(stream));
            if let Ok(stream) = stream {
                self.clone().admit(stream, caller(peer));
            }
        }
    }

    fn admit(self: Rc<Self>, stream: TcpStream, peer: Caller) {
        let place = match self.admission.enter(peer.address) {
            Ok(place) => place,
            Err(limit) => return self.meter.limit(limit),
        };
        let _ = stream.set_nodelay(true);
        // Otherwise megabytes wait in the system, and nobody sees a slow client take a part.
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
        let open = Open::new(self.clone());
        tokio::task::spawn_local(async move {
            match self.snapshot().tls.clone() {
                None => connection::serve(self.clone(), Stream::Plain(stream), peer, None).await,
                // Larger: boxed, so that a plain connection does not pay for it.
                Some(tls) => Box::pin(handshake::serve(self.clone(), stream, peer, tls)).await,
            }
            drop((place, open));
        });
    }

    async fn look_after(self: Rc<Self>) {
        let (mut rounds, mut exhausted) = (0u32, 0);
        loop {
            tokio::time::sleep(HOUSEKEEPING).await;
            self.log.flush();
            if exhausted != self.admission.exhausted() {
                exhausted = self.admission.exhausted();
                self.pool.clear();
            }
            rounds = rounds.wrapping_add(1);
            if rounds.is_multiple_of(50) {
                self.pool.prune();
            }
        }
    }

    async fn run(self: Rc<Self>, listeners: Vec<std::net::TcpListener>, limit: Arc<Cutoff>) {
        tokio::task::spawn_local(self.timers.clone().run(self.clock.clone()));
        tokio::task::spawn_local(self.clone().look_after());
        let accepting = listeners.into_iter().map(|listener| {
            let listener = TcpListener::from_std(listener).expect("a listener in non-blocking mode");
            tokio::task::spawn_local(self.clone().accept(listener))
        });
        for task in accepting.collect::<Vec<_>>() {
            let _ = task.await;
        }
        let end = tokio::time::Instant::now() + limit.get();
        // Whoever asks all the time is told `Connection: close` with its next answer;
        // closing at once would cross with a request on its way.
        let _ = tokio::time::timeout(LAST_REQUESTS.min(limit.get()), self.quiet()).await;
        self.timers.end_idle(LAST_REQUESTS);
        let _ = tokio::time::timeout_at(end, self.quiet()).await;
        self.log.flush();
    }

    async fn quiet(&self) {
        while self.open.get() > 0 {
            self.closed.notified().await;
        }
    }
}

/// One open connection of a worker. Dropped also when its task panics: a drain must not
/// wait for it.
struct Open(Rc<Worker>);

impl Open {
    fn new(worker: Rc<Worker>) -> Self {
        worker.open.set(worker.open.get() + 1);
        Self(worker)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.closed.notify_one();
    }
}

/// How long what is in flight may take once workers are told to stop.
#[derive(Default)]
struct Cutoff(std::sync::Mutex<Duration>);

impl Cutoff {
    fn get(&self) -> Duration {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn set(&self, limit: Duration) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = limit;
    }
}

/// Memory for bytes, lent to whoever has bytes.
#[derive(Default)]
pub struct Buffers(RefCell<Vec<Vec<u8>>>);

impl Buffers {
    /// An empty one.
    pub fn take(&self) -> Vec<u8> {
        self.0.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(BUFFERS.1))
    }

    /// Back for the next. Ones that have grown are let go.
    pub fn give(&self, mut buffer: Vec<u8>) {
        let mut buffers = self.0.borrow_mut();
        if (1..=2 * BUFFERS.1).contains(&buffer.capacity()) && buffers.len() < BUFFERS.0 {
            buffer.clear();
            buffers.push(buffer);
        }
    }
}

/// The running workers.
pub struct Workers {
    admission: Arc<Admission>,
    stops: Vec<Arc<Stop>>,
    cutoff: Arc<Cutoff>,
    ended: mpsc::UnboundedReceiver<()>,
}

/// Starts one worker for each set of listeners.
pub fn start(plane: &Plane, listeners: Listeners) -> io::Result<Workers> {
    let admission = Arc::new(Admission::new(&plane.snapshot.load().limits));
    let cutoff = Arc::new(Cutoff::default());
    let (done, ended) = mpsc::unbounded_channel();
    let mut stops = Vec::new();
    for (index, listeners) in listeners.into_workers().into_iter().enumerate() {
        let stop = Arc::new(Stop::default());
        stops.push(stop.clone());
        let (plane, admission, cutoff, done) =
            (plane.clone(), admission.clone(), cutoff.clone(), done.clone());
        let (started, waits) = std::sync::mpsc::channel();
        std::thread::Builder::new().name(format!("data-{index}")).spawn(move || {
            // A local runtime is tied to its thread, so it is made there.
            let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default());
            let runtime = match runtime {
                Ok(runtime) => runtime,
                Err(error) => return drop(started.send(Err(error))),
            };
            let _ = started.send(Ok(()));
            runtime.block_on(async {
                let worker = Worker::new(plane, admission, stop);
                if index == 0 {
                    tokio::task::spawn_local(health::watch(worker.clone()));
                }
                worker.run(listeners, cutoff).await;
            });
            let _ = done.send(());
        })?;
        waits.recv().map_err(io::Error::other)??;
    }
    Ok(Workers { admission, stops, cutoff, ended })
}

impl Workers {
    /// How many connections are open.
    pub fn admission(&self) -> Arc<Admission> {
        self.admission.clone()
    }

    /// Stops accepting, lets what is in flight finish, and returns when that is done or
    /// `limit` is over.
    pub async fn drain(mut self, limit: Duration) {
        self.cutoff.set(limit);
        for stop in &self.stops {
            stop.asked.store(true, Ordering::SeqCst);
            // One permit is kept for a listener that is not waiting yet.
            stop.wake.notify_waiters();
            stop.wake.notify_one();
        }
        for _ in 0..self.stops.len() {
            let _ = self.ended.recv().await;
        }
    }
}
