//! The head of a request, read strictly: `httparse` for the tokens, our own rules for
//! everything two parsers might read differently (RFC 9112 §2.2, §3, §5, §6).
//!
//! A head is kept as ranges into the connection's buffer: nothing is copied.

use std::mem::MaybeUninit;

/// More fields than this are refused whatever the configuration says: they are parsed on
/// the stack.
pub const MAX_FIELDS: usize = 256;

/// A range of the connection's buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Where `part` lies in `whole`.
    fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = part.as_ptr() as usize - whole.as_ptr() as usize;
        let index = |at: usize| u32::try_from(at).expect("a head is far smaller than 4 GiB");
        Self { start: index(start), end: index(start + part.len()) }
    }

    /// The bytes themselves.
    pub fn of_buffer(self, buffer: &[u8]) -> &[u8] {
        &buffer[self.start as usize..self.end as usize]
    }
}

/// Field names that some rule asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // each is the field of that name
pub enum Known {
    Accept,
    Authorization,
    Connection,
    ContentLength,
    Cookie,
    Expect,
    Host,
    KeepAlive,
    Origin,
    Other,
    ProxyAuthorization,
    ProxyConnection,
    SecFetchMode,
    SecFetchSite,
    Te,
    Trailer,
    TransferEncoding,
    Upgrade,
    UserAgent,
}

impl Known {
    /// Whether a field speaks of this connection or of this message's framing: it ends
    /// here, and what the next hop needs of it is made anew (RFC 9110 §7.6.1).
    pub fn is_of_this_hop(self) -> bool {
        matches!(
            self,
            Known::Connection
                | Known::KeepAlive
                | Known::ProxyAuthorization
                | Known::ProxyConnection
                | Known::Te
                | Known::Trailer
                | Known::TransferEncoding
                | Known::Upgrade
                | Known::ContentLength
                | Known::Expect
        )
    }
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// As it was sent.
    pub name: Span,
    /// Without surrounding white space.
    pub value: Span,
    /// Which one it is.
    pub known: Known,
}

/// How long a body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    #[default]
    None,
    /// So many bytes, not zero.
    Length(u64),
    /// In chunks.
    Chunked,
}

/// The head of a request whose framing is beyond doubt.
#[derive(Debug, Default)]
pub struct Head {
    /// As it was sent.
    pub method: Span,
    /// As it was sent.
    pub target: Span,
    /// The answer has no body, whatever its fields say.
    pub is_head_request: bool,
    /// HTTP/1.0.
    pub http10: bool,
    /// In the order in which they came.
    pub fields: Vec<Field>,
    /// Bytes of the head with its last empty line.
    pub len: usize,
    /// How long the body is.
    pub framing: Framing,
    /// Whether the client wants to keep the connection.
    pub keep_alive: bool,
    /// `Expect: 100-continue`
    pub expects_continue: bool,
    /// The one `Host` field.
    pub host: Span,
}

/// Why a head is refused. The connection closes after the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// 400, with what is wrong.
    Bad(&'static str),
    /// 414
    RequestLineTooLong,
    /// 417
    Expectation,
    /// 431: too many bytes.
    TooLarge,
    /// 431: too many fields.
    TooMany,
}

/// Limits on a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All bytes.
    pub bytes: usize,
    /// Fields.
    pub fields: usize,
    /// Bytes of the request line.
    pub request_line: usize,
}

/// Looks for a whole head at the beginning of what a client sends. What it says of the
/// same bytes is the same in however many pieces they come.
#[derive(Debug, Default)]
pub struct Search {
    scanner: Scanner,
    begun: bool,
}

impl Search {
    /// The length of the head with its last empty line, once it is whole.
    pub fn find_end(&mut self, input: &mut Vec<u8>, limits: Limits) -> Result<Option<usize>, BadHead> {
        if !self.begun {
            // RFC 9112 §2.2: one empty line before a request line is some old client's habit.
            // Half of one says nothing yet.
            if input.is_empty() || input == b"\r" {
                return Ok(None);
            }
            if input.starts_with(b"\r\n") {
                input.drain(..2);
            }
            self.begun = true;
        }
        self.scanner.find_end(input, limits)
    }
}

/// Looks for the end of a head in a buffer that grows, each byte once.
#[derive(Debug, Default)]
pub struct Scanner {
    at: usize,
    line_start: usize,
    lines: usize,
}

