//! Paths that an upstream might read differently from us. Every plausible other reading
//! is made and routed as well; one that would fall under another policy, under no route,
//! or above the root makes the request 400 `ambiguous_path` (contract section 4).

use super::target::{hex_pair, resolve};

/// What some server or framework is known to do to a path. A reading is any of these,
/// one after the other in any order, and then the normal form of what is left.
#[derive(Clone, Copy)]
enum Step {
    /// Segments end at `;`.
    CutParameters,
    /// `%23` and `%3F` end the path.
    EndAtMarks,
    /// `%2F` separates segments, `%5C` does not.
    SeparateSlashes,
    /// `%2F` and `%5C` separate segments.
    Separate,
    /// Decoded until nothing changes.
    Decode,
}

const STEPS: [Step; 5] =
    [Step::Decode, Step::SeparateSlashes, Step::Separate, Step::EndAtMarks, Step::CutParameters];

/// Left escaped by every step. A request's own `%00` is `bad_path`; one that comes out of an
/// escape is nothing better, and ends the path for whoever hands it to a system call.
const NUL: &[u8] = b"%00";

/// Stand-ins for `/` and `\` that came out of an escape. No path holds control
/// characters, and those that an escape hides are left escaped.
const HIDDEN_SLASH: u8 = 1;
const HIDDEN_BACKSLASH: u8 = 2;

/// Whether any reading of `path` (in normal form) can differ from it at all, letters apart.
pub fn has_other_readings(path: &str) -> bool {
    path.bytes().any(|b| matches!(b, b'%' | b';'))
}

/// Calls `judge` with each other reading in normal form, `None` for one that leaves the
/// root or holds a NUL. Stops at the first that `judge` objects to, and says whether there was one.
pub fn any_reading(path: &str, mut judge: impl FnMut(Option<&str>) -> bool) -> bool {
    let mut seen = Vec::new();
    walk(path.as_bytes(), &mut [false; STEPS.len()], &mut seen, &mut judge)
}

/// Whether there is no escape left in `path` that stands for something.
pub fn is_decoded(path: &str) -> bool {
    !path.contains('%') || decode(path.as_bytes()) == path.as_bytes()
}

/// The path of a route, decoded: its escaped slashes parts of their segments, and
/// separators. `None` for one that leaves the root.
pub fn decoded(path: &str) -> [Option<String>; 3] {
    let decoded = decode(path.as_bytes());
    let [slashes, all] = [false, true].map(|backslashes| separate(&decoded, backslashes));
    [decoded, slashes, all].map(|text| Some(String::from_utf8_lossy(&resolve(&text).ok()?).into_owned()))
}

/// Takes each step that is left and changes something, and goes on from there. What has
/// been seen is not judged again: paths with many readings have few different ones.
fn walk(
    text: &[u8],
    taken: &mut [bool; STEPS.len()],
    seen: &mut Vec<([bool; STEPS.len()], Vec<u8>)>,
    judge: &mut impl FnMut(Option<&str>) -> bool,
) -> bool {
    for (at, step) in STEPS.into_iter().enumerate() {
        if taken[at] {
            continue;
        }
        let next = step.apply(text);
        if next == text {
            continue;
        }
        taken[at] = true;
        let key = (*taken, next);
        if !seen.contains(&key) {
            let next = key.1.clone();
            seen.push(key);
            if objects(&next, judge) || walk(&next, taken, seen, judge) {
                return true;
            }
        }
        taken[at] = false;
    }
    false
}

fn objects(text: &[u8], judge: &mut impl FnMut(Option<&str>) -> bool) -> bool {
    if memchr::memmem::find(text, NUL).is_some() {
        return judge(None);
    }
    match resolve(text).ok().as_deref().map(String::from_utf8_lossy) {
        Some(text) => judge(Some(&text)),
        None => judge(None),
    }
}

impl Step {
    fn apply(self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::CutParameters => cut_parameters(text),
            Self::EndAtMarks => end_at_marks(text),
            Self::SeparateSlashes if !has_backslash(text) => text.to_vec(),
            Self::SeparateSlashes => separate(text, false),
            Self::Separate => separate(text, true),
            Self::Decode => decode(text),
        }
    }
}

