//! Host and path of a request, brought into the one normal form that routing, policy and
//! forwarding share: what is matched is what is forwarded (contract section 4).
//!
//! What may not come in: the query, which goes upstream as it came, and any decision
//! about who may.

use std::borrow::Cow;

/// Why a path has no normal form: 400 `bad_path`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPath(pub &'static str);

/// A path in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NormalPath<'a> {
    /// The path itself, ASCII.
    pub text: Cow<'a, str>,
    /// It holds `%2F`, which only a route that keeps it may see.
    pub encoded_slash: bool,
}

/// Decodes unreserved characters, collapses `//`, resolves dot segments. Everything else
/// stays as it was sent.
pub fn normal_path(raw: &[u8]) -> Result<NormalPath<'_>, BadPath> {
    if raw.first() != Some(&b'/') {
        return Err(BadPath("the path does not begin with /"));
    }
    if is_plain(raw) {
        let text = std::str::from_utf8(raw).map_err(|_| BadPath("the path is not ASCII"))?;
        return Ok(NormalPath { text: Cow::Borrowed(text), encoded_slash: false });
    }
    let (decoded, encoded_slash) = decode_unreserved(raw)?;
    let text = resolve(&decoded).map_err(BadPath)?;
    let text = String::from_utf8(text).map_err(|_| BadPath("the path is not ASCII"))?;
    Ok(NormalPath { text: Cow::Owned(text), encoded_slash })
}

/// Whether a path is its own normal form by its looks: no escapes, no empty segments, no
/// segment that begins with a dot, nothing that is refused. Most paths are.
fn is_plain(raw: &[u8]) -> bool {
    let mut before = 0;
    for &byte in raw {
        let fine = match byte {
            b'/' | b'.' => before != b'/',
            b'%' | b'#' | b'\\' | 0..=0x20 | 0x7f.. => false,
            _ => true,
        };
        if !fine {
            return false;
        }
        before = byte;
    }
    true
}

/// Decodes `%XX` of unreserved characters (RFC 3986 §2.3) and refuses what no path may hold.
fn decode_unreserved(raw: &[u8]) -> Result<(Vec<u8>, bool), BadPath> {
    let mut out = Vec::with_capacity(raw.len());
    let mut encoded_slash = false;
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        match byte {
            b'%' => {
                let escape = raw.get(at..at + 3).ok_or(BadPath("an escape is cut short"))?;
                match hex_pair(escape[1], escape[2]).ok_or(BadPath("an escape is not two hex digits"))? {
                    0 => return Err(BadPath("the path holds %00")),
                    b'\\' => return Err(BadPath("the path holds %5C")),
                    byte if is_unreserved(byte) => out.push(byte),
                    byte => {
                        encoded_slash |= byte == b'/';
                        out.extend_from_slice(escape);
                    }
                }
                at += 3;
                continue;
            }
            b'#' => return Err(BadPath("the path holds a raw #")),
            b'\\' => return Err(BadPath("the path holds a backslash")),
            0..=0x20 | 0x7f.. => return Err(BadPath("the path holds a character that must be encoded")),
            byte => out.push(byte),
        }
        at += 1;
    }
    Ok((out, encoded_slash))
}

/// Collapses empty segments and resolves dot segments (RFC 3986 §5.2.4).
pub(super) fn resolve(path: &[u8]) -> Result<Vec<u8>, &'static str> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|b| *b == b'/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            b"" => {}
            b"." => {}
            b".." => match out.iter().rposition(|b| *b == b'/') {
                Some(slash) => out.truncate(slash),
                None => return Err("the path leaves the root"),
            },
            _ if is_dot_with_parameters(segment) => return Err("a dot segment has parameters"),
            _ => {
                out.push(b'/');
                out.extend_from_slice(segment);
                continue;
            }
        }
        // `/a/.` and `/a/b/..` name the folder `/a/`; `//` at the end is one slash.
        if last {
            out.push(b'/');
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    Ok(out)
}

fn is_dot_with_parameters(segment: &[u8]) -> bool {
    let name = segment.split(|b| *b == b';').next().unwrap_or_default();
    name.len() < segment.len() && (name == b"." || name == b"..")
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

pub(super) fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let digit = |b: u8| char::from(b).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// The host of a request, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Lower case, without a trailing dot; an IPv6 address keeps its brackets.
    pub host: Cow<'a, str>,
    /// As it was given, digits only.
    pub port: Option<&'a str>,
}

impl<'a> Authority<'a> {
    /// Reads a `Host` field (RFC 9110 §7.2): a name or an address, and perhaps a port.
    /// Userinfo, lists, spaces and everything else that two parsers might read
    /// differently have no reading here.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let (host, port) = if text.starts_with('[') {
            let end = text.find(']')? + 1;
            text[1..end - 1].parse::<std::net::Ipv6Addr>().ok()?;
            let port = match &text[end..] {
                "" => None,
                rest => Some(rest.strip_prefix(':')?),
            };
            (&text[..end], port)
        } else {
            match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            }
        };
        if port.is_some_and(|p| p.len() > 5 || p.starts_with('+') || p.parse::<u16>().is_err()) {
            return None;
        }
        let host = host.strip_suffix('.').unwrap_or(host);
        if host.len() > 255 || !host.bytes().all(is_host_byte) || has_empty_label(host) {
            return None;
        }
        let host = if host.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(host.to_ascii_lowercase())
        } else {
            Cow::Borrowed(host)
        };
        Some(Self { host, port })
    }

    /// Host and port again, as our own URLs have them.
    pub fn to_text(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.clone().into_owned(),
        }
    }
}

/// No name has one (RFC 1035 §2.3.4), and what ends in two dots would be read twice.
fn has_empty_label(host: &str) -> bool {
    !host.starts_with('[') && host.split('.').any(str::is_empty)
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'[' | b']' | b':')
}

/// Whether a host name is this machine's own, whatever the network says (RFC 6761 §6.3).
pub fn is_loopback_name(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
}

/// A request target, taken apart (RFC 9112 §3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// The authority of an absolute-form target; it must agree with `Host`.
    pub authority: Option<&'a [u8]>,
    /// As it was sent.
    pub path: &'a [u8],
    /// As it was sent, without `?`.
    pub query: Option<&'a [u8]>,
}

impl<'a> Target<'a> {
    /// Origin-form, or the absolute-form of a URL with this socket's scheme. Authority-form
    /// and `*` belong to methods that are not forwarded.
    pub fn parse(raw: &'a [u8], https: bool) -> Option<Self> {
        let scheme: &[u8] = if https { b"https://" } else { b"http://" };
        let (authority, rest) = if raw.first() == Some(&b'/') {
            (None, raw)
        } else {
            let start = raw.get(..scheme.len())?;
            if !start.eq_ignore_ascii_case(scheme) {
                return None;
            }
            let rest = &raw[scheme.len()..];
            let end = rest.iter().position(|b| matches!(b, b'/' | b'?')).unwrap_or(rest.len());
            (Some(&rest[..end]), &rest[end..])
        };
        let (path, query) = match rest.iter().position(|b| *b == b'?') {
            Some(mark) => (&rest[..mark], Some(&rest[mark + 1..])),
            None => (rest, None),
        };
        let path = if path.is_empty() && authority.is_some() { b"/" } else { path };
        Some(Self { authority, path, query })
    }
}

#[cfg(test)]
mod tests;
