//! HTTP/2 (RFC 9113): each stream becomes a request of the one pipeline, read by the same
//! strict reader and answered by the same writer (docs/decisions/0008). Frames, flow
//! control and header compression are the h2 crate's; limits are set here.
//!
//! `request.rs` a stream's head as the reader takes it · `response.rs` an answer as
//! frames · `frames.rs` a look at all frames: floods, and what we refuse. What may not come in: decisions about requests.

mod frames;
pub(crate) mod request;
mod response;

use super::{
    connection,
    exchange::push_chunk,
    listen::{Admission, Caller, StreamPlace},
    pipe::{self, Pipe},
    pipeline::Secured,
    stream::Stream,
    timers::Watch,
    worker::Worker,
};
use crate::metrics::Limit;
use bytes::Bytes;
use frames::{Shared, Watched};
use h2::{
    Reason, RecvStream,
    server::{Connection, SendResponse},
};
use http::{Method, Request};
use response::{Client, Outcome};
use std::{
    cell::{Cell, RefCell},
    future::{Future, poll_fn},
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::Duration,
};
use tokio::{net::TcpStream, sync::Notify};
use tokio_rustls::server::TlsStream;

/// Windows of a stream and of a connection: what a client may send unread.
const WINDOWS: (u32, u32) = (64 * 1024, 512 * 1024);

/// What is buffered of one stream's answer on its way out.
const SEND_BUFFER: usize = 64 * 1024;

/// Streams that a client may take back, beyond as many as it let finish: a reset costs it
/// less than a request costs us (CVE-2023-44487).
const RESETS: usize = 100;

/// Streams beyond `[limits] h2_streams` that are refused, beyond as many as were answered.
/// The library counts a stream that was taken back as closed, and its pipeline may still run.
const REFUSED: usize = 500;

/// Streams that the library resets by itself, on one connection (CVE-2025-8671), and those
/// that a client took back before they could be begun.
const OUR_RESETS: usize = 500;
const RESETS_UNSEEN: usize = 20;

/// Reset streams that are remembered, and for how long: frames of them may be under way.
const REMEMBERED: (usize, Duration) = (50, Duration::from_secs(1));

/// How long the last frames of a connection may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// A connection whose frames are looked at.
type Frames = Connection<Watched<TlsStream<TcpStream>>, Bytes>;

/// What the streams of one connection share.
#[derive(Default)]
struct Streams {
    open: Cell<usize>,
    finished: Cell<usize>,
    taken_back: Cell<usize>,
    /// One of them was ended because the client did not take it.
    stalled: Cell<bool>,
    refused: Cell<usize>,
    /// Of all open ones but the first.
    places: RefCell<Vec<StreamPlace>>,
    ended: Notify,
}

impl Streams {
    /// Whether one more may be begun; none: the limit that it is too many for.
    fn make_room(&self, most: usize, admission: &Arc<Admission>) -> Result<(), Limit> {
        if self.open.get() >= most {
            return Err(Limit::H2Streams);
        }
        if self.open.get() > 0 {
            let mut places = self.places.borrow_mut();
            let place = admission.enter_stream(places.len());
            places.push(place.ok_or(Limit::Connections)?);
        }
        Ok(())
    }

    /// Counted as soon as it is known: what is left to do for a stream that was taken back
    /// may take its time, and the client sends the next.
    fn count(&self, outcome: Outcome) {
        let count = match outcome {
            Outcome::Whole => &self.finished,
            Outcome::Gone | Outcome::Broken | Outcome::Stalled => &self.taken_back,
        };
        if outcome == Outcome::Stalled {
            self.stalled.set(true);
        }
        count.set(count.get() + 1);
        self.ended.notify_one();
    }

    /// Whether they cost more than they are worth.
    fn are_a_flood(&self) -> bool {
        let finished = self.finished.get();
        self.taken_back.get() > RESETS + finished || self.refused.get() > REFUSED + finished
    }
}

/// What happens next on a connection.
enum Event {
    Stream(Box<(Request<RecvStream>, SendResponse<Bytes>)>),
    StreamEnded,
    Over(Limit),
    Gone,
}

