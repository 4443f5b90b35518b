//! The client's side of a connection: bytes in, bytes out, with their time limits. What
//! they mean is decided elsewhere.

use super::{
    http1::{
        body::{BadChunk, Body},
        head::{BadHead, Head, Limits, Search},
    },
    stream::{ReadHalf, WriteHalf},
    timers::{Elapsed, Watch},
    worker::{Buffers, Worker},
};
use crate::metrics::Limit;
use std::{future::poll_fn, io, net::IpAddr, rc::Rc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A client's connection between and during requests.
pub struct Client<'s> {
    /// From the client.
    pub reader: ReadHalf<'s>,
    /// To the client.
    pub writer: WriteHalf<'s>,
    /// Limits its waiting.
    pub watch: Watch,
    /// What was read and not used yet; a request's head stays at its beginning while
    /// the request is served.
    pub input: Vec<u8>,
    /// The head of this request.
    pub head: Head,
    /// Who is at the other end.
    pub peer: IpAddr,
}

/// What came instead of a head.
pub enum NoHead {
    /// The client left, or let the time for a next request pass: nothing is to be said.
    Gone,
    /// The client began a head and did not finish it in time, or has said nothing at all.
    Slow,
    /// The head is refused, and the connection with it.
    Bad(BadHead),
}

impl Client<'_> {
    /// Reads the next head. Between requests no memory is held for the connection.
    pub async fn next_head(&mut self, worker: &Worker, first: bool) -> Result<(), NoHead> {
        let (limits, head_time, idle_time) = {
            let snapshot = worker.snapshot();
            (head_limits(&snapshot.limits), snapshot.limits.header_timeout, snapshot.limits.idle_timeout)
        };
        let mut search = Search::default();
        if self.input.is_empty() {
            worker.buffers.give(std::mem::take(&mut self.input));
            let readable = poll_fn(|context| self.reader.poll_readable(context));
            let wait = if first { head_time } else { idle_time };
            match self.watch.idle(wait, readable).await {
                Ok(Ok(())) => self.input = worker.buffers.take(),
                // Whoever is asked to leave in a drain was not too slow.
                Err(Elapsed) if worker.is_draining() => return Err(NoHead::Gone),
                Err(Elapsed) if first => return Err(NoHead::Slow),
                Err(Elapsed) => {
                    worker.meter.limit(Limit::IdleTimeout);
                    return Err(NoHead::Gone);
                }
                Ok(Err(_)) => return Err(NoHead::Gone),
            }
        }
        self.watch.arm(head_time);
        loop {
            if let Some(end) = search.find_end(&mut self.input, limits).map_err(NoHead::Bad)? {
                self.watch.disarm();
                return self.head.read(&self.input[..end], limits).map_err(NoHead::Bad);
            }
            let started = first || !self.input.is_empty();
            self.input.reserve(1024);
            match self.watch.guard(self.reader.read_buf(&mut self.input)).await {
                Ok(Ok(read)) if read > 0 => {}
                Err(Elapsed) if started => return Err(NoHead::Slow),
                _ => return Err(NoHead::Gone),
            }
        }
    }

    /// Forgets the head that was served and what of `upload` came after it.
    pub fn finish(&mut self, upload: Option<Upload>) {
        self.input.drain(..self.head.len.min(self.input.len()));
        if let Some(mut upload) = upload {
            // All of it came after the head, so nothing else can be waiting.
            debug_assert!(self.input.is_empty());
            upload.buffer.drain(..upload.at);
            std::mem::swap(&mut self.input, &mut upload.buffer);
        }
    }
}

fn head_limits(limits: &portcullis_config::Limits) -> Limits {
    Limits { bytes: limits.header_bytes, fields: limits.headers, request_line: limits.request_line }
}

/// What must be taken within a limit for the time to begin again: a byte now and then is
/// no progress. Whoever has taken all that waits is never slow.
pub const LEAST: usize = 4 * 1024;

/// Writes all of it, [`LEAST`] of it within each `limit`.
pub async fn send(
    writer: &mut WriteHalf<'_>,
    watch: &Watch,
    limit: Duration,
    bytes: &[u8],
) -> io::Result<()> {
    watch.arm(limit);
    let sent = watch.guard(write(writer, watch, limit, bytes)).await;
    watch.disarm();
    sent.map_err(|Elapsed| io::ErrorKind::TimedOut)?
}

