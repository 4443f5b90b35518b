//! Both directions of an HTTP/2 connection, looked at on their way: frames that ask for
//! nothing are counted against a budget, and what we refuse is counted by its reason. The
//! h2 crate answers PING and SETTINGS by itself and does not tell (CVE-2019-9512, -9515).
//!
//! What may not come in: what a frame means for its stream.

use crate::{
    metrics::{Limit, Meter, Refused},
    proxy::{
        passing::{Passing, Waiting},
        worker::Worker,
    },
};
use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io::{self, IoSlice},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::Notify,
};

/// For how long a budget lasts, and what it holds of each kind of frame. What else may come
/// too often (resets, CONTINUATION, DATA without data) the h2 crate or `mod.rs` counts.
const WINDOW: Duration = Duration::from_secs(1);
const PINGS: u32 = 100;
const SETTINGS_FRAMES: u32 = 50;

/// What a client sends before its first frame (RFC 9113 §3.4).
const PREFACE: u32 = 24;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;
const END_STREAM: u8 = 1;

/// RFC 9113 §7: how the library refuses a stream beyond `h2_streams`.
const REFUSED_STREAM: u32 = 7;

/// A frame whose first bytes have gone by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    length: u32,
    /// The first bytes of the payload, as many as are of interest.
    first: [u8; 8],
}

/// Finds frames in bytes that come in any pieces (RFC 9113 §4.1).
struct Scan {
    /// Bytes that are of no interest.
    skip: u32,
    head: [u8; 17],
    have: usize,
}

impl Scan {
    fn behind(skip: u32) -> Self {
        Self { skip, head: [0; 17], have: 0 }
    }

    /// Tells each frame once, when the first eight bytes of its payload are there.
    fn see(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Frame)) {
        while !bytes.is_empty() {
            let skipped = bytes.len().min(self.skip as usize);
            self.skip -= u32::try_from(skipped).unwrap_or(u32::MAX).min(self.skip);
            bytes = &bytes[skipped..];
            let wanted = if self.have < 9 { 9 } else { 9 + self.length().min(8) as usize };
            let taken = bytes.len().min(wanted - self.have);
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.skip == 0 && self.have >= 9 && self.have == 9 + self.length().min(8) as usize {
                let mut first = [0; 8];
                first[..self.have - 9].copy_from_slice(&self.head[9..self.have]);
                let length = self.length();
                let stream = u32::from_be_bytes([5, 6, 7, 8].map(|at| self.head[at])) & (u32::MAX >> 1);
                tell(Frame { kind: self.head[3], flags: self.head[4], stream, length, first });
                self.skip = length - length.min(8);
                self.have = 0;
            }
        }
    }

    /// Of the frame whose head is there.
    fn length(&self) -> u32 {
        u32::from_be_bytes([0, self.head[0], self.head[1], self.head[2]])
    }
}

/// What a client has spent.
struct Budget {
    since: Instant,
    pings: u32,
    settings: u32,
}

impl Budget {
    fn from(since: Instant) -> Self {
        Self { since, pings: 0, settings: 0 }
    }

    /// The limit that this frame of a client goes beyond.
    fn spend(&mut self, frame: Frame, now: impl FnOnce() -> Instant) -> Option<Limit> {
        if frame.flags & ACK != 0 || !matches!(frame.kind, PING | SETTINGS) {
            return None;
        }
        let now = now();
        if now.duration_since(self.since) >= WINDOW {
            *self = Self::from(now);
        }
        let (spent, most, limit) = match frame.kind {
            PING => (&mut self.pings, PINGS, Limit::H2Pings),
            _ => (&mut self.settings, SETTINGS_FRAMES, Limit::H2Settings),
        };
        *spent += 1;
        (*spent > most).then_some(limit)
    }
}

/// What whoever drives the connection and the frames know of each other.
#[derive(Default)]
pub(super) struct Shared {
    over: Cell<Option<Limit>>,
    /// Streams that are refused because there is no place for them; their frames are to come.
    no_place: Cell<usize>,
    /// Streams that the library gave us and that have not been answered to their end, and
    /// what it holds of the body of each.
    begun: RefCell<BTreeMap<u32, Waiting>>,
    /// Some of that has left.
    left: Notify,
    passing: Rc<Passing>,
}

