//! The line that a problem is about, and which part of it: what `check` shows under the
//! message. A value that may be a secret is not shown, wherever on the line it is; and
//! when a key is at fault, its value is nobody's business.

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Its number, from 1.
    pub number: usize,
    /// What stands there, without what may be secret.
    pub line: String,
    /// Characters before the part at fault.
    pub before: usize,
    /// Characters of the part at fault, at least one.
    pub length: usize,
}

/// Lines are cut to so many characters.
const WIDEST: usize = 160;

/// Words in the name of a key whose value is not shown.
const SECRET: &[&str] = &["key", "secret", "password", "passwd", "passwort", "token", "pin", "credential"];

impl Excerpt {
    /// The line of a byte offset. None: there is nothing to show, or nothing that may be.
    pub(crate) fn of(text: &str, offset: usize) -> Option<Self> {
        let above = text.get(..offset)?;
        if inside_long_string(above) {
            return None;
        }
        let start = above.rfind('\n').map_or(0, |at| at + 1);
        let line = text[start..].split('\n').next()?.trim_end_matches('\r');
        if line.trim_start_matches('\u{feff}').trim().is_empty() {
            return None;
        }
        // A fault of syntax may lie behind the line: at the CR or LF that ends it.
        let at = (offset - start).min(line.len());
        let (end, is_key) = part(line, at);
        let shown = match is_key {
            true => format!("{} = …", without_secrets(&line[..end])),
            false => without_secrets(line),
        };
        let marked = line.get(at..end).unwrap_or_default();
        // What replaces a character is one character, so that the mark stays in its place.
        let before = line[..at].trim_start_matches('\u{feff}').chars().count();
        if before >= WIDEST {
            return None;
        }
        Some(Self {
            number: above.matches('\n').count() + 1,
            line: plain(shown.trim_start_matches('\u{feff}')).chars().take(WIDEST).collect(),
            before,
            length: marked.chars().count().clamp(1, WIDEST - before),
        })
    }
}

/// Three quotes that were opened before and not closed: the line may be part of anything.
fn inside_long_string(above: &str) -> bool {
    ["\"\"\"", "'''"].iter().any(|quotes| above.matches(quotes).count() % 2 == 1)
}

/// Where the part that begins at `at` ends, and whether it is a key with a value behind it.
fn part(line: &str, at: usize) -> (usize, bool) {
    let rest = &line[at..];
    let length = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => quoted(rest, quote),
        Some('[' | '{') => bracketed(rest),
        _ => rest.find(|c: char| c.is_whitespace() || "=,]}#".contains(c)).unwrap_or(rest.len()),
    };
    let end = at + length;
    let is_key = length > 0 && line[end..].trim_start().starts_with('=');
    (end, is_key)
}

/// The length of a string with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of a list or table, to its own last bracket or the end of the line.
fn bracketed(rest: &str) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while let Some(c) = rest[at..].chars().next() {
        match c {
            '"' | '\'' => {
                at += quoted(&rest[at..], c);
                continue;
            }
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += c.len_utf8();
        if depth == 0 {
            return at;
        }
    }
    rest.trim_end().len()
}

/// The line with `*` for each character of a value whose key sounds secret, and of the
/// name and password in a URL.
fn without_secrets(line: &str) -> String {
    let mut shown = String::with_capacity(line.len());
    let (mut at, mut key, mut secret, mut url) = (0, String::new(), false, false);
    while let Some(c) = line[at..].chars().next() {
        let length = match c {
            '"' | '\'' => quoted(&line[at..], c),
            _ if url => without_quotes(&line[at..]).unwrap_or(c.len_utf8()),
            _ => c.len_utf8(),
        };
        let piece = &line[at..at + length];
        match c {
            '=' => {
                secret = sounds_secret(&key);
                url = key.to_ascii_lowercase().contains("url");
            }
            ',' | '}' | '{' => {
                let same =
                    c != '}' && !line[at + 1..].split([',', '}']).next().is_some_and(|p| p.contains('='));
                secret &= same;
                url &= same;
                key.clear();
            }
            _ => key.push_str(piece),
        }
        let is_value = secret && !matches!(c, '=' | '{' | '}' | '[' | ']' | ',') && !c.is_whitespace();
        match is_value {
            true => shown.extend(piece.chars().map(|_| '*')),
            false => shown.push_str(&without_userinfo(piece, url)),
        }
        at += length;
    }
    shown
}

