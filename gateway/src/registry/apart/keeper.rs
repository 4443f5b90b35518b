//! The thread of one library's process: it starts the process, reads what it says, and
//! after its end makes everything again, a little later each time.
//!
//! The process ends with this thread (`PR_SET_PDEATHSIG` counts threads, not processes),
//! which is why a thread of its own starts it.

use super::{
    super::{lent, refusal::Refusal, tickets::Reply},
    ENDED, Shared, State, Way, answer,
    frames::{self, Frame},
    stray,
};
use crate::registry::tickets::TICKETS;
use portcullis_plugin_api::{abi, wire};
use std::{
    io::{Error, ErrorKind, Write},
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::Ordering::Relaxed,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::{Duration, Instant},
};
use zeroize::Zeroizing;

/// How long a process may take until its library is loaded.
const LOADING: Duration = Duration::from_secs(10);
/// The first pause before a restart; each further one is twice as long …
const SHORTEST: Duration = Duration::from_millis(100);
/// … up to this.
const LONGEST: Duration = Duration::from_secs(30);
/// A process that lived so long has earned the first pause again.
const STEADY: Duration = Duration::from_secs(60);

/// What of the gateway's environment the process gets: secrets may stand in the rest.
const ENVIRONMENT: [&str; 4] = ["LANG", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// What the first process answered: the flags of the library's table, or why not.
type First = Result<u32, Refusal>;

/// Starts the thread and waits for its first process. `unused` ends with the last user.
pub(super) fn start(shared: Arc<Shared>, unused: Receiver<()>) -> First {
    let (tell, told) = mpsc::sync_channel(1);
    let path = shared.path.clone();
    let cannot =
        |why: &str| Refusal::of("PLG-11", &path, format_args!("its process cannot be started: {why}"));
    let keep = move || keep(&shared, &unused, tell);
    let started = thread::Builder::new().name("plugin-process".to_owned()).spawn(keep);
    started.map_err(|error| cannot(&error.to_string()))?;
    told.recv().unwrap_or_else(|_| Err(cannot("its thread ended")))
}

fn keep(shared: &Shared, unused: &Receiver<()>, tell: SyncSender<First>) {
    let mut first = Some(tell);
    let mut pause = SHORTEST;
    loop {
        let begun = Instant::now();
        let why = match Running::start(shared) {
            Ok((running, flags)) => {
                running.begin(shared);
                // Its last user may have gone while it was loading, with no way yet to say so.
                if is_over(unused) {
                    return;
                }
                if let Some(tell) = first.take() {
                    let _ = tell.send(Ok(flags));
                }
                running.listen(shared)
            }
            Err(refusal) => match first.take() {
                Some(tell) => return drop(tell.send(Err(refusal))),
                None => refusal.to_string(),
            },
        };
        shared.over(&why);
        if begun.elapsed() > STEADY {
            pause = SHORTEST;
        }
        if is_over(unused) {
            return;
        }
        ENDED.fetch_add(1, Relaxed);
        let again_in_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        tracing::error!(plugin = %shared.plugin, again_in_ms, "{why}");
        if unused.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
        pause = (pause * 2).min(LONGEST);
    }
}

/// Whether nobody uses it any more.
fn is_over(unused: &Receiver<()>) -> bool {
    matches!(unused.try_recv(), Err(mpsc::TryRecvError::Disconnected))
}

/// A process that has loaded its library. It does not outlive this value.
struct Running {
    child: Child,
    socket: UnixStream,
}

impl Running {
    fn start(shared: &Shared) -> Result<(Self, u32), Refusal> {
        let cannot = |error: Error| {
            Refusal::of("PLG-11", &shared.path, format_args!("its process cannot be started: {error}"))
        };
        let (socket, theirs) = UnixStream::pair().map_err(cannot)?;
        let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        // The very program that runs now, also when its file was replaced since.
        let child = Command::new("/proc/self/exe")
            .args(["plugin", "apart"])
            .args([&shared.path, &shared.copy])
            .env_clear()
            .envs(kept)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .map_err(cannot)?;
        let mut running = Self { child, socket };
        running.socket.set_read_timeout(Some(LOADING)).map_err(cannot)?;
        let first = Frame::read(&mut running.socket);
        running.socket.set_read_timeout(None).map_err(cannot)?;
        match first {
            Ok(frame) if frame.kind == frames::LOADED => Ok((running, frame.code)),
            Ok(frame) if frame.kind == frames::REFUSED => {
                let _ = running.end();
                let [code, text] = frame.words();
                Err(Refusal::from_words(&code, text))
            }
            other => {
                let why = running.why(other.err());
                Err(Refusal::of("PLG-11", &shared.path, why))
            }
        }
    }

    /// Opens the way to it, and has every instance made again that there was before.
    fn begin(&self, shared: &Shared) {
        let (to, frames) = mpsc::channel::<Zeroizing<Vec<u8>>>();
        let sockets = self.socket.try_clone().and_then(|writer| Ok((writer, self.socket.try_clone()?)));
        let Ok((mut writer, socket)) = sockets else {
            // `listen` finds it closed, and this process ends.
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
            return;
        };
        // Writing may block as long as the process reads nothing, and no caller should.
        let write = move || while frames.recv().is_ok_and(|frame| writer.write_all(&frame).is_ok()) {};
        if thread::Builder::new().name("plugin-writer".to_owned()).spawn(write).is_err() {
            let _ = self.socket.shutdown(std::net::Shutdown::Both);
            return;
        }
        let way = Way { to, socket };
        let mut state = shared.lock();
        for (number, instance) in &mut state.instances {
            let (ticket, _) = TICKETS.issue(*number, None);
            TICKETS.take_back(ticket);
            instance.starting = Some(ticket);
            way.send(&instance.create(*number, ticket));
        }
        state.way = Some(way);
    }

    /// Until it ends, which is told.
    fn listen(mut self, shared: &Shared) -> String {
        let error = loop {
            match Frame::read(&mut self.socket) {
                Ok(frame) => shared.heard(frame),
                Err(error) => break error,
            }
        };
        self.why(Some(error))
    }

    /// Ends it, and says how it ended.
    fn why(&mut self, error: Option<Error>) -> String {
        match error {
            Some(error) if error.kind() == ErrorKind::InvalidData => {
                let _ = self.end();
                format!("the plugin process sent an unreadable answer: {error}")
            }
            Some(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                let _ = self.end();
                format!("its process did not load it within {} seconds", LOADING.as_secs())
            }
            // Whoever closes the socket is ending; it is not killed before it has said how.
            _ => format!("the plugin process ended: {}", self.wait()),
        }
    }

    fn wait(&mut self) -> String {
        let until = Instant::now() + Duration::from_secs(1);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
                Ok(None) | Err(_) => return self.end(),
            }
        }
    }

    fn end(&mut self) -> String {
        let _ = self.child.kill();
        self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of one that has ended already, nothing is left to be done.
        let _ = self.end();
    }
}

