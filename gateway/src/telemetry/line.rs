//! One line of a log, in text or JSON, that nothing inside it can break up or forge
//! (CVE-2009-4487): control characters are escaped, and it has at most 8 KiB.

use crate::clock::UnixMillis;
use portcullis_config::{Level, LogFormat};

/// The longest line, with its newline.
pub(super) const LONGEST: usize = 8 * 1024;

/// What every line keeps free for its end, and a cut value for its mark.
const RESERVE: usize = 16;

/// A line that is being written.
#[derive(Debug)]
pub struct Line {
    text: String,
    format: LogFormat,
}

impl Line {
    /// Begins with the time and, where it has one, the level.
    pub fn new(format: LogFormat, now: UnixMillis, level: Option<Level>) -> Self {
        let mut line = Self { text: String::with_capacity(256), format };
        match format {
            LogFormat::Json => {
                line.text.push_str("{\"ts\":\"");
                push_time(&mut line.text, now);
                line.text.push('"');
                if let Some(level) = level {
                    line.field("level", word(level).1);
                }
            }
            LogFormat::Text => {
                push_time(&mut line.text, now);
                if let Some(level) = level {
                    line.text.push(' ');
                    line.text.push_str(word(level).0);
                }
            }
        }
        line
    }

    /// What the line is about: in text without its name and without quotes.
    pub fn message(&mut self, name: &str, value: &str) -> &mut Self {
        if self.format == LogFormat::Json {
            return self.field(name, value);
        }
        if self.begin(1) {
            self.text.push(' ');
            self.push_escaped(value);
        }
        self
    }

    /// A named value. What does not fit any more is cut, and the cut shows as `…`.
    pub fn field(&mut self, name: &str, value: &str) -> &mut Self {
        if !self.begin(name.len() + 6) {
            return self;
        }
        match self.format {
            LogFormat::Json => {
                self.push_name(name);
                self.text.push('"');
                self.push_escaped(value);
                self.text.push('"');
            }
            LogFormat::Text => {
                self.push_name(name);
                if !value.is_empty() && value.bytes().all(is_plain) {
                    self.push_escaped(value);
                } else {
                    self.text.push('"');
                    self.push_escaped(value);
                    self.text.push('"');
                }
            }
        }
        self
    }

    /// A named value that needs no quotes in JSON: a number, `true`, `false`. The caller
    /// makes it, so it holds nothing that a client sent.
    pub fn plain(&mut self, name: &str, value: &str) -> &mut Self {
        if self.begin(name.len() + 6 + value.len()) {
            self.push_name(name);
            self.text.push_str(value);
        }
        self
    }

    /// The whole line with its newline.
    pub fn finish(mut self) -> Vec<u8> {
        if self.format == LogFormat::Json {
            self.text.push('}');
        }
        self.text.push('\n');
        self.text.into_bytes()
    }

    /// Whether there is room for that many bytes more.
    fn begin(&self, bytes: usize) -> bool {
        self.text.len() + bytes + RESERVE <= LONGEST
    }

    fn push_name(&mut self, name: &str) {
        match self.format {
            LogFormat::Json => {
                self.text.push_str(",\"");
                self.text.push_str(name);
                self.text.push_str("\":");
            }
            LogFormat::Text => {
                self.text.push(' ');
                self.text.push_str(name);
                self.text.push('=');
            }
        }
    }

    fn push_escaped(&mut self, value: &str) {
        for letter in value.chars() {
            if self.text.len() + RESERVE > LONGEST {
                self.text.push('…');
                return;
            }
            push_letter(&mut self.text, letter);
        }
    }
}

/// Letters that need no quotes in a text line.
fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.:/@+*?&,;%~#[]()<>!$^|".contains(&byte)
}

/// Escapes what ends a line, moves a terminal's cursor or turns the direction of text.
fn push_letter(text: &mut String, letter: char) {
    match letter {
        '"' => text.push_str("\\\""),
        '\\' => text.push_str("\\\\"),
        '\n' => text.push_str("\\n"),
        '\r' => text.push_str("\\r"),
        '\t' => text.push_str("\\t"),
        c if c.is_control() || is_invisible(c) => {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                text.push_str("\\u");
                for shift in [12, 8, 4, 0] {
                    let digit = u32::from(*unit >> shift) & 15;
                    text.push(char::from_digit(digit, 16).unwrap_or('0'));
                }
            }
        }
        c => text.push(c),
    }
}