impl Scanner {
    /// The length of the head with its last empty line, once it is whole. Every line ends
    /// in CR LF; a bare LF or CR is refused, since servers differ on it (RFC 9112 §2.2).
    pub fn find_end(&mut self, buffer: &[u8], limits: Limits) -> Result<Option<usize>, BadHead> {
        while let Some(found) = memchr::memchr(b'\n', &buffer[self.at..]) {
            let newline = self.at + found;
            self.check_room(newline, limits)?;
            self.at = newline + 1;
            if newline == self.line_start || buffer[newline - 1] != b'\r' {
                return Err(BadHead::Bad("a line of the head does not end in CR LF"));
            }
            let length = newline - 1 - self.line_start;
            if self.lines == 0 && length > limits.request_line {
                return Err(BadHead::RequestLineTooLong);
            }
            self.line_start = self.at;
            self.lines += 1;
            if length == 0 {
                return if self.at > limits.bytes { Err(BadHead::TooLarge) } else { Ok(Some(self.at)) };
            }
        }
        self.at = buffer.len();
        self.check_room(buffer.len(), limits)?;
        Ok(None)
    }

    /// So many bytes have come, and the line that they end in goes on.
    fn check_room(&self, length: usize, limits: Limits) -> Result<(), BadHead> {
        if self.lines == 0 && length > limits.request_line + 2 {
            return Err(BadHead::RequestLineTooLong);
        }
        if length > limits.bytes { Err(BadHead::TooLarge) } else { Ok(()) }
    }
}

impl Head {
    /// Reads `bytes`, a whole head, into this one, whose memory is used again.
    pub fn read(&mut self, bytes: &[u8], limits: Limits) -> Result<(), BadHead> {
        self.fields.clear();
        let mut room = [const { MaybeUninit::uninit() }; MAX_FIELDS];
        let room = &mut room[..limits.fields.min(MAX_FIELDS)];
        let mut request = httparse::Request::new(&mut []);
        match request.parse_with_uninit_headers(bytes, room) {
            Ok(httparse::Status::Complete(len)) if len == bytes.len() => self.len = len,
            Ok(_) => return Err(BadHead::Bad("the head is not whole")),
            Err(httparse::Error::TooManyHeaders) => return Err(BadHead::TooMany),
            Err(error) => return Err(BadHead::Bad(reason(error))),
        }
        let (Some(method), Some(target), Some(version)) = (request.method, request.path, request.version)
        else {
            return Err(BadHead::Bad("the request line is not whole"));
        };
        self.method = Span::of(method.as_bytes(), bytes);
        self.target = Span::of(target.as_bytes(), bytes);
        self.is_head_request = method == "HEAD";
        self.http10 = version == 0;
        for field in request.headers.iter() {
            let name = field.name.as_bytes();
            let known = known(name);
            if known == Known::Other && imitates_framing(name) {
                return Err(BadHead::Bad("a field's name imitates one of framing"));
            }
            self.fields.push(Field {
                name: Span::of(name, bytes),
                value: Span::of(field.value, bytes),
                known,
            });
        }
        self.check_host(bytes)?;
        self.check_framing(bytes)?;
        self.check_connection(bytes)
    }

    /// Values of a field, in the order in which they came.
    pub fn values<'a>(&'a self, known: Known, bytes: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.fields.iter().filter(move |f| f.known == known).map(|f| f.value.of_buffer(bytes))
    }

    /// The first value of a field.
    pub fn value<'a>(&'a self, known: Known, bytes: &'a [u8]) -> Option<&'a [u8]> {
        self.values(known, bytes).next()
    }

    fn check_host(&mut self, _bytes: &[u8]) -> Result<(), BadHead> {
        let mut hosts = self.fields.iter().filter(|f| f.known == Known::Host);
        match (hosts.next(), hosts.next()) {
            (Some(host), None) => self.host = host.value,
            (None, _) => return Err(BadHead::Bad("there is no Host field")),
            (Some(_), Some(_)) => return Err(BadHead::Bad("there are two Host fields")),
        }
        Ok(())
    }

    /// RFC 9112 §6, without the repairs that it allows: what is unusual is refused.
    fn check_framing(&mut self, bytes: &[u8]) -> Result<(), BadHead> {
        let mut codings = self.values(Known::TransferEncoding, bytes);
        let coding = (codings.next(), codings.next());
        let mut lengths = self.values(Known::ContentLength, bytes);
        let length = (lengths.next(), lengths.next());
        let framing = match (coding, length) {
            ((None, _), (None, _)) => Framing::None,
            ((None, _), (Some(text), None)) => match content_length(text) {
                Some(0) => Framing::None,
                Some(length) => Framing::Length(length),
                None => return Err(BadHead::Bad("Content-Length is not one plain number")),
            },
            ((None, _), (Some(_), Some(_))) => return Err(BadHead::Bad("Content-Length is given twice")),
            ((Some(_), _), (Some(_), _)) => {
                return Err(BadHead::Bad("Transfer-Encoding and Content-Length are both given"));
            }
            ((Some(_), Some(_)), _) => return Err(BadHead::Bad("Transfer-Encoding is given twice")),
            ((Some(_), None), _) if self.http10 => {
                return Err(BadHead::Bad("HTTP/1.0 has no Transfer-Encoding"));
            }
            ((Some(text), None), _) if text.eq_ignore_ascii_case(b"chunked") => Framing::Chunked,
            ((Some(_), None), _) => return Err(BadHead::Bad("Transfer-Encoding is not chunked alone")),
        };
        drop((codings, lengths));
        self.framing = framing;
        Ok(())
    }

    fn check_connection(&mut self, bytes: &[u8]) -> Result<(), BadHead> {
        let mut close = false;
        for token in self.values(Known::Connection, bytes).flat_map(tokens) {
            close |= token.eq_ignore_ascii_case(b"close");
        }
        // An HTTP/1.0 client would have to be told that its connection stays: none needs it.
        let keep_alive = !close && !self.http10;
        let mut expected = self.values(Known::Expect, bytes);
        let expects_continue = match (expected.next(), expected.next()) {
            (None, _) => false,
            (Some(text), None) if text.eq_ignore_ascii_case(b"100-continue") => true,
            _ => return Err(BadHead::Expectation),
        };
        drop(expected);
        self.keep_alive = keep_alive;
        // RFC 9110 §10.1.1: an HTTP/1.0 client does not wait for it.
        self.expects_continue = expects_continue && !self.http10;
        Ok(())
    }
}

