//! The head that an upstream receives: what the client sent, less what belongs to this
//! hop, less what only the gateway may say, and then what the gateway says (contract
//! section 7). The order is the point: strip first, set last.

use super::{
    authenticate::Identity,
    http1::{
        head::{Field, Framing, Known, tokens},
        push_field,
    },
    pipeline::Request,
    upstream::Server,
    worker::Worker,
};
use crate::{
    problem::Code,
    snapshot::{Route, Snapshot, Upstream},
};
use portcullis_config::AssertionMode;

/// Everything the head is made of.
pub struct Parts<'a> {
    /// The request as it came.
    pub request: &'a Request<'a>,
    /// The configuration.
    pub snapshot: &'a Snapshot,
    /// The route it takes.
    pub route: &'a Route,
    /// Where it goes.
    pub upstream: &'a Upstream,
    /// To which server of it.
    pub server: &'a Server,
    /// Who is signed in, as the permit holds it.
    pub identity: Option<&'a Identity>,
    /// The protocols that the upstream may switch to.
    pub upgrade: Option<&'a [u8]>,
}

/// Writes the head into `out`.
pub fn write(out: &mut Vec<u8>, parts: &Parts<'_>, worker: &Worker) -> Result<(), Code> {
    request_line(out, parts);
    host(out, parts);
    for field in &parts.request.head.fields {
        if passes(field, parts, worker) {
            copy(out, field, parts);
        }
    }
    forwarding(out, parts);
    framing(out, parts);
    if let Some(protocols) = parts.upgrade {
        line(out, "Connection", b"upgrade");
        line(out, "Upgrade", protocols);
    }
    if let Some(identity) = parts.identity {
        worker.prepared.append(out, parts, identity, worker)?;
    }
    out.extend_from_slice(b"\r\n");
    Ok(())
}

fn request_line(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let request = parts.request;
    out.extend_from_slice(request.method.as_bytes());
    out.push(b' ');
    let path = request.path.as_str();
    let path = parts.route.strip_prefix.as_deref().and_then(|p| path.strip_prefix(p)).unwrap_or(path);
    if !path.starts_with('/') {
        out.push(b'/');
    }
    out.extend_from_slice(path.as_bytes());
    if let Some(query) = request.query {
        out.push(b'?');
        out.extend_from_slice(query);
    }
    out.extend_from_slice(b" HTTP/1.1\r\n");
}

fn host(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let client = parts.request.head.host.of_buffer(parts.request.bytes);
    let host = if parts.upstream.preserve_host { client } else { parts.server.host_field.as_bytes() };
    line(out, "Host", host);
}

/// Puts another server's name into a head that was written for one that could not be
/// reached. `Host` is the line after the request line.
pub fn set_host(head: &mut Vec<u8>, host: &str) {
    let mut ends = head.windows(2).enumerate().filter(|(_, pair)| pair == b"\r\n").map(|(at, _)| at);
    if let (Some(first), Some(second)) = (ends.next(), ends.next()) {
        head.splice(first + 2..second, format!("Host: {host}").into_bytes());
    }
}

/// Whether a field of the client's goes on. Framing, `Host` and everything of this hop
/// is made anew; protected names and the credentials meant for us go no further.
fn passes(field: &Field, parts: &Parts<'_>, worker: &Worker) -> bool {
    let bytes = parts.request.bytes;
    match field.known {
        Known::Host => false,
        known if known.is_of_this_hop() => false,
        Known::Authorization => authorization_passes(field, parts, worker),
        Known::Other => {
            let name = field.name.of_buffer(bytes);
            !parts.snapshot.protected.covers(name)
                && !name.eq_ignore_ascii_case(b"http2-settings")
                && !is_named_by_connection(name, parts)
        }
        known => {
            !parts.snapshot.protected.covers_known(known)
                && !is_named_by_connection(field.name.of_buffer(bytes), parts)
        }
    }
}

/// Whether a client's `Authorization` may be the upstream's on this route at all.
pub fn forwards_authorization(route: &Route) -> bool {
    route.assertion != AssertionMode::Authorization
        && (route.forward_authorization || route.policy.is_public())
}

/// A value for the upstream itself: on a public route, or where the route says so, and
/// never a token of ours.
fn authorization_passes(field: &Field, parts: &Parts<'_>, worker: &Worker) -> bool {
    let value = field.value.of_buffer(parts.request.bytes);
    // What cannot be read cannot be told from ours.
    forwards_authorization(parts.route)
        && std::str::from_utf8(value).is_ok_and(|text| !worker.tokens.holds_ours(text))
}

fn is_named_by_connection(name: &[u8], parts: &Parts<'_>) -> bool {
    let mut fields = parts.request.head.values(Known::Connection, parts.request.bytes);
    fields.any(|value| tokens(value).any(|token| token.eq_ignore_ascii_case(name)))
}

fn copy(out: &mut Vec<u8>, field: &Field, parts: &Parts<'_>) {
    let bytes = parts.request.bytes;
    let value = field.value.of_buffer(bytes);
    if field.known == Known::Cookie {
        let theirs = parts.snapshot.cookies.without_ours(value);
        if theirs.is_empty() {
            return;
        }
        return push_field(out, field.name.of_buffer(bytes), &theirs);
    }
    push_field(out, field.name.of_buffer(bytes), value);
}

/// Where the request came from, as this gateway saw it.
fn forwarding(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let request = parts.request;
    out.extend_from_slice(b"X-Forwarded-For: ");
    if let Some(before) = request.origin.forwarded_for.as_deref() {
        out.extend_from_slice(before);
        out.extend_from_slice(b", ");
    }
    out.extend_from_slice(request.peer_text.as_bytes());
    out.extend_from_slice(b"\r\n");
    line(out, "X-Forwarded-Proto", request.origin.proto.as_bytes());
    let host = request.origin.host.as_deref().map(str::as_bytes);
    line(out, "X-Forwarded-Host", host.unwrap_or(request.head.host.of_buffer(request.bytes)));
    line(out, "X-Request-Id", request.id.as_bytes());
}

fn framing(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let request = parts.request;
    match request.head.framing {
        Framing::Chunked => line(out, "Transfer-Encoding", b"chunked"),
        Framing::Length(length) => line(out, "Content-Length", length.to_string().as_bytes()),
        // RFC 9110 §8.6: methods that usually carry a body say that there is none.
        Framing::None if matches!(request.method, "POST" | "PUT" | "PATCH") => {
            line(out, "Content-Length", b"0")
        }
        Framing::None => {}
    }
}

fn line(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    push_field(out, name.as_bytes(), value);
}

#[cfg(test)]
mod tests {
    use super::set_host;

    #[test]
    fn another_host_takes_the_place_of_the_first_and_nothing_else_moves() {
        let mut head = b"GET /Host: HTTP/1.1\r\nHost: a:1\r\nX: Host: a:1\r\n\r\n".to_vec();
        set_host(&mut head, "other.test");
        assert_eq!(head, b"GET /Host: HTTP/1.1\r\nHost: other.test\r\nX: Host: a:1\r\n\r\n");
    }
}
