//! `application/x-www-form-urlencoded`, strictly: what cannot be decoded is refused, not
//! replaced, and a name comes once.

use super::{RESERVED, json::TOO_MANY, shown};
use portcullis_plugin_api::Object;

/// The fields of a form. The error is for the client.
pub(super) fn fields(bytes: &[u8], most: usize) -> Result<Object, String> {
    let mut fields = Object::new();
    for pair in bytes.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let cut = pair.iter().position(|b| *b == b'=').unwrap_or(pair.len());
        let name = decode(&pair[..cut]).ok_or("the name of a field is not valid form encoding")?;
        if name.is_empty() {
            return Err("a field has no name".into());
        }
        if RESERVED.contains(&name.as_str()) {
            return Err(format!("{name}: the name is reserved"));
        }
        let value = decode(pair.get(cut + 1..).unwrap_or_default())
            .ok_or_else(|| format!("{}: not valid form encoding", shown(&name)))?;
        if fields.len() == most {
            return Err(format!("{TOO_MANY}: more than {most}"));
        }
        if fields.contains_key(&name) {
            return Err(format!("{}: given twice", shown(&name)));
        }
        fields.insert(name, value.into());
    }
    Ok(fields)
}

/// Percent-decoding with `+` for a space; `None` for a bad escape or bytes that are no UTF-8.
fn decode(bytes: &[u8]) -> Option<String> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => hex(*rest.next()?)? << 4 | hex(*rest.next()?)?,
            other => *other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
