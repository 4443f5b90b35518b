//! The form of a token and the members of its header: rows J-01, J-03 to J-05, J-08, J-11.

use super::{Forge, key, message, signed, stranger};
use crate::tokens::keys::Purpose;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_config::Algorithm;
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn another_algorithm_is_refused_whatever_signs_it() {
    for forge in Forge::all() {
        let claims = forge.claims().to_string();
        let good = forge.good();
        let signature = good.rsplit('.').next().unwrap();
        let names =
            ["ES256", "EdDSA", "RS256", "HS256", "ES384", "ES512", "RS384", "PS256", "HS384", "HS512"];
        let others = names.into_iter().filter(|name| *name != forge.algorithm.name()).map(|name| json!(name));
        for alg in others.chain([
            json!("none"),
            json!("None"),
            json!("nOnE"),
            json!(""),
            json!(" ES256"),
            json!("es256"),
            Value::Null,
            json!(1),
        ]) {
            let mut header = forge.header();
            header["alg"] = alg;
            let message = message(&header.to_string(), &claims);
            for token in [message.clone(), format!("{message}."), format!("{message}.{signature}")] {
                forge.refuses("alg", &token);
            }
            forge.refuses("alg, well signed", &forge.sign(&header.to_string(), &claims));
        }
        let mut header = forge.header();
        header.as_object_mut().unwrap().remove("alg");
        forge.refuses("no alg", &forge.sign(&header.to_string(), &claims));
    }
}

#[test]
fn a_key_that_comes_with_the_token_is_not_looked_at() {
    for forge in Forge::all() {
        // A pair: a secret has nothing that could come along.
        let algorithm = match forge.algorithm {
            Algorithm::Hs256 => Algorithm::Es256,
            other => other,
        };
        let own = stranger(algorithm);
        let own_key = key(Purpose::Access, algorithm, own);
        let jwk = own_key.jwk().unwrap();
        for (name, value) in [
            ("jwk", jwk.clone()),
            ("jku", json!("https://evil.test/jwks.json")),
            ("x5u", json!("https://evil.test/cert.pem")),
            ("x5c", json!(["MIIB"])),
        ] {
            for kid in [json!(forge.kid), json!(own_key.kid())] {
                let mut header = forge.header();
                (header[name], header["kid"]) = (value.clone(), kid);
                forge
                    .refuses(name, &signed(algorithm, own, &header.to_string(), &forge.claims().to_string()));
            }
        }
    }
}

#[test]
fn a_kid_is_a_name_and_no_query() {
    for forge in Forge::all() {
        let kid = forge.kid.as_str();
        for kid in [
            json!("../../dev/null"),
            json!("' OR 1=1 --"),
            json!("k".repeat(10_000)),
            json!(1),
            json!([kid]),
            Value::Null,
            json!(""),
            json!(&kid[..kid.len() - 1]),
            json!(format!("{kid} ")),
            json!(kid.to_uppercase()),
        ] {
            forge.refuses("kid", &forge.with_header("kid", kid));
        }
    }
}

#[test]
fn a_critical_extension_is_refused() {
    for forge in Forge::all() {
        for crit in [json!(["x"]), json!([]), json!(["b64"]), Value::Null, json!("exp")] {
            forge.refuses("crit", &forge.with_header("crit", crit));
        }
        let mut header = forge.header();
        (header["b64"], header["crit"]) = (json!(false), json!(["b64"]));
        forge.refuses("b64", &forge.sign(&header.to_string(), &forge.claims().to_string()));
    }
}

#[test]
fn another_type_is_refused() {
    for forge in Forge::all() {
        for typ in [
            json!("JWT"),
            json!("logout+jwt"),
            json!("at+jwt "),
            json!("text/at+jwt"),
            json!("application/"),
            json!(1),
            Value::Null,
        ] {
            forge.refuses("typ", &forge.with_header("typ", typ));
        }
        forge.refuses(
            "no typ",
            &forge.sign(
                &json!({"alg": forge.algorithm.name(), "kid": forge.kid}).to_string(),
                &forge.claims().to_string(),
            ),
        );
    }
}

#[test]
fn only_three_parts_of_plain_base64url_are_a_token() {
    for forge in Forge::all() {
        let good = forge.good();
        let parts: Vec<&str> = good.split('.').collect();
        for token in [
            String::new(),
            ".".into(),
            "..".into(),
            "....".into(),
            ".".repeat(1_000_000),
            format!("{good}."),
            format!(".{good}"),
            format!("{good}.x.y"),
            format!(" {good}"),
            format!("{good}\n"),
            format!("{good}=="),
            format!("{}..{}", parts[0], parts[2]),
            format!("{}.{}", parts[0], parts[1]),
            good.replace('.', ". "),
            json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string(),
            URL_SAFE_NO_PAD.encode(&good),
        ] {
            forge.refuses("form", &token);
        }
        let nested = "[".repeat(10_000);
        forge.refuses("deep header", &forge.sign(&nested, &forge.claims().to_string()));
        forge
            .refuses("deep claims", &forge.sign(&forge.header().to_string(), &format!("{{\"iss\":{nested}")));
    }
}

// Section 6: 16 KiB
#[test]
fn a_token_may_be_so_long() {
    for forge in Forge::all() {
        // One more letter makes it one or two longer: the last that fits and the next one.
        let of = |letters: usize| forge.with_claim("app", json!("x".repeat(letters)));
        let (mut last, mut over) = (1024_usize, 16 * 1024);
        while over - last > 1 {
            let middle = last.midpoint(over);
            *(if of(middle).len() > 16 * 1024 { &mut over } else { &mut last }) = middle;
        }
        let (last, over) = (of(last), of(over));
        assert!(last.len() >= 16 * 1024 - 1 && over.len() <= 16 * 1024 + 2, "{} {}", last.len(), over.len());
        assert!(forge.verify(&last).is_ok(), "{}", last.len());
        forge.refuses("too long", &over);
    }
}

#[test]
fn a_member_that_comes_twice_is_refused() {
    for forge in Forge::all() {
        let (header, claims) = (forge.header().to_string(), forge.claims().to_string());
        for extra in [r#""alg":"ES256","#, r#""\u0061lg":"ES256","#, r#""x":1,"x":1,"#] {
            forge.refuses("header", &forge.sign(&header.replacen('{', &format!("{{{extra}"), 1), &claims));
        }
        for extra in [r#""sid":"other","#, r#""exp":9999999999,"#, r#""x":1,"x":1,"#] {
            forge.refuses("claims", &forge.sign(&header, &claims.replacen('{', &format!("{{{extra}"), 1)));
        }
    }
}

proptest! {
    #[test]
    fn a_good_token_with_any_letter_changed_is_refused(at in any::<prop::sample::Index>(), to in "[ -~]") {
        for forge in Forge::shared() {
            let good = forge.good();
            let at = at.index(good.len());
            prop_assume!(good[at..=at] != to);
            let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
            prop_assert!(forge.verify(&changed).is_err());
        }
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".*", parts in prop::collection::vec(any::<Vec<u8>>(), 0..5)) {
        let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
        for forge in Forge::shared() {
            prop_assert!(forge.verify(&text).is_err());
            prop_assert!(forge.verify(&parts.join(".")).is_err());
        }
    }
}
