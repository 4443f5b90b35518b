//! What a new password must be like: one rule for every way to set one.
//!
//! What may not come in: how a password is hashed, and any rule over a password that
//! somebody already has.

use crate::{breached::Breached, password::Password, settings::Settings};
use portcullis_plugin_api::StrategyError;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Shorter words turn up in passwords by chance.
const MIN_WORD: usize = 4;

/// Of a longer password only so much is estimated: the work grows faster than the length,
/// and what is strong so far is strong.
const ESTIMATED: usize = 128;

/// The kinds of character that an operator may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Lower,
    Upper,
    Digit,
    Symbol,
}

impl Class {
    /// By their names in the configuration.
    pub(crate) const ALL: &[(&str, Self)] =
        &[("lower", Self::Lower), ("upper", Self::Upper), ("digit", Self::Digit), ("symbol", Self::Symbol)];

    fn has(self, c: char) -> bool {
        match self {
            Self::Lower => c.is_lowercase(),
            Self::Upper => c.is_uppercase(),
            Self::Digit => c.is_numeric(),
            Self::Symbol => !c.is_alphanumeric() && !c.is_whitespace() && !c.is_control(),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Lower => "a small letter",
            Self::Upper => "a capital letter",
            Self::Digit => "a digit",
            Self::Symbol => "a symbol such as - or !",
        }
    }
}

/// The rules in force.
pub(crate) struct Policy {
    min_length: usize,
    strength: u8,
    require: Vec<Class>,
    breached: Option<Breached>,
}

impl Policy {
    /// Opens the breached list, if there is one. The error says what is wrong with it.
    pub(crate) fn new(settings: Settings) -> Result<Self, String> {
        let breached = settings.breached.as_deref().map(Breached::open).transpose()?;
        let Settings { min_length, strength, require, .. } = settings;
        Ok(Self { min_length, strength, require, breached })
    }

