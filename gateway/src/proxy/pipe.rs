//! Bytes from one task to another on the same thread, a bounded number at a time: what an
//! HTTP/2 stream is carried over inside the gateway. What may not come in: what they mean.

use super::passing::{LARGE, Passing, Waiting};
use bytes::{Buf, Bytes, BytesMut};
use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    rc::Rc,
    task::{Context, Poll, Waker},
};
use tokio::io::ReadBuf;

/// What a pipe holds at first, and while nobody takes anything out of what follows it.
const NARROW: usize = 8 * 1024;

/// One direction.
pub struct Pipe(RefCell<State>);

struct State {
    bytes: BytesMut,
    waiting: Waiting,
    /// The most that may be in here.
    room: usize,
    /// Nothing more is written.
    ended: bool,
    /// Nobody reads any more.
    left: bool,
    /// Whoever wrote takes no answer either.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of two pipes. Dropping it ends the one and leaves the other.
pub struct End {
    /// To read from.
    pub incoming: Rc<Pipe>,
    /// To write to.
    pub outgoing: Rc<Pipe>,
}

/// Two ends that belong together. What waits in them is counted.
pub fn pair(passing: &Rc<Passing>) -> (End, End) {
    let (one, other) = (Rc::new(Pipe::new(passing)), Rc::new(Pipe::new(passing)));
    (End { incoming: one.clone(), outgoing: other.clone() }, End { incoming: other, outgoing: one })
}

impl Drop for End {
    fn drop(&mut self) {
        self.outgoing.end();
        self.incoming.leave();
    }
}

impl Pipe {
    fn new(passing: &Rc<Passing>) -> Self {
        Self(RefCell::new(State {
            bytes: BytesMut::new(),
            waiting: passing.waiting(),
            room: NARROW,
            ended: false,
            left: false,
            broken: false,
            reader: None,
            writer: None,
        }))
    }

    /// How much there is to read; zero once the end has come.
    pub fn poll_filled(&self, context: &mut Context<'_>) -> Poll<usize> {
        let mut state = self.0.borrow_mut();
        if state.bytes.is_empty() && !state.ended {
            state.reader = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(state.bytes.len())
    }

    /// The same without reading; an error once the other side broke off.
    pub fn poll_peek(&self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.0.borrow().broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        self.poll_filled(context).map(Ok)
    }

    /// Reads what there is and fits.
    pub fn poll_read(&self, context: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_filled(context).map(|filled| {
            let mut state = self.0.borrow_mut();
            let taken = filled.min(room.remaining());
            room.put_slice(&state.bytes[..taken]);
            state.bytes.advance(taken);
            state.room = (2 * state.room).min(LARGE);
            state.count();
            state.wake_writer();
            Ok(())
        })
    }

    /// Reads all there is; `poll_filled` has said that there is something.
    pub fn take(&self) -> Bytes {
        let mut state = self.0.borrow_mut();
        let bytes = std::mem::take(&mut state.bytes).freeze();
        state.count();
        state.wake_writer();
        bytes
    }

    /// How much may wait in here.
    pub fn room(&self) -> usize {
        let state = self.0.borrow();
        state.room.min(state.waiting.room())
    }

    /// What was taken goes on: more may come at once.
    pub fn widen(&self) {
        let mut state = self.0.borrow_mut();
        state.room = (2 * state.room).min(LARGE);
    }

    /// Nothing goes on.
    pub fn narrow(&self) {
        self.0.borrow_mut().room = NARROW;
    }

    /// Writes what fits.
    pub fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let room = self.room();
        let mut state = self.0.borrow_mut();
        if state.left || state.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let fits = bytes.len().min(room.saturating_sub(state.bytes.len()));
        if fits == 0 && !bytes.is_empty() {
            state.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.bytes.extend_from_slice(&bytes[..fits]);
        state.count();
        state.wake_reader();
        Poll::Ready(Ok(fits))
    }

    /// Writes all of it.
    pub async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = poll_fn(|context| self.poll_write(context, bytes)).await?;
            bytes = &bytes[written..];
        }
        Ok(())
    }

    /// Nothing more comes.
    pub fn end(&self) {
        let mut state = self.0.borrow_mut();
        state.ended = true;
        state.wake_reader();
    }

    /// Nothing more comes, and nobody waits for what it was about.
    pub fn break_off(&self) {
        self.0.borrow_mut().broken = true;
        self.end();
    }

    /// Nothing more is read.
    pub fn leave(&self) {
        let mut state = self.0.borrow_mut();
        state.left = true;
        state.bytes = BytesMut::new();
        state.count();
        state.wake_writer();
    }
}

impl State {
    fn count(&mut self) {
        self.waiting.set(self.bytes.len());
    }

    fn wake_reader(&mut self) {
        if let Some(waker) = self.reader.take() {
            waker.wake();
        }
    }

    fn wake_writer(&mut self) {
        if let Some(waker) = self.writer.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn poll<T>(work: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        work(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn no_more_waits_than_there_is_room_for() {
        let (one, other) = pair(&Rc::default());
        let bytes = vec![7; 2 * LARGE];
        let fits = |most| {
            assert!(matches!(poll(|c| one.outgoing.poll_write(c, &bytes)), Poll::Ready(Ok(n)) if n == most));
            assert!(poll(|c| one.outgoing.poll_write(c, b"x")).is_pending());
            assert_eq!(other.incoming.take().len(), most);
        };
        fits(NARROW);
        other.incoming.widen();
        fits(2 * NARROW);
        (0..9).for_each(|_| other.incoming.widen());
        fits(LARGE);
        other.incoming.narrow();
        fits(NARROW);
        assert!(matches!(poll(|c| one.outgoing.poll_write(c, b"x")), Poll::Ready(Ok(1))));
    }

    #[test]
    fn what_was_written_is_read_before_the_end() {
        let (one, other) = pair(&Rc::default());
        assert!(poll(|c| other.incoming.poll_filled(c)).is_pending());
        assert!(poll(|c| one.outgoing.poll_write(c, b"last")).is_ready());
        drop(one);
        assert_eq!(poll(|c| other.incoming.poll_filled(c)), Poll::Ready(4));
        assert_eq!(other.incoming.take(), "last");
        assert_eq!(poll(|c| other.incoming.poll_filled(c)), Poll::Ready(0));
        assert!(matches!(poll(|c| other.outgoing.poll_write(c, b"x")), Poll::Ready(Err(_))));
    }

    #[test]
    fn breaking_off_is_seen_at_once_and_an_end_is_only_an_end() {
        let (one, other) = pair(&Rc::default());
        one.outgoing.end();
        assert!(matches!(poll(|c| other.incoming.poll_peek(c)), Poll::Ready(Ok(0))));
        let (one, other) = pair(&Rc::default());
        assert!(poll(|c| one.outgoing.poll_write(c, b"unread")).is_ready());
        one.outgoing.break_off();
        assert!(matches!(poll(|c| other.incoming.poll_peek(c)), Poll::Ready(Err(_))));
    }
}
