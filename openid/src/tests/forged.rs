//! Tokens whose signature is good for exactly the header that they have: what refuses them is
//! the rule, and not that somebody changed a header under a signature (rows J-02 to J-05).

use super::*;
use aws_lc_rs::hmac;

const HEADER: &str = r#"{"alg":"ES256","kid":"k"}"#;

/// The two first parts.
fn message(header: &Value) -> String {
    format!("{}.{}", encoded(header), encoded(&claims()))
}

/// Signed as it stands.
fn signed(by: &Signer, header: &Value) -> String {
    let message = message(header);
    let signature = URL_SAFE_NO_PAD.encode(by.signature(message.as_bytes()));
    format!("{message}.{signature}")
}

/// The usual header with more in it, or with other things.
fn header(more: &Value) -> Value {
    let mut header: Value = serde_json::from_str(HEADER).unwrap();
    for (name, value) in more.as_object().unwrap() {
        header[name.as_str()] = value.clone();
    }
    header
}

/// Rows J-01 and J-02: the key says how it signs, and a token that says otherwise is refused even
/// under its good signature.
#[test]
fn a_token_chooses_neither_its_key_nor_its_algorithm() {
    let (signer, keys) = keys("k");
    for alg in ["none", "None", "nOnE", "", "HS256", "RS256", "ES384", "EdDSA", "es256", "ES256K", "ES256 "] {
        let token = signed(&signer, &header(&json!({ "alg": alg })));
        assert!(opened(&keys, &token).is_err(), "{alg}");
        let (message, _) = token.rsplit_once('.').unwrap();
        assert!(opened(&keys, &format!("{message}.")).is_err(), "{alg} without a signature");
    }
    for alg in [Value::Null, json!(["ES256"]), json!({ "ES256": 1 }), json!(1)] {
        assert!(opened(&keys, &signed(&signer, &header(&json!({ "alg": alg })))).is_err(), "{alg}");
    }
    assert!(opened(&keys, &signed(&signer, &json!({ "kid": "k" }))).is_err(), "no alg at all");
}

/// Row J-04, N-77: also a list that is empty or names what is known, and also by the right key.
#[test]
fn a_critical_extension_is_refused_under_a_good_signature() {
    let (signer, keys) = keys("k");
    assert!(opened(&keys, &signed(&signer, &header(&json!({})))).is_ok(), "the signature is good");
    for crit in [json!(["x"]), json!(["exp"]), json!(["b64"]), json!([]), json!("x"), Value::Null] {
        let token = signed(&signer, &header(&json!({ "crit": crit })));
        assert_eq!(opened(&keys, &token).err(), Some(Refused("crit")), "{crit}");
        let token = signed(&signer, &header(&json!({ "crit": crit, "b64": false, "x": 1 })));
        assert_eq!(opened(&keys, &token).err(), Some(Refused("crit")), "{crit}");
    }
    for b64 in [json!(false), json!(true), Value::Null] {
        let token = signed(&signer, &header(&json!({ "b64": b64 })));
        assert_eq!(opened(&keys, &token).err(), Some(Refused("crit")), "b64 {b64}");
    }
}

/// Row J-03, N-76: a token that brings its own key, signed by that key.
#[test]
fn a_key_that_a_token_brings_along_signs_nothing() {
    let (signer, keys) = keys("k");
    let (other, _) = Signer::generate();
    let mut own = other.jwk().unwrap();
    own["kid"] = "k".into();
    let data = format!("data:application/json,{}", json!({ "keys": [own] }));
    for more in [
        json!({ "jwk": own }),
        json!({ "jwk": own, "kid": "other" }),
        json!({ "jku": "https://evil.test/keys" }),
        json!({ "jku": data }),
        json!({ "x5u": "https://evil.test/cert" }),
        json!({ "x5c": ["MIIB"], "x5t": "AA" }),
    ] {
        let forged = signed(&other, &header(&more));
        assert!(opened(&keys, &forged).is_err(), "{more}");
    }
    let ours = signed(&signer, &header(&json!({ "jwk": own, "jku": "https://evil.test/keys" })));
    assert!(opened(&keys, &ours).is_ok(), "it is not even looked at");
}

/// Row J-05.
#[test]
fn a_name_of_a_key_is_one_of_the_issuers_or_nothing() {
    let (signer, keys) = keys("k");
    let long = "x".repeat(10_240);
    for kid in ["../../dev/null", "' OR 1", "K", "k ", "k\0", "", &long] {
        let token = signed(&signer, &header(&json!({ "kid": kid })));
        assert!(opened(&keys, &token).is_err(), "{kid:.20}");
    }
    for kid in [json!(7), json!(["k"]), json!({ "k": 1 }), Value::Null, json!(true)] {
        let token = signed(&signer, &header(&json!({ "kid": kid })));
        assert!(opened(&keys, &token).is_err(), "{kid}");
    }
}

/// Row J-02, N-75: the public half, however it is written, is no secret to sign with.
#[test]
fn a_public_key_is_no_secret_of_a_mac() {
    let (signer, keys) = keys("k");
    let jwk = signer.jwk().unwrap();
    let part = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let point = [&[4][..], &part("x"), &part("y")].concat();
    // SubjectPublicKeyInfo of P-256 (RFC 5480).
    let head = [
        0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d,
        3, 1, 7, 3, 0x42, 0,
    ];
    let der = [&head[..], &point].concat();
    let body = base64::engine::general_purpose::STANDARD.encode(&der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines.join("\n"));
    let mut named = jwk.clone();
    named["kid"] = "k".into();
    let secrets = [
        pem.clone().into_bytes(),
        format!("{pem}\n").into_bytes(),
        format!("{pem} ").into_bytes(),
        der,
        point,
        part("x"),
        jwk.to_string().into_bytes(),
        named.to_string().into_bytes(),
        json!({ "keys": [named] }).to_string().into_bytes(),
        b"k".to_vec(),
        Vec::new(),
    ];
    let macs = [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for secret in &secrets {
        for (said, mac) in macs {
            // Also under the name of the algorithm that the key is for.
            for alg in [said, "ES256"] {
                let message = message(&header(&json!({ "alg": alg })));
                let tag = hmac::sign(&hmac::Key::new(mac, secret), message.as_bytes());
                let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
                assert!(opened(&keys, &token).is_err(), "{alg} {said}");
            }
        }
    }
}