/// Streams that a client took back are answered by nobody: the oldest are forgotten.
const MOST_BEGUN: usize = 20_000;

impl Shared {
    /// The limit that was met, once.
    pub(super) fn over(&self) -> Option<Limit> {
        self.over.take()
    }

    /// A stream is about to be refused for this.
    pub(super) fn refuses(&self, limit: Limit) {
        if limit == Limit::Connections {
            self.no_place.set(self.no_place.get() + 1);
        }
    }

    /// The limit that a refused stream met.
    fn refused(&self) -> Limit {
        match self.no_place.get().checked_sub(1) {
            None => Limit::H2Streams,
            Some(left) => {
                self.no_place.set(left);
                Limit::Connections
            }
        }
    }

    /// The library gave us this stream.
    pub(super) fn begun(&self, stream: u32) {
        let mut begun = self.begun.borrow_mut();
        begun.insert(stream, self.passing.waiting());
        if begun.len() > MOST_BEGUN {
            begun.pop_first();
        }
    }

    /// The library was given so many bytes of this stream's body.
    pub(super) fn queued(&self, stream: u32, bytes: usize) {
        if let Some(waiting) = self.begun.borrow_mut().get_mut(&stream) {
            waiting.add(bytes);
        }
    }

    /// So many of them have left, or will not leave any more.
    fn gone(&self, stream: u32, bytes: usize) {
        if let Some(waiting) = self.begun.borrow_mut().get_mut(&stream) {
            waiting.set(waiting.bytes().saturating_sub(bytes));
        }
        self.left.notify_waiters();
    }

    /// How much the library holds of this stream.
    pub(super) fn holds(&self, stream: u32) -> usize {
        self.begun.borrow().get(&stream).map_or(0, Waiting::bytes)
    }

    /// Waits until the library holds less than `most` of this stream; by how much.
    pub(super) async fn room(&self, stream: u32, most: impl Fn() -> usize) -> usize {
        loop {
            let left = self.left.notified();
            match most().saturating_sub(self.holds(stream)) {
                0 => left.await,
                room => return room,
            }
        }
    }
}

/// A connection whose frames are looked at.
pub(super) struct Watched<S> {
    io: S,
    worker: Rc<Worker>,
    incoming: Scan,
    outgoing: Scan,
    budget: Budget,
    over: bool,
    shared: Rc<Shared>,
}

impl<S> Watched<S> {
    pub(super) fn new(io: S, worker: Rc<Worker>) -> (Self, Rc<Shared>) {
        let passing = worker.passing.clone();
        let shared = Rc::new(Shared { passing, ..Shared::default() });
        let (incoming, outgoing) = (Scan::behind(PREFACE), Scan::behind(0));
        let budget = Budget::from(Instant::now());
        (Self { io, worker, incoming, outgoing, budget, over: false, shared: shared.clone() }, shared)
    }

    fn received(&mut self, bytes: &[u8]) {
        let Self { incoming, budget, over, shared, .. } = self;
        incoming.see(bytes, |frame| {
            if frame.kind == RST_STREAM {
                // The library lets go of what it holds.
                shared.gone(frame.stream, usize::MAX);
            }
            if let Some(limit) = budget.spend(frame, Instant::now)
                && !*over
            {
                *over = true;
                shared.over.set(Some(limit));
            }
        });
    }

    fn sent(&mut self, bytes: &[u8]) {
        let Self { outgoing, worker, shared, .. } = self;
        outgoing.see(bytes, |frame| told(frame, &worker.meter, shared));
    }
}

