//! The alphabets of the contract: ids, tokens of HTTP, roles, and header names with those
//! that no table may name. What may not come in: which table uses which.

use unicode_normalization::UnicodeNormalization;

/// What an id looks like, for messages.
pub(crate) const ID_SHAPE: &str =
    "an id is 1 to 32 of a-z, 0-9 and `-`, and begins with a letter (contract: `[a-z][a-z0-9-]{0,31}`)";

/// `[a-z][a-z0-9-]{0,31}` (contract section 1).
pub(crate) fn is_id(text: &str) -> bool {
    text.len() <= 32
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// A token (RFC 9110 section 5.6.2): methods, header and cookie names, schemes.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// No comma or control character and at most 128 bytes (contract section 1).
pub(crate) fn is_role(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 128 && !text.contains(',') && !text.contains(char::is_control)
}

/// Whether a role is `admin`, however it is spelt (contract section 1): such a role comes
/// from an operator alone.
pub(crate) fn is_admin(text: &str) -> bool {
    let plain: String = text.nfkc().collect();
    plain.trim().to_lowercase() == "admin"
}

/// Headers whose meaning is the connection's, the framing's or the gateway's own. An
/// upstream would misread the message if a table could set or strip them.
const RESERVED: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "content-length",
    "host",
    "cookie",
    "authorization",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-request-id",
];

/// A header name as protected names are compared: without case, every symbol like `-`
/// (contract section 7).
pub(crate) fn folded(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

/// Why a header cannot be named in a table; none: it can.
pub(crate) fn header_fault(name: &str) -> Option<&'static str> {
    if !is_token(name) {
        Some("is not a header name")
    } else if RESERVED.contains(&folded(name).as_str()) {
        Some("belongs to the connection, the framing or the gateway itself and cannot be named here")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_begins_with_a_letter_and_has_at_most_32_characters() {
        assert!(is_id("a") && is_id("corp-ldap2") && is_id(&"a".repeat(32)));
        for wrong in ["", "1a", "-a", "A", "a_b", "a.b", "ä", &"a".repeat(33)] {
            assert!(!is_id(wrong), "{wrong:?}");
        }
    }

    #[test]
    fn a_reserved_header_is_recognised_in_any_spelling() {
        for name in
            ["Host", "cookie", "CONTENT_LENGTH", "Transfer-Encoding", "X_Forwarded.For", "bad name", ""]
        {
            assert!(header_fault(name).is_some(), "{name:?}");
        }
        assert_eq!(header_fault("Remote-User"), None);
    }
}
