//! What is ours by its looks. Wider than the verifier on purpose: an expired or damaged
//! token of ours is none of an upstream's business either.

use super::refresh::PREFIX;
use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

/// Longer payloads are not read; they count as ours, because what cannot be decided is
/// not passed on.
const LONGEST: usize = 64 * 1024;

/// As lenient a reader as any upstream may use.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(crate) fn like_ours(value: &str, issuer: &str) -> bool {
    let value = value.trim();
    if value.starts_with(PREFIX) {
        return true;
    }
    let mut parts = value.split('.');
    let (Some(_), Some(payload), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    if payload.len() > LONGEST {
        return true;
    }
    let Ok(bytes) = LENIENT.decode(payload) else { return false };
    let mut from = serde_json::Deserializer::from_slice(&bytes);
    HasIssuer(issuer).deserialize(&mut from).unwrap_or(false)
}

/// Whether one of ours is anywhere in a field's value: behind a scheme and any white space,
/// or as one of its parameters (RFC 9110 §11.4).
pub(crate) fn hold_ours(value: &str, issuer: &str) -> bool {
    let words = || value.split(|c: char| c.is_ascii_whitespace() || c == ',');
    let inside = words().flat_map(|word| word.split(['=', ';', '"', '\'']));
    words().chain(inside).any(|piece| like_ours(piece, issuer))
        || of_basic(value).is_some_and(|pair| pair.split(':').any(|piece| like_ours(piece, issuer)))
}

/// Name and password of `Basic` (RFC 7617): that is how git, npm and docker send a token.
fn of_basic(value: &str) -> Option<String> {
    let (scheme, pair) = value.trim_start().split_once(|c: char| c.is_ascii_whitespace())?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let pair = pair.trim().replace('+', "-").replace('/', "_");
    LENIENT.decode(pair).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Whether any `iss` of an object is this one: of two, an upstream may read either.
struct HasIssuer<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for HasIssuer<'_> {
    type Value = bool;
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<bool, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for HasIssuer<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<bool, A::Error> {
        let mut ours = false;
        while let Some(name) = access.next_key::<String>()? {
            if name == "iss" {
                ours |= access.next_value::<Value>()?.as_str() == Some(self.0);
            } else {
                access.next_value::<IgnoredAny>()?;
            }
        }
        Ok(ours)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{URL_SAFE as PADDED, URL_SAFE_NO_PAD};
    use proptest::prelude::*;

    fn looks(payload: &str) -> bool {
        like_ours(&format!("h.{}.s", URL_SAFE_NO_PAD.encode(payload)), "https://gw.test")
    }

    #[test]
    fn a_jwt_with_our_issuer_or_a_refresh_token_looks_like_ours() {
        assert!(looks(r#"{"iss":"https://gw.test"}"#));
        assert!(looks(r#"{"a":[1,{}],"iss":"https:\/\/gw.test","exp":0}"#));
        assert!(looks(r#"{"iss":"https://gw.test","iss":"https://other.test"}"#));
        assert!(looks(r#"{"iss":"https://other.test","iss":"https://gw.test"}"#));
        assert!(like_ours("pcr_x", "https://gw.test"));
        let padded = PADDED.encode(r#"{"iss":"https://gw.test" }"#);
        assert!(padded.ends_with('=') && like_ours(&format!(".{padded}."), "https://gw.test"));
        assert!(like_ours(&format!("a.{}.b", "A".repeat(LONGEST + 1)), "https://gw.test"));
    }

    // Contract section 7: `pcr_…` reaches no upstream on any route.
    #[test]
    fn one_of_ours_is_found_behind_anything_that_may_come_before_it() {
        let jwt = format!("h.{}.s", PADDED.encode(r#"{"iss":"https://gw.test" }"#));
        for ours in ["pcr_x", &jwt] {
            for before in
                ["", "Bearer ", "Bearer\t", "Bearer \t ", "x y=", "T token=\"", "A b=1,", "A b;c='", "\t"]
            {
                assert!(hold_ours(&format!("{before}{ours}"), "https://gw.test"), "{before:?} {ours}");
            }
        }
        let pair = |pair: &str| format!("bAsIc  {}", base64::engine::general_purpose::STANDARD.encode(pair));
        for ours in ["x:pcr_x", "pcr_x:", &format!("x:{jwt}"), &format!("{jwt}:x")] {
            assert!(hold_ours(&pair(ours), "https://gw.test"), "{ours}");
        }
        for theirs in ["", "Bearer opaque", "Basic eHBjcl94Onk=", "Digest a=\"b\", c=xpcr_d", "h.e30.s"] {
            assert!(!hold_ours(theirs, "https://gw.test"), "{theirs}");
        }
    }

    #[test]
    fn other_bearers_do_not() {
        for payload in
            [r#"{"iss":"https://gw.test/"}"#, r#"{"iss":["https://gw.test"]}"#, r#"{"sub":"iss"}"#, "[]", ""]
        {
            assert!(!looks(payload), "{payload}");
        }
        for value in ["", "..", "opaque", "a.b", "a.b.c.d", "PCR_x", "xpcr_"] {
            assert!(!like_ours(value, "https://gw.test"), "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_a_panic(value in ".*", parts in prop::collection::vec("[A-Za-z0-9_=-]{0,40}", 0..5)) {
            let _ = hold_ours(&value, "https://gw.test");
            let _ = like_ours(&value, "https://gw.test");
            let _ = like_ours(&parts.join("."), "https://gw.test");
        }
    }
}
