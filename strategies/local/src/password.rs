//! A password as a person typed it, in its normal form. What may not come in: what makes
//! a new one acceptable (`policy.rs`).

use portcullis_plugin_api::{Answer, StrategyError};
use std::collections::BTreeMap;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// Never cut, so longer ones are refused (contract, end of section 5), before anything
/// is computed of them.
const MAX_BYTES: usize = 1024;

/// In Unicode's normal form C, which is what gets hashed. Wiped when dropped.
pub(crate) struct Password(Zeroizing<String>);

impl Password {
    /// The field `password`.
    pub(crate) fn of_form(mut form: BTreeMap<String, String>) -> Answer<Self> {
        Self::of_field("password", form.remove("password").unwrap_or_default())
    }

    /// What was typed into `field`.
    pub(crate) fn of_field(field: &str, typed: String) -> Answer<Self> {
        let typed = Zeroizing::new(typed);
        Self::new(&typed).map_err(|message| StrategyError::BadRequest {
            field: field.to_owned(),
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

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}
