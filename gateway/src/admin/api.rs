//! The admin API on the admin listener (`[admin] api = "listener"`): a request to it is read
//! whole and handed to the endpoints, with everything that they ask of it. The listener itself
//! still asks nobody who they are; the API asks for an admin's token.

use crate::{
    clock::UnixMillis,
    control::{self, Control},
    proxy::{
        endpoint::{Departure, EndpointRequest},
        http1::head::{Framing, Head},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response};
use portcullis_config::AdminApi;
use std::{io, net::IpAddr, sync::Arc};
use tokio::{io::AsyncReadExt, net::TcpStream};

/// Whether this target is of the API, and the API is here.
pub(super) fn is_for(control: &Control, target: &str) -> bool {
    let config = &control.config;
    let rest = target.strip_prefix(&config.endpoints.auth).and_then(|rest| rest.strip_prefix("/admin/"));
    config.admin.api == AdminApi::Listener && rest.is_some()
}

/// What of a request is read already.
pub(super) struct Begun<'a> {
    pub(super) head: &'a Head,
    /// From the first byte of the head; more than the head where the body came with it.
    pub(super) buffer: &'a [u8],
    pub(super) client: IpAddr,
}

/// Reads the rest and answers.
pub(super) async fn answer(
    stream: &mut TcpStream,
    begun: Begun<'_>,
    control: Arc<Control>,
) -> io::Result<Vec<u8>> {
    let limit = control.config.limits.login_body;
    let length = match begun.head.framing {
        Framing::None => 0,
        Framing::Length(length) if length <= limit as u64 => length as usize,
        _ => {
            return Ok(plain(
                "413 Content Too Large",
                "send a body with its length, within [limits] login_body",
            ));
        }
    };
    let mut body = begun.buffer[begun.head.len..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    body.truncate(length);
    let Some(request) = request(&begun, body, &control) else { return Ok(plain("400 Bad Request", "no")) };
    Ok(written(control::answer_on_listener(&control, &request).await, &request.request_id))
}

fn request(begun: &Begun<'_>, body: Vec<u8>, control: &Control) -> Option<EndpointRequest> {
    let (head, bytes) = (begun.head, begun.buffer);
    let target = std::str::from_utf8(head.target.of_buffer(bytes)).ok()?;
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut headers = HeaderMap::new();
    for field in head.fields.iter().filter(|field| !field.known.is_of_this_hop()) {
        let name = HeaderName::from_bytes(field.name.of_buffer(bytes)).ok()?;
        headers.append(name, HeaderValue::from_bytes(field.value.of_buffer(bytes)).ok()?);
    }
    let UnixMillis(now) = control.clock.now();
    Some(EndpointRequest {
        method: Method::from_bytes(head.method.of_buffer(bytes)).ok()?,
        path: path.to_owned(),
        query: query.map(str::to_owned),
        host: String::from_utf8_lossy(head.host.of_buffer(bytes)).to_lowercase(),
        headers,
        body: Bytes::from(body),
        client: begun.client,
        request_id: format!("admin-{now:x}-{}", hex(&control.random.bytes::<4>())),
        departure: Departure::default(),
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn written(response: Response<Bytes>, request_id: &str) -> Vec<u8> {
    let (head, body) = response.into_parts();
    let mut out = format!("HTTP/1.1 {}\r\nx-request-id: {request_id}\r\n", head.status).into_bytes();
    for (name, value) in &head.headers {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    let length = if head.status == http::StatusCode::NO_CONTENT {
        String::new()
    } else {
        format!("content-length: {}\r\n", body.len())
    };
    out.extend_from_slice(format!("{length}connection: close\r\n\r\n").as_bytes());
    out.extend_from_slice(&body);
    out
}

fn plain(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/plain\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