/// Line and paragraph separators, marks of direction, the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn word(level: Level) -> (&'static str, &'static str) {
    match level {
        Level::Error => ("ERROR", "error"),
        Level::Warn => ("WARN ", "warn"),
        Level::Info => ("INFO ", "info"),
        Level::Debug => ("DEBUG", "debug"),
        Level::Trace => ("TRACE", "trace"),
    }
}

/// A time as logs and lists have it: RFC 3339 in UTC with milliseconds.
pub fn rfc3339(time: UnixMillis) -> String {
    let mut text = String::with_capacity(24);
    push_time(&mut text, time);
    text
}

fn push_time(text: &mut String, now: UnixMillis) {
    let (days, rest) = (now.0 / 86_400_000, now.0 % 86_400_000);
    let (year, month, day) = date(days);
    push_number(text, year, 4);
    text.push('-');
    push_number(text, month, 2);
    text.push('-');
    push_number(text, day, 2);
    text.push('T');
    push_number(text, rest / 3_600_000, 2);
    text.push(':');
    push_number(text, rest / 60_000 % 60, 2);
    text.push(':');
    push_number(text, rest / 1000 % 60, 2);
    text.push('.');
    push_number(text, rest % 1000, 3);
    text.push('Z');
}

fn push_number(text: &mut String, number: u64, width: usize) {
    let digits = number.to_string();
    for _ in digits.len()..width {
        text.push('0');
    }
    text.push_str(&digits);
}

/// Year, month and day of a day counted from 1970-01-01. Years are counted from March, so
/// that the leap day is the last one: then every month begins at a day that is a linear
/// function of its number.
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // from 0000-03-01
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(value: &str) -> serde_json::Value {
        let mut line = Line::new(LogFormat::Json, UnixMillis(0), Some(Level::Info));
        line.message("message", "m").field("account", value);
        let bytes = line.finish();
        assert!(bytes.len() <= LONGEST);
        assert_eq!(bytes.iter().filter(|b| **b < 0x20 || **b == 0x7f).count(), 1);
        serde_json::from_slice(&bytes).unwrap()
    }

    fn time(ms: u64) -> String {
        rfc3339(UnixMillis(ms))
    }

    #[test]
    fn times_are_rfc_3339_in_utc_with_milliseconds() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(1_602_600_225_007), "2020-10-13T14:43:45.007Z");
        assert_eq!(time(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    // security.md G-03
    #[test]
    fn no_value_can_end_a_line_or_forge_another() {
        let value = "a\r\n{\"lvl\":\"x\"}\u{1b}[2J\u{9b}\u{7f}\u{2028}\u{202e}";
        assert_eq!(json(value)["account"], value);
        let mut line = Line::new(LogFormat::Text, UnixMillis(0), Some(Level::Info));
        line.message("message", value).field("account", "a\" audit=\"login");
        let text = String::from_utf8(line.finish()).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        assert!(text.ends_with("account=\"a\\\" audit=\\\"login\"\n"), "{text}");
    }

    #[test]
    fn a_line_of_a_megabyte_is_cut_to_8_kib_and_stays_a_line() {
        for letter in ["x", "\u{1}", "ä", "\u{1f600}", "\u{2028}"] {
            let value = json(&letter.repeat(1 << 20));
            assert!(value["account"].as_str().unwrap().ends_with('…'));
        }
    }

    proptest! {
        #[test]
        fn every_value_comes_back_out_of_json(value in "\\PC{0,40}|[\\x00-\\x{2fff}]{0,40}") {
            prop_assert_eq!(&json(&value)["account"], &serde_json::Value::String(value));
        }

        #[test]
        fn fields_beyond_the_room_are_left_out(count in 0usize..4000) {
            let mut line = Line::new(LogFormat::Json, UnixMillis(0), None);
            for _ in 0..count {
                line.field("f", "v").plain("n", "12345");
            }
            let bytes = line.finish();
            prop_assert!(bytes.len() <= LONGEST);
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&bytes).is_ok());
        }
    }
}
