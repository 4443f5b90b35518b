//! WebSocket by hand (RFC 6455): a handshake and short text frames, so that a test has
//! every byte in its hands.

use crate::{
    connection::{Broken, Connection},
    request::Request,
    upstream::read_head,
};
use std::{
    io::{Read, Write},
    net::TcpStream,
};

/// The key of RFC 6455 §1.3 and what a server answers to it.
const KEY: (&str, &str) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");

/// The opening handshake.
pub fn handshake(target: &str) -> Request {
    Request::get(target)
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", KEY.0)
}

/// A server's answer to it.
pub fn accept() -> Vec<u8> {
    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    format!("{answer}Sec-WebSocket-Accept: {}\r\n\r\n", KEY.1).into_bytes()
}

/// For scripts: takes a handshake, and sends every frame's text back until the end.
pub fn echo(stream: &mut TcpStream) {
    if read_head(stream).is_some() && stream.write_all(&accept()).is_ok() {
        while let Some(text) = read_masked(stream) {
            if stream.write_all(&frame(&text, None)).is_err() {
                return;
            }
        }
    }
}

/// One text frame; a client's is masked.
pub fn frame(text: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let bit = if mask.is_some() { 0x80 } else { 0 };
    let mut out = vec![0x81];
    match text.len() {
        short @ 0..126 => out.push(bit | u8::try_from(short).expect("below 126")),
        long => {
            out.push(bit | 127);
            out.extend((long as u64).to_be_bytes());
        }
    }
    out.extend(mask.unwrap_or_default().iter().take(if mask.is_some() { 4 } else { 0 }));
    let mask = mask.unwrap_or_default();
    out.extend(text.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

fn read_masked(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut start = [0; 2];
    stream.read_exact(&mut start).ok()?;
    let length = match start[1] & 0x7f {
        127 => {
            let mut long = [0; 8];
            stream.read_exact(&mut long).ok()?;
            usize::try_from(u64::from_be_bytes(long)).ok()?
        }
        short => usize::from(short),
    };
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).ok()?;
    let mut text = vec![0; length];
    stream.read_exact(&mut text).ok()?;
    text.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    Some(text)
}

impl Connection {
    /// Opens a WebSocket; panics when the answer is not a 101 to the handshake.
    #[track_caller]
    pub fn upgrade(&mut self, request: &Request) -> &mut Self {
        self.start(request);
        let (status, fields) = self.head().unwrap_or_else(|broken| panic!("{broken:?}"));
        let said = |name: &str, wanted: &str| {
            fields.iter().any(|(n, v)| n.eq_ignore_ascii_case(name) && v.eq_ignore_ascii_case(wanted))
        };
        assert_eq!(status, 101, "{fields:?}");
        assert!(said("upgrade", "websocket") && said("connection", "upgrade"), "{fields:?}");
        assert!(said("sec-websocket-accept", KEY.1), "{fields:?}");
        self
    }

    /// Sends a frame and reads one back.
    pub fn echoes(&mut self, text: &[u8]) -> Result<Vec<u8>, Broken> {
        self.write(&frame(text, Some([1, 2, 3, 4])));
        self.frame()
    }

    /// Reads a server's frame.
    pub fn frame(&mut self) -> Result<Vec<u8>, Broken> {
        let start = self.exactly(2)?;
        let length = match start[1] {
            127 => self.exactly(8)?.iter().fold(0, |all, byte| all << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        self.exactly(length)
    }
}
