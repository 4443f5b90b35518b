//! Paths that an upstream might read differently from us. Every plausible other reading
//! is made and routed as well; one that would fall under another policy, under no route,
//! or above the root makes the request 400 `ambiguous_path` (contract section 4).

use super::target::{hex_pair, resolve};

/// What some server or framework is known to do to a path. A reading is any combination.
const CUT_PARAMETERS: u8 = 1; // segments end at `;`
const END_AT_MARKS: u8 = 2; // `%23` and `%3F` end the path
const SEPARATORS: u8 = 4; // `%2F` and `%5C` separate segments
const DECODE: u8 = 8; // decoded until nothing changes
const COMBINATIONS: u8 = 16;

/// Stand-ins for `/` and `\` that came out of an escape. No path holds control
/// characters, and those that an escape hides are left escaped.
const HIDDEN_SLASH: u8 = 1;
const HIDDEN_BACKSLASH: u8 = 2;

/// Whether any reading of `path` (in normal form) can differ from it at all, letters apart.
pub fn has_other_readings(path: &str) -> bool {
    path.bytes().any(|b| matches!(b, b'%' | b';'))
}

/// Calls `judge` with each other reading in normal form, `None` for one that leaves the
/// root. Stops at the first that `judge` objects to, and says whether there was one.
pub fn any_reading(path: &str, mut judge: impl FnMut(Option<&str>) -> bool) -> bool {
    (1..COMBINATIONS).any(|reading| {
        let text = read(path.as_bytes(), reading);
        match text.as_deref().map(String::from_utf8_lossy) {
            Some(text) => judge(Some(&text)),
            None => judge(None),
        }
    })
}

fn read(path: &[u8], reading: u8) -> Option<Vec<u8>> {
    let mut text = if reading & DECODE != 0 { decode_all(path) } else { hide_separators(path) };
    if reading & END_AT_MARKS != 0 {
        cut_at_marks(&mut text);
    }
    if reading & SEPARATORS != 0 {
        for byte in &mut text {
            if matches!(*byte, HIDDEN_SLASH | HIDDEN_BACKSLASH) {
                *byte = b'/';
            }
        }
    }
    if reading & CUT_PARAMETERS != 0 {
        text = cut_parameters(&text);
    }
    resolve(&text).ok()
}

/// Replaces the escapes of separators by stand-ins, once.
fn hide_separators(path: &[u8]) -> Vec<u8> {
    unescape(path, |byte| matches!(byte, b'/' | b'\\'))
}

/// Decodes until nothing changes. Each round shortens the text, so it ends.
fn decode_all(path: &[u8]) -> Vec<u8> {
    let mut text = path.to_vec();
    loop {
        let next = unescape(&text, |byte| byte >= 0x20);
        if next.len() == text.len() {
            return next;
        }
        text = next;
    }
}

fn unescape(path: &[u8], wanted: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut at = 0;
    while let Some(&byte) = path.get(at) {
        let escaped = match (byte, path.get(at + 1), path.get(at + 2)) {
            (b'%', Some(&high), Some(&low)) => hex_pair(high, low).filter(|b| wanted(*b)),
            _ => None,
        };
        match escaped {
            Some(b'/') => out.push(HIDDEN_SLASH),
            Some(b'\\') => out.push(HIDDEN_BACKSLASH),
            Some(other) => out.push(other),
            None => out.push(byte),
        }
        at += if escaped.is_some() { 3 } else { 1 };
    }
    out
}

/// Ends the path at `#` or `?`, which only an escape can have brought in, or at the
/// escape itself.
fn cut_at_marks(text: &mut Vec<u8>) {
    let end = (0..text.len()).find(|&at| match text[at] {
        b'#' | b'?' => true,
        b'%' => {
            let pair = text.get(at + 1).zip(text.get(at + 2));
            matches!(pair.and_then(|(h, l)| hex_pair(*h, *l)), Some(b'#' | b'?'))
        }
        _ => false,
    });
    text.truncate(end.unwrap_or(text.len()));
}

fn cut_parameters(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (index, segment) in text.split(|b| *b == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        let name = segment.split(|b| *b == b';').next().unwrap_or_default();
        out.extend_from_slice(name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn readings(path: &str) -> Vec<Option<String>> {
        let mut all = Vec::new();
        any_reading(path, |reading| {
            all.push(reading.map(str::to_owned));
            false
        });
        all
    }

    #[test]
    fn every_combination_is_read() {
        for (path, expected) in [
            ("/admin;.css", "/admin"),
            ("/admin%3b.css", "/admin"),
            ("/admin%253b.css", "/admin"),
            ("/admin%3Ffoo", "/admin"),
            ("/admin%23x", "/admin"),
            ("/admin%2523x", "/admin"),
            ("/public/..%2fadmin", "/admin"),
            ("/public%2f..%2f..%2fadmin", "/admin"),
            ("/public/..%255cadmin", "/admin"),
            ("/public/%252e%252e/admin", "/admin"),
            ("/public/x;/%252e%252e;a/../admin", "/admin"),
        ] {
            let all = readings(path);
            let found = all.iter().flatten().any(|r| r == expected || r.starts_with(expected));
            let left = all.iter().any(Option::is_none);
            assert!(found || left, "{path}: {all:?}");
        }
    }

    #[test]
    fn a_reading_that_leaves_the_root_is_reported() {
        assert!(readings("/%252e%252e/etc").contains(&None));
        assert!(readings("/a/..%2f..%2f..%2fetc").contains(&None));
    }

    #[test]
    fn a_plain_path_has_one_reading() {
        assert!(!has_other_readings("/a/b.c/~d"));
        assert!(has_other_readings("/a;b") && has_other_readings("/a%3Bb"));
    }

    proptest! {
        #[test]
        fn reading_is_total(path in "/[a-z./;%2eEfF5cC3bB0]{0,40}") {
            let _ = readings(&path);
        }
    }
}
