//! The claims of a well signed token: rows J-06 and J-12.

use super::{Forge, ISSUER, NOW};
use crate::clock::UnixMillis;
use serde_json::{Value, json};

#[test]
fn issuer_and_audience_are_compared_whole() {
    for forge in Forge::all() {
        for (name, good) in [("iss", ISSUER), ("aud", "https://api.test")] {
            for value in [
                json!(&good[..good.len() - 1]),
                json!(format!("{good}/")),
                json!(format!("{good}.evil.test")),
                json!(good.to_uppercase()),
                json!([good]),
                json!({"0": good}),
                Value::Null,
                json!(1),
                json!(""),
            ] {
                forge.refuses(name, &forge.with_claim(name, value));
            }
            forge.refuses(name, &forge.without_claim(name));
        }
    }
}

#[test]
fn a_claim_of_the_wrong_type_is_refused_like_a_missing_one() {
    for forge in Forge::all() {
        let odd = || {
            let exp = NOW.seconds() + 900;
            [
                json!(exp.to_string()),
                json!(-1),
                Value::Null,
                json!([exp]),
                json!({}),
                json!(1e300),
                json!(true),
            ]
        };
        for name in ["iat", "exp", "nbf"] {
            for value in odd() {
                forge.refuses(name, &forge.with_claim(name, value));
            }
        }
        for name in ["sub", "sid"] {
            for value in [json!(1), Value::Null, json!(["s"]), json!({})] {
                forge.refuses(name, &forge.with_claim(name, value));
            }
        }
        for name in ["sub", "sid", "iat", "exp"] {
            forge.refuses(name, &forge.without_claim(name));
        }
    }
}

#[test]
fn time_is_kept_to_the_millisecond_and_without_leeway() {
    for forge in Forge::all() {
        let exp = NOW.seconds() + 900;
        let good = forge.good();
        assert!(forge.tokens.verify(&good, UnixMillis(exp * 1000 - 1)).is_ok());
        assert!(forge.tokens.verify(&good, UnixMillis(exp * 1000)).is_err());
        let fraction = forge.with_claim("exp", json!(exp as f64 + 0.5));
        assert!(forge.tokens.verify(&fraction, UnixMillis(exp * 1000 + 499)).is_ok());
        assert!(forge.tokens.verify(&fraction, UnixMillis(exp * 1000 + 500)).is_err());
        let later = forge.with_claim("nbf", json!(NOW.seconds() + 1));
        assert!(forge.tokens.verify(&later, UnixMillis((NOW.seconds() + 1) * 1000 - 1)).is_err());
        assert!(forge.tokens.verify(&later, UnixMillis((NOW.seconds() + 1) * 1000)).is_ok());
    }
}
