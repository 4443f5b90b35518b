//! An upstream's answer on its way to the client. It is read strictly, loses what
//! belongs to the upstream's hop, and is passed on as it comes.

use super::{
    client::send,
    exchange::{Failure, Job, push_chunk},
    http1::{
        body::{BadChunk, Body},
        head::{Known, MAX_FIELDS, Scanner},
        response::{self, ResponseHead},
    },
    request_head, response_head,
    stream::{ReadHalf, WriteHalf},
    timers::{Elapsed, Watch},
    worker::Worker,
};
use crate::{metrics::Limit, problem::Code, tls};
use std::{
    cell::Cell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

/// Interim answers (RFC 9110 §15.2) that are read before the real one.
const INTERIM: usize = 10;

/// How the answer ended.
#[derive(Debug)]
pub struct Relay {
    /// Its status.
    pub status: u16,
    /// Bytes of its body.
    pub sent: u64,
    /// The client got all of it and knows where it ends.
    pub client_rests: bool,
    /// The upstream sent all of it and nothing else, and keeps the connection.
    pub upstream_rests: bool,
    /// The protocol has changed; with what of the new one has come already.
    pub upgraded: Option<Vec<u8>>,
}

/// How the client learns where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToClient {
    /// From a length, or because there is no body.
    Length,
    /// By chunks.
    Chunks,
    /// By the end of the connection (HTTP/1.0).
    Close,
}

/// Reads the answer and passes it on. `watch` must be armed for the first byte, now or by
/// the one who uploads; `begun` is set once the client has got anything.
pub async fn relay(
    upstream: &mut ReadHalf<'_>,
    client: &mut WriteHalf<'_>,
    watch: &Watch,
    job: &Job<'_>,
    worker: &Worker,
    begun: &Cell<bool>,
) -> Result<Relay, Failure> {
    let mut input = worker.buffers.take();
    let head = read_head(upstream, watch, job, worker, &mut input).await?;
    let tied = ties_person_to_connection(&head, &input, job);
    let mut stream = Passage {
        out: worker.buffers.take(),
        to_client: response_head::to_client(&head, job.request.head.http10),
        body: head.body,
        sent: 0,
        excess: false,
    };
    let close = !job.request.head.keep_alive || stream.to_client == ToClient::Close || worker.is_draining();
    response_head::write(&mut stream.out, &head, &input, job, stream.to_client, close);
    begun.set(true);
    if head.status == 101 {
        send(client, watch, job.snapshot.limits.body_stall, &stream.out).await.map_err(|_| Failure::Gone)?;
        let upgraded = Some(input.split_off(head.len));
        return Ok(Relay { status: 101, sent: 0, client_rests: false, upstream_rests: false, upgraded });
    }
    let taken = stream.take(&input[head.len..]);
    // Who takes its time to read the rest holds no more than that.
    worker.buffers.give(input);
    let ended = stream.run(taken, upstream, client, watch, job, worker).await;
    if !ended && stream.to_client == ToClient::Close {
        client.break_off();
    }
    let relay = Relay {
        status: head.status,
        sent: stream.sent,
        client_rests: ended && !close,
        upstream_rests: ended && head.keep_alive && !stream.excess && !tied,
        upgraded: None,
    };
    worker.buffers.give(stream.out);
    Ok(relay)
}

async fn read_head(
    upstream: &mut ReadHalf<'_>,
    watch: &Watch,
    job: &Job<'_>,
    worker: &Worker,
    input: &mut Vec<u8>,
) -> Result<ResponseHead, Failure> {
    let upstream_config = &job.snapshot.upstreams[job.route.upstream];
    let invalid = |why: &str| {
        tracing::warn!(upstream = %upstream_config.id, why, "the answer is not valid");
        Failure::Code(Code::UpstreamInvalid)
    };
    let mut interim = 0;
    let mut scanner = Scanner::default();
    loop {
        match response::read(input, &mut scanner, job.request.method == "HEAD").map_err(|e| invalid(e.0))? {
            // What we add must be room for: HTTP/2 reads it once more.
            Some(head) if head.fields.len() > MAX_FIELDS => return Err(invalid("too many fields")),
            Some(head) if head.status >= 200 => {
                watch.disarm();
                return Ok(head);
            }
            Some(head) if head.status == 101 => {
                if !job.upgrade.as_ref().is_some_and(|asked| asked.is_granted(&head, input)) {
                    return Err(invalid("it switches to a protocol that was not asked for"));
                }
                watch.disarm();
                return Ok(head);
            }
            Some(_) if interim == INTERIM => return Err(invalid("too many interim answers")),
            Some(head) => {
                interim += 1;
                input.drain(..head.len);
                scanner = Scanner::default();
                continue;
            }
            None => {}
        }
        input.reserve(1024);
        let empty = input.is_empty();
        let most = worker.passing.piece() as u64;
        match watch.guard((&mut *upstream).take(most).read_buf(input)).await {
            Ok(Ok(0)) if empty => return Err(Failure::Closed),
            Ok(Err(error)) if empty && tls::is_refused(&error) => {
                let error = tls::reason(&error);
                tracing::warn!(upstream = %upstream_config.id, %error, "cannot connect");
                return Err(Failure::Code(Code::UpstreamUnreachable));
            }
            Ok(Err(_)) if empty => return Err(Failure::Closed),
            Ok(Ok(0) | Err(_)) => return Err(invalid("it ends within its head")),
            Ok(Ok(_)) if empty => watch.arm(upstream_config.idle_timeout),
            Ok(Ok(_)) => {}
            Err(Elapsed) => return Err(Failure::Code(Code::UpstreamTimeout)),
        }
    }
}

