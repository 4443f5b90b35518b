//! A library in a process of its own (`isolation = "process"`): a crash in it costs the
//! calls that are in flight there and a restart, never the gateway. Calls, tickets and
//! instances are those of a library in this process; only the way there is another.
//!
//! `apart/frames.rs` what goes over the socket · `apart/child.rs` the other side of it ·
//! `apart/keeper.rs` the thread that starts the process, listens, and starts it again.
//!
//! What may not come in: what messages mean (`foreign.rs`), pointers (`library.rs`).

pub(super) mod child;
mod frames;
mod keeper;

use super::{
    info::Info,
    refusal::Refusal,
    tickets::{Reply, TICKETS},
};
use frames::Frame;
use portcullis_plugin_api::{
    abi,
    wire::{self, Fault},
};
use std::{
    collections::HashMap,
    os::unix::net::UnixStream,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc,
    },
    time::Duration,
};
use zeroize::Zeroizing;

/// Processes of libraries that ended though somebody used them.
pub(super) static ENDED: AtomicU64 = AtomicU64::new(0);

/// How long `create` may take to return; an instance may take its own time after that.
const CREATING: Duration = Duration::from_secs(60);

/// The process of one library, for as long as somebody holds this.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) info: Info,
    pub(super) sha256: String,
    flags: u32,
    shared: Arc<Shared>,
    /// Closed by its drop: the keeper starts no further process.
    used: Option<mpsc::Sender<()>>,
}

/// What the keeper and the callers share.
#[derive(Debug)]
struct Shared {
    plugin: String,
    /// As the operator wrote it, for words about it.
    path: PathBuf,
    /// Whose bytes were checked.
    copy: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// None while there is no process.
    way: Option<Way>,
    /// How the last process ended.
    ended: String,
    instances: HashMap<u64, Instance>,
    /// Which instance was asked with which ticket, until it has answered.
    asked: HashMap<u64, u64>,
    /// Who waits for the return of `create`.
    creating: HashMap<u64, mpsc::Sender<Created>>,
}

/// The way to the process.
struct Way {
    to: mpsc::Sender<Zeroizing<Vec<u8>>>,
    socket: UnixStream,
}

/// What an instance is made of, so that it can be made again.
struct Instance {
    kind: String,
    settings: Zeroizing<Vec<u8>>,
    /// Whose completion says that it has started.
    starting: Option<u64>,
    started: bool,
    /// Whether `create` has returned it: that may be later.
    returned: bool,
}

/// What `create` returned: its code, and whether there is an instance.
type Created = (i32, bool);

// Settings are secrets: of the state no more is shown than that there is one.
impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("instances", &self.instances.len()).finish_non_exhaustive()
    }
}

impl Process {
    /// Starts the process and has it load the private `copy` of the library at `path`.
    pub(super) fn start(
        plugin: &str,
        path: &std::path::Path,
        copy: PathBuf,
        info: Info,
        sha256: String,
    ) -> Result<Self, Refusal> {
        let state = Mutex::default();
        let shared = Arc::new(Shared { plugin: plugin.to_owned(), path: path.to_owned(), copy, state });
        let (used, unused) = mpsc::channel();
        let flags = keeper::start(shared.clone(), unused)?;
        Ok(Self { info, sha256, flags, shared, used: Some(used) })
    }

    /// Whether the library's own `call` only queues.
    pub(super) fn is_async(&self) -> bool {
        self.flags & abi::FLAG_ASYNC != 0
    }

