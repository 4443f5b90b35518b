//! A password as a person typed it: its normal form, and what makes it acceptable.

use portcullis_plugin_api::{Answer, StrategyError};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Never cut, so longer ones are refused (contract, end of section 5), before anything
/// is computed of them.
const MAX_BYTES: usize = 1024;

/// Shorter words turn up in passwords by chance.
const MIN_WORD: usize = 4;

/// In Unicode's normal form C, which is what gets hashed. Wiped when dropped.
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// The field `password`.
    pub(crate) fn of_form(mut form: BTreeMap<String, String>) -> Answer<Self> {
        let typed = Zeroizing::new(form.remove("password").unwrap_or_default());
        Self::new(&typed).map_err(|message| StrategyError::BadRequest {
            field: "password".to_owned(),
            message: message.to_owned(),
        })
    }

    pub(crate) fn new(typed: &str) -> Result<Self, &'static str> {
        if typed.is_empty() {
            return Err("must not be empty");
        }
        if typed.len() > MAX_BYTES {
            return Err("must not be longer than 1024 bytes");
        }
        // Room for the longest normal form (3 times in UTF-8), so that growing leaves no copies behind.
        let mut normal = Zeroizing::new(String::with_capacity(typed.len() * 3));
        normal.extend(typed.nfc());
        Ok(Self(normal))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Whether it may become somebody's password.
    pub(crate) fn check_strength(&self, min_length: usize, about: &[String]) -> Answer<()> {
        if self.0.chars().count() < min_length {
            let message = format!("The password needs at least {min_length} characters.");
            return Err(StrategyError::WeakSecret(message));
        }
        let folded = Zeroizing::new(self.0.to_lowercase());
        let named = about.iter().any(|word| {
            let word: String = word.nfc().collect::<String>().to_lowercase();
            word.chars().count() >= MIN_WORD && folded.contains(&word)
        });
        if named {
            let message = "The password must not contain your name or e-mail address.";
            return Err(StrategyError::WeakSecret(message.to_owned()));
        }
        Ok(())
    }
}