/// Decodes until nothing changes: what an escape becomes can be part of the next one.
fn decode(text: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for &byte in text {
        out.push(byte);
        while let Some(decoded) = escape_at_end(&out).filter(|byte| *byte >= 0x20) {
            out.truncate(out.len() - 3);
            out.push(match decoded {
                b'/' => HIDDEN_SLASH,
                b'\\' => HIDDEN_BACKSLASH,
                other => other,
            });
        }
    }
    out
}

fn escape_at_end(text: &[u8]) -> Option<u8> {
    match text {
        [.., b'%', high, low] => hex_pair(*high, *low),
        _ => None,
    }
}

/// Whether both ways to separate differ at all.
fn has_backslash(text: &[u8]) -> bool {
    text.contains(&HIDDEN_BACKSLASH) || text.windows(3).any(|escape| escape_at_end(escape) == Some(b'\\'))
}

/// Separators that are escaped, or came out of an escape, become separators.
fn separate(text: &[u8], backslashes: bool) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    for &byte in text {
        let separates = byte == HIDDEN_SLASH || (backslashes && byte == HIDDEN_BACKSLASH);
        out.push(if separates { b'/' } else { byte });
        let escaped = escape_at_end(&out);
        if escaped == Some(b'/') || (backslashes && escaped == Some(b'\\')) {
            out.truncate(out.len() - 3);
            out.push(b'/');
        }
    }
    out
}

/// Ends the path at `#` or `?`, which only an escape can have brought in, or at the
/// escape itself.
fn end_at_marks(text: &[u8]) -> Vec<u8> {
    let end = (0..text.len()).find(|&at| match text[at] {
        b'#' | b'?' => true,
        b'%' => {
            let pair = text.get(at + 1).zip(text.get(at + 2));
            matches!(pair.and_then(|(h, l)| hex_pair(*h, *l)), Some(b'#' | b'?'))
        }
        _ => false,
    });
    text[..end.unwrap_or(text.len())].to_vec()
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

    // A backslash is a separator to one reader, and a letter like any other to the next.
    #[test]
    fn a_backslash_separates_or_does_not() {
        let all = readings("/pub/..%252fpub%255cx");
        assert!(all.contains(&Some("/pub/x".into())), "{all:?}");
        assert!(all.contains(&Some("/pub\u{2}x".into())), "{all:?}");
    }

    #[test]
    fn an_end_that_comes_out_of_an_escape_is_no_reading() {
        for path in ["/a%2500", "/a/..%2500", "/a%252500b", "/%61%25%30%30"] {
            assert!(readings(path).contains(&None), "{path}: {:?}", readings(path));
        }
        assert!(!readings("/a%25%3030").contains(&None) && !readings("/a%2501").contains(&None));
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

    // However long, and however many times escaped, in one pass: no path costs more than
    // a few times its length.
    #[test]
    fn what_is_escaped_a_thousand_times_is_decoded() {
        let path = format!("/a/{}2e%{}2e/b", "%".to_owned() + &"25".repeat(1000), "25".repeat(1000));
        assert!(readings(&path).contains(&Some("/b".into())), "{:?}", readings(&path).len());
    }

    #[test]
    fn steps_are_taken_in_every_order() {
        // Parameters cut first, then decoded; and the other way round.
        assert!(readings("/x%3By;z").contains(&Some("/x;y".into())));
        assert!(readings("/x%3By;z").contains(&Some("/x".into())));
        // A segment cut before its escaped slashes count, and after.
        assert!(readings("/p/a%2F..;b%2F../c").contains(&Some("/p/c".into())));
        assert!(readings("/p/a%2F..;b%2F../c").contains(&Some("/c".into())));
    }

    proptest! {
        #[test]
        fn reading_is_total(path in "/[a-z./;%2eEfF5cC3bB0]{0,40}") {
            let _ = readings(&path);
        }
    }
}