async fn write(writer: &mut WriteHalf<'_>, watch: &Watch, limit: Duration, bytes: &[u8]) -> io::Result<()> {
    let (mut at, mut paid) = (0, 0);
    while at < bytes.len() {
        let written = writer.write(&bytes[at..]).await?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += written;
        if at - paid >= LEAST {
            paid = at;
            watch.arm(limit);
        }
    }
    if writer.is_buffered() {
        writer.flush().await?;
    }
    Ok(())
}

/// The body of a request, as it comes in.
pub struct Upload {
    /// Where it ends.
    pub body: Body,
    /// What was read of it and not used yet.
    buffer: Vec<u8>,
    at: usize,
    buffers: Rc<Buffers>,
}

/// Why a body did not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadError {
    /// The client left.
    Gone,
    /// No byte came in time.
    Stalled,
    /// A chunk is malformed.
    Malformed,
}

impl UploadError {
    /// The same; a body that does not come is a limit that was met.
    pub fn counted(self, worker: &Worker) -> Self {
        if self == Self::Stalled {
            worker.meter.limit(Limit::BodyStall);
        }
        self
    }
}

impl Upload {
    /// Takes over what of the body was read together with the head.
    pub fn new(client: &mut Client<'_>, buffers: &Rc<Buffers>) -> Self {
        let mut buffer = buffers.take();
        buffer.extend_from_slice(&client.input[client.head.len..]);
        client.input.truncate(client.head.len);
        Self { body: Body::new(client.head.framing), buffer, at: 0, buffers: buffers.clone() }
    }

    /// The next bytes of the body; `None` after the last.
    pub async fn next(
        &mut self,
        reader: &mut ReadHalf<'_>,
        watch: &Watch,
        stall: Duration,
    ) -> Result<Option<&[u8]>, UploadError> {
        loop {
            if self.body.is_done() {
                return Ok(None);
            }
            let step = self.body.step(&self.buffer[self.at..]).map_err(|BadChunk| UploadError::Malformed)?;
            let data = self.at + step.data_from..self.at + step.used;
            self.at += step.used;
            if !data.is_empty() {
                return Ok(Some(&self.buffer[data]));
            }
            if !step.done && self.at == self.buffer.len() {
                self.fill(reader, watch, stall).await?;
            }
        }
    }

    /// Reads until the first chunk's size is known to be well-formed, so that a body that
    /// begins badly is refused before an upstream hears of the request.
    pub async fn begin(
        &mut self,
        reader: &mut ReadHalf<'_>,
        watch: &Watch,
        stall: Duration,
    ) -> Result<(), UploadError> {
        loop {
            let mut probe = self.body;
            probe.step(&self.buffer[self.at..]).map_err(|BadChunk| UploadError::Malformed)?;
            match probe {
                Body::Chunked(chunks) if !chunks.has_begun() => {
                    let read = watch.within(stall, reader.read_buf(&mut self.buffer)).await;
                    check_read(read)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// Reads what is left and throws it away: all of it within `limit`.
    pub async fn discard(
        &mut self,
        reader: &mut ReadHalf<'_>,
        watch: &Watch,
        patience: &Watch,
        limit: Duration,
    ) -> Result<(), UploadError> {
        let all = async {
            while self.next(reader, watch, limit).await?.is_some() {}
            Ok(())
        };
        patience.within(limit, all).await.unwrap_or(Err(UploadError::Stalled))
    }

    /// What was read after the body.
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.at..]
    }

    async fn fill(
        &mut self,
        reader: &mut ReadHalf<'_>,
        watch: &Watch,
        stall: Duration,
    ) -> Result<(), UploadError> {
        self.buffer.clear();
        self.at = 0;
        let read = watch.within(stall, reader.read_buf(&mut self.buffer)).await;
        check_read(read)
    }
}

fn check_read(read: Result<io::Result<usize>, Elapsed>) -> Result<(), UploadError> {
    match read {
        Ok(Ok(0) | Err(_)) => Err(UploadError::Gone),
        Ok(Ok(_)) => Ok(()),
        Err(Elapsed) => Err(UploadError::Stalled),
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.buffers.give(std::mem::take(&mut self.buffer));
    }
}
