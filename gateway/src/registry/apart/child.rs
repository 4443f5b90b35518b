//! The process of one library: it loads what the gateway has checked, passes on what it is
//! told, and ends with the gateway. Whatever the library does to a process, it does to
//! this one.
//!
//! What may not come in: configuration, the store, tickets that are looked up (the gateway
//! knows who waits; here they are numbers).

use super::{
    super::{file, lent, libraries, library::Made, library::Module, refusal::Refusal},
    frames::{self, Frame},
};
use portcullis_plugin_api::{Host, abi};
use std::{
    collections::HashMap,
    io::Write,
    os::unix::net::UnixStream,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// The way to the gateway. Set in such a process alone.
static RELAY: OnceLock<Relay> = OnceLock::new();

/// Where the library's calls of the host go, in a process of its own.
pub(in crate::registry) struct Relay(Mutex<UnixStream>);

/// The relay, if this is such a process.
pub(in crate::registry) fn relay() -> Option<&'static Relay> {
    RELAY.get()
}

impl Relay {
    fn send(&self, frame: &Frame) {
        let mut socket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The gateway is gone: so is this process, in a moment.
        let _ = socket.write_all(&frame.bytes());
    }

    /// The answer to a ticket.
    pub(in crate::registry) fn completed(
        &self,
        instance: u64,
        ticket: u64,
        status: u32,
        body: Result<Vec<u8>, String>,
    ) {
        self.send(&match body {
            Ok(body) => Frame::new(frames::COMPLETED, instance, ticket, status, &body),
            Err(why) => Frame::new(frames::UNREADABLE, instance, ticket, status, why.as_bytes()),
        });
    }

    /// A line for the log.
    pub(in crate::registry) fn log(&self, instance: u64, level: u32, words: [&str; 3]) {
        // A zero byte stands between the words, so there is none in them.
        let body = words.map(|word| word.replace('\0', " ")).join("\0");
        self.send(&Frame::new(frames::LOG, instance, 0, level, body.as_bytes()));
    }
}

/// An instance; its last user ends it, with the ticket that the gateway has given for that.
struct Held {
    made: Option<Made>,
    last: OnceLock<u64>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let (Some(made), Some(ticket)) = (self.made.take(), self.last.get()) {
            made.destroy(*ticket);
        }
    }
}

type All = Arc<Mutex<HashMap<u64, Arc<Held>>>>;

/// Serves until the gateway has nothing more to say. `path` is what the operator calls the
/// library, `copy` the file whose bytes were checked.
pub(in crate::registry) fn serve(path: &Path, copy: &Path, host: &Host) -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    rustix::thread::set_no_new_privs(true)?;
    let mut socket = UnixStream::from(std::os::fd::AsFd::as_fd(&std::io::stdin()).try_clone_to_owned()?);
    let _ = RELAY.set(Relay(Mutex::new(socket.try_clone()?)));
    let module = match load(path, copy) {
        Ok(module) => module,
        Err(Refusal { code, text }) => {
            return Frame::new(frames::REFUSED, 0, 0, 0, format!("{code}\0{text}").as_bytes())
                .write(&mut socket);
        }
    };
    Frame::new(frames::LOADED, 0, 0, module.flags(), &[]).write(&mut socket)?;
    let all = All::default();
    // An end of the socket is the gateway's end, or that of its interest.
    while let Ok(frame) = Frame::read(&mut socket) {
        told(module, &all, host, frame);
    }
    Ok(())
}

fn load(path: &Path, copy: &Path) -> Result<&'static Module, Refusal> {
    let bytes = file::read(copy, file::Owner::Checked)?;
    let info = libraries::look(path, &bytes.all)?;
    // For as long as this process.
    Ok(Box::leak(Box::new(Module::load(path, copy, info, bytes.sha256)?)))
}

fn told(module: &'static Module, all: &All, host: &Host, frame: Frame) {
    let of = |number: u64| all.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned();
    let work: Box<dyn FnOnce() + Send> = match frame.kind {
        frames::CREATE => {
            lent::lend_as(frame.instance, host.clone());
            let all = all.clone();
            return apart(Box::new(move || create(module, &all, &frame)));
        }
        frames::CALL => match of(frame.instance) {
            Some(held) => Box::new(move || {
                if let Some(made) = &held.made {
                    made.call(frame.ticket, frame.code, &frame.body);
                }
            }),
            None => Box::new(move || lost(&frame)),
        },
        frames::CANCEL => match of(frame.instance) {
            Some(held) => Box::new(move || {
                if let Some(made) = &held.made {
                    made.cancel(frame.ticket);
                }
            }),
            None => return,
        },
        frames::DESTROY => {
            let held = all.lock().unwrap_or_else(PoisonError::into_inner).remove(&frame.instance);
            match held {
                Some(held) => Box::new(move || {
                    let _ = held.last.set(frame.ticket);
                }),
                None => Box::new(move || lost(&frame)),
            }
        }
        _ => return,
    };
    // What only queues keeps the order; what may block holds nobody else up.
    if module.is_async() { work() } else { apart(work) }
}

fn create(module: &'static Module, all: &All, frame: &Frame) {
    let Some(relay) = relay() else { return };
    let [kind, _] = frame.words();
    let settings = frame.body.get(kind.len() + 1..).unwrap_or_default();
    let (code, made) = module.create(frame.instance, frame.ticket, &kind, settings);
    let there = made.is_some();
    if there {
        let held = Arc::new(Held { made, last: OnceLock::new() });
        all.lock().unwrap_or_else(PoisonError::into_inner).insert(frame.instance, held);
    }
    let code = code.cast_unsigned();
    relay.send(&Frame::new(frames::CREATED, frame.instance, frame.ticket, code, &[u8::from(there)]));
}

/// A question to an instance that is none.
fn lost(frame: &Frame) {
    if let Some(relay) = relay() {
        relay.completed(frame.instance, frame.ticket, abi::STATUS_UNSUPPORTED, Ok(Vec::new()));
    }
}

fn apart(work: Box<dyn FnOnce() + Send>) {
    // Without a thread there is no answer, and the gateway's deadline decides.
    let _ = std::thread::Builder::new().name("plugin-call".to_owned()).spawn(work);
}
