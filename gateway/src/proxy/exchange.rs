//! A permitted request goes upstream and its answer comes back: bodies stream both ways
//! at once, nothing is kept whole, and a side that fails takes the other with it.

use super::{
    client::{Upload, UploadError, send},
    http1::head::Framing,
    listen::is_ours,
    pipeline::Request,
    policy::Permit,
    pool,
    relay::{Relay, relay},
    request_head::{self, Parts},
    stream::{ReadHalf, Stream, WriteHalf},
    timers::{Elapsed, SessionOver, Watch},
    upgrade::{Asked, End, Surroundings, tunnel},
    upstream::{Server, Unreached, bit, choose, failed},
    worker::Worker,
};
use crate::{
    problem::Code,
    snapshot::{Route, Snapshot, Upstream},
    tls,
};
use std::{
    cell::Cell,
    future::{Future, pending, poll_fn},
    io::ErrorKind,
    pin::pin,
    task::Poll,
    time::Duration,
};

/// How long an answer may still take when the client has closed its side.
const GRACE: Duration = Duration::from_secs(1);

/// The client's two halves and the limit on its waiting.
pub struct Wire<'c, 's> {
    /// From the client.
    pub reader: &'c mut ReadHalf<'s>,
    /// To the client.
    pub writer: &'c mut WriteHalf<'s>,
    /// Limits its waiting.
    pub watch: &'c Watch,
    /// What had come from it after the head, when there is no body.
    pub early: &'c [u8],
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    /// The status that the client got.
    pub status: u16,
    /// Bytes of body that the client got.
    pub sent: u64,
    /// Whether the client's connection can carry another request.
    pub keep: bool,
}

/// Why there is no answer from upstream; the client has got nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Said to the client.
    Code(Code),
    /// We have no descriptor for a connection: nothing is wrong with the upstream.
    Full,
    /// The connection ended before any byte of an answer.
    Closed,
    /// The client's own body is malformed: 400, and its connection closes.
    Malformed,
    /// The client is gone, or too slow to wait for: nothing is said.
    Gone,
    /// The session in whose name it was made is over.
    SessionOver,
}

/// What an exchange is about.
pub struct Job<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// Which way it goes.
    pub route: &'a Route,
    /// By whose leave: without one nothing goes upstream.
    pub permit: &'a Permit,
    /// The configuration.
    pub snapshot: &'a Snapshot,
    /// A `Set-Cookie` for the answer.
    pub set_cookie: Option<String>,
    /// The protocol that the client would rather speak.
    pub upgrade: Option<Asked>,
    /// Which server of the upstream it goes to.
    pub server: Cell<usize>,
}

impl Job<'_> {
    fn upstream(&self) -> &Upstream {
        &self.snapshot.upstreams[self.route.upstream]
    }

    fn server(&self) -> &Server {
        &self.upstream().servers[self.server.get()]
    }

    /// Takes the server whose turn it is. None: all of them are set aside.
    fn take_turn(&self, worker: &Worker) -> Option<()> {
        let servers = &self.upstream().servers;
        let turn = if servers.len() > 1 { worker.pool.turn(self.route.upstream) } else { 0 };
        self.server.set(choose(servers, turn, 0)?);
        Some(())
    }

    /// Goes to another server instead. None: there is none that has not been tried.
    fn move_on(&self, tried: u64, head: &mut Vec<u8>) -> Option<()> {
        self.server.set(choose(&self.upstream().servers, self.server.get() + 1, tried)?);
        if !self.upstream().preserve_host {
            request_head::set_host(head, &self.server().host_field);
        }
        Some(())
    }

    /// RFC 9110 §9.2.2: asking twice does what asking once does.
    fn is_idempotent(&self) -> bool {
        matches!(
            self.request.method,
            "GET" | "HEAD" | "OPTIONS" | "PUT" | "DELETE" | "PROPFIND" | "REPORT" | "SEARCH"
        )
    }
}

