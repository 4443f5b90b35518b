//! A body as it comes off the wire, told apart from what follows it. The same rules for
//! what a client and what an upstream sends (RFC 9112 §6, §7.1).
//!
//! Extensions and trailers of chunks are read and dropped: nothing of them travels on.

use super::head::Framing;

/// Extensions of one chunk, and all trailers together, may be so long.
const ASIDE: u32 = 4096;

/// Where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// After so many more bytes.
    Length(u64),
    /// After the last chunk.
    Chunked(Chunks),
    /// With the connection: upstreams only.
    UntilClose,
}

/// What the next bytes of a body are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// How many bytes were read, data among them.
    pub used: usize,
    /// Where the data begins in what was read; it ends at `used`.
    pub data_from: usize,
    /// Nothing follows.
    pub done: bool,
}

/// A chunk is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadChunk;

impl Body {
    /// From the framing of a head.
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None => Self::Length(0),
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Chunks::default()),
        }
    }

    /// Whether all of it has been read.
    pub fn is_done(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.state == State::Done,
            Self::UntilClose => false,
        }
    }

    /// Reads on until some data, the end, or the end of `input`.
    pub fn step(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        match self {
            Self::Length(left) => {
                let used = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= used as u64;
                Ok(Step { used, data_from: 0, done: *left == 0 })
            }
            Self::Chunked(chunks) => chunks.step(input),
            Self::UntilClose => Ok(Step { used: input.len(), data_from: 0, done: false }),
        }
    }
}

/// Where in a chunked body we are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chunks {
    state: State,
    /// Bytes of this chunk that are still to come, or the size so far.
    size: u64,
    /// Digits of the size, or bytes of an extension or of trailers.
    count: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    ExtensionStart,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunks {
    /// Whether the first line with a size has been read, so that the body has begun well.
    pub fn has_begun(&self) -> bool {
        !matches!(self.state, State::Size | State::ExtensionStart | State::Extension | State::SizeLf)
    }

    fn step(&mut self, input: &[u8]) -> Result<Step, BadChunk> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let take = usize::try_from(self.size).unwrap_or(usize::MAX).min(input.len() - at);
                self.size -= take as u64;
                if self.size == 0 {
                    self.state = State::DataCr;
                }
                return Ok(Step { used: at + take, data_from: at, done: false });
            }
            self.state = self.next(input[at])?;
            at += 1;
        }
        Ok(Step { used: at, data_from: at, done: self.state == State::Done })
    }

    /// One byte that is not data.
    fn next(&mut self, byte: u8) -> Result<State, BadChunk> {
        Ok(match (self.state, byte) {
            (State::Size, digit) if digit.is_ascii_hexdigit() && self.count < 16 => {
                let digit = char::from(digit).to_digit(16).ok_or(BadChunk)?;
                self.size = self.size << 4 | u64::from(digit);
                self.count += 1;
                State::Size
            }
            (State::Size, b'\r') if self.count > 0 => State::SizeLf,
            (State::Size, b';') if self.count > 0 => State::ExtensionStart,
            (State::ExtensionStart, byte) if is_tchar(byte) => {
                self.count = 1;
                State::Extension
            }
            (State::Extension, b'\r') => State::SizeLf,
            (State::Extension, byte) => self.aside(byte, State::Extension)?,
            (State::SizeLf, b'\n') => {
                self.count = 0;
                if self.size == 0 { State::TrailerStart } else { State::Data }
            }
            (State::DataCr, b'\r') => State::DataLf,
            (State::DataLf, b'\n') => State::Size,
            (State::TrailerStart, b'\r') => State::LastLf,
            (State::TrailerStart | State::TrailerName, byte) if is_tchar(byte) => {
                self.aside(byte, State::TrailerName)?
            }
            (State::TrailerName, b':') => State::TrailerValue,
            (State::TrailerValue, b'\r') => State::TrailerLf,
            (State::TrailerValue, byte) => self.aside(byte, State::TrailerValue)?,
            (State::TrailerLf, b'\n') => State::TrailerStart,
            (State::LastLf, b'\n') => State::Done,
            _ => return Err(BadChunk),
        })
    }

    /// A byte that is dropped: counted, and never a control character but a tab.
    fn aside(&mut self, byte: u8, stay: State) -> Result<State, BadChunk> {
        self.count += 1;
        let fine = byte == b'\t' || (byte >= 0x20 && byte != 0x7f);
        if fine && self.count <= ASIDE { Ok(stay) } else { Err(BadChunk) }
    }
}

fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All data, and how much of the input belongs to the body.
    fn read(input: &[u8], piece: usize) -> Result<(Vec<u8>, Option<usize>), BadChunk> {
        let mut body = Body::new(Framing::Chunked);
        let mut data = Vec::new();
        let mut at = 0;
        while at < input.len() {
            let end = (at + piece).min(input.len());
            let step = body.step(&input[at..end])?;
            data.extend_from_slice(&input[at + step.data_from..at + step.used]);
            at += step.used;
            if step.done {
                return Ok((data, Some(at)));
            }
        }
        Ok((data, None))
    }

    #[test]
    fn chunks_are_joined_and_what_follows_is_left() {
        let input = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nX: y\r\n\r\nGET /";
        for piece in [1, 2, 7, 100] {
            assert_eq!(read(input, piece), Ok((b"abc0123456789".to_vec(), Some(input.len() - 5))), "{piece}");
        }
    }

    // M-12, M-13, S-04 to S-06
    #[test]
    fn malformed_chunks_are_refused() {
        for input in [
            "0x1\r\n",
            "+1\r\n",
            "-1\r\n",
            "1_0\r\n",
            " 1\r\na",
            "1 \r\na",
            "\r\n",
            "11111111111111111\r\n",
            "1\na",
            "1;a\nZ",
            "1;a\rX",
            "2\r\r;a",
            "1;\r\na",
            "1; \r\n",
            "1\r\nZ0",
            "1\r\nZ\n0",
            "0\r\n\n",
            "0\r\nX\r\n",
            "0\r\n X: y\r\n",
            "0\r\nX: y\n",
            "1\r\na\r\rb",
            "g\r\n",
            "0\r\nX: \0\r\n",
        ] {
            assert_eq!(read(input.as_bytes(), 100), Err(BadChunk), "{input:?}");
            assert_eq!(read(input.as_bytes(), 1), Err(BadChunk), "{input:?}");
        }
    }

    #[test]
    fn what_looks_like_a_request_in_a_trailer_is_a_trailer() {
        let input = b"0\r\nX:POST / HTTP/1.1\r\n\r\n";
        assert_eq!(read(input, 100), Ok((Vec::new(), Some(input.len()))));
    }

    #[test]
    fn extensions_and_trailers_are_bounded() {
        let (one, all) = (Ok((b"a".to_vec(), true)), Ok((Vec::new(), true)));
        for (size, fine) in [(4095, true), (4096, true), (4097, false)] {
            let extension = format!("1;{}\r\na\r\n0\r\n\r\n", "a".repeat(size));
            // Of two trailers the names and the values count.
            let trailers = format!("0\r\nX: y\r\nZ:{}\r\n\r\n", "y".repeat(size - 4));
            for (input, whole) in [(extension, &one), (trailers, &all)] {
                let seen = read(input.as_bytes(), 999).map(|(data, end)| (data, end == Some(input.len())));
                assert_eq!(seen, if fine { whole.clone() } else { Err(BadChunk) }, "{size}");
            }
        }
    }

    proptest! {
        #[test]
        fn however_it_is_cut_a_body_reads_the_same(
            chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..50), 0..5), piece in 1usize..70
        ) {
            let mut wire = Vec::new();
            for chunk in &chunks {
                wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                wire.extend_from_slice(chunk);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(&wire, piece), Ok((chunks.concat(), Some(wire.len()))));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(input in proptest::collection::vec(any::<u8>(), 0..100), piece in 1usize..9) {
            let _ = read(&input, piece);
        }
    }
}
