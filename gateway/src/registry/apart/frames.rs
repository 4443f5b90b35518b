//! What goes between the gateway and the process of a library: one frame a message, on a
//! socket that both inherited. Little-endian, because both are the same program.
//!
//! What may not come in: what a message means (`apart.rs`, `child.rs`).

use portcullis_plugin_api::wire;
use std::io::{Error, ErrorKind, Read, Result, Write};
use zeroize::Zeroizing;

/// To the process: make an instance; the body is the kind, a zero byte, the settings.
pub(super) const CREATE: u8 = 1;
/// To the process: one question, whose operation is the code.
pub(super) const CALL: u8 = 2;
/// To the process: nobody waits for this ticket any more.
pub(super) const CANCEL: u8 = 3;
/// To the process: the last word to an instance.
pub(super) const DESTROY: u8 = 4;
/// From it, first of all: it is loaded; the code has the flags of its table.
pub(super) const LOADED: u8 = 16;
/// From it, first of all: it is not; the body is the refusal's number, a zero byte, its text.
pub(super) const REFUSED: u8 = 17;
/// From it: what `create` returned; the body is one byte, whether there is an instance.
pub(super) const CREATED: u8 = 18;
/// From it: the answer to a ticket, whose status is the code.
pub(super) const COMPLETED: u8 = 19;
/// From it: the same, but its bytes cannot be looked at; the body says why.
pub(super) const UNREADABLE: u8 = 20;
/// From it: a line for the log at the level of the code; target, message and fields
/// with a zero byte between them.
pub(super) const LOG: u8 = 21;

/// One message. A field that its kind has no use for is zero.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) instance: u64,
    pub(super) ticket: u64,
    pub(super) code: u32,
    /// Passwords and settings come by here.
    pub(super) body: Zeroizing<Vec<u8>>,
}

/// The length of what stands before a body, without the length itself.
const HEAD: usize = 1 + 8 + 8 + 4;
/// The largest message, and room for the word that stands before it.
const MOST: usize = HEAD + wire::MOST_BYTES + 1024;

impl Frame {
    pub(super) fn new(kind: u8, instance: u64, ticket: u64, code: u32, body: &[u8]) -> Self {
        Self { kind, instance, ticket, code, body: Zeroizing::new(body.to_vec()) }
    }

    /// The bytes to be sent.
    pub(super) fn bytes(&self) -> Zeroizing<Vec<u8>> {
        let length = u32::try_from(HEAD + self.body.len()).expect("bodies are checked against MOST_BYTES");
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 + HEAD + self.body.len()));
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.push(self.kind);
        bytes.extend_from_slice(&self.instance.to_le_bytes());
        bytes.extend_from_slice(&self.ticket.to_le_bytes());
        bytes.extend_from_slice(&self.code.to_le_bytes());
        bytes.extend_from_slice(&self.body);
        bytes
    }

    pub(super) fn write(&self, to: &mut impl Write) -> Result<()> {
        to.write_all(&self.bytes())
    }

    /// The next one. An end before a frame is `UnexpectedEof`; a length that none has is
    /// `InvalidData`, and nothing is set aside for it.
    pub(super) fn read(from: &mut impl Read) -> Result<Self> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if !(HEAD..=MOST).contains(&length) {
            return Err(Error::new(ErrorKind::InvalidData, format!("a frame of {length} bytes")));
        }
        let mut head = [0; HEAD];
        from.read_exact(&mut head)?;
        let eight = |at: usize| u64::from_le_bytes(head[at..at + 8].try_into().expect("eight bytes"));
        let code = u32::from_le_bytes(head[17..21].try_into().expect("four bytes"));
        let mut body = Zeroizing::new(vec![0; length - HEAD]);
        from.read_exact(&mut body)?;
        Ok(Self { kind: head[0], instance: eight(1), ticket: eight(9), code, body })
    }

    /// The body as text, cut at its zero bytes into `N` pieces, as far as it goes.
    pub(super) fn words<const N: usize>(&self) -> [String; N] {
        let mut pieces = self.body.splitn(N, |byte| *byte == 0);
        std::array::from_fn(|_| String::from_utf8_lossy(pieces.next().unwrap_or_default()).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            kind: u8, instance: u64, ticket: u64, code: u32,
            body in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            let frame = Frame::new(kind, instance, ticket, code, &body);
            let mut bytes = Vec::new();
            frame.write(&mut bytes).unwrap();
            let mut left = bytes.as_slice();
            prop_assert_eq!(Frame::read(&mut left).unwrap(), frame);
            prop_assert!(left.is_empty());
        }

        #[test]
        fn no_bytes_are_worse_than_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Frame::read(&mut bytes.as_slice());
        }
    }

    /// Case 31: four gigabytes are refused before anything is set aside for them.
    #[test]
    fn a_length_that_no_frame_has_is_refused() {
        for length in [0, 20, u32::try_from(MOST).unwrap() + 1, u32::MAX] {
            let error = Frame::read(&mut length.to_le_bytes().as_slice()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData, "{length}");
        }
    }

    #[test]
    fn words_are_as_many_as_asked_for() {
        let frame = Frame::new(LOG, 1, 0, 2, b"a\0b\0c\0d");
        assert_eq!(frame.words::<3>(), ["a", "b", "c\0d"]);
        assert_eq!(Frame::new(LOG, 1, 0, 2, b"a").words::<2>(), ["a", ""]);
    }
}