/// The whole exchange.
pub async fn forward(
    wire: &mut Wire<'_, '_>,
    upload: Option<&mut Upload>,
    job: &Job<'_>,
    worker: &Worker,
) -> Result<Done, Failure> {
    job.take_turn(worker).ok_or(Failure::Code(Code::UpstreamUnavailable))?;
    let mut head = worker.buffers.take();
    let parts = Parts {
        request: job.request,
        snapshot: job.snapshot,
        route: job.route,
        upstream: job.upstream(),
        server: job.server(),
        identity: job.permit.identity(),
        upgrade: job.upgrade.as_ref().map(|asked| asked.protocols.as_slice()),
    };
    request_head::write(&mut head, &parts, worker).map_err(Failure::Code)?;
    let (begun, watch) = (Cell::new(false), wire.watch);
    let result = {
        let work = pin!(either(wire, upload, &mut head, job, worker, &begun));
        match job.permit.identity() {
            None => work.await,
            Some(identity) => match watch.while_live(&identity.session, work).await {
                Ok(result) => result,
                // What has begun is broken off, and does not look whole.
                Err(SessionOver) if begun.get() => Err(Failure::Gone),
                Err(SessionOver) => Err(Failure::SessionOver),
            },
        }
    };
    worker.buffers.give(head);
    if result.is_err() && begun.get() && job.request.head.http10 {
        // Its end would look like the end of the answer.
        wire.writer.break_off();
    }
    match result {
        Err(Failure::Closed) => Err(Failure::Code(Code::UpstreamInvalid)),
        other => other,
    }
}

/// `begun` is set once the client has got anything.
async fn either(
    wire: &mut Wire<'_, '_>,
    upload: Option<&mut Upload>,
    head: &mut Vec<u8>,
    job: &Job<'_>,
    worker: &Worker,
    begun: &Cell<bool>,
) -> Result<Done, Failure> {
    match upload {
        None => without_body(wire, head, job, worker, begun).await,
        // Rarer, and larger: boxed, so that an idle connection does not pay for it.
        Some(upload) => Box::pin(with_body(wire, upload, head, job, worker, begun)).await,
    }
}

async fn without_body(
    wire: &mut Wire<'_, '_>,
    head: &mut Vec<u8>,
    job: &Job<'_>,
    worker: &Worker,
    begun: &Cell<bool>,
) -> Result<Done, Failure> {
    if let Some(asked) = &job.upgrade {
        asked.may_switch.set(true);
    }
    let stream = match worker.pool.take(job.server()) {
        Some(kept) => kept,
        None => connect(wire.watch, head, job, worker).await?,
    };
    match once(wire, stream, head, job, worker, begun).await {
        // It ended before a byte of an answer. What may be asked twice is asked once more
        // (RFC 9110 §9.2.2), of another server where there is one.
        Err(Failure::Closed) if job.is_idempotent() => {}
        other => return other,
    }
    let _ = job.move_on(bit(job.server.get()), head);
    let stream = connect(wire.watch, head, job, worker).await?;
    once(wire, stream, head, job, worker, begun).await
}

async fn once(
    wire: &mut Wire<'_, '_>,
    mut stream: Stream,
    head: &[u8],
    job: &Job<'_>,
    worker: &Worker,
    begun: &Cell<bool>,
) -> Result<Done, Failure> {
    let (mut reader, mut writer) = stream.split();
    let limit = job.upstream().response_timeout;
    send(&mut writer, wire.watch, limit, head).await.map_err(|_| Failure::Closed)?;
    wire.watch.arm(limit);
    let relay = relay(&mut reader, wire.writer, wire.watch, job, worker, begun);
    let relay = unless_left(wire.reader, relay).await?;
    if let Some(first) = &relay.upgraded {
        let upstream = End { reader: &mut reader, writer: &mut writer, first };
        return Ok(Box::pin(upgraded(wire, wire.early, upstream, job, worker)).await);
    }
    Ok(finish(stream, relay, true, job, worker))
}