/// Serves one connection to its end.
pub async fn serve(worker: Rc<Worker>, io: TlsStream<TcpStream>, peer: Caller, secured: Secured) {
    let watch = worker.timers.watch();
    let (header_time, idle_time, most) = {
        let snapshot = worker.snapshot();
        let limits = &snapshot.limits;
        (limits.header_timeout, limits.idle_timeout, limits.h2_streams as usize)
    };
    let builder = builder(&worker);
    let (io, shared) = Watched::new(io, worker.clone());
    let Ok(Ok(mut connection)) = watch.within(header_time, builder.handshake(io)).await else { return };
    let streams = Rc::new(Streams::default());
    loop {
        let idle = streams.open.get() == 0;
        let event = event(&mut connection, &streams, &shared);
        // Idle for too long, or told to stop while idle: no event. Who has not taken what it
        // asked for is not waited for.
        let idle_time = if streams.stalled.get() { FAREWELL } else { idle_time };
        let event = if idle { watch.idle(idle_time, event).await.ok() } else { Some(event.await) };
        match event {
            Some(Event::Stream(begun)) => {
                let (request, mut respond) = *begun;
                shared.begun(respond.stream_id().as_u32());
                match streams.make_room(most, &worker.admission) {
                    Ok(()) => {
                        let of =
                            Of { worker: worker.clone(), streams: streams.clone(), frames: shared.clone() };
                        begin(&streams, Box::pin(stream(of, request, respond, peer, secured.clone())));
                    }
                    Err(limit) => {
                        if streams.refused.replace(streams.refused.get() + 1) == 0 {
                            tracing::warn!(%peer, limit = limit.name(), "streams are refused");
                        }
                        // Nothing was done for it, and it may be sent again (RFC 9113 §8.7).
                        shared.refuses(limit);
                        respond.send_reset(Reason::REFUSED_STREAM);
                    }
                }
            }
            Some(Event::StreamEnded) => {}
            Some(Event::Gone) => break,
            Some(Event::Over(limit)) => {
                calm(&mut connection, limit, &worker, &watch, peer).await;
                break;
            }
            None => {
                connection.graceful_shutdown();
                let _ = watch.within(FAREWELL, poll_fn(|context| connection.poll_closed(context))).await;
                break;
            }
        }
        if streams.are_a_flood() {
            calm(&mut connection, Limit::Resets, &worker, &watch, peer).await;
            break;
        }
        if worker.is_draining() {
            connection.graceful_shutdown();
        }
    }
    // Its streams end with it, and are logged before it is over.
    drop(connection);
    while streams.open.get() > 0 {
        streams.ended.notified().await;
    }
}

/// Ends a connection that only costs.
async fn calm(connection: &mut Frames, limit: Limit, worker: &Worker, watch: &Watch, peer: Caller) {
    worker.meter.limit(limit);
    tracing::warn!(%peer, limit = limit.name(), "too many frames that only cost: the connection is closed");
    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
    let _ = watch.within(FAREWELL, poll_fn(|context| connection.poll_closed(context))).await;
}

fn builder(worker: &Worker) -> h2::server::Builder {
    let snapshot = worker.snapshot();
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(snapshot.limits.h2_streams)
        // The library lets through what is smaller than it is told.
        .max_header_list_size(snapshot.limits.h2_header_list.saturating_add(1))
        .initial_window_size(WINDOWS.0)
        .initial_connection_window_size(WINDOWS.1)
        .max_send_buffer_size(SEND_BUFFER)
        .max_local_error_reset_streams(Some(OUR_RESETS))
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_concurrent_reset_streams(REMEMBERED.0)
        .reset_stream_duration(REMEMBERED.1);
    builder
}

async fn event(connection: &mut Frames, streams: &Streams, shared: &Shared) -> Event {
    let mut ended = pin!(streams.ended.notified());
    poll_fn(|context| {
        match connection.poll_accept(context) {
            Poll::Ready(Some(Ok(begun))) => return Poll::Ready(Event::Stream(Box::new(begun))),
            Poll::Ready(_) => return Poll::Ready(Event::Gone),
            Poll::Pending => {}
        }
        if let Some(limit) = shared.over() {
            return Poll::Ready(Event::Over(limit));
        }
        ended.as_mut().poll(context).map(|()| Event::StreamEnded)
    })
    .await
}