/// One frame of ours.
fn told(frame: Frame, meter: &Meter, shared: &Shared) {
    let code = |at: usize| u32::from_be_bytes([0, 1, 2, 3].map(|n| frame.first[at + n]));
    match frame.kind {
        // The library answers by itself in one case alone: a head over `h2_header_list`.
        HEADERS if !shared.begun.borrow().contains_key(&frame.stream) => meter.limit(Limit::H2HeaderList),
        RST_STREAM => {
            meter.http2(Refused::Stream, code(0));
            if code(0) == REFUSED_STREAM {
                meter.limit(shared.refused());
            }
        }
        GOAWAY => meter.http2(Refused::Connection, code(4)),
        DATA => shared.gone(frame.stream, frame.length as usize),
        _ => {}
    }
    if frame.kind == RST_STREAM || matches!(frame.kind, HEADERS | DATA) && frame.flags & END_STREAM != 0 {
        shared.begun.borrow_mut().remove(&frame.stream);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.over {
            // Nothing of it is read any more; whoever drives the connection closes it.
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.io).poll_read(context, buffer);
        if let Poll::Ready(Ok(())) = read {
            self.received(&buffer.filled()[before..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(context, bytes);
        if let Poll::Ready(Ok(count)) = written {
            self.sent(&bytes[..count]);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(context, pieces);
        if let Poll::Ready(Ok(mut count)) = written {
            for piece in pieces {
                let part = piece.len().min(count);
                self.sent(&piece[..part]);
                count -= part;
            }
        }
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;
    use proptest::prelude::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    proptest! {
        #[test]
        fn frames_are_found_in_any_pieces(
            frames in proptest::collection::vec((0u8..10, any::<u8>(), 0usize..40), 1..20),
            piece in 1usize..60,
        ) {
            let bytes: Vec<u8> = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".iter().copied()
                .chain(frames.iter().flat_map(|(kind, flags, length)| frame(*kind, *flags, &vec![*kind; *length])))
                .collect();
            let (mut scan, mut seen) = (Scan::behind(PREFACE), Vec::new());
            bytes.chunks(piece).for_each(|bytes| {
                scan.see(bytes, |frame| seen.push((frame.kind, frame.flags)));
            });
            prop_assert_eq!(seen, frames.iter().map(|(kind, flags, _)| (*kind, *flags)).collect::<Vec<_>>());
        }
    }

    /// How many of these frames in a row a budget lasts for.
    fn lasts(frame: Frame) -> u32 {
        let now = Instant::now();
        let mut budget = Budget::from(now);
        (0..1_000).find(|_| budget.spend(frame, || now).is_some()).unwrap_or(1_000)
    }

    #[test]
    fn a_budget_is_spent_on_what_asks_for_nothing_and_renewed_each_second() {
        let of = |kind, flags| Frame { kind, flags, stream: 0, length: 8, first: [0; 8] };
        for (frame, most) in [
            (of(PING, 0), PINGS),
            (of(SETTINGS, 0), SETTINGS_FRAMES),
            (of(PING, ACK), 1_000),
            (of(SETTINGS, ACK), 1_000),
            (of(DATA, 0), 1_000),
            (of(HEADERS, 0), 1_000),
        ] {
            assert_eq!(lasts(frame), most, "{frame:?}");
        }
        let start = Instant::now();
        let mut budget = Budget::from(start);
        for round in 0..10_u32 {
            for _ in 0..PINGS {
                assert_eq!(budget.spend(of(PING, 0), || start + WINDOW * round), None);
            }
        }
        assert_eq!(budget.spend(of(PING, 0), || start + WINDOW * 9), Some(Limit::H2Pings));
    }

    #[test]
    fn an_answer_on_a_stream_that_nobody_was_given_is_the_librarys() {
        let (metrics, shared) = (Metrics::default(), Shared::default());
        let meter = metrics.meter();
        let of =
            |kind, flags, stream| Frame { kind, flags, stream, length: 8, first: [0, 0, 0, 7, 0, 0, 0, 11] };
        shared.begun(1);
        told(of(HEADERS, 0, 1), &meter, &shared);
        told(of(DATA, END_STREAM, 1), &meter, &shared);
        assert_eq!(metrics.refused(Limit::H2HeaderList), 0);
        told(of(HEADERS, END_STREAM, 3), &meter, &shared);
        assert_eq!(metrics.refused(Limit::H2HeaderList), 1);
        told(of(RST_STREAM, 0, 5), &meter, &shared);
        assert_eq!(metrics.refused(Limit::H2Streams), 1);
        assert!(shared.begun.borrow().is_empty());
    }
}