    /// Whether it may become somebody's password; `about` is what they are called. Reads
    /// a file and computes for milliseconds: for a worker.
    pub(crate) fn check(&self, password: &Password, about: &[String]) -> Result<(), StrategyError> {
        let text = password.as_str();
        let weak = |message: String| Err(StrategyError::WeakSecret(message));
        if text.chars().count() < self.min_length {
            return weak(format!("The password needs at least {} characters.", self.min_length));
        }
        let missing: Vec<_> =
            self.require.iter().filter(|class| !text.chars().any(|c| class.has(c))).collect();
        if !missing.is_empty() {
            let missing: Vec<_> = missing.into_iter().map(|class| class.words()).collect();
            return weak(format!("The password needs {}.", missing.join(" and ")));
        }
        if names_somebody(text, about) {
            return weak("The password must not contain your name or e-mail address.".to_owned());
        }
        if let Some(advice) = self.too_easy(text, about) {
            return weak(advice);
        }
        match &self.breached {
            Some(list) if list.knows(password.as_bytes()).map_err(StrategyError::Failed)? => {
                weak("The password is on a list of passwords that attackers know. Choose another.".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// What zxcvbn says, if it thinks too little of the password.
    fn too_easy(&self, text: &str, about: &[String]) -> Option<String> {
        if self.strength == 0 {
            return None;
        }
        let end = text.char_indices().nth(ESTIMATED).map_or(text.len(), |(at, _)| at);
        let about: Vec<&str> = about.iter().map(String::as_str).collect();
        let estimate = zxcvbn::zxcvbn(&text[..end], &about);
        if u8::from(estimate.score()) >= self.strength {
            return None;
        }
        let mut advice = "The password is too easy to guess.".to_owned();
        if let Some(feedback) = estimate.feedback() {
            let warning = feedback.warning().map(|warning| warning.to_string());
            for sentence in warning.into_iter().chain(feedback.suggestions().iter().map(ToString::to_string))
            {
                advice.push(' ');
                advice.push_str(&sentence);
                if !sentence.ends_with('.') {
                    advice.push('.');
                }
            }
        } else {
            advice.push_str(" Make it longer, or add another word or two.");
        }
        Some(advice)
    }
}

/// Whether a name, an address or the part of it before the `@` is inside.
fn names_somebody(text: &str, about: &[String]) -> bool {
    let folded = Zeroizing::new(text.to_lowercase());
    about.iter().flat_map(|word| [Some(word.as_str()), word.rsplit_once('@').map(|(local, _)| local)]).any(
        |word| {
            let word: String = word.unwrap_or_default().nfc().collect::<String>().to_lowercase();
            word.chars().count() >= MIN_WORD && folded.contains(&word)
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn settings() -> Settings {
        Settings { min_length: 8, strength: 2, require: vec![], breached: None }
    }

    fn refusal(policy: &Policy, text: &str, about: &[&str]) -> Option<String> {
        let about: Vec<String> = about.iter().map(ToString::to_string).collect();
        match policy.check(&Password::new(text).ok().unwrap(), &about) {
            Ok(()) => None,
            Err(StrategyError::WeakSecret(message)) => Some(message),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn common_and_guessable_passwords_are_refused_with_advice() {
        // N-45. No rule over kinds of character: small letters alone are fine (N-42).
        let policy = Policy::new(settings()).unwrap();
        for weak in
            ["password", "12345678", "qwertyuiop", "aaaaaaaaaaaa", "P@ssw0rd", "iloveyou1", "letmein123"]
        {
            let message = refusal(&policy, weak, &[]).unwrap_or_else(|| panic!("{weak}"));
            assert!(message.starts_with("The password is too easy to guess. "), "{message}");
            assert!(message.ends_with('.'), "{message}");
        }
        for fine in ["correct horse battery", "korbflechten im regen", "zwkq vbtr"] {
            assert_eq!(refusal(&policy, fine, &[]), None, "{fine}");
        }
        // N-41, and the most that there may be.
        for length in [64, 128, 1024] {
            let long: String = "plover heron stork ".chars().cycle().take(length).collect();
            assert_eq!(refusal(&policy, &long, &[]), None, "{length}");
        }
    }

    #[test]
    fn an_operator_decides_how_strong_is_strong() {
        let with = |strength| Policy::new(Settings { strength, ..settings() }).unwrap();
        assert_eq!(refusal(&with(0), "password", &[]), None);
        assert!(refusal(&with(1), "password", &[]).is_some());
        assert!(refusal(&with(4), "zwkq vbtr", &[]).is_some());
        assert_eq!(refusal(&with(4), "korbflechten im regen 77", &[]), None);
    }

    #[test]
    fn kinds_of_character_are_asked_for_only_when_an_operator_does() {
        let all = Class::ALL.iter().map(|(_, class)| *class).collect();
        let policy = Policy::new(Settings { require: all, ..settings() }).unwrap();
        let message = refusal(&policy, "korbflechten im regen", &[]).unwrap();
        assert_eq!(message, "The password needs a capital letter and a digit and a symbol such as - or !.");
        assert_eq!(refusal(&policy, "Korbflechten-im-7-Regen", &[]), None);
        assert_eq!(refusal(&policy, "Übermut-tut-7-selten-gut", &[]), None);
    }

    #[test]
    fn a_name_or_an_address_is_nowhere_inside() {
        let policy = Policy::new(Settings { strength: 0, ..settings() }).unwrap();
        for (text, about) in [
            ("my-ALICE-77", "alice"),
            ("\u{c9}mile-1234", "e\u{301}mile"),
            ("xx alice@x.io xx", "alice@x.io"),
            ("liddell-1865-wonder", "liddell@example.org"),
        ] {
            assert!(refusal(&policy, text, &[about]).is_some_and(|m| m.contains("your name")), "{text}");
        }
        for (text, about) in [("bob-is-here", "bob"), ("x.io-x.io-x", "alice@x.io"), ("anything", "")] {
            assert_eq!(refusal(&policy, text, &[about]), None, "{text}");
        }
    }

    #[test]
    fn what_attackers_know_is_refused_however_strong_it_looks() {
        let mut list = tempfile::NamedTempFile::new().unwrap();
        // SHA-1 of "korbflechten im regen" and a neighbour on each side.
        let known = aws_lc_rs::digest::digest(
            &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY,
            "korbflechten im regen".as_bytes(),
        );
        let known: String = known.as_ref().iter().map(|b| format!("{b:02X}")).collect();
        writeln!(list, "{}:1\n{known}:3\n{}:1", "0".repeat(40), "F".repeat(40)).unwrap();
        let breached = Some(list.path().to_owned());
        let policy = Policy::new(Settings { breached, ..settings() }).unwrap();
        assert!(refusal(&policy, "korbflechten im regen", &[]).unwrap().contains("attackers know"));
        assert_eq!(refusal(&policy, "korbflechten im schnee", &[]), None);
    }
}
