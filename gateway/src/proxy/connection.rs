//! One client's connection: heads are read, each request is served and logged, and the
//! connection is kept or closed. Nothing is decided here about who may.

use super::{
    access_log::Entry,
    answer::{Answer, worth_reading},
    caught::{self, Panicked},
    client::{Client, NoHead, Upload, send},
    endpoint_call,
    exchange::{Done, Failure, Job, Wire, forward},
    http1::head::{BadHead, Framing, Head},
    listen::Caller,
    pipeline::{Decision, Peer, Request, Secured, decide},
    refuse,
    stream::Stream,
    upgrade::Asked,
    worker::Worker,
};
use crate::{
    metrics::Limit,
    problem::{Code, Problem},
    snapshot::Snapshot,
};
use std::{
    future::poll_fn,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// What is read and thrown away of a client that is still sending when it has been
/// answered, so that the answer arrives before the connection is reset.
const LINGER: (Duration, usize) = (Duration::from_secs(1), 256 * 1024);

/// What a client is told when we have no descriptor for its upstream's connection.
const NO_ROOM: &str = "The gateway has no room for another connection at the moment.";

/// Serves one connection to its end.
pub async fn serve(worker: Rc<Worker>, mut stream: Stream, peer: Caller, secured: Option<Secured>) {
    let (reader, writer) = stream.split();
    let watch = worker.timers.watch();
    let mut client =
        Client { reader, writer, watch, input: Vec::new(), head: Head::default(), peer: peer.address };
    let peer_text = peer.to_string();
    let mut first = true;
    loop {
        match client.next_head(&worker, first).await {
            Ok(()) => {}
            Err(NoHead::Bad(bad)) => {
                refuse_head(&mut client, bad, &worker).await;
                linger(&mut client).await;
                break;
            }
            Err(NoHead::Slow) => {
                worker.meter.limit(Limit::HeaderTimeout);
                break;
            }
            Err(NoHead::Gone) => break,
        }
        first = false;
        let peer = Peer {
            address: peer.address,
            text: &peer_text,
            secured: secured.as_ref(),
            on_loopback: peer.on_loopback,
        };
        client.writer.begin();
        let served = {
            let mut one = pin!(one_request(&mut client, peer, &worker));
            poll_fn(|context| caught::poll(one.as_mut(), context)).await
        };
        if served != Ok(true) {
            if served == Err(Panicked) {
                broken(&mut client, &worker).await;
            }
            break;
        }
    }
    worker.buffers.give(std::mem::take(&mut client.input));
    if client.writer.is_buffered() && !client.writer.is_broken_off() {
        // TLS says that this is the end, and that nothing was cut off.
        let _ = client.watch.within(LINGER.0, client.writer.shutdown()).await;
    }
}

/// Serves the request whose head has been read. True when the connection can carry
/// another.
async fn one_request(client: &mut Client<'_>, peer: Peer<'_>, worker: &Rc<Worker>) -> bool {
    let started = Instant::now();
    let snapshot = worker.current();
    let mut upload = (client.head.framing != Framing::None).then(|| Upload::new(client, &worker.buffers));
    let Client { reader, writer, watch, input, head, .. } = client;
    let (bytes, early) = input.split_at(head.len);
    let mut wire = Wire { reader, writer, watch, early };
    let mut entry = Entry::new(head, bytes, peer.address, &worker.log);
    let done = match Request::understand(head, bytes, peer, worker, &snapshot) {
        Ok(request) => {
            entry.understood(&request);
            serve_understood(&mut wire, upload.as_mut(), &request, &mut entry, worker, &snapshot).await
        }
        Err(problem) => {
            let id = worker.next_request_id();
            let answer = refuse::not_understood(&problem, head, bytes, &id, worker);
            let close = problem.code.status() == 400;
            entry.id = id;
            respond(&mut wire, upload.as_mut(), head, &answer, (&entry.id, close), worker).await
        }
    };
    let took = started.elapsed();
    worker.meter.request(entry.meter.as_deref(), done.status, took);
    worker.log.request(&entry, &done, took, worker);
    // 499 is nobody's answer: there is nothing to wait for.
    let lingers = done.status >= 400 && done.status != 499 && !done.keep && !client.writer.is_broken_off();
    // Also in a drain: an answer that did not say `close` may have its next request.
    let keep = done.keep;
    if keep {
        client.finish(upload);
    } else if lingers {
        linger(client).await;
    }
    keep
}

async fn serve_understood(
    wire: &mut Wire<'_, '_>,
    mut upload: Option<&mut Upload>,
    request: &Request<'_>,
    entry: &mut Entry,
    worker: &Worker,
    snapshot: &Snapshot,
) -> Done {
    let outcome = match decide(request, worker, snapshot).await {
        Err(refusal) => {
            // Whoever sends what can be read in two ways may have sent more of it.
            let close = refusal.problem.code.status() == 400;
            // A refusal does not carry its route, which is looked up again to be counted.
            let routes = &snapshot.routes;
            let route =
                routes.select(&request.host.host, &request.path, request.encoded_slash, request.method);
            entry.meter = route.ok().map(|route| worker.meter.route(&route.id));
            let answer = refusal.answer(request, worker, snapshot);
            return respond(wire, upload, request.head, &answer, (&request.id, close), worker).await;
        }
        Ok(Decision::Endpoint) => {
            entry.meter = Some(worker.meter.endpoints());
            // Rare beside proxied requests: boxed, so that connections stay small.
            let call = endpoint_call::call(wire, upload.as_deref_mut(), request, worker, snapshot);
            Box::pin(call).await.map(Err)
        }
        Ok(Decision::Forward { route, permit, stale_cookie }) => {
            entry.routed(&route, permit.identity());
            entry.meter = Some(worker.meter.route(&route.id));
            let take_back = stale_cookie && request.is_navigation();
            let set_cookie = take_back.then(|| snapshot.cookies.clear_session(snapshot.same_site));
            let upgrade = Asked::of(request.head, request.bytes);
            let server = Default::default();
            let job = Job { request, route: &route, permit: &permit, snapshot, set_cookie, upgrade, server };
            let done = forward(wire, upload.as_deref_mut(), &job, worker).await;
            if let Err(Failure::Code(code)) = &done {
                worker.meter.upstream_failed(&snapshot.upstreams[route.upstream].id, code.as_str());
            }
            done.map(Ok)
        }
    };
    let (problem, close) = match outcome {
        Ok(Ok(done)) => return done,
        Ok(Err(answer)) => {
            return respond(wire, upload, request.head, &answer, (&request.id, false), worker).await;
        }
        Err(Failure::Gone | Failure::Closed) => return Done { status: 499, sent: 0, keep: false },
        Err(Failure::SessionOver) => (refuse::session_over(snapshot), false),
        Err(Failure::Malformed) => {
            (Problem::from(Code::BadRequest).detail("a chunk of the body is malformed"), true)
        }
        Err(Failure::Code(code)) => (code.into(), false),
        Err(Failure::Full) => (Problem::from(Code::Busy).detail(NO_ROOM), false),
    };
    let answer = refuse::problem(&problem, request.is_navigation(), &request.id, worker);
    let answer = request.readers.borrow().added_to(answer);
    respond(wire, upload, request.head, &answer, (&request.id, close), worker).await
}

/// Writes an answer of our own, and deals with what is left of the request's body: a
/// little is read, so that the connection can be kept; otherwise it closes.
async fn respond(
    wire: &mut Wire<'_, '_>,
    upload: Option<&mut Upload>,
    head: &Head,
    answer: &Answer,
    (id, close): (&str, bool),
    worker: &Worker,
) -> Done {
    let unread = upload.as_ref().is_some_and(|u| !u.body.is_done());
    let wanted = !unread || worth_reading(head.framing, head.expects_continue);
    let close = close || !head.keep_alive || !wanted || worker.is_draining();
    let head_only = head.is_head_request;
    let mut out = worker.buffers.take();
    answer.write(&mut out, id, head_only, close, worker);
    let stall = worker.snapshot().limits.body_stall;
    let written = send(wire.writer, wire.watch, stall, &out).await;
    worker.buffers.give(out);
    let mut keep = written.is_ok() && !close;
    if let (true, Some(upload)) = (keep, upload) {
        let patience = worker.timers.watch();
        let rest = upload.discard(wire.reader, wire.watch, &patience, stall).await;
        keep = rest.map_err(|error| error.counted(worker)).is_ok();
    }
    let sent = if head_only { 0 } else { answer.body_len() as u64 };
    Done { status: answer.status, sent, keep }
}

/// Answers a head that cannot be read. Nothing of it can be trusted, so the answer is
/// problem+json and the connection closes.
async fn refuse_head(client: &mut Client<'_>, bad: BadHead, worker: &Worker) {
    let problem: Problem = match bad {
        BadHead::Bad(why) => Problem::from(Code::BadRequest).detail(why),
        BadHead::RequestLineTooLong => Code::UriTooLong.into(),
        BadHead::Expectation => Code::ExpectationFailed.into(),
        BadHead::TooLarge | BadHead::TooMany => Code::HeadersTooLarge.into(),
    };
    match bad {
        BadHead::RequestLineTooLong => worker.meter.limit(Limit::RequestLine),
        BadHead::TooLarge => worker.meter.limit(Limit::HeaderBytes),
        BadHead::TooMany => worker.meter.limit(Limit::Headers),
        BadHead::Bad(_) | BadHead::Expectation => {}
    }
    let mut entry = Entry::new(&Head::default(), b"", client.peer, &worker.log);
    entry.id = worker.next_request_id();
    let answer = refuse::problem(&problem, false, &entry.id, worker);
    let mut out = worker.buffers.take();
    answer.write(&mut out, &entry.id, false, true, worker);
    let patience = worker.snapshot().limits.body_stall;
    let _ = send(&mut client.writer, &client.watch, patience, &out).await;
    worker.buffers.give(out);
    let done = Done { status: answer.status, sent: answer.body_len() as u64, keep: false };
    worker.meter.request(None, done.status, Duration::ZERO);
    worker.log.request(&entry, &done, Duration::ZERO, worker);
}

/// What is left to do for a request that panicked. Nobody knows what was read of it or
/// written to it, so nothing follows on its connection.
async fn broken(client: &mut Client<'_>, worker: &Worker) {
    let bytes = client.input.get(..client.head.len).unwrap_or_default();
    let mut entry = Entry::new(&client.head, bytes, client.peer, &worker.log);
    entry.id = worker.next_request_id();
    let mut done = Done { status: 500, sent: 0, keep: false };
    if client.writer.has_begun() {
        // An answer that was under way is not to look whole.
        client.writer.break_off();
    } else {
        let answer = refuse::problem(&Code::Internal.into(), false, &entry.id, worker);
        let mut out = worker.buffers.take();
        answer.write(&mut out, &entry.id, client.head.is_head_request, true, worker);
        let patience = worker.snapshot().limits.body_stall;
        let _ = send(&mut client.writer, &client.watch, patience, &out).await;
        worker.buffers.give(out);
        done.sent = answer.body_len() as u64;
        linger(client).await;
    }
    worker.meter.request(None, done.status, Duration::ZERO);
    worker.log.request(&entry, &done, Duration::ZERO, worker);
}

async fn linger(client: &mut Client<'_>) {
    let (time, bytes) = LINGER;
    let _ = client.writer.shutdown().await;
    let mut sink = [0; 4096];
    let mut left = bytes;
    client.watch.arm(time);
    while let Ok(Ok(read)) = client.watch.guard(client.reader.read(&mut sink)).await {
        left = left.saturating_sub(read);
        if read == 0 || left == 0 {
            break;
        }
    }
    client.watch.disarm();
}