    /// Has an instance made, and waits until `create` has returned.
    pub(super) fn create(
        self: &Arc<Self>,
        number: u64,
        ticket: u64,
        kind: &str,
        settings: &[u8],
    ) -> Result<(i32, Option<Made>), String> {
        let (tell, told) = mpsc::channel();
        {
            let mut state = self.shared.lock();
            let state = &mut *state;
            let Some(way) = &state.way else { return Err(state.ended.clone()) };
            state.asked.insert(ticket, number);
            state.creating.insert(ticket, tell);
            let settings = Zeroizing::new(settings.to_vec());
            let kind = kind.to_owned();
            let instance =
                Instance { kind, settings, starting: Some(ticket), started: false, returned: false };
            way.send(&instance.create(number, ticket));
            state.instances.insert(number, instance);
        }
        let created = told.recv_timeout(CREATING);
        let mut state = self.shared.lock();
        match created {
            Ok((code, true)) => Ok((code, Some(Made { process: self.clone(), number }))),
            Ok((code, false)) => {
                state.instances.remove(&number);
                state.asked.remove(&ticket);
                Ok((code, None))
            }
            Err(_) => {
                state.instances.remove(&number);
                state.creating.remove(&ticket);
                let late = || format!("did not return within {} seconds", CREATING.as_secs());
                Err(if state.way.is_some() { late() } else { state.ended.clone() })
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // First, so that the end of the process is expected.
        drop(self.used.take());
        if let Some(way) = self.shared.lock().way.take() {
            // The process reads its end, and so does the keeper.
            let _ = way.socket.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// An instance in such a process.
#[derive(Debug)]
pub(super) struct Made {
    process: Arc<Process>,
    number: u64,
}

impl Made {
    /// Queues a question. Without a process, or while the instance is made again, it is
    /// answered at once.
    pub(super) fn call(&self, ticket: u64, op: u32, request: &[u8]) {
        let number = self.number;
        let why = {
            let mut state = self.process.shared.lock();
            let state = &mut *state;
            let ready =
                state.instances.get(&number).is_some_and(|instance| instance.started && instance.returned);
            match &state.way {
                Some(way) if ready => {
                    state.asked.insert(ticket, number);
                    way.send(&Frame::new(frames::CALL, number, ticket, op, request));
                    return;
                }
                _ => state.ended.clone(),
            }
        };
        answer(number, ticket, &why);
    }

    /// Nobody waits for this ticket any more.
    pub(super) fn cancel(&self, ticket: u64) {
        let state = self.process.shared.lock();
        if let (Some(way), true) = (&state.way, state.asked.contains_key(&ticket)) {
            way.send(&Frame::new(frames::CANCEL, self.number, ticket, 0, &[]));
        }
    }

    /// The last use of it.
    pub(super) fn destroy(self, ticket: u64) {
        let number = self.number;
        {
            let mut state = self.process.shared.lock();
            let state = &mut *state;
            state.instances.remove(&number);
            if let Some(way) = &state.way {
                state.asked.insert(ticket, number);
                way.send(&Frame::new(frames::DESTROY, number, ticket, 0, &[]));
                return;
            }
        }
        // With its process it has ended already.
        TICKETS.complete(number, ticket, true, Reply { status: abi::STATUS_OK, body: Ok(Vec::new()) });
    }
}

impl Way {
    fn send(&self, frame: &Frame) {
        // A writer that is gone has left a process that is ending, and the keeper answers
        // for that.
        let _ = self.to.send(frame.bytes());
    }
}

impl Instance {
    fn create(&self, number: u64, ticket: u64) -> Frame {
        let mut body = Zeroizing::new(Vec::with_capacity(self.kind.len() + 1 + self.settings.len()));
        body.extend_from_slice(self.kind.as_bytes());
        body.push(0);
        body.extend_from_slice(&self.settings);
        Frame::new(frames::CREATE, number, ticket, 0, &body)
    }
}

impl Shared {
    // Nothing runs under it that could panic half-way.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers a ticket in the place of a process that cannot.
fn answer(number: u64, ticket: u64, why: &str) {
    let body = wire::encode(&Fault::of("failed", why));
    TICKETS.complete(number, ticket, true, Reply { status: abi::STATUS_ERROR, body });
}

/// Answers that the process gave to nothing it was asked.
fn stray(plugin: &str, ticket: u64) {
    TICKETS.stray.fetch_add(1, Relaxed);
    tracing::warn!(%plugin, ticket, "the plugin process answered what nobody asked: ignored");
}