impl Shared {
    /// One frame of the process, which is believed about its own tickets and instances alone.
    fn heard(&self, frame: Frame) {
        match frame.kind {
            frames::CREATED => {
                let told = (frame.code.cast_signed(), frame.body.first() == Some(&1));
                let mut state = self.lock();
                if let Some(instance) = state.instances.get_mut(&frame.instance) {
                    instance.returned = told == (0, true);
                }
                // Nobody waits for one that is made again: its completion tells.
                if let Some(creating) = state.creating.remove(&frame.ticket) {
                    let _ = creating.send(told);
                }
            }
            frames::COMPLETED => {
                let body = Ok(frame.body.to_vec());
                self.completed(frame.instance, frame.ticket, Reply { status: frame.code, body });
            }
            frames::UNREADABLE => {
                let [why] = frame.words();
                self.completed(frame.instance, frame.ticket, Reply { status: frame.code, body: Err(why) });
            }
            frames::LOG => {
                let known = self.lock().instances.contains_key(&frame.instance);
                if let (true, Some(lent)) = (known, lent::of(frame.instance)) {
                    let [target, message, fields] = frame.words();
                    lent.log(frame.code, &target, &message, &fields);
                }
            }
            other => tracing::warn!(plugin = %self.plugin, kind = other, "an unknown frame: ignored"),
        }
    }

    fn completed(&self, number: u64, ticket: u64, reply: Reply) {
        let asked = {
            let mut state = self.lock();
            let started = state.started(number, ticket, &reply);
            let asked = match state.asked.get(&ticket) == Some(&number) {
                true => state.asked.remove(&ticket).is_some(),
                false => false,
            };
            if let (Some(ready), false) = (started, asked) {
                drop(state);
                self.made_again(ready, &reply);
                return;
            }
            asked
        };
        if asked {
            TICKETS.complete(number, ticket, reply.status == abi::STATUS_CANCELLED, reply);
        } else {
            stray(&self.plugin, ticket);
        }
    }

    fn made_again(&self, ready: bool, reply: &Reply) {
        if ready {
            tracing::info!(plugin = %self.plugin, "the plugin process answers again");
            return;
        }
        let fault = reply.body.as_ref().ok().and_then(|body| wire::decode::<wire::Fault>(body).ok());
        let why = fault.map(|fault| lent::one_line(&fault.message)).unwrap_or_default();
        tracing::error!(plugin = %self.plugin, error = %why, "an instance could not be made again in the new process");
    }

    /// The process has ended: whoever waits for it is told.
    fn over(&self, why: &str) {
        let asked = {
            let mut state = self.lock();
            let state = &mut *state;
            state.way = None;
            why.clone_into(&mut state.ended);
            state.creating.clear();
            for instance in state.instances.values_mut() {
                (instance.started, instance.returned, instance.starting) = (false, false, None);
            }
            std::mem::take(&mut state.asked)
        };
        for (ticket, number) in asked {
            answer(number, ticket, why);
        }
    }
}

impl State {
    /// Whether this ticket was the one of an instance's start, and whether that went well.
    fn started(&mut self, number: u64, ticket: u64, reply: &Reply) -> Option<bool> {
        let instance = self.instances.get_mut(&number).filter(|one| one.starting == Some(ticket))?;
        instance.starting = None;
        instance.started = reply.status == abi::STATUS_OK;
        Some(instance.started)
    }
}
