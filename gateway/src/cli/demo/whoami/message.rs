//! A request out of the bytes of a connection: head by `httparse`, the body counted and
//! thrown away.

use std::io::{self, ErrorKind};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The gateway's own limits are lower.
const LONGEST_HEAD: usize = 256 << 10;
const MOST_FIELDS: usize = 256;
/// A chunk-size line or a trailer line.
const LONGEST_LINE: usize = 16 << 10;

/// A request whose body is over.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) method: String,
    /// With the query, as it came.
    pub(super) path: String,
    /// Names in lower case, in the order in which they came.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body_length: u64,
    /// The connection ends after the answer.
    pub(super) close: bool,
}

impl Received {
    /// The first field of this name.
    pub(super) fn field(&self, name: &str) -> Option<&[u8]> {
        self.text(name).map(str::as_bytes)
    }

    /// The same as text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// A connection, and what has been read of it but not used.
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    unused: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, unused: Vec::new() }
    }

    /// The next request with its body read; none when the other side has closed.
    pub(super) async fn receive(&mut self) -> io::Result<Option<Received>> {
        let mut received = loop {
            if let Some((received, used)) = head(&self.unused)? {
                self.unused.drain(..used);
                break received;
            }
            if self.unused.len() > LONGEST_HEAD {
                return Err(invalid("the head is too long"));
            }
            if !self.more().await? {
                return Ok(None);
            }
        };
        if received.text("expect").is_some_and(|e| e.eq_ignore_ascii_case("100-continue")) {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        received.body_length = self.body(&received).await?;
        Ok(Some(received))
    }

    async fn body(&mut self, received: &Received) -> io::Result<u64> {
        if received.text("transfer-encoding").is_some() {
            return self.chunks().await;
        }
        let Some(length) = received.text("content-length") else { return Ok(0) };
        let length = length.parse().map_err(|_| invalid("a length that is no number"))?;
        self.skip(length).await?;
        Ok(length)
    }

    async fn chunks(&mut self) -> io::Result<u64> {
        let mut total = 0u64;
        loop {
            let line = self.line().await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| invalid("a malformed chunk"))?;
            if size == 0 {
                while !self.line().await?.is_empty() {} // trailers
                return Ok(total);
            }
            self.skip(size).await?;
            total = total.saturating_add(size);
            if !self.line().await?.is_empty() {
                return Err(invalid("a chunk longer than it said"));
            }
        }
    }

    async fn skip(&mut self, mut length: u64) -> io::Result<()> {
        while length > 0 {
            if self.unused.is_empty() && !self.more().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            let here = usize::try_from(length).unwrap_or(usize::MAX).min(self.unused.len());
            self.unused.drain(..here);
            length -= here as u64;
        }
        Ok(())
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.unused.windows(2).position(|two| two == b"\r\n") {
                let line = self.unused.drain(..end + 2).take(end).collect();
                return String::from_utf8(line).map_err(|_| invalid("a line that is no text"));
            }
            if self.unused.len() > LONGEST_LINE {
                return Err(invalid("a line is too long"));
            }
            if !self.more().await? {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads some more; false at the end.
    async fn more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.unused).await? > 0)
    }
}

fn head(bytes: &[u8]) -> io::Result<Option<(Received, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let used = match request.parse(bytes) {
        Ok(httparse::Status::Complete(used)) => used,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(error) => return Err(invalid(&error.to_string())),
    };
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers: Vec<_> =
        request.headers.iter().map(|f| (f.name.to_ascii_lowercase(), text(f.value))).collect();
    let close = headers.iter().any(|(n, v)| n == "connection" && v.eq_ignore_ascii_case("close"));
    let received = Received {
        method: request.method.unwrap_or_default().to_owned(),
        path: request.path.unwrap_or_default().to_owned(),
        headers,
        body_length: 0,
        close: close || request.version == Some(0),
    };
    Ok(Some((received, used)))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}
