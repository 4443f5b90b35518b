//! Good tokens of every algorithm, and wrong ones of every kind.

use crate::{
    AccessTokenRules, Algorithm, Claims, IdTokenRules, Issuer, Jws, KeySet, LogoutTokenRules, Refused, Signer,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

mod forged;

const ISSUER: &str = "https://idp.test/realm";
const CLIENT: &str = "gw";
const NOW: u64 = 1_700_000_000_000;

fn seconds() -> u64 {
    NOW / 1000
}

/// A signer and the set with its public half.
fn keys(kid: &str) -> (Signer, KeySet) {
    let (signer, _) = Signer::generate();
    let mut jwk = signer.jwk().unwrap();
    jwk["kid"] = kid.into();
    (signer, set(&[jwk]))
}

fn set(keys: &[Value]) -> KeySet {
    KeySet::read(json!({ "keys": keys }).to_string().as_bytes()).unwrap()
}

fn claims() -> Value {
    json!({
        "iss": ISSUER, "sub": "ann", "aud": CLIENT, "nonce": "n-1",
        "iat": seconds(), "exp": seconds() + 300, "auth_time": seconds() - 10,
    })
}

fn rules() -> IdTokenRules<'static> {
    IdTokenRules {
        issuer: Issuer::Exact(ISSUER),
        client_id: CLIENT,
        nonce: Some("n-1"),
        access_token: Some("access"),
        max_age: None,
        now: NOW,
    }
}

fn opened(keys: &KeySet, token: &str) -> Result<Claims, Refused> {
    let jws = Jws::parse(token)?;
    jws.open(keys.of(&jws)?)
}

