//! One connection to the gateway: bytes out, answers in, half a minute at most for each.

use crate::{
    request::Request,
    response::{Fields, Framing, Response, framing, parse_fields},
    wait::PATIENCE,
};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Instant,
};

/// A connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    host: String,
    buffer: Vec<u8>,
}

/// There was no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// The connection ended; with what had arrived of the answer.
    Closed(Vec<u8>),
    /// Nothing more came in time.
    Silent(Vec<u8>),
    /// It is not HTTP as RFC 9112 has it.
    Invalid(String),
}

impl Connection {
    /// Connects.
    #[track_caller]
    pub fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect_timeout(&address, PATIENCE).expect("the gateway accepts"))
    }

    /// Over a connection that has been made.
    #[track_caller]
    pub fn over(stream: TcpStream) -> Self {
        let address = stream.peer_addr().expect("it is connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time can be set");
        stream.set_write_timeout(Some(PATIENCE)).expect("a time can be set");
        stream.set_nodelay(true).expect("it can be set");
        Self { stream, host: address.to_string(), buffer: Vec::new() }
    }

    /// Writes bytes. A gateway that has refused already may have closed: that is no error here.
    pub fn write(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.stream.write_all(bytes);
        self
    }

    /// Says that nothing more will be written.
    pub fn finish_writing(&mut self) -> &mut Self {
        let _ = self.stream.shutdown(Shutdown::Write);
        self
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn send(&mut self, request: &Request) -> Response {
        let bytes = request.bytes(&self.host);
        self.write(&bytes).response_to(&request.method)
    }

    /// Sends a request and does not read.
    pub fn start(&mut self, request: &Request) -> &mut Self {
        let bytes = request.bytes(&self.host);
        self.write(&bytes)
    }

    /// Reads an answer.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads an answer to a method (an answer to HEAD has no body). Interim answers pass.
    #[track_caller]
    pub fn response_to(&mut self, method: &str) -> Response {
        loop {
            let answer = self.try_response_to(method).unwrap_or_else(|broken| panic!("{broken:?}"));
            if answer.status >= 200 {
                return answer;
            }
        }
    }

    /// The next answer, interim or final, or why there is none.
    pub fn try_response_to(&mut self, method: &str) -> Result<Response, Broken> {
        let (status, fields) = self.head()?;
        let bodiless = method == "HEAD" || status < 200 || status == 204 || status == 304;
        let body = match framing(&fields).map_err(Broken::Invalid)? {
            _ if bodiless => Vec::new(),
            Framing::Length(length) => self.exactly(length)?,
            Framing::Chunked => self.chunks()?,
            Framing::Unsaid => self.rest()?,
        };
        Ok(Response { status, fields, body })
    }

    /// The head of the next answer; its body stays unread.
    pub fn head(&mut self) -> Result<(u16, Fields), Broken> {
        let end = self.find(b"\r\n\r\n")?;
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).map_err(|e| Broken::Invalid(e.to_string()))?;
        if head.replace("\r\n", "").contains(['\r', '\n']) {
            return Err(Broken::Invalid(format!("a bare CR or LF: {head:?}")));
        }
        let (line, lines) = head.split_once("\r\n").unwrap_or((&head, ""));
        let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| {
            let (digits, _) = rest.split_at_checked(3)?;
            (rest.as_bytes().get(3) == Some(&b' ')).then(|| digits.parse().ok())?
        });
        let status = status.ok_or_else(|| Broken::Invalid(format!("status line {line:?}")))?;
        Ok((status, parse_fields(lines).map_err(Broken::Invalid)?))
    }

    /// So many bytes.
    pub fn exactly(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// One chunk of a chunked body; empty for the last, whose trailers are read too.
    pub fn chunk(&mut self) -> Result<Vec<u8>, Broken> {
        let line = self.line()?;
        let digits = !line.is_empty() && line.bytes().all(|b| b.is_ascii_hexdigit());
        let size = usize::from_str_radix(&line, 16).ok().filter(|_| digits);
        let size = size.ok_or_else(|| Broken::Invalid(format!("chunk size {line:?}")))?;
        if size == 0 {
            while !self.line()?.is_empty() {}
            return Ok(Vec::new());
        }
        let data = self.exactly(size)?;
        match self.line()?.as_str() {
            "" => Ok(data),
            other => Err(Broken::Invalid(format!("after a chunk: {other:?}"))),
        }
    }

    /// Everything until the connection ends; silence, or half a minute of more, is an error.
    pub fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        let start = Instant::now();
        loop {
            match self.more() {
                Ok(()) if start.elapsed() > PATIENCE => return Err(Broken::Silent(self.buffer.clone())),
                Ok(()) => {}
                Err(Broken::Closed(all)) => return Ok(all),
                Err(other) => return Err(other),
            }
        }
    }

    /// Whether the gateway ends the connection without another byte.
    pub fn ends(&mut self) -> bool {
        matches!(self.rest(), Ok(all) if all.is_empty())
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    fn line(&mut self) -> Result<String, Broken> {
        let end = self.find(b"\r\n")?;
        let line: Vec<u8> = self.buffer.drain(..end + 2).take(end).collect();
        String::from_utf8(line).map_err(|e| Broken::Invalid(e.to_string()))
    }

    fn find(&mut self, what: &[u8]) -> Result<usize, Broken> {
        loop {
            if let Some(at) = self.buffer.windows(what.len()).position(|w| w == what) {
                return Ok(at);
            }
            self.more()?;
        }
    }

    fn more(&mut self) -> Result<(), Broken> {
        let mut piece = vec![0; 64 * 1024];
        match self.stream.read(&mut piece) {
            Ok(0) => Err(Broken::Closed(std::mem::take(&mut self.buffer))),
            Ok(n) => {
                self.buffer.extend(&piece[..n]);
                Ok(())
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                Err(Broken::Silent(self.buffer.clone()))
            }
            Err(_) => Err(Broken::Closed(std::mem::take(&mut self.buffer))),
        }
    }
}
