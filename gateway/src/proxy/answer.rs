//! Answers of our own, written whole in one piece.

use super::{http1::head::Framing, worker::Worker};

/// A status, fields and a whole body.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    fields: Vec<u8>,
    body: Vec<u8>,
}

impl Answer {
    /// Without fields and body.
    pub fn new(status: u16) -> Self {
        Self { status, fields: Vec::new(), body: Vec::new() }
    }

    /// One field more. What cannot stand in a field's value is left out of it.
    #[must_use]
    pub fn field(mut self, name: &str, value: &str) -> Self {
        self.push_field(name.as_bytes(), value.as_bytes());
        self
    }

    /// The same for bytes.
    pub fn push_field(&mut self, name: &[u8], value: &[u8]) {
        self.fields.extend_from_slice(name);
        self.fields.extend_from_slice(b": ");
        self.fields.extend(value.iter().filter(|b| !matches!(b, b'\r' | b'\n' | 0)));
        self.fields.extend_from_slice(b"\r\n");
    }

    /// With a body.
    #[must_use]
    pub fn body(self, content_type: &str, body: Vec<u8>) -> Self {
        Self { body, ..self.field("content-type", content_type) }
    }

    /// With a body whose type is among the fields.
    pub fn set_body(&mut self, body: Vec<u8>) {
        self.body = body;
    }

    /// How long the body is.
    pub fn body_len(&self) -> usize {
        self.body.len()
    }

    /// As it goes on the wire. `head_only`: the answer to HEAD.
    pub fn write(&self, out: &mut Vec<u8>, request_id: &str, head_only: bool, close: bool, worker: &Worker) {
        status_line(out, self.status);
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(worker.http_date().as_bytes());
        out.extend_from_slice(b"\r\nx-request-id: ");
        out.extend_from_slice(request_id.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.fields);
        if self.status != 204 && self.status != 304 {
            out.extend_from_slice(format!("content-length: {}\r\n", self.body.len()).as_bytes());
        }
        if close {
            out.extend_from_slice(b"connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
        if !head_only {
            out.extend_from_slice(&self.body);
        }
    }
}

/// `HTTP/1.1 200 OK`
pub fn status_line(out: &mut Vec<u8>, status: u16) {
    if status == 200 {
        return out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    }
    let reason = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason()).unwrap_or("");
    out.extend_from_slice(format!("HTTP/1.1 {status} {reason}\r\n").as_bytes());
}

/// How much of an unread body is read and thrown away so that the connection can be kept.
const WORTH_READING: u64 = 64 * 1024;

/// Whether it is worth reading the rest of a body that nobody wants.
pub fn worth_reading(framing: Framing, expects_continue: bool) -> bool {
    match framing {
        Framing::None => true,
        // The client has not begun to send it and, told no, will not.
        _ if expects_continue => false,
        Framing::Length(length) => length <= WORTH_READING,
        Framing::Chunked => false,
    }
}