/// Lets a stream run beside the others.
fn begin(streams: &Rc<Streams>, one: impl Future<Output = ()> + 'static) {
    streams.open.set(streams.open.get() + 1);
    let open = Open(streams.clone());
    tokio::task::spawn_local(async move {
        one.await;
        drop(open);
    });
}

/// One open stream. Dropped also when its task panics: its connection waits for it.
struct Open(Rc<Streams>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
        self.0.places.borrow_mut().pop();
        self.0.ended.notify_one();
    }
}

/// What a stream belongs to.
struct Of {
    worker: Rc<Worker>,
    streams: Rc<Streams>,
    frames: Rc<Shared>,
}

/// One stream: the pipeline on one end of a pipe, the frames on the other.
async fn stream(
    Of { worker, streams, frames: shared }: Of,
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    peer: Caller,
    secured: Secured,
) {
    let (parts, body) = request.into_parts();
    let written = match request::write(&parts, body.is_end_stream()) {
        Ok(written) => written,
        Err(request::Malformed(why)) => {
            tracing::debug!(%peer, why, "a malformed stream");
            respond.send_reset(Reason::PROTOCOL_ERROR);
            return streams.count(Outcome::Broken);
        }
    };
    let (frames, pipeline) = pipe::pair(&worker.passing);
    let stall = worker.snapshot().limits.body_stall;
    let client = Client { watch: worker.timers.watch(), stall, worker: worker.clone(), frames: shared };
    let served = connection::serve(worker, Stream::Pipe(pipeline), peer, Some(secured));
    let upload = upload(&frames.outgoing, written, body);
    let head_request = parts.method == Method::HEAD;
    let answer = response::send(&frames.incoming, &mut respond, head_request, &client);
    let (mut served, mut upload, mut answer) = (pin!(served), pin!(upload), pin!(answer));
    let mut running = (true, true);
    let outcome = poll_fn(|context| {
        running.0 = running.0 && served.as_mut().poll(context).is_pending();
        running.1 = running.1 && upload.as_mut().poll(context).is_pending();
        answer.as_mut().poll(context)
    })
    .await;
    streams.count(outcome);
    // The pipeline sees the client leave, writes its line of the log and ends.
    match outcome {
        Outcome::Gone | Outcome::Stalled => frames.outgoing.break_off(),
        Outcome::Whole | Outcome::Broken => frames.outgoing.end(),
    }
    frames.incoming.leave();
    if running.0 {
        served.await;
    }
}

/// Waits for the end of a body that has no byte; none: it had one.
async fn nothing_comes(body: &mut RecvStream) -> Option<()> {
    while let Some(data) = body.data().await {
        data.ok().filter(Bytes::is_empty)?;
    }
    Some(())
}

/// The request as HTTP/1.1 has it. Trailers are dropped. A body that breaks off ends
/// early, which the reader sees. One that must be empty is awaited first: nobody could
/// take the request back once it was read (RFC 9113 §8.1.1).
async fn upload(to: &Pipe, written: request::Written, mut body: RecvStream) {
    let complete = async {
        if written.empty {
            nothing_comes(&mut body).await?;
        }
        to.write_all(&written.bytes).await.ok()?;
        let mut chunk = Vec::new();
        while let Some(data) = body.data().await {
            let data = data.ok()?;
            if written.chunked && !data.is_empty() {
                chunk.clear();
                push_chunk(&mut chunk, &data);
                to.write_all(&chunk).await.ok()?;
            } else {
                to.write_all(&data).await.ok()?;
            }
            // Only what the pipeline took makes room for more.
            body.flow_control().release_capacity(data.len()).ok()?;
        }
        if written.chunked {
            to.write_all(b"0\r\n\r\n").await.ok()?;
        }
        Some(())
    };
    if complete.await.is_none() {
        to.end();
    }
}
