//! The subset of BER that LDAP uses (RFC 4511 §5.1): tags of one byte, definite lengths.
//! Reading borrows and never recurses: how deep a message nests is decided by who reads.

use super::Trouble;

pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTETS: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// The most bytes of one message.
pub(crate) const MAX_MESSAGE: usize = 1024 * 1024;

/// How the first bytes of a buffer divide.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    /// More must be read.
    Partial,
    /// A whole message of so many bytes.
    Whole(usize),
}

/// Looks for a whole message at the front of a buffer. One that says it is longer than
/// [`MAX_MESSAGE`] is refused at once, not when its bytes have come.
pub(crate) fn frame(buffer: &[u8]) -> Result<Frame, Trouble> {
    match buffer.first() {
        None => return Ok(Frame::Partial),
        Some(&SEQUENCE) => {}
        Some(_) => return Err(Trouble::Malformed("not an LDAP message")),
    }
    match length(&buffer[1..])? {
        None => Ok(Frame::Partial),
        Some((_, body)) if body > MAX_MESSAGE => Err(Trouble::Malformed("a message of over 1 MiB")),
        Some((used, body)) if buffer.len() < 1 + used + body => Ok(Frame::Partial),
        Some((used, body)) => Ok(Frame::Whole(1 + used + body)),
    }
}

/// A length and how many bytes it takes; none: there are not enough bytes yet.
fn length(bytes: &[u8]) -> Result<Option<(usize, usize)>, Trouble> {
    match bytes.first() {
        None => Ok(None),
        Some(&short @ 0..=0x7f) => Ok(Some((1, short.into()))),
        Some(&long) => {
            let count = usize::from(long & 0x7f);
            if !(1..=4).contains(&count) {
                return Err(Trouble::Malformed("a length that LDAP does not have"));
            }
            let Some(digits) = bytes.get(1..=count) else { return Ok(None) };
            let value = digits.iter().fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
            Ok(Some((1 + count, value as usize)))
        }
    }
}

/// Reads the elements of one level, in order.
#[derive(Clone)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The next element: its tag and content.
    pub(crate) fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, Trouble> {
        let Some((&tag, rest)) = self.0.split_first() else { return Ok(None) };
        if tag & 0x1f == 0x1f {
            return Err(Trouble::Malformed("a tag that LDAP does not have"));
        }
        let (used, size) = length(rest)?.ok_or(Trouble::Malformed("an element without a length"))?;
        let end = used.checked_add(size).filter(|end| *end <= rest.len());
        let end = end.ok_or(Trouble::Malformed("an element longer than what holds it"))?;
        self.0 = &rest[end..];
        Ok(Some((tag, &rest[used..end])))
    }

    /// The next element's content, if it has this tag; else the reader stays where it is.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Trouble> {
        let mut ahead = self.clone();
        match ahead.next()? {
            Some((found, content)) if found == tag => {
                *self = ahead;
                Ok(Some(content))
            }
            _ => Ok(None),
        }
    }

    /// The next element's content, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8, what: &'static str) -> Result<&'a [u8], Trouble> {
        self.optional(tag)?.ok_or(Trouble::Malformed(what))
    }

    /// The next element as a whole number that is not negative.
    pub(crate) fn number(&mut self, tag: u8, what: &'static str) -> Result<u32, Trouble> {
        number(self.expect(tag, what)?).ok_or(Trouble::Malformed(what))
    }
}

/// A whole number that is not negative, in at most four bytes and a leading zero.
pub(crate) fn number(content: &[u8]) -> Option<u32> {
    let (first, _) = content.split_first()?;
    let fits = *first < 0x80 && (content.len() <= 4 || content.len() == 5 && *first == 0);
    fits.then(|| content.iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte)))
}

/// Appends an element.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let size = u32::try_from(content.len()).expect("a request is far below 4 GiB");
    if size < 0x80 {
        out.extend_from_slice(&size.to_be_bytes()[3..]);
    } else {
        out.push(0x84);
        out.extend_from_slice(&size.to_be_bytes());
    }
    out.extend_from_slice(content);
}

/// Appends a whole number that is not negative.
pub(crate) fn put_number(out: &mut Vec<u8>, tag: u8, value: u32) {
    let bytes = value.to_be_bytes();
    let skip = bytes.iter().take(3).take_while(|byte| **byte == 0).count();
    if bytes[skip] < 0x80 {
        put(out, tag, &bytes[skip..]);
    } else {
        // A leading zero, or it would read as negative.
        let mut padded = vec![0];
        padded.extend_from_slice(&bytes[skip..]);
        put(out, tag, &padded);
    }
}
