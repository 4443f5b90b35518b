//! Frames of HTTP/2 made and taken apart by hand (RFC 9113 §4, RFC 7541 §6.2.2), so that a
//! test can say what no client library would.

/// Kinds of frames.
pub const DATA: u8 = 0;
/// The head of a stream, or its trailers.
pub const HEADERS: u8 = 1;
/// The end of a stream before its time.
pub const RST_STREAM: u8 = 3;
/// What a side asks for.
pub const SETTINGS: u8 = 4;
/// A question that is answered at once.
pub const PING: u8 = 6;
/// The end of the connection.
pub const GOAWAY: u8 = 7;

/// Flags of a frame.
pub const END_STREAM: u8 = 1;
/// The field block ends with this frame.
pub const END_HEADERS: u8 = 4;

/// What a client says first.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame is small");
    let mut frame = length.to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A field block, each field as a literal without indexing.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            length(&mut block, text.len());
            block.extend(text.as_bytes());
        }
    }
    block
}

/// An integer with a prefix of seven bits (RFC 7541 §5.1).
fn length(out: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        return out.push(u8::try_from(length).expect("it is below 127"));
    };
    out.push(127);
    while rest >= 128 {
        out.push(u8::try_from(rest % 128).expect("it is below 128") | 128);
        rest /= 128;
    }
    out.push(u8::try_from(rest).expect("it is below 128"));
}

/// A frame as it came: kind, stream, payload.
pub type Frame = (u8, u32, Vec<u8>);

/// Every whole frame.
pub fn parsed(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(9) {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some((payload, rest)) = rest.split_at_checked(length) else { break };
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        frames.push((head[3], stream, payload.to_vec()));
        bytes = rest;
    }
    frames
}

/// The status of an answer's field block, where it is one of the common ones (RFC 7541,
/// appendix A) or a literal.
pub fn status(block: &[u8]) -> Option<u16> {
    match block.first()? {
        first @ 0x88..=0x8e => Some([200, 204, 206, 304, 400, 404, 500][usize::from(first - 0x88)]),
        // A literal with the indexed name `:status`, plain or in Huffman code (digits take
        // five bits and those from 3 on six).
        _ => literal(block),
    }
}

fn literal(block: &[u8]) -> Option<u16> {
    let (_, rest) = block.split_first()?;
    let (length, text) = rest.split_first()?;
    let text = text.get(..usize::from(length & 0x7f))?;
    if length & 0x80 == 0 {
        return std::str::from_utf8(text).ok()?.parse().ok();
    }
    let bits: String = text.iter().map(|byte| format!("{byte:08b}")).collect();
    let mut rest = bits.as_str();
    let mut digits = String::new();
    while digits.len() < 3 {
        let (taken, digit) = match rest.get(..5)? {
            "00000" => (5, '0'),
            "00001" => (5, '1'),
            "00010" => (5, '2'),
            _ => {
                let code = u32::from_str_radix(rest.get(..6)?, 2).ok()?;
                (6, char::from_digit(code.checked_sub(0x19)? + 3, 10)?)
            }
        };
        digits.push(digit);
        rest = &rest[taken..];
    }
    digits.parse().ok()
}
