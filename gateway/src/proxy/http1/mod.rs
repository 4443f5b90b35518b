//! HTTP/1.1 on both sides, strictly: heads, bodies, and how they are written again.

pub mod body;
pub mod head;
pub mod response;

/// One field as it goes on the wire (RFC 9112 §5). Name and value must have been checked.
pub fn push_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}