/// A body on its way through.
struct Passage {
    out: Vec<u8>,
    body: Body,
    to_client: ToClient,
    sent: u64,
    /// More came than the answer has.
    excess: bool,
}

impl Passage {
    /// Passes everything on; false when one side broke off, so that the client must not
    /// take what it got for the whole.
    async fn run(
        &mut self,
        mut taken: Result<(), BadChunk>,
        upstream: &mut ReadHalf<'_>,
        client: &mut WriteHalf<'_>,
        watch: &Watch,
        job: &Job<'_>,
        worker: &Worker,
    ) -> bool {
        let idle = job.snapshot.upstreams[job.route.upstream].idle_timeout;
        let stall = job.snapshot.limits.body_stall;
        let mut waiting = worker.passing.waiting();
        loop {
            if self.body.is_done() && self.to_client == ToClient::Chunks && taken.is_ok() {
                self.out.extend_from_slice(b"0\r\n\r\n");
            }
            waiting.set(self.out.len());
            let sent = send(client, watch, stall, &self.out).await;
            waiting.set(0);
            if let Err(error) = sent {
                if error.kind() == io::ErrorKind::TimedOut {
                    worker.meter.limit(Limit::BodyStall);
                }
                return false;
            }
            self.out.clear();
            if self.body.is_done() || taken.is_err() {
                return taken.is_ok();
            }
            let most = client.room().min(worker.passing.piece());
            match self.fill(upstream, watch, idle, (worker, most)).await {
                Ok((0, _)) if self.body == Body::UntilClose => {
                    return self.end_of_connection(client, watch, job).await;
                }
                Ok((1.., step)) => taken = step,
                _ => return false,
            }
        }
    }

    /// Moves what was read of the body to what is to be written.
    fn take(&mut self, input: &[u8]) -> Result<(), BadChunk> {
        let mut at = 0;
        while at < input.len() && !self.body.is_done() {
            let step = self.body.step(&input[at..])?;
            let data = &input[at + step.data_from..at + step.used];
            self.sent += data.len() as u64;
            match self.to_client {
                ToClient::Chunks if data.is_empty() => {}
                ToClient::Chunks => push_chunk(&mut self.out, data),
                ToClient::Length | ToClient::Close => self.out.extend_from_slice(data),
            }
            at += step.used;
        }
        self.excess = at < input.len();
        Ok(())
    }

    /// Reads a piece, through memory that no connection holds while it waits.
    async fn fill(
        &mut self,
        upstream: &mut ReadHalf<'_>,
        watch: &Watch,
        idle: Duration,
        (worker, most): (&Worker, usize),
    ) -> io::Result<(usize, Result<(), BadChunk>)> {
        let piece = poll_fn(|context| {
            let mut memory = worker.piece.borrow_mut();
            let mut room = ReadBuf::new(&mut memory[..most]);
            ready!(Pin::new(&mut *upstream).poll_read(context, &mut room))?;
            Poll::Ready(Ok((room.filled().len(), self.take(room.filled()))))
        });
        watch.within(idle, piece).await.map_err(|Elapsed| io::ErrorKind::TimedOut)?
    }

    /// The upstream closed where closing is the end.
    async fn end_of_connection(&mut self, client: &mut WriteHalf<'_>, watch: &Watch, job: &Job<'_>) -> bool {
        let last: &[u8] = if self.to_client == ToClient::Chunks { b"0\r\n\r\n" } else { b"" };
        send(client, watch, job.snapshot.limits.body_stall, last).await.is_ok()
    }
}

/// NTLM and its kin sign in a connection, not a request: what comes next on it would be
/// answered as the person who signed in. The answer asks for such a sign-in or says that
/// it stands, or the request brought one.
fn ties_person_to_connection(head: &ResponseHead, input: &[u8], job: &Job<'_>) -> bool {
    let told = head.fields.iter().any(|(name, value)| match &input[name.clone()] {
        name if name.eq_ignore_ascii_case(b"www-authenticate") => signs_in_connections(&input[value.clone()]),
        name => name.eq_ignore_ascii_case(b"persistent-auth") || name.eq_ignore_ascii_case(b"proxy-support"),
    });
    let mut brought = job.request.head.values(Known::Authorization, job.request.bytes);
    told || brought.any(signs_in_connections) && request_head::forwards_authorization(job.route)
}

/// Whether one of these schemes is named, wherever it stands: one line may hold a list of
/// challenges, each with parameters (RFC 9110 §11.6.1).
fn signs_in_connections(value: &[u8]) -> bool {
    let is_of_a_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let mut words = value.split(|byte| !is_of_a_token(byte));
    words.any(|word| word.eq_ignore_ascii_case(b"ntlm") || word.eq_ignore_ascii_case(b"negotiate"))
}
