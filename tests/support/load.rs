//! Steady load: requests at a fixed rate, half of them on kept connections and half on
//! new ones, and every one that was not answered as it should have been.

use crate::{Broken, Connection, Request};
use std::{
    net::{SocketAddr, TcpStream},
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Whoever asks within this time after a gateway was told to end is answered, also on a
/// connection that has rested: it waits for half a second.
pub const IN_TIME: Duration = Duration::from_millis(300);

/// Clients that ask all the time.
const CLIENTS: usize = 10;

/// A load under way.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    request: Request,
    stop: AtomicBool,
    /// From then on a connection may be refused; one that was accepted is answered.
    may_refuse: OnceLock<Instant>,
    answered: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// Requests that were answered 200.
    pub answered: usize,
    /// All others.
    pub failed: Vec<String>,
}

impl Load {
    /// Begins: so many requests a second, all of them this one.
    pub fn start(address: SocketAddr, request: &Request, a_second: u32) -> Self {
        let shared = Arc::new(Shared {
            address,
            request: request.clone(),
            stop: AtomicBool::default(),
            may_refuse: OnceLock::new(),
            answered: AtomicUsize::default(),
            failed: Mutex::default(),
        });
        let each = Duration::from_secs(1) * CLIENTS as u32 / a_second;
        let clients = (0..CLIENTS).map(|number| {
            let shared = shared.clone();
            thread::spawn(move || shared.ask(number % 2 == 0, each))
        });
        let clients = clients.collect();
        Self { shared, clients }
    }

    /// How many have been answered so far.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// The gateway is about to be told to end.
    pub fn may_refuse(&self) {
        let _ = self.shared.may_refuse.set(Instant::now());
    }

    /// Ends it. After [`may_refuse`](Self::may_refuse) it ends by itself.
    pub fn end(self) -> Outcome {
        if self.shared.may_refuse.get().is_none() {
            self.shared.stop.store(true, Ordering::SeqCst);
        }
        for client in self.clients {
            client.join().expect("a client does not panic");
        }
        let failed = self.shared.failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Outcome { answered: self.shared.answered.load(Ordering::SeqCst), failed }
    }
}

impl Shared {
    fn ask(&self, keeps: bool, each: Duration) {
        let mut kept: Option<Connection> = None;
        let mut due = Instant::now();
        while !self.stop.load(Ordering::SeqCst) {
            // This is a rate and no condition that could be waited for.
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due += each;
            let reused = kept.is_some();
            let connection = match kept.take() {
                Some(connection) => connection,
                None => match TcpStream::connect(self.address) {
                    Ok(stream) => Connection::over(stream),
                    Err(_) if self.may_refuse.get().is_some() => return,
                    Err(error) => {
                        self.failed(format!("no connection: {error}"));
                        continue;
                    }
                },
            };
            kept = self.one(connection, reused).filter(|_| keeps);
        }
    }

    fn one(&self, mut connection: Connection, reused: bool) -> Option<Connection> {
        connection.start(&self.request);
        let late = self.may_refuse.get().is_some_and(|then| then.elapsed() > IN_TIME);
        match connection.try_response_to(&self.request.method) {
            Ok(answer) if answer.status == 200 => {
                self.answered.fetch_add(1, Ordering::SeqCst);
                let closes = answer.header("connection").is_some_and(|c| c.eq_ignore_ascii_case("close"));
                return (!closes).then_some(connection);
            }
            Ok(answer) => self.failed(format!("{}: {}", answer.status, answer.text())),
            // It had rested for longer than a gateway that ends waits.
            Err(Broken::Closed(bytes)) if bytes.is_empty() && reused && late => {}
            Err(Broken::Closed(bytes)) => {
                self.failed(format!("closed after {} bytes, reused: {reused}", bytes.len()));
            }
            Err(other) => self.failed(format!("{other:?}, reused: {reused}")),
        }
        None
    }

    fn failed(&self, why: String) {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner).push(why);
    }
}
