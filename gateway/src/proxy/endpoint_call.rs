//! A request to one of our own endpoints: its body is read whole, within limits, and
//! handed to the control plane.

use super::{
    answer::Answer,
    client::{Upload, UploadError, send},
    cors,
    endpoint::{Departure, EndpointRequest},
    exchange::{Failure, Wire, unless_left, upload_failure},
    http1::{body::Body, head::Head},
    pipeline::Request,
    worker::Worker,
};
use crate::{metrics::Limit, problem::Code, snapshot::Snapshot};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::time::Duration;

/// The control plane's answer.
pub async fn call(
    wire: &mut Wire<'_, '_>,
    upload: Option<&mut Upload>,
    request: &Request<'_>,
    worker: &Worker,
    snapshot: &Snapshot,
) -> Result<Answer, Failure> {
    if let Some(answer) = cors::endpoint_preflight(request) {
        return Ok(request.readers.borrow().added_to(answer));
    }
    let body = match upload {
        Some(upload) => read_body(wire, upload, request.head, worker, snapshot).await?,
        None => Bytes::new(),
    };
    let (waits, departure) = Departure::new();
    let handed = EndpointRequest {
        method: Method::from_bytes(request.method.as_bytes()).map_err(|_| Failure::Code(Code::BadRequest))?,
        path: request.path.clone(),
        query: request.query.map(|q| String::from_utf8_lossy(q).into_owned()),
        host: request.host.to_text(),
        headers: headers(request.head, request.bytes),
        body,
        client: request.origin.client,
        request_id: request.id.clone(),
        departure,
    };
    // A task that goes on when the client leaves: what the store was told is audited, counted
    // and mailed whoever waits for it. The end of `waits` says that nobody does.
    let task = worker.control.spawn((worker.endpoints)(handed));
    let response = async { task.await.map_err(|_| Failure::Code(Code::Internal)) };
    let response = unless_left(wire.reader, response).await?;
    drop(waits);
    Ok(request.readers.borrow().added_to(answer(response)))
}

async fn read_body(
    wire: &mut Wire<'_, '_>,
    upload: &mut Upload,
    head: &Head,
    worker: &Worker,
    snapshot: &Snapshot,
) -> Result<Bytes, Failure> {
    let limit = snapshot.limits.login_body;
    let stall = snapshot.limits.body_stall;
    let too_large = || {
        worker.meter.limit(Limit::LoginBody);
        Err(Failure::Code(Code::BodyTooLarge))
    };
    if matches!(upload.body, Body::Length(length) if length > limit as u64) {
        return too_large();
    }
    if head.expects_continue {
        let ready = send(wire.writer, wire.watch, stall, b"HTTP/1.1 100 Continue\r\n\r\n").await;
        ready.map_err(|_| Failure::Gone)?;
    }
    // What is passed on may take its time as long as something comes. What is kept whole
    // holds a place while nothing can be done with it: all of it comes in that time.
    let patience = worker.timers.watch();
    let read = patience.within(stall, whole(wire, upload, limit, stall)).await;
    match read.unwrap_or(Err(UploadError::Stalled)) {
        Ok(Some(body)) => Ok(body.into()),
        Ok(None) => too_large(),
        Err(error) => Err(upload_failure(error.counted(worker))),
    }
}

/// The whole body; none if it is larger than `limit`.
async fn whole(
    wire: &mut Wire<'_, '_>,
    upload: &mut Upload,
    limit: usize,
    stall: Duration,
) -> Result<Option<Vec<u8>>, UploadError> {
    let mut body = Vec::new();
    while let Some(data) = upload.next(wire.reader, wire.watch, stall).await? {
        if body.len() + data.len() > limit {
            return Ok(None);
        }
        body.extend_from_slice(data);
    }
    Ok(Some(body))
}

/// The fields of the request itself; those of the connection stay here.
fn headers(head: &Head, bytes: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(head.fields.len());
    for field in &head.fields {
        if field.known.is_of_this_hop() {
            continue;
        }
        let name = HeaderName::from_bytes(field.name.of_buffer(bytes));
        let value = HeaderValue::from_bytes(field.value.of_buffer(bytes));
        if let (Ok(name), Ok(value)) = (name, value) {
            map.append(name, value);
        }
    }
    map
}

fn answer(response: http::Response<Bytes>) -> Answer {
    let (parts, body) = response.into_parts();
    let mut answer = Answer::new(parts.status.as_u16());
    for (name, value) in &parts.headers {
        answer.push_field(name.as_str().as_bytes(), value.as_bytes());
    }
    answer.set_body(body.into());
    answer
}