async fn with_body(
    wire: &mut Wire<'_, '_>,
    upload: &mut Upload,
    head: &mut Vec<u8>,
    job: &Job<'_>,
    worker: &Worker,
    begun: &Cell<bool>,
) -> Result<Done, Failure> {
    let stall = job.snapshot.limits.body_stall;
    if job.request.head.expects_continue {
        let ready = send(wire.writer, wire.watch, stall, b"HTTP/1.1 100 Continue\r\n\r\n").await;
        ready.map_err(|_| Failure::Gone)?;
    }
    upload.begin(wire.reader, wire.watch, stall).await.map_err(|e| upload_failure(e.counted(worker)))?;
    let mut stream = match worker.pool.take(job.server()) {
        Some(kept) => kept,
        None => connect(wire.watch, head, job, worker).await?,
    };
    let (mut reader, mut writer) = stream.split();
    let patience = worker.timers.watch();
    let chunked = job.request.head.framing == Framing::Chunked;
    let how = Pump { head, chunked, stall, asked: job.upgrade.as_ref() };
    let (client, watch, limit) = (&mut *wire.reader, wire.watch, job.upstream().response_timeout);
    let gone = async {
        match pump(client, &mut writer, &patience, upload, how, worker).await {
            Err(Pumped::Client(error)) if !begun.get() => return upload_failure(error),
            // The answer has begun: all that is left is to break it off.
            Err(Pumped::Client(_)) => return Failure::Gone,
            // An upstream that stops reading may still be about to say why. The time for
            // the first byte of its answer begins now.
            Err(Pumped::Upstream) | Ok(()) if !begun.get() => watch.arm(limit),
            Err(Pumped::Upstream) | Ok(()) => {}
        }
        left(client).await;
        Failure::Gone
    };
    let relayed = relay(&mut reader, wire.writer, watch, job, worker, begun);
    let relayed = unless(gone, relayed).await?;
    if let Some(first) = &relayed.upgraded {
        let upstream = End { reader: &mut reader, writer: &mut writer, first };
        return Ok(upgraded(wire, upload.rest(), upstream, job, worker).await);
    }
    let complete = upload.body.is_done();
    Ok(finish(stream, relayed, complete, job, worker))
}

/// Lets the answer come, but not for long once the client has closed its side: an
/// upstream that is slow, or streams for ever, must not work for nobody.
pub(super) async fn unless_left<T>(
    reader: &mut ReadHalf<'_>,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let gone = async {
        left(reader).await;
        Failure::Gone
    };
    unless(gone, answer).await
}

/// Returns once nobody waits for an answer. The moment of grace is for a client that
/// closes only its sending side; one that broke off has none.
async fn left(reader: &mut ReadHalf<'_>) {
    match poll_fn(|context| reader.poll_peek(context)).await {
        // The next request is there already: whoever sent it waits.
        Ok(1..) => pending().await,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        _ => Box::pin(tokio::time::sleep(GRACE)).await,
    }
}

/// The answer, or why there will be none. The upstream may answer before it has read
/// everything.
async fn unless<T>(
    gone: impl Future<Output = Failure>,
    answer: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let (mut gone, mut answer) = (pin!(gone), pin!(answer));
    poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Pending => gone.as_mut().poll(context).map(Err),
        ready => ready,
    })
    .await
}

/// Why an upload ended early.
enum Pumped {
    Client(UploadError),
    Upstream,
}

struct Pump<'a> {
    head: &'a [u8],
    chunked: bool,
    stall: Duration,
    asked: Option<&'a Asked>,
}

