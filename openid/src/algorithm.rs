//! The signature algorithms that are accepted (RFC 7518 §3, RFC 8037, RFC 9864). No
//! `none`, nothing with a shared secret: those are not in the list, so no switch can
//! bring them back.

use aws_lc_rs::digest;

/// One of them. `EdDSA` and `Ed25519` are two names of the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // each is called as in the registry
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

use Algorithm::{EdDsa, Es256, Es384, Es512, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};

impl Algorithm {
    /// All of them.
    pub const ALL: &'static [Self] = &[Rs256, Rs384, Rs512, Ps256, Ps384, Ps512, Es256, Es384, Es512, EdDsa];

    /// By the name that a header, a key or metadata gives it: letter for letter.
    pub fn named(name: &str) -> Option<Self> {
        if name == "Ed25519" {
            return Some(EdDsa);
        }
        Self::ALL.iter().copied().find(|algorithm| algorithm.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Rs256 => "RS256",
            Rs384 => "RS384",
            Rs512 => "RS512",
            Ps256 => "PS256",
            Ps384 => "PS384",
            Ps512 => "PS512",
            Es256 => "ES256",
            Es384 => "ES384",
            Es512 => "ES512",
            EdDsa => "EdDSA",
        }
    }

    /// The hash of `at_hash` (OpenID Connect Core §3.1.3.6); for Ed25519 the one that it
    /// uses inside.
    pub(crate) fn hash(self) -> &'static digest::Algorithm {
        match self {
            Rs256 | Ps256 | Es256 => &digest::SHA256,
            Rs384 | Ps384 | Es384 => &digest::SHA384,
            Rs512 | Ps512 | Es512 | EdDsa => &digest::SHA512,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows J-01 and J-02 of the attack list, by names.
    #[test]
    fn nothing_unsigned_and_nothing_with_a_shared_secret_has_a_name_here() {
        for name in [
            "none", "None", "nOnE", "", " ", "HS256", "HS384", "HS512", "rs256", "RS256 ", "ES256K",
            "ed25519",
        ] {
            assert_eq!(Algorithm::named(name), None, "{name}");
        }
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::named(algorithm.name()), Some(*algorithm));
        }
        assert_eq!(Algorithm::named("Ed25519"), Some(EdDsa));
    }
}