fn judged(claims: &Value, rules: &IdTokenRules<'_>) -> Result<String, &'static str> {
    let (signer, keys) = keys("k");
    let token = signer.sign("JWT", claims);
    let jws = Jws::parse(&token).unwrap();
    let claims = jws.open(keys.of(&jws).unwrap()).unwrap();
    rules.judge(&jws, &claims).map_err(|why| why.0)
}

#[test]
fn a_good_id_token_is_believed() {
    assert_eq!(judged(&claims(), &rules()), Ok(ISSUER.to_owned()));
    let mut several = claims();
    several["aud"] = json!(["other", CLIENT]);
    several["azp"] = CLIENT.into();
    assert!(judged(&several, &rules()).is_ok());
    // RFC 7519 §2: a fraction of a second is legal and counts.
    let mut fraction = claims();
    fraction["exp"] = json!(seconds() as f64 - 59.5);
    assert!(judged(&fraction, &rules()).is_ok());
}

/// Rows O-04, O-12, O-13, J-06, J-12 and R-32 of the attack list, N-58, N-79, N-81.
#[test]
fn an_id_token_with_any_wrong_claim_is_refused() {
    let now = seconds();
    let long = "x".repeat(256);
    for (name, value, why) in [
        ("iss", json!("https://idp.test/realm/"), "iss"),
        ("iss", json!("https://idp.test"), "iss"),
        ("iss", json!("https://IDP.test/realm"), "iss"),
        ("iss", json!([ISSUER]), "iss"),
        ("iss", Value::Null, "iss"),
        ("sub", json!(""), "sub"),
        ("sub", json!(7), "sub"),
        ("sub", json!(long), "sub"),
        ("sub", json!("a\nb"), "sub"),
        ("sub", Value::Null, "sub"),
        ("aud", json!("other"), "aud"),
        ("aud", json!([]), "aud"),
        ("aud", json!(["other"]), "aud"),
        ("aud", json!([CLIENT, 7]), "aud"),
        ("aud", json!({ "gw": true }), "aud"),
        ("aud", json!(["other", CLIENT]), "azp"),
        ("azp", json!("other"), "azp"),
        ("azp", json!([CLIENT]), "azp"),
        ("exp", json!(now - 60), "expired"),
        ("exp", json!(now - 61), "expired"),
        ("exp", json!(0), "expired"),
        ("exp", json!((now + 300).to_string()), "exp"),
        ("exp", json!(-1), "exp"),
        ("exp", json!([now + 300]), "exp"),
        ("exp", json!(1e300), "exp"),
        ("exp", Value::Null, "exp"),
        ("iat", json!(now + 61), "issued in the future"),
        ("iat", json!("now"), "iat"),
        ("iat", json!({}), "iat"),
        ("nbf", json!(now + 61), "not yet valid"),
        ("nbf", json!("0"), "nbf"),
        ("nbf", Value::Null, "nbf"),
        ("nonce", json!("n-2"), "nonce"),
        ("nonce", json!(["n-1"]), "nonce"),
        ("nonce", json!(""), "nonce"),
        ("at_hash", json!("AAAAAAAAAAAAAAAAAAAAAA"), "at_hash"),
        ("at_hash", json!(1), "at_hash"),
        ("auth_time", json!("yesterday"), "auth_time"),
        ("events", json!({}), "a token of an event"),
    ] {
        let mut wrong = claims();
        wrong[name] = value.clone();
        assert_eq!(judged(&wrong, &rules()), Err(why), "{name}: {value}");
    }
    for name in ["iss", "sub", "aud", "exp", "iat", "nonce"] {
        let mut without = claims();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(judged(&without, &rules()), Err(name));
    }
}

/// Row R-32: a provider's clock may be 59 seconds off, not 61.
#[test]
fn a_clock_may_differ_by_a_minute() {
    let now = seconds();
    for (name, at, fits) in [
        ("exp", now - 59, true),
        ("exp", now - 61, false),
        ("iat", now + 59, true),
        ("iat", now + 61, false),
        ("nbf", now + 59, true),
        ("nbf", now + 61, false),
    ] {
        let mut skewed = claims();
        skewed[name] = at.into();
        assert_eq!(judged(&skewed, &rules()).is_ok(), fits, "{name}");
    }
}

#[test]
fn with_a_longest_age_the_token_says_when_the_person_proved_who_they_are() {
    let aged = |max_age, auth_time: Option<u64>| {
        let mut claims = claims();
        match auth_time {
            Some(at) => claims["auth_time"] = at.into(),
            None => drop(claims.as_object_mut().unwrap().remove("auth_time")),
        }
        judged(&claims, &IdTokenRules { max_age: Some(max_age), ..rules() })
    };
    assert!(aged(10, Some(seconds() - 70)).is_ok());
    assert_eq!(aged(10, Some(seconds() - 71)), Err("auth_time"));
    assert_eq!(aged(u64::MAX, None), Err("auth_time"));
    assert!(aged(0, Some(seconds())).is_ok());
}

/// The example of OpenID Connect Core §A.3, for an access token under ES256's hash.
#[test]
fn the_access_token_is_the_one_that_the_id_token_came_with() {
    let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
    let mut claims = claims();
    claims["at_hash"] = "77QmUPtjPfzWtF2AnpK9RQ".into();
    assert!(judged(&claims, &IdTokenRules { access_token: Some(token), ..rules() }).is_ok());
    assert_eq!(judged(&claims, &rules()), Err("at_hash"));
}

#[test]
fn a_shared_issuer_has_the_tenant_of_the_token_in_it() {
    const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";
    let rules = IdTokenRules { issuer: Issuer::Tenant("https://login.test/{tenantid}/v2.0"), ..rules() };
    let with = |iss: &str, tid: &str| {
        let mut claims = claims();
        (claims["iss"], claims["tid"]) = (iss.into(), tid.into());
        judged(&claims, &rules)
    };
    let own = format!("https://login.test/{TENANT}/v2.0");
    assert_eq!(with(&own, TENANT), Ok(own.clone()));
    assert_eq!(with(&own, "9188040d-6c67-4c5b-b112-36a304b66dae"), Err("iss"));
    assert_eq!(with("https://login.test/{tenantid}/v2.0", "{tenantid}"), Err("tid"));
    assert_eq!(with("https://login.test/../v2.0", ".."), Err("tid"));
}

/// N-78: every kind of token says what it is, and is no other.
#[test]
fn a_token_of_one_kind_is_not_taken_for_another() {
    let (signer, keys) = keys("k");
    let id = |typ: &str| {
        let token = signer.sign(typ, &claims());
        let jws = Jws::parse(&token).unwrap();
        rules().judge(&jws, &jws.open(keys.of(&jws).unwrap()).unwrap()).is_ok()
    };
    assert!(id("JWT") && id("application/jwt"));
    for typ in ["at+jwt", "logout+jwt", "application/at+jwt", "portcullis-assertion+jwt", ""] {
        assert!(!id(typ), "{typ}");
    }
    let access = |typ: &str, claims: &Value| {
        let token = signer.sign(typ, claims);
        let jws = Jws::parse(&token).unwrap();
        let rules = AccessTokenRules { issuer: ISSUER, audience: "api", now: NOW };
        rules.judge(&jws, &jws.open(keys.of(&jws).unwrap()).unwrap()).map_err(|why| why.0)
    };
    let mut token = claims();
    token["aud"] = json!(["api"]);
    assert_eq!(access("JWT", &token), Err("a token of another kind"), "an ID token");
    token.as_object_mut().unwrap().remove("nonce");
    let good = Ok(("ann".to_owned(), (seconds() + 300) * 1000));
    assert_eq!(access("JWT", &token), good);
    assert_eq!(access("at+jwt", &token), good);
    assert_eq!(access("logout+jwt", &token), Err("typ"));
    for (name, value, why) in [
        ("aud", json!("gw"), "aud"),
        ("iss", json!("https://other.test"), "iss"),
        ("exp", json!(seconds()), "expired"),
        ("sub", json!(""), "sub"),
        ("cnf", json!({"jkt": "x"}), "bound to a key"),
        ("nbf", json!(seconds() + 61), "not yet valid"),
    ] {
        let mut wrong = token.clone();
        wrong[name] = value;
        assert_eq!(access("at+jwt", &wrong), Err(why), "{name}");
    }
}

/// Row O-18 of the attack list, N-71.
#[test]
fn a_logout_token_is_exactly_one() {
    let (signer, keys) = keys("k");
    let good = json!({
        "iss": ISSUER, "aud": [CLIENT], "iat": seconds(), "exp": seconds() + 120, "jti": "j", "sub": "ann", "sid": "s",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let judged = |typ: &str, claims: &Value| {
        let token = signer.sign(typ, claims);
        let jws = Jws::parse(&token).unwrap();
        let rules = LogoutTokenRules { issuer: ISSUER, client_id: CLIENT, now: NOW };
        rules.judge(&jws, &jws.open(keys.of(&jws).unwrap()).unwrap()).map_err(|why| why.0)
    };
    let found = judged("logout+jwt", &good).unwrap();
    assert_eq!(
        (found.subject.as_deref(), found.session.as_deref(), found.jti.as_str()),
        (Some("ann"), Some("s"), "j")
    );
    assert!(judged("JWT", &good).is_ok());
    assert_eq!(judged("at+jwt", &good), Err("typ"));
    for (name, value, why) in [
        ("iss", json!("https://idp.test"), "iss"),
        ("aud", json!("other"), "aud"),
        ("iat", json!(seconds() - 361), "too old"),
        ("iat", json!(seconds() + 61), "issued in the future"),
        ("exp", json!(seconds() - 61), "expired"),
        ("jti", json!(""), "jti"),
        ("events", json!({}), "events"),
        ("events", json!({ "http://schemas.openid.net/event/backchannel-logout": true }), "events"),
        ("events", json!(["http://schemas.openid.net/event/backchannel-logout"]), "events"),
        ("nonce", json!("n"), "nonce"),
        ("nonce", Value::Null, "nonce"),
        ("sub", json!(1), "sub"),
        ("sid", json!(1), "sid"),
    ] {
        let mut wrong = good.clone();
        wrong[name] = value.clone();
        assert_eq!(judged("logout+jwt", &wrong), Err(why), "{name}: {value}");
    }
    let mut nobody = good.clone();
    let members = nobody.as_object_mut().unwrap();
    members.remove("sub");
    members.remove("sid");
    assert_eq!(judged("logout+jwt", &nobody), Err("neither sub nor sid"));
    for name in ["iss", "aud", "iat", "jti", "events"] {
        let mut without = good.clone();
        without.as_object_mut().unwrap().remove(name);
        assert_eq!(judged("logout+jwt", &without), Err(name));
    }
}

fn encoded(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// Rows J-07, J-08 and J-11.
#[test]
fn what_is_not_exactly_a_signed_token_is_refused() {
    let (signer, keys) = keys("k");
    let good = signer.sign("JWT", &claims());
    // Not our form at all.
    for token in [
        good.clone() + ".",
        good.clone() + ".a.b",
        format!("{good} "),
        format!(" {good}"),
        good.replace('.', ""),
        String::new(),
        ".".repeat(1_000_000),
        "a".repeat(10_000_000),
    ] {
        assert!(opened(&keys, &token).is_err());
    }
    // Section 6 of the attack catalogue: 16 KiB.
    let of = |letters: usize| {
        let mut claims = claims();
        claims["x"] = "x".repeat(letters).into();
        signer.sign("JWT", &claims)
    };
    let (mut last, mut over) = (1024_usize, 16 * 1024);
    while over - last > 1 {
        let middle = last.midpoint(over);
        *(if of(middle).len() > 16 * 1024 { &mut over } else { &mut last }) = middle;
    }
    let (last, over) = (of(last), of(over));
    assert!(last.len() >= 16 * 1024 - 1 && over.len() <= 16 * 1024 + 2, "{} {}", last.len(), over.len());
    assert!(opened(&keys, &last).is_ok());
    assert!(opened(&keys, &over).is_err());
    // r = s = 0, and a signature as DER.
    let zero = URL_SAFE_NO_PAD.encode([0; 64]);
    let (unsigned, signature) = good.rsplit_once('.').unwrap();
    assert!(opened(&keys, &format!("{unsigned}.{zero}")).is_err());
    let raw = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut der = vec![0x30, 68, 2, 32];
    der.extend(&raw[..32]);
    der.extend([2, 32]);
    der.extend(&raw[32..]);
    assert!(opened(&keys, &format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(der))).is_err());
}

#[test]
fn of_two_keys_that_fit_none_is_taken() {
    let (signer, _) = Signer::generate();
    let mut one = signer.jwk().unwrap();
    one["kid"] = "a".into();
    let mut two = Signer::generate().0.jwk().unwrap();
    two["kid"] = "b".into();
    let nameless = signer.sign("JWT", &claims());
    assert!(opened(&set(&[one.clone()]), &nameless).is_ok(), "one key needs no name");
    assert_eq!(opened(&set(&[one.clone(), two.clone()]), &nameless), Err(Refused("two keys of that name")));
    two["kid"] = "a".into();
    assert_eq!(opened(&set(&[one, two]), &nameless), Err(Refused("two keys of that name")));
}

/// Row J-13 of the attack list, N-80.
#[test]
fn weak_and_odd_keys_are_no_keys() {
    let (signer, _) = Signer::generate();
    let good = signer.jwk().unwrap();
    let with = |name: &str, value: Value| {
        let mut key = good.clone();
        key[name] = value;
        key
    };
    let n = |bytes: usize| URL_SAFE_NO_PAD.encode([vec![0xff; bytes - 1], vec![0x01]].concat());
    assert_eq!(set(&[json!({"kty": "RSA", "n": n(256), "e": "AQAB"}), with("use", "sig".into())]).len(), 2);
    for key in [
        json!({"kty": "RSA", "n": n(128), "e": "AQAB"}),
        json!({"kty": "RSA", "n": n(2048), "e": "AQAB"}),
        json!({"kty": "RSA", "n": n(256), "e": "AQ"}),
        json!({"kty": "RSA", "n": n(256), "e": "Ag"}),
        json!({"kty": "RSA", "n": n(256), "e": "AAAAAAEAAQ"}),
        json!({"kty": "RSA", "n": n(256)}),
        json!({"kty": "oct", "k": "AAAA"}),
        json!({"kty": "OKP", "crv": "X25519", "x": URL_SAFE_NO_PAD.encode([7; 32])}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([[1].as_slice(), &[0; 31]].concat())}),
        with("use", "enc".into()),
        with("key_ops", json!(["sign"])),
        with("key_ops", json!("verify")),
        with("alg", "RS256".into()),
        with("alg", "ES384".into()),
        with("alg", "none".into()),
        with("crv", "P-384".into()),
        with("crv", "secp256k1".into()),
        with("x", "AAAA".into()),
        with("y", good["x"].clone()),
        with("d", "AAAA".into()),
        with("kid", json!(7)),
    ] {
        assert!(set(std::slice::from_ref(&key)).is_empty(), "{key}");
    }
    for bytes in ["", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#] {
        assert!(KeySet::read(bytes.as_bytes()).is_err(), "{bytes}");
    }
    // Section 6 of the attack catalogue: 100 keys.
    let many = |count| vec![good.clone(); count];
    assert_eq!([99, 100].map(|count| set(&many(count)).len()), [99, 100]);
    assert!(KeySet::read(json!({ "keys": many(101) }).to_string().as_bytes()).is_err());
}

/// Both names of Ed25519, and every other algorithm that a key of ours can make.
#[test]
fn a_token_of_every_algorithm_is_verified() {
    let pem = |algorithm| rcgen::KeyPair::generate_for(algorithm).unwrap();
    for (algorithm, generated) in [
        (Algorithm::Es256, &rcgen::PKCS_ECDSA_P256_SHA256),
        (Algorithm::Es384, &rcgen::PKCS_ECDSA_P384_SHA384),
        (Algorithm::EdDsa, &rcgen::PKCS_ED25519),
    ] {
        let signer = Signer::from_pem(pem(generated).serialize_pem().as_bytes(), Some("k".into())).unwrap();
        assert_eq!(signer.algorithm(), algorithm);
        let mut jwk = signer.jwk().unwrap();
        jwk["kid"] = "k".into();
        let keys = set(&[jwk]);
        assert!(opened(&keys, &signer.sign("JWT", &claims())).is_ok(), "{algorithm:?}");
    }
    let signer = Signer::from_pem(pem(&rcgen::PKCS_ED25519).serialize_pem().as_bytes(), None).unwrap();
    let mut jwk = signer.jwk().unwrap();
    jwk["alg"] = "Ed25519".into();
    assert!(
        opened(&set(&[jwk]), &signer.sign("JWT", &claims())).is_ok(),
        "the key's new name, the token's old one"
    );
}
