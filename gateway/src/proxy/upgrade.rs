//! Connections that change their protocol (RFC 9110 §7.8; contract section 7): what may
//! be asked for, whether an upstream's 101 is the one that was asked for, and the tunnel
//! that follows it. Nothing of the client's goes upstream before that 101.
//!
//! What may not come in: what the bytes of a tunnel mean, and who may have one.

use super::{
    http1::{
        head::{Head, Known, tokens},
        response::ResponseHead,
    },
    timers::{Elapsed, Watch},
    worker::Buffers,
};
use std::{
    cell::Cell,
    future::poll_fn,
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What is read at once, and so what one direction of a tunnel may hold.
const PIECE: usize = 16 * 1024;

/// Other names of HTTP and TLS: a tunnel of those would carry requests past every check.
const NEVER: [&str; 5] = ["h2c", "h2", "h3", "http", "tls"];

/// A protocol that a client asked for, and the upstream may switch to.
#[derive(Debug)]
pub struct Asked {
    /// As the upstream is asked.
    pub protocols: Vec<u8>,
    /// The upstream has the whole request: from then on it may switch.
    pub may_switch: Cell<bool>,
}

impl Asked {
    /// What this request asks for. None when it asks for nothing, or for what is never
    /// given: then it goes on as a plain request.
    pub fn of(head: &Head, bytes: &[u8]) -> Option<Self> {
        let mut connection = head.values(Known::Connection, bytes).flat_map(tokens);
        if head.http10 || !connection.any(|t| t.eq_ignore_ascii_case(b"upgrade")) {
            return None;
        }
        let asked: Vec<&[u8]> = head.values(Known::Upgrade, bytes).flat_map(tokens).collect();
        if asked.is_empty() || !asked.iter().all(|protocol| may_pass(protocol)) {
            return None;
        }
        Some(Self { protocols: asked.join(&b", "[..]), may_switch: Cell::new(false) })
    }

    /// Whether this 101 is the answer: it names what was asked for, and nothing else.
    pub fn is_granted(&self, answer: &ResponseHead, input: &[u8]) -> bool {
        let mut connection = answer.values(input, "connection").flat_map(tokens);
        let mut named = answer.values(input, "upgrade").flat_map(tokens).peekable();
        self.may_switch.get()
            && connection.any(|t| t.eq_ignore_ascii_case(b"upgrade"))
            && named.peek().is_some()
            && named.all(|name| tokens(&self.protocols).any(|asked| asked.eq_ignore_ascii_case(name)))
    }
}

/// `name` or `name/version` (RFC 9110 §7.8), and not one of those that are never passed.
fn may_pass(protocol: &[u8]) -> bool {
    let mut parts = protocol.split(|b| *b == b'/');
    let (name, version) = (parts.next().unwrap_or_default(), parts.next());
    let well_formed = is_token(name) && version.is_none_or(is_token) && parts.next().is_none();
    well_formed && !NEVER.iter().any(|never| name.eq_ignore_ascii_case(never.as_bytes()))
}

/// RFC 9110 §5.6.2.
fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}

/// One side of a tunnel.
pub struct End<'a> {
    /// What comes from there.
    pub reader: &'a mut (dyn AsyncRead + Unpin),
    /// What goes there.
    pub writer: &'a mut (dyn AsyncWrite + Unpin),
    /// What had come from there already.
    pub first: &'a [u8],
}

/// What surrounds a tunnel.
pub struct Surroundings<'a> {
    /// Limits its waiting.
    pub watch: &'a Watch,
    /// How long nothing may come from either side.
    pub idle: Duration,
    /// Lends memory while bytes wait.
    pub buffers: &'a Buffers,
    /// Told whenever the client has sent something.
    pub used: &'a dyn Fn(),
}

/// Copies both ways until both sides have ended, one of them broke off, or nothing came
/// for too long. A side that has only finished sending still receives. Answers with the
/// bytes that the client got.
pub async fn tunnel(client: End<'_>, upstream: End<'_>, around: Surroundings<'_>) -> u64 {
    let mut up = Direction::new(client.first);
    let mut down = Direction::new(upstream.first);
    let (watch, idle, buffers) = (around.watch, around.idle, around.buffers);
    watch.arm(idle);
    let both = poll_fn(|context| {
        let came = || {
            watch.arm(idle);
            (around.used)();
        };
        let went_up = up.poll(context, client.reader, upstream.writer, buffers, came)?;
        let came = || watch.arm(idle);
        let went_down = down.poll(context, upstream.reader, client.writer, buffers, came)?;
        if went_up.is_ready() && went_down.is_ready() {
            Poll::Ready(io::Result::Ok(()))
        } else {
            Poll::Pending
        }
    });
    if let Err(Elapsed) = watch.guard(both).await {
        tracing::debug!("an upgraded connection was silent for too long");
    }
    watch.disarm();
    down.moved
}

/// One way through a tunnel. It holds memory only while bytes wait to be written.
struct Direction {
    waiting: Vec<u8>,
    at: usize,
    moved: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Open,
    /// Everything has come; the other side is to be told.
    Ending,
    Ended,
}

impl Direction {
    fn new(first: &[u8]) -> Self {
        Self { waiting: first.to_vec(), at: 0, moved: 0, state: State::Open }
    }

    /// Moves what can be moved. Ready once the end of it has been passed on.
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        mut reader: &mut (dyn AsyncRead + Unpin),
        mut writer: &mut (dyn AsyncWrite + Unpin),
        buffers: &Buffers,
        mut came: impl FnMut(),
    ) -> Poll<io::Result<()>> {
        loop {
            while self.at < self.waiting.len() {
                let written = ready!(Pin::new(&mut writer).poll_write(context, &self.waiting[self.at..]))?;
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.at += written;
                self.moved += written as u64;
            }
            if !self.waiting.is_empty() {
                buffers.give(std::mem::take(&mut self.waiting));
                self.at = 0;
            }
            match self.state {
                State::Open => {
                    let mut room = [MaybeUninit::uninit(); PIECE];
                    let mut piece = ReadBuf::uninit(&mut room);
                    if Pin::new(&mut reader).poll_read(context, &mut piece)?.is_pending() {
                        // Nothing more for now: what a writer keeps back must go.
                        ready!(Pin::new(&mut writer).poll_flush(context))?;
                        return Poll::Pending;
                    }
                    if piece.filled().is_empty() {
                        self.state = State::Ending;
                    } else {
                        came();
                        self.waiting = buffers.take();
                        self.waiting.extend_from_slice(piece.filled());
                    }
                }
                State::Ending => {
                    ready!(Pin::new(&mut writer).poll_shutdown(context))?;
                    self.state = State::Ended;
                }
                State::Ended => return Poll::Ready(Ok(())),
            }
        }
    }
}

#[cfg(test)]
mod tests;
