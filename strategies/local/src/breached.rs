//! A file of the SHA-1 hashes of passwords that are known to attackers, as Have I Been
//! Pwned gives it out: one hash in hexadecimal a line, in order, with or without `:COUNT`
//! after it. It is some 40 GB, so it is never loaded: a look-up reads a few dozen lines
//! of it by binary search.
//!
//! What may not come in: SHA-1 for anything but a look-up here.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// Hexadecimal digits of a SHA-1 hash.
const DIGITS: usize = 40;
/// No line is longer: a hash, a colon, a count, an end of line.
const LONGEST_LINE: usize = 96;
/// From here on lines are read one after the other.
const SHORT: u64 = 4096;

/// The open file.
#[derive(Debug)]
pub(crate) struct Breached {
    file: File,
    path: PathBuf,
}

impl Breached {
    /// The error says what is wrong with the file. Its first and its last lines are looked at.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let file = File::open(path).map_err(|error| format!("{shown} cannot be opened: {error}"))?;
        let breached = Self { file, path: path.to_owned() };
        let length = breached.length().map_err(|error| format!("{shown} cannot be read: {error}"))?;
        let first = breached.line_from(0).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        let last = breached
            .line_from(length.saturating_sub(LONGEST_LINE as u64 * 2))
            .map_err(|error| format!("{shown} cannot be read: {error}"))?;
        match (first, last) {
            (Some((first, _)), Some((last, _))) if first <= last => Ok(breached),
            (Some(_), Some(_)) => Err(format!("{shown} is not in order; sort it by hash")),
            _ => Err(format!("{shown} does not hold one SHA-1 hash in hexadecimal a line")),
        }
    }

    /// Whether the password is in it. The error is for the log.
    pub(crate) fn knows(&self, password: &[u8]) -> Result<bool, String> {
        self.look(password)
            .map_err(|error| format!("the breached list {} cannot be read: {error}", self.path.display()))
    }

    fn look(&self, password: &[u8]) -> io::Result<bool> {
        let sought = digest(&SHA1_FOR_LEGACY_USE_ONLY, password);
        let sought: String = sought.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
        let (mut low, mut high) = (0, self.length()?);
        // Invariant: a line that equals what is sought begins at or after the line of
        // `low`, and before `high`.
        while high - low > SHORT {
            let middle = low + (high - low) / 2;
            match self.line_from(middle)? {
                Some((found, _)) if found == sought => return Ok(true),
                Some((found, next)) if found < sought => low = next,
                _ => high = middle,
            }
        }
        // The last line that begins before `high` may end after it.
        self.is_among(low, high + LONGEST_LINE as u64, &sought)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.metadata().map(|found| found.len())
    }

    /// The hash of the first line that begins at or after `at`, and where the next begins.
    fn line_from(&self, at: u64) -> io::Result<Option<(String, u64)>> {
        // From one byte before: if that is an end of line, the line at `at` is the one.
        let start = at.saturating_sub(1);
        let bytes = self.read(start, LONGEST_LINE * 2)?;
        let skip = match at {
            0 => 0,
            _ => match bytes.iter().position(|byte| *byte == b'\n') {
                Some(end) => end + 1,
                None => return Ok(None),
            },
        };
        let Some(hash) = hash(&bytes[skip..]) else { return Ok(None) };
        let end = bytes[skip..].iter().position(|byte| *byte == b'\n').map(|end| end + 1);
        let next = start + (skip + end.unwrap_or(bytes.len() - skip)) as u64;
        Ok(Some((hash, next)))
    }

    fn is_among(&self, from: u64, to: u64, sought: &str) -> io::Result<bool> {
        let bytes = self.read(from, usize::try_from(to - from).unwrap_or(usize::MAX))?;
        Ok(bytes.split(|byte| *byte == b'\n').any(|line| hash(line).is_some_and(|found| found == sought)))
    }

    fn read(&self, at: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; most];
        let mut read = 0;
        while read < most {
            match self.file.read_at(&mut bytes[read..], at + read as u64)? {
                0 => break,
                more => read += more,
            }
        }
        bytes.truncate(read);
        Ok(bytes)
    }
}

/// The hash that a line begins with, in capitals.
fn hash(line: &[u8]) -> Option<String> {
    let digits = line.get(..DIGITS).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
    if line.get(DIGITS).is_some_and(|next| !matches!(next, b':' | b'\r' | b'\n')) {
        return None;
    }
    Some(String::from_utf8_lossy(digits).to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn sha1(password: &str) -> String {
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, password.as_bytes());
        hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// A list of `count` passwords `p0`, `p1`, …, each line with what `end` adds.
    fn list(count: usize, end: impl Fn(usize) -> String) -> (tempfile::NamedTempFile, Breached) {
        let mut hashes: Vec<String> = (0..count).map(|i| sha1(&format!("p{i}"))).collect();
        hashes.sort();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        for (i, hash) in hashes.iter().enumerate() {
            write!(file, "{hash}{}", end(i)).unwrap();
        }
        file.flush().unwrap();
        let breached = Breached::open(file.path()).unwrap();
        (file, breached)
    }

    #[test]
    fn every_password_of_the_list_is_found_and_no_other() {
        for count in [1, 2, 3, 90, 91, 1000, 5000] {
            let ends: [&dyn Fn(usize) -> String; 3] =
                [&|_| "\n".to_owned(), &|i| format!(":{}\r\n", i * 7919 % 100_000_000), &|i| {
                    if i + 1 == count { String::new() } else { format!(":{i}\n") }
                }];
            for end in ends {
                let (_file, breached) = list(count, end);
                for i in 0..count.min(500) {
                    let i = i * (count / count.min(500));
                    assert_eq!(breached.knows(format!("p{i}").as_bytes()), Ok(true), "p{i} of {count}");
                }
                for other in ["", "q1", "p", "P1", "p-1"] {
                    assert_eq!(breached.knows(other.as_bytes()), Ok(false), "{other} of {count}");
                }
            }
        }
    }

    #[test]
    fn lower_case_is_as_good() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{}", sha1("password").to_ascii_lowercase()).unwrap();
        assert_eq!(Breached::open(file.path()).unwrap().knows(b"password"), Ok(true));
    }

    #[test]
    fn what_is_no_such_list_is_refused_when_it_is_opened() {
        let refused = |text: &str| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            Breached::open(file.path()).unwrap_err()
        };
        let (low, high) = (format!("{}\n", "0".repeat(40)), format!("{}\n", "F".repeat(40)));
        for text in ["", "\n", "password\n123456\n", &"0".repeat(39), &format!("{}x\n", "0".repeat(40))] {
            assert!(refused(text).contains("does not hold"), "{text:?}");
        }
        assert!(refused(&format!("{high}{}", low.repeat(9))).contains("not in order"));
        let nowhere = Breached::open(Path::new("/nowhere/list")).unwrap_err();
        assert!(nowhere.starts_with("/nowhere/list cannot be opened: "));
    }
}
