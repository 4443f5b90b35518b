//! Passwords come from a prompt or from stdin, never as an argument, which every other
//! process on the machine can read.

use super::output::Failure;
use std::io::Read;
use zeroize::Zeroizing;

/// The gateway takes 1,024 bytes; a hash is shorter. One more shows that it was too long.
const LONGEST: u64 = 4096;

/// Asks on the terminal, twice.
pub(super) fn ask() -> Result<Zeroizing<String>, Failure> {
    let prompt = |text| {
        rpassword::prompt_password(text).map(Zeroizing::new).map_err(|_| {
            Failure::new("there is no terminal to ask for the password on; use --password-stdin")
        })
    };
    let first = prompt("Password: ")?;
    let second = prompt("The same again: ")?;
    if first == second {
        Ok(first)
    } else {
        Err(Failure::new("the two are not the same; nothing is changed"))
    }
}

/// All of stdin, less one newline at its end.
pub(super) fn from_stdin() -> Result<Zeroizing<String>, Failure> {
    read(std::io::stdin().lock())
}

fn read(input: impl Read) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    input
        .take(LONGEST + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("cannot read the password from stdin: {error}")))?;
    if text.len() as u64 > LONGEST {
        return Err(Failure::new("the password on stdin is too long"));
    }
    let end = text.strip_suffix('\n').map(|t| t.strip_suffix('\r').unwrap_or(t).len());
    if let Some(end) = end {
        text.truncate(end);
    }
    if text.is_empty() { Err(Failure::new("there is no password on stdin")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_newline_at_the_end_is_no_part_of_the_password() {
        for (given, read_as) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a ", " a ")] {
            assert_eq!(read(given.as_bytes()).unwrap().as_str(), read_as, "{given:?}");
        }
    }

    #[test]
    fn nothing_too_much_and_no_text_are_refused() {
        assert!(read(&b""[..]).is_err());
        assert!(read(&b"\n"[..]).is_err());
        assert!(read(&b"\xff\xfe"[..]).is_err());
        assert!(read("x".repeat(5000).as_bytes()).is_err());
    }
}
