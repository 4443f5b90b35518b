//! A request as an upstream saw it: every byte, and what the bytes say.

use crate::response::{Fields, Framing, framing, parse_fields, values};

/// One request.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// On which connection it came, counted from 0.
    pub connection: usize,
    /// Every byte of it.
    pub raw: Vec<u8>,
    /// The method.
    pub method: String,
    /// The target.
    pub target: String,
    /// Field lines in order.
    pub fields: Fields,
    /// The body without its framing.
    pub body: Vec<u8>,
    /// Field lines after the body.
    pub trailers: Fields,
}

impl Recorded {
    /// Every value of a field of exactly this name, without case.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        values(&self.fields, name)
    }

    /// The one value of a field; panics when there are two.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers(name);
        assert!(all.len() < 2, "{name} is there {} times: {}", all.len(), self.text());
        all.first().copied()
    }

    /// All of it as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }

    /// Takes one request off the front of the bytes; none while it is not whole.
    /// Gateways must not send what this does not read: then it panics.
    pub fn take(bytes: &mut Vec<u8>, connection: usize) -> Option<Self> {
        let head_end = bytes.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let (line, lines) = head.split_once("\r\n").unwrap_or((&head, ""));
        let mut words = line.split(' ');
        let (Some(method), Some(target), Some("HTTP/1.1"), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            panic!("the gateway sent the request line {line:?}");
        };
        let (method, target) = (method.to_owned(), target.to_owned());
        let fields = parse_fields(lines).unwrap_or_else(|e| panic!("the gateway sent {e}"));
        let (body, trailers, end) = match framing(&fields) {
            Ok(Framing::Unsaid) => (Vec::new(), Vec::new(), head_end),
            Ok(Framing::Length(n)) => (bytes.get(head_end..head_end + n)?.to_vec(), Vec::new(), head_end + n),
            Ok(Framing::Chunked) => chunked(bytes, head_end)?,
            Err(e) => panic!("the gateway sent {e}"),
        };
        let raw = bytes.drain(..end).collect();
        Some(Self { connection, raw, method, target, fields, body, trailers })
    }
}

fn chunked(bytes: &[u8], mut at: usize) -> Option<(Vec<u8>, Fields, usize)> {
    let line = |at: usize| {
        let end = bytes[at..].windows(2).position(|w| w == b"\r\n")? + at;
        Some((String::from_utf8_lossy(&bytes[at..end]).into_owned(), end + 2))
    };
    let mut body = Vec::new();
    loop {
        let (size, next) = line(at)?;
        let size = usize::from_str_radix(&size, 16)
            .unwrap_or_else(|_| panic!("the gateway sent the chunk size {size:?}"));
        at = next;
        if size == 0 {
            break;
        }
        body.extend(bytes.get(at..at + size)?);
        assert_eq!(bytes.get(at + size..at + size + 2)?, b"\r\n", "a chunk ends in CRLF");
        at += size + 2;
    }
    let mut trailers = String::new();
    loop {
        let (text, next) = line(at)?;
        at = next;
        if text.is_empty() {
            return Some((body, parse_fields(&trailers).expect("trailers are fields"), at));
        }
        trailers.push_str(&text);
        trailers.push_str("\r\n");
    }
}
