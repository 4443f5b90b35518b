//! The one normal form of a path (contract section 4), for paths that an operator
//! writes: they must already be in it, and the message says how it would look. What may
//! not come in: requests; their paths are read in the gateway.

/// Characters of a path segment that stand for themselves (RFC 3986 section 3.3).
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// The normal form: unreserved characters decoded, escapes in upper case, `//` collapsed,
/// dots resolved. The error says why there is none.
pub(crate) fn normal(path: &str, keep_encoded_slash: bool) -> Result<String, &'static str> {
    if !path.starts_with('/') {
        return Err("must begin with `/`");
    }
    let decoded = decode_unreserved(path, keep_encoded_slash)?;
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_slash = false;
    for segment in decoded.split('/').skip(1) {
        ends_in_slash = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop().ok_or("leads above the root")?;
            }
            dots if dots.starts_with(".;") || dots.starts_with("..;") => {
                return Err("holds a dot segment with parameters");
            }
            segment => segments.push(segment),
        }
    }
    let mut normal = format!("/{}", segments.join("/"));
    if ends_in_slash && normal.len() > 1 {
        normal.push('/');
    }
    Ok(normal)
}

fn decode_unreserved(path: &str, keep_encoded_slash: bool) -> Result<String, &'static str> {
    let bytes = path.as_bytes();
    let mut decoded = String::with_capacity(path.len());
    let mut i = 0;
    while i < bytes.len() {
        let byte = bytes[i];
        i += 1;
        match byte {
            b'%' => {
                let hex = bytes.get(i..i + 2).filter(|hex| hex.iter().all(u8::is_ascii_hexdigit));
                let hex = hex.and_then(|hex| std::str::from_utf8(hex).ok()).ok_or("has a broken escape")?;
                let value = u8::from_str_radix(hex, 16).map_err(|_| "has a broken escape")?;
                i += 2;
                match value {
                    0 => return Err("holds %00"),
                    b'\\' => return Err("holds %5C"),
                    b'/' if !keep_encoded_slash => {
                        return Err("holds %2F, which is refused without encoded_slash = \"keep\"");
                    }
                    value if is_unreserved(value) => decoded.push(char::from(value)),
                    value => decoded.push_str(&format!("%{value:02X}")),
                }
            }
            b'/' => decoded.push('/'),
            b'?' | b'#' => return Err("must be a path alone, without `?` or `#`"),
            b'\\' => return Err("holds a backslash"),
            byte if byte.is_ascii_control() => return Err("holds a control character"),
            byte if is_plain(byte) => decoded.push(char::from(byte)),
            byte => decoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(decoded)
}

/// Whether `path` is `above` or lies below it, on whole segments.
pub(crate) fn is_within(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_normal_form() {
        for (written, expected) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/", "/a/"),
            ("//a///b", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/a/b/..", "/a/"),
            ("/%61%2d%7E", "/a-~"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/a b", "/a%20b"),
            ("/a%3bb", "/a%3Bb"),
        ] {
            assert_eq!(normal(written, false).as_deref(), Ok(expected), "{written}");
        }
        assert_eq!(normal("/a%2fb", true).as_deref(), Ok("/a%2Fb"));
    }

    #[test]
    fn a_path_that_readers_could_disagree_on_has_none() {
        for wrong in [
            "", "a", "/..", "/a/../..", "/%zz", "/%2", "/a\\b", "/%5c", "/%2f", "/%00", "/a?b", "/a#b",
            "/..;x/a",
        ] {
            assert!(normal(wrong, false).is_err(), "{wrong}");
        }
    }
}
