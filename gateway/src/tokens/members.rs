//! One part of a token: a JSON object, of which a few members are wanted. It is read in one
//! pass and nothing of it is kept but those: a token that nobody has seen before is read on
//! the path of a request. What may not come in: what the members mean.

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use std::{borrow::Cow, fmt};

/// A token of ours has 14 members.
const USUAL: usize = 16;

/// The wanted members of an object, in the order in which they were asked for; None for
/// one that is not there.
pub(super) struct Members<'a, const N: usize>(pub(super) [Option<Plain<'a>>; N]);

/// A member, as far as anything here cares.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Plain<'a> {
    Text(Cow<'a, str>),
    Whole(u64),
    Fraction(f64),
    /// Something that no member of ours may be.
    Else,
}

impl<'a, const N: usize> Members<'a, N> {
    /// None if this is no object, or one in which any name comes twice (RFC 7515 §4,
    /// RFC 7519 §4).
    pub(super) fn read(json: &'a [u8], wanted: [&str; N]) -> Option<Self> {
        let mut from = serde_json::Deserializer::from_slice(json);
        let found = Wanted(wanted).deserialize(&mut from).ok()?;
        from.end().ok().map(|()| Self(found))
    }
}

impl Plain<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A NumericDate (RFC 7519 §2) in milliseconds since 1970; fractions are legal. None
    /// for anything that is not a number of seconds between 1970 and the year 9999.
    pub(super) fn date(&self) -> Option<u64> {
        const YEAR_10000: u64 = 253_402_300_800;
        match *self {
            Self::Whole(seconds) => (seconds < YEAR_10000).then_some(seconds * 1000),
            Self::Fraction(seconds) => {
                (0.0..YEAR_10000 as f64).contains(&seconds).then_some((seconds * 1000.0) as u64)
            }
            _ => None,
        }
    }
}

struct Wanted<'w, const N: usize>([&'w str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Wanted<'_, N> {
    type Value = [Option<Plain<'de>>; N];
    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Wanted<'_, N> {
    type Value = [Option<Plain<'de>>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Self::Value, A::Error> {
        let mut found = [const { None }; N];
        let mut names: Vec<Cow<'de, str>> = Vec::with_capacity(USUAL);
        while let Some(Name(name)) = access.next_key()? {
            match self.0.iter().position(|wanted| *wanted == name) {
                Some(at) => found[at] = Some(access.next_value()?),
                None => {
                    access.next_value::<IgnoredAny>()?;
                }
            }
            names.push(name);
        }
        names.sort_unstable();
        if names.windows(2).any(|two| two[0] == two[1]) {
            return Err(A::Error::custom("a name comes twice"));
        }
        Ok(found)
    }
}

/// A name, lent from the text where it stands there as it is meant.
struct Name<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match from.deserialize_str(AnyValue)? {
            Plain::Text(text) => Ok(Self(text)),
            _ => Err(D::Error::custom("no name")),
        }
    }
}

impl<'de> Deserialize<'de> for Plain<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Plain<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Plain<'de>, E> {
        Ok(Plain::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Plain<'de>, E> {
        Ok(Plain::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Plain<'de>, E> {
        Ok(Plain::Whole(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Plain<'de>, E> {
        Ok(Plain::Else)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Plain<'de>, E> {
        Ok(Plain::Fraction(number))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Plain<'de>, E> {
        Ok(Plain::Else)
    }

    fn visit_unit<E>(self) -> Result<Plain<'de>, E> {
        Ok(Plain::Else)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Plain<'de>, A::Error> {
        while access.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Plain::Else)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Plain<'de>, A::Error> {
        while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Plain::Else)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(json: &str) -> Option<[Option<Plain<'_>>; 2]> {
        Members::read(json.as_bytes(), ["a", "b"]).map(|members| members.0)
    }

    #[test]
    fn what_was_asked_for_is_found_wherever_it_stands() {
        let text = |text: &'static str| Some(Plain::Text(text.into()));
        assert_eq!(read(r#"{"x":[{"a":1}],"b":"2","a":"1"}"#), Some([text("1"), text("2")]));
        assert_eq!(read(r#"{"\u0061":"\n"}"#), Some([text("\n"), None]));
        assert_eq!(read(r#"{"a":7,"b":0.5}"#), Some([Some(Plain::Whole(7)), Some(Plain::Fraction(0.5))]));
        for other in ["-1", "true", "null", "[1]", "{}"] {
            assert_eq!(read(&format!(r#"{{"a":{other}}}"#)), Some([Some(Plain::Else), None]), "{other}");
        }
    }

    #[test]
    fn what_is_no_object_or_names_a_member_twice_is_nothing() {
        for bad in [
            "",
            "[]",
            "null",
            "\"a\"",
            "{",
            "{}x",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            r#"{"x":1,"y":2,"x":3}"#,
            r#"{"a":1,"\u0061":1}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_date_is_a_number_of_seconds_before_the_year_10000() {
        assert_eq!(Plain::Whole(2).date(), Some(2000));
        assert_eq!(Plain::Fraction(2.5).date(), Some(2500));
        assert_eq!(Plain::Whole(253_402_300_800).date(), None);
        for none in [Plain::Fraction(-0.1), Plain::Fraction(1e300), Plain::Else, Plain::Text("2".into())] {
            assert_eq!(none.date(), None, "{none:?}");
        }
    }

    proptest! {
        /// serde's own reading is the oracle: it keeps the last of two, we refuse.
        #[test]
        fn it_agrees_with_a_reader_that_keeps_everything(
            names in prop::collection::vec("[abc]{1,2}", 0..6), value in "[a-z0-9\"\\\\]{0,6}",
        ) {
            let pairs: Vec<_> = names.iter().map(|name| format!("{}:{}", json!(name), json!(value))).collect();
            let text = format!("{{{}}}", pairs.join(","));
            let mut sorted = names.clone();
            sorted.sort();
            sorted.dedup();
            let found = read(&text);
            prop_assert_eq!(found.is_some(), sorted.len() == names.len());
            let whole: Value = serde_json::from_str(&text).unwrap();
            if let Some([a, _]) = found {
                prop_assert_eq!(a.as_ref().and_then(Plain::text), whole.get("a").and_then(Value::as_str));
            }
        }
    }
}
