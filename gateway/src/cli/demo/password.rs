//! A password that can be read aloud and typed.

use crate::random::Random;

/// 32 letters and digits, so that each is 5 bits; no `l`, `o`, `0`, `1` to mistake.
const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// Four groups of five: 100 bits.
pub(super) fn readable(random: &Random) -> String {
    let mut password = String::with_capacity(23);
    for (place, byte) in random.bytes::<20>().into_iter().enumerate() {
        if place > 0 && place % 5 == 0 {
            password.push('-');
        }
        password.push(char::from(LETTERS[usize::from(byte % 32)]));
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_twenty_letters_that_differ_each_time() {
        let random = Random::system();
        let (one, other) = (readable(&random), readable(&random));
        assert_ne!(one, other);
        assert_eq!(one.len(), 23);
        assert_eq!(one.split('-').map(str::len).collect::<Vec<_>>(), [5; 4]);
        let every: std::collections::HashSet<_> = LETTERS.iter().collect();
        assert_eq!(every.len(), 32);
    }
}