/// The items of a comma-separated list.
pub fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|t| !t.is_empty())
}

/// Digits alone, no sign, no leading zero (RFC 9110 §8.6 allows `01`; nobody sends it in
/// good faith).
pub fn content_length(text: &[u8]) -> Option<u64> {
    let plain = !text.is_empty() && text.len() <= 19 && text.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(text).ok().filter(|_| plain)?;
    if text.len() > 1 && text.starts_with('0') { None } else { text.parse().ok() }
}

/// `Transfer_Encoding` is `Transfer-Encoding` to an application that folds names.
fn imitates_framing(name: &[u8]) -> bool {
    let like = |wanted: &[u8]| {
        name.len() == wanted.len()
            && name
                .iter()
                .zip(wanted)
                .all(|(a, b)| if *b == b'-' { !a.is_ascii_alphanumeric() } else { a.eq_ignore_ascii_case(b) })
    };
    like(b"content-length") || like(b"transfer-encoding")
}

pub(super) fn reason(error: httparse::Error) -> &'static str {
    match error {
        httparse::Error::HeaderName => "a field's name is not valid",
        httparse::Error::HeaderValue => "a field's value is not valid",
        httparse::Error::NewLine => "a line does not end in CR LF",
        httparse::Error::Token => "the method or the target is not valid",
        httparse::Error::Version => "the version is not HTTP/1.0 or HTTP/1.1",
        _ => "the head is not valid",
    }
}

fn known(name: &[u8]) -> Known {
    let (candidate, known): (&[u8], Known) = match (name.len(), name[0] | 0x20) {
        (2, b't') => (b"te", Known::Te),
        (4, b'h') => (b"host", Known::Host),
        (6, b'a') => (b"accept", Known::Accept),
        (6, b'c') => (b"cookie", Known::Cookie),
        (6, b'e') => (b"expect", Known::Expect),
        (6, b'o') => (b"origin", Known::Origin),
        (7, b't') => (b"trailer", Known::Trailer),
        (7, b'u') => (b"upgrade", Known::Upgrade),
        (10, b'c') => (b"connection", Known::Connection),
        (10, b'k') => (b"keep-alive", Known::KeepAlive),
        (10, b'u') => (b"user-agent", Known::UserAgent),
        (13, b'a') => (b"authorization", Known::Authorization),
        (14, b'c') => (b"content-length", Known::ContentLength),
        (14, b's') if name[13] | 0x20 == b'e' && name[10] | 0x20 == b's' => {
            (b"sec-fetch-site", Known::SecFetchSite)
        }
        (14, b's') => (b"sec-fetch-mode", Known::SecFetchMode),
        (19, b'p') => (b"proxy-authorization", Known::ProxyAuthorization),
        (16, b'p') => (b"proxy-connection", Known::ProxyConnection),
        (17, b't') => (b"transfer-encoding", Known::TransferEncoding),
        _ => return Known::Other,
    };
    if name.eq_ignore_ascii_case(candidate) { known } else { Known::Other }
}

#[cfg(test)]
mod tests;
