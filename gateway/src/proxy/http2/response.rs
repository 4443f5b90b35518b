//! An answer of the pipeline as frames: its head is read back strictly, its body loses
//! the framing of HTTP/1.1 and goes as fast as the client's windows let it.

use super::frames::Shared;
use crate::{
    metrics::Limit,
    proxy::{
        client::LEAST,
        http1::{
            body::Body,
            head::Scanner,
            response::{self, ResponseHead},
        },
        pipe::Pipe,
        timers::{Elapsed, Watch},
        worker::Worker,
    },
};
use bytes::{Buf, Bytes, BytesMut};
use h2::{Reason, SendStream, server::SendResponse};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use std::{future::poll_fn, rc::Rc, task::Poll, time::Duration};

/// How a stream ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The client has the whole answer.
    Whole,
    /// The pipeline broke off: the client must not take what it got for the whole.
    Broken,
    /// The client took the stream back.
    Gone,
    /// The client does not take what waits for it.
    Stalled,
}

/// Who takes an answer.
pub struct Client {
    /// Limits its waiting.
    pub watch: Watch,
    /// How long it may keep bytes waiting, with [`LEAST`] of them for each time.
    pub stall: Duration,
    /// Whose memory they wait in.
    pub worker: Rc<Worker>,
    /// What has left of its connection.
    pub frames: Rc<Shared>,
}

/// Fields of the other protocol's connection.
const CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// Passes one answer on.
pub async fn send(
    from: &Pipe,
    respond: &mut SendResponse<Bytes>,
    head_request: bool,
    client: &Client,
) -> Outcome {
    let mut waiting = client.worker.passing.waiting();
    let mut input = BytesMut::new();
    let head = match read_head(from, respond, head_request, &mut input).await {
        Ok(head) => head,
        Err(outcome) => return outcome,
    };
    let Some(answer) = answer(&head, &input) else { return Outcome::Broken };
    input.advance(head.len);
    let mut body = head.body;
    let Ok(mut stream) = respond.send_response(answer, body.is_done()) else { return Outcome::Gone };
    while !body.is_done() {
        waiting.set(input.len());
        client.watch.arm(client.stall);
        let passed = client.watch.guard(pass(&mut body, &mut input, &mut stream, (client, from))).await;
        client.watch.disarm();
        waiting.set(0);
        let passed = passed.unwrap_or_else(|Elapsed| {
            client.worker.meter.limit(Limit::BodyStall);
            Err(Outcome::Stalled)
        });
        match passed {
            Ok(()) if body.is_done() => break,
            Ok(()) => {}
            Err(outcome) => return reset(&mut stream, outcome),
        }
        let more = poll_fn(|context| match from.poll_filled(context) {
            Poll::Pending => stream.poll_reset(context).map(|_| None),
            ready => ready.map(Some),
        });
        match more.await {
            None => return Outcome::Gone,
            Some(0) if body == Body::UntilClose => {
                return match stream.send_data(Bytes::new(), true) {
                    Ok(()) => Outcome::Whole,
                    Err(_) => Outcome::Gone,
                };
            }
            Some(0) => return reset(&mut stream, Outcome::Broken),
            Some(_) => input.extend_from_slice(&from.take()),
        }
    }
    Outcome::Whole
}

fn reset(stream: &mut SendStream<Bytes>, outcome: Outcome) -> Outcome {
    stream.send_reset(if outcome == Outcome::Broken { Reason::INTERNAL_ERROR } else { Reason::CANCEL });
    outcome
}

async fn read_head(
    from: &Pipe,
    respond: &mut SendResponse<Bytes>,
    head_request: bool,
    input: &mut BytesMut,
) -> Result<ResponseHead, Outcome> {
    let mut scanner = Scanner::default();
    loop {
        match response::read(input, &mut scanner, head_request) {
            Err(_) => return Err(Outcome::Broken),
            Ok(Some(head)) if head.status >= 200 => return Ok(head),
            Ok(Some(head)) => {
                input.advance(head.len);
                scanner = Scanner::default();
                let mut interim = Response::new(());
                *interim.status_mut() = StatusCode::from_u16(head.status).map_err(|_| Outcome::Broken)?;
                respond.send_informational(interim).map_err(|_| Outcome::Gone)?;
                continue;
            }
            Ok(None) => {}
        }
        let more = poll_fn(|context| match from.poll_filled(context) {
            Poll::Pending => respond.poll_reset(context).map(|_| None),
            ready => ready.map(Some),
        });
        match more.await {
            None => return Err(Outcome::Gone),
            Some(0) => return Err(Outcome::Broken),
            Some(_) => input.extend_from_slice(&from.take()),
        }
    }
}

fn answer(head: &ResponseHead, input: &[u8]) -> Option<Response<()>> {
    let mut answer = Response::new(());
    *answer.status_mut() = StatusCode::from_u16(head.status).ok()?;
    for (name, value) in &head.fields {
        let name = HeaderName::from_bytes(&input[name.clone()]).ok()?;
        if !CONNECTION.contains(&name.as_str()) {
            answer.headers_mut().append(name, HeaderValue::from_bytes(&input[value.clone()]).ok()?);
        }
    }
    Some(answer)
}

/// Sends what there is of the body, with the end when it is the end.
async fn pass(
    body: &mut Body,
    input: &mut BytesMut,
    stream: &mut SendStream<Bytes>,
    (client, from): (&Client, &Pipe),
) -> Result<(), Outcome> {
    let (id, mut taken) = (stream.stream_id().as_u32(), 0);
    while !input.is_empty() && !body.is_done() {
        let step = body.step(input).map_err(|_| Outcome::Broken)?;
        let mut data = input.split_to(step.used).freeze();
        data.advance(step.data_from);
        while !data.is_empty() {
            // A client that reads nothing at all leaves its windows open.
            let room = client.frames.room(id, || client.worker.passing.piece()).await;
            stream.reserve_capacity(data.len().min(room));
            let capacity = poll_fn(|context| {
                let capacity = stream.poll_capacity(context);
                // The library has nothing left of it: it is the client's window that is shut.
                if capacity.is_pending() && client.frames.holds(id) == 0 {
                    from.narrow();
                }
                capacity
            });
            let capacity = capacity.await;
            let Some(Ok(capacity)) = capacity else { return Err(Outcome::Gone) };
            let part = data.split_to(capacity.min(data.len()).min(room));
            taken += part.len();
            if taken >= LEAST {
                taken = 0;
                client.watch.arm(client.stall);
            }
            client.frames.queued(id, part.len());
            from.widen();
            let last = data.is_empty() && body.is_done();
            stream.send_data(part, last).map_err(|_| Outcome::Gone)?;
            if last {
                return Ok(());
            }
        }
        if body.is_done() {
            stream.send_data(Bytes::new(), true).map_err(|_| Outcome::Gone)?;
        }
    }
    Ok(())
}