async fn pump(
    reader: &mut ReadHalf<'_>,
    writer: &mut WriteHalf<'_>,
    watch: &Watch,
    upload: &mut Upload,
    pump: Pump<'_>,
    worker: &Worker,
) -> Result<(), Pumped> {
    let mut out = worker.buffers.take();
    out.extend_from_slice(pump.head);
    // The head alone goes first: a body may be long in coming.
    send(writer, watch, pump.stall, &out).await.map_err(|_| Pumped::Upstream)?;
    while let Some(data) =
        upload.next(reader, watch, pump.stall).await.map_err(|e| Pumped::Client(e.counted(worker)))?
    {
        if !pump.chunked {
            send(writer, watch, pump.stall, data).await.map_err(|_| Pumped::Upstream)?;
            continue;
        }
        out.clear();
        push_chunk(&mut out, data);
        send(writer, watch, pump.stall, &out).await.map_err(|_| Pumped::Upstream)?;
    }
    if pump.chunked {
        send(writer, watch, pump.stall, b"0\r\n\r\n").await.map_err(|_| Pumped::Upstream)?;
    }
    worker.buffers.give(out);
    if let Some(asked) = pump.asked {
        asked.may_switch.set(true);
    }
    Ok(())
}

/// The connection has changed its protocol: from here on it is a tunnel.
async fn upgraded(
    wire: &mut Wire<'_, '_>,
    early: &[u8],
    upstream: End<'_>,
    job: &Job<'_>,
    worker: &Worker,
) -> Done {
    let client = End { reader: wire.reader, writer: wire.writer, first: early };
    let used = || {
        if let Some(identity) = job.permit.identity() {
            let now = worker.clock.now();
            if identity.by_cookie {
                identity.session.touch_by_cookie(now)
            } else {
                identity.session.touch(now)
            }
        }
    };
    let idle = job.upstream().idle_timeout;
    let around = Surroundings { watch: wire.watch, idle, buffers: &worker.buffers, used: &used };
    Done { status: 101, sent: tunnel(client, upstream, around).await, keep: false }
}

/// One chunk as we write it: no extension, no odd spelling.
pub fn push_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// What becomes of a request whose body does not come.
pub fn upload_failure(error: UploadError) -> Failure {
    match error {
        UploadError::Malformed => Failure::Malformed,
        UploadError::Gone | UploadError::Stalled => Failure::Gone,
    }
}

fn finish(stream: Stream, relay: Relay, uploaded: bool, job: &Job<'_>, worker: &Worker) -> Done {
    if relay.upstream_rests && uploaded {
        worker.pool.give(job.server(), stream);
    }
    Done { status: relay.status, sent: relay.sent, keep: relay.client_rests && uploaded }
}

/// A new connection to the server that was chosen or, where that cannot be reached, to
/// another one. Nothing of the request has been sent yet, so that any may be tried.
async fn connect(
    watch: &Watch,
    head: &mut Vec<u8>,
    job: &Job<'_>,
    worker: &Worker,
) -> Result<Stream, Failure> {
    let (upstream, mut tried) = (job.upstream(), 0);
    loop {
        let (at, server) = (job.server.get(), job.server());
        let (why, error) = match watch.within(upstream.connect_timeout, pool::connect(server)).await {
            Ok(Ok(stream)) => {
                if server.condition.reached() {
                    tracing::info!(upstream = %upstream.id, server = %server.host_field, "reached again");
                }
                return Ok(stream);
            }
            Ok(Err(error)) if is_ours(&error) => {
                worker.admission.ran_out();
                // Those that rest here are in nobody's way any more.
                if worker.pool.clear() {
                    continue;
                }
                tracing::warn!(%error, "no room for another connection to an upstream");
                return Err(Failure::Full);
            }
            Ok(Err(error)) => (Unreached::Refused, tls::reason(&error)),
            Err(Elapsed) => (Unreached::Silent, "no connection in time".to_owned()),
        };
        tracing::warn!(upstream = %upstream.id, server = %server.host_field, %error, "cannot connect");
        if failed(&upstream.servers, at, why) {
            tracing::warn!(upstream = %upstream.id, server = %server.host_field, "set aside for a while");
        }
        tried |= bit(at);
        job.move_on(tried, head).ok_or(Failure::Code(Code::UpstreamUnreachable))?;
    }
}