/// `{ file = … }` and `{ env = … }` below a secret say where it is, not what.
fn sounds_secret(key: &str) -> bool {
    let lower = key.trim().to_ascii_lowercase();
    SECRET.iter().any(|word| lower.contains(word))
}

/// The length of an address in front of which no quote was written.
fn without_quotes(rest: &str) -> Option<usize> {
    let length = rest.find(char::is_whitespace).unwrap_or(rest.len());
    rest[..length].contains('@').then_some(length)
}

/// Without what stands before an `@`. Where the key says that this is an address, also
/// without `://`: a slip of the pen there must not show the password behind it.
fn without_userinfo(piece: &str, is_address: bool) -> String {
    let Some(at) = piece.rfind('@') else { return piece.to_owned() };
    let quote = usize::from(piece.starts_with(['"', '\'']));
    let start = match piece.find("://") {
        Some(scheme) if scheme + 3 <= at => scheme + 3,
        _ if is_address => quote,
        _ => return piece.to_owned(),
    };
    let hidden: String = piece[start..at].chars().map(|_| '*').collect();
    format!("{}{hidden}{}", &piece[..start], &piece[at..])
}

/// Safe for a terminal, one column for each character.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The line and the mark under it.
    fn shown(text: &str, needle: &str) -> (String, String) {
        let excerpt = Excerpt::of(text, text.find(needle).unwrap()).unwrap();
        (excerpt.line, " ".repeat(excerpt.before) + &"^".repeat(excerpt.length))
    }

    #[test]
    fn the_mark_is_under_the_whole_value_and_nothing_else() {
        for (text, needle, mark) in [
            ("a = 1\nlisten = \"x y\" # why\n", "\"x", "         ^^^^^"),
            ("listen = 8080", "8080", "         ^^^^"),
            ("x = [1, [2, \"]\"], 3] # z", "[1", "    ^^^^^^^^^^^^^^^^"),
            ("x = [1, 22, 3]", "22", "        ^^"),
            ("x = \"a\\\"b\"", "\"a", "    ^^^^^^"),
            ("é = [\"é\", 3]", "3", "          ^"),
            ("[server", "[server", "^^^^^^^"),
        ] {
            let (line, found) = shown(text, needle);
            assert_eq!(found.trim_end(), mark, "{line}");
        }
    }

    #[test]
    fn a_place_behind_the_end_of_a_line_is_its_end() {
        let excerpt = Excerpt::of("'\r\n", 2).unwrap();
        assert_eq!((excerpt.line.as_str(), excerpt.before, excerpt.length), ("'", 1, 1));
    }

    #[test]
    fn a_key_at_fault_is_shown_without_its_value() {
        assert_eq!(shown("passwrod = \"hunter2\"", "passwrod"), ("passwrod = …".into(), "^^^^^^^^".into()));
    }

    #[test]
    fn no_secret_is_shown_wherever_it_is_on_the_line() {
        for text in [
            "key = \"hunter2\"",
            "key = hunter2",
            "key = 'hunter2' # x",
            "x = { url = \"a\", client_secret = \"hunter2\" }",
            "x = { client_secret = \"hunter2\", url = 5 }",
            "bind_password = [\"hunter2\"]",
            "urls = [\"http://ann:hunter2@host\"]",
            "url = 'smtp://ann:hunter2@host'",
            "url = \"smtp:/ann:hunter2@host\"",
            "url = \"ann:hunter2@host:587\"",
            "url = smtp://ann:hunter2@host # x",
            "urls = [\"ldap:/a\", \"ann:hunter2@host\"]",
            "x = { url = \"ann:hunter2@host\", ca = 5 }",
            "\"client secret\" = \"hunter2\"",
            "secret = \"hunter2\nx",
            "key = \"\"\"\nhunter2\n\"\"\"",
        ] {
            for (offset, _) in text.char_indices() {
                if let Some(excerpt) = Excerpt::of(text, offset) {
                    assert!(!excerpt.line.contains("hunter2"), "{text}: {excerpt:?}");
                }
            }
        }
        assert_eq!(shown("x = { secret = \"ab\", url = 5 }", "5").0, "x = { secret = ****, url = 5 }");
    }

    proptest! {
        #[test]
        fn any_place_of_any_text_is_shown_within_its_line(text in "[ -~é\\r\\n\"'\\[\\]{}=#,\\t]{0,60}", at in 0usize..64) {
            if let Some(excerpt) = Excerpt::of(&text, at) {
                prop_assert!(excerpt.length >= 1 && !excerpt.line.contains('\n'));
                prop_assert!(excerpt.before + excerpt.length <= WIDEST);
            }
        }
    }
}
