//! The head of an upstream's answer, as strict as a request's: an answer that can be
//! read in two ways is 502 (RFC 9112 §4, §6.3).

use super::{
    body::{Body, Chunks},
    head::{BadHead, Limits, MAX_FIELDS, Scanner, content_length},
};
use std::{mem::MaybeUninit, ops::Range};

/// Limits on what an upstream may send as a head.
pub const LIMITS: Limits = Limits { bytes: 64 * 1024, fields: MAX_FIELDS, request_line: 8 * 1024 };

/// Fields of our own that join an upstream's on the way to an HTTP/2 client.
const OWN_FIELDS: usize = 16;

/// The head of an answer.
#[derive(Debug)]
pub struct ResponseHead {
    /// 100 to 599
    pub status: u16,
    /// Name and value, as ranges of the buffer it was read from.
    pub fields: Vec<(Range<usize>, Range<usize>)>,
    /// Bytes of the head with its last empty line.
    pub len: usize,
    /// Where the body ends.
    pub body: Body,
    /// Whether the connection can carry another request after the body.
    pub keep_alive: bool,
}

/// The answer is not valid HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadResponse(pub &'static str);

/// The head at the beginning of `buffer`, once it is whole. `head_request`: an answer to
/// HEAD has no body, whatever it says.
pub fn read(
    buffer: &[u8],
    scanner: &mut Scanner,
    head_request: bool,
) -> Result<Option<ResponseHead>, BadResponse> {
    let end = match scanner.find_end(buffer, LIMITS) {
        Ok(Some(end)) => end,
        Ok(None) => return Ok(None),
        Err(BadHead::Bad(why)) => return Err(BadResponse(why)),
        Err(_) => return Err(BadResponse("the head is too large")),
    };
    let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS + OWN_FIELDS];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut response, &buffer[..end], &mut room) {
        Ok(httparse::Status::Complete(len)) if len == end => {}
        Ok(_) => return Err(BadResponse("the head is not whole")),
        Err(error) => return Err(BadResponse(super::head::reason(error))),
    }
    let status =
        response.code.filter(|s| (100..600).contains(s)).ok_or(BadResponse("the status is not valid"))?;
    let range = |part: &[u8]| {
        let start = part.as_ptr() as usize - buffer.as_ptr() as usize;
        start..start + part.len()
    };
    let fields = response.headers.iter().map(|f| (range(f.name.as_bytes()), range(f.value))).collect();
    let mut head = ResponseHead { status, fields, len: end, body: Body::UntilClose, keep_alive: false };
    head.frame(buffer, response.version == Some(0), head_request)?;
    Ok(Some(head))
}

impl ResponseHead {
    /// Values of a field by its name in lower case.
    pub fn values<'a>(&'a self, buffer: &'a [u8], name: &'static str) -> impl Iterator<Item = &'a [u8]> {
        let named = move |f: &&(Range<usize>, Range<usize>)| {
            buffer[f.0.clone()].eq_ignore_ascii_case(name.as_bytes())
        };
        self.fields.iter().filter(named).map(|f| &buffer[f.1.clone()])
    }

    fn frame(&mut self, buffer: &[u8], http10: bool, head_request: bool) -> Result<(), BadResponse> {
        let mut close = http10;
        for token in self.values(buffer, "connection").flat_map(super::head::tokens) {
            if token.eq_ignore_ascii_case(b"close") {
                close = true;
            } else if http10 && token.eq_ignore_ascii_case(b"keep-alive") {
                close = false;
            }
        }
        let mut lengths = self.values(buffer, "content-length");
        let mut codings = self.values(buffer, "transfer-encoding");
        let framing = (lengths.next(), lengths.next(), codings.next(), codings.next());
        let bodiless = head_request || self.status < 200 || matches!(self.status, 204 | 304);
        let body = match framing {
            (_, Some(_), ..) => return Err(BadResponse("Content-Length is given twice")),
            (Some(_), _, Some(_), _) => {
                return Err(BadResponse("Transfer-Encoding and Content-Length are both given"));
            }
            (.., Some(_)) => return Err(BadResponse("Transfer-Encoding is given twice")),
            (None, _, Some(coding), None) if coding.eq_ignore_ascii_case(b"chunked") && !http10 => {
                Body::Chunked(Chunks::default())
            }
            (None, _, Some(_), None) => return Err(BadResponse("Transfer-Encoding is not chunked alone")),
            (Some(text), None, None, None) => Body::Length(
                content_length(text).ok_or(BadResponse("Content-Length is not one plain number"))?,
            ),
            (None, None, None, None) => Body::UntilClose,
        };
        drop((lengths, codings));
        self.body = if bodiless { Body::Length(0) } else { body };
        self.keep_alive = !close && self.body != Body::UntilClose;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn head(text: &str) -> Result<Option<ResponseHead>, BadResponse> {
        read(text.as_bytes(), &mut Scanner::default(), false)
    }

    #[test]
    fn the_body_ends_where_the_head_says() {
        for (fields, body, keep_alive) in [
            ("Content-Length: 3\r\n", Body::Length(3), true),
            ("Transfer-Encoding: chunked\r\n", Body::Chunked(Chunks::default()), true),
            ("", Body::UntilClose, false),
            ("Content-Length: 3\r\nConnection: close\r\n", Body::Length(3), false),
        ] {
            let head = head(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n")).expect("valid").expect("whole");
            assert_eq!((head.body, head.keep_alive), (body, keep_alive), "{fields}");
        }
        let text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n";
        let head = read(text, &mut Scanner::default(), true).expect("valid").expect("whole");
        assert_eq!(head.body, Body::Length(0));
    }

    // S-14
    #[test]
    fn an_answer_that_can_be_read_twice_is_refused() {
        for text in [
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\nContent-Length: 3\n\n",
            "HTTP/1.1 200 OK\r\nX: a\r\n b\r\n\r\n",
            "HTTP/2 200 OK\r\n\r\n",
            "garbage\r\n\r\n",
            "HTTP/1.1 999 X\r\n\r\n",
            "\r\n\r\n",
        ] {
            assert!(head(text).is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes, &mut Scanner::default(), false);
        }
    }
}
