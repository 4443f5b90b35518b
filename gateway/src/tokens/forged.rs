//! Tokens that are none: every one is refused, and the good one they were made from is
//! not. Rows J-01 to J-09, J-11, J-12 and M-22 of the attack tables.

use super::{
    Refused, Tokens, Verified,
    keys::{Key, Purpose, generate},
};
use crate::{
    clock::UnixMillis,
    random::Random,
    sessions::{Account, LiveSession, live_for_tests},
};
use aws_lc_rs::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

const NOW: UnixMillis = UnixMillis(1_700_000_000_500);
const ISSUER: &str = "https://gw.test";

/// Tokens, and the private keys behind them, with which a test forges.
struct Forge {
    tokens: Tokens,
    access: Vec<u8>,
    kid: String,
    assertion_kid: String,
    assertion: Vec<u8>,
}

impl Forge {
    fn new() -> Self {
        let (access, assertion) = (generate().to_vec(), generate().to_vec());
        let keys = vec![
            Key::from_pkcs8(Purpose::Access, true, &access).unwrap(),
            Key::from_pkcs8(Purpose::Assertion, true, &assertion).unwrap(),
        ];
        let (kid, assertion_kid) = (keys[0].kid().to_owned(), keys[1].kid().to_owned());
        let token = portcullis_config::Token {
            issuer: ISSUER.into(),
            audience: "https://api.test".into(),
            lifetime: Duration::from_secs(900),
            max_lifetime: Duration::from_secs(3_600),
            schemes: vec!["Bearer".into()],
        };
        let lifetime = Duration::from_secs(60);
        let assertion_part = portcullis_config::Assertion { header: "X-Assertion".into(), lifetime };
        let tokens = Tokens::with_keys(keys, &token, &assertion_part, Random::system());
        Self { tokens, access, kid, assertion_kid, assertion }
    }

    fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "at+jwt", "kid": self.kid})
    }

    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": "https://api.test", "sub": "u", "sid": "s",
            "iat": NOW.seconds(), "exp": NOW.seconds() + 900,
        })
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        signed(&self.access, header, claims)
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.header();
        header[name] = value;
        self.sign(&header.to_string(), &self.claims().to_string())
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    fn without_claim(&self, name: &str) -> String {
        let mut claims = self.claims();
        claims.as_object_mut().unwrap().remove(name);
        self.sign(&self.header().to_string(), &claims.to_string())
    }

    fn good(&self) -> String {
        self.sign(&self.header().to_string(), &self.claims().to_string())
    }

    fn verify(&self, token: &str) -> Result<Verified, Refused> {
        self.tokens.verify(token, NOW)
    }

    #[track_caller]
    fn refuses(&self, what: &str, token: &str) {
        assert!(self.verify(token).is_err(), "accepted: {what}: {token}");
    }
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn signed(pkcs8: &[u8], header: &str, claims: &str) -> String {
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8).unwrap();
    let message = message(header, claims);
    let signature = key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// Named by an address that nobody has verified.
fn ann() -> Account {
    Account { email: Some("ann@x.io".into()), roles: vec!["staff".into()], ..Account::for_tests("ann@x.io") }
}

fn session(account: Account) -> Arc<LiveSession> {
    live_for_tests("sid-1", account, NOW, NOW.plus(Duration::from_secs(600)))
}

fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[test]
fn the_good_token_is_accepted() {
    let forge = Forge::new();
    let verified = forge.verify(&forge.good()).unwrap();
    assert_eq!((verified.sid.as_str(), verified.sub.as_str(), verified.kid), ("s", "u", forge.kid.clone()));
    assert_eq!((verified.iat, verified.exp), (NOW.seconds(), NOW.seconds() + 900));
    for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
        assert!(forge.verify(&forge.with_header("typ", json!(typ))).is_ok(), "{typ}");
    }
}

#[test]
fn a_token_of_ours_says_what_the_contract_lists_and_ends_with_its_session() {
    let forge = Forge::new();
    let (session, account) = (session(ann()), ann());
    let token = forge.tokens.access(&session, &account, NOW, NOW.plus(Duration::from_secs(900)));
    let verified = forge.verify(&token).unwrap();
    assert_eq!(verified.sid, "sid-1");
    assert_eq!(verified.exp, session.expires().seconds(), "no token outlives its session");
    let claims = claims_of(&token);
    let names: Vec<_> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    let mut listed = "iss aud sub iat exp jti sid name email_verified roles strategy metadata app"
        .split(' ')
        .collect::<Vec<_>>();
    listed.sort_unstable();
    assert_eq!(names, listed, "an unverified address is told to nobody");
    assert_eq!(claims["name"], account.uuid.to_string());
    let verified_ann = Account { email_verified: true, ..ann() };
    let claims = claims_of(&forge.tokens.access(&session, &verified_ann, NOW, NOW));
    assert_eq!((&claims["email"], &claims["name"]), (&json!("ann@x.io"), &json!("ann@x.io")));
    assert!(forge.tokens.looks_like_ours(&token));
}

#[test]
fn an_assertion_is_for_one_upstream_and_no_access_token() {
    let forge = Forge::new();
    let (session, account) = (session(ann()), ann());
    let assertion = forge.tokens.assertion("api", &session, &account, NOW);
    let claims = claims_of(&assertion);
    assert_eq!((&claims["aud"], &claims["sid"]), (&json!("api"), &json!("sid-1")));
    assert_eq!(claims["exp"], NOW.seconds() + 60);
    assert_eq!(claims["sub"], account.uuid.to_string());
    assert!(claims.get("email").is_none());
    forge.refuses("an assertion", &assertion);
    assert!(forge.tokens.looks_like_ours(&assertion));

    // Each key under the other's header, with all else in order.
    let claims = forge.claims().to_string();
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": forge.assertion_kid}).to_string();
    forge.refuses("at+jwt by the assertion's key", &signed(&forge.assertion, &header, &claims));
    let header = forge.header().to_string();
    forge.refuses(
        "the access key's kid over the assertion's signature",
        &signed(&forge.assertion, &header, &claims),
    );
    forge.refuses(
        "another typ by the access key",
        &forge.with_header("typ", json!("portcullis-assertion+jwt")),
    );
}

#[test]
fn another_algorithm_is_refused_whatever_signs_it() {
    let forge = Forge::new();
    let claims = forge.claims().to_string();
    let good = forge.good();
    let signature = good.rsplit('.').next().unwrap();
    for alg in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!(""),
        json!(" ES256"),
        json!("es256"),
        Value::Null,
        json!(1),
    ] {
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

#[test]
fn the_public_key_is_no_secret_for_hmac() {
    let forge = Forge::new();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &forge.access).unwrap();
    let point = pair.public_key().as_ref().to_vec();
    // SubjectPublicKeyInfo of a P-256 key (RFC 5480 §2) is a fixed head and the point.
    let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
    let mut der: Vec<u8> =
        (0..head.len()).step_by(2).map(|i| u8::from_str_radix(&head[i..i + 2], 16).unwrap()).collect();
    der.extend_from_slice(&point);
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", STANDARD.encode(&der));
    let jwks: Value = serde_json::from_str(&forge.tokens.jwks()).unwrap();
    let jwk = jwks["keys"][0].to_string();
    let secrets = [
        point,
        der,
        pem.clone().into(),
        format!("{pem}\n").into(),
        format!(" {pem}").into(),
        jwk.into(),
        vec![],
    ];
    let algorithms =
        [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
    for secret in &secrets {
        for (name, algorithm) in algorithms {
            let mut header = forge.header();
            header["alg"] = json!(name);
            let message = message(&header.to_string(), &forge.claims().to_string());
            let tag = hmac::sign(&hmac::Key::new(algorithm, secret), message.as_bytes());
            forge.refuses(name, &format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag)));
        }
    }
}

#[test]
fn a_key_that_comes_with_the_token_is_not_looked_at() {
    let forge = Forge::new();
    let own = generate();
    let own_key = Key::from_pkcs8(Purpose::Access, true, &own).unwrap();
    for (name, value) in [
        ("jwk", own_key.jwk()),
        ("jku", json!("https://evil.test/jwks.json")),
        ("x5u", json!("https://evil.test/cert.pem")),
        ("x5c", json!(["MIIB"])),
    ] {
        for kid in [json!(forge.kid), json!(own_key.kid())] {
            let mut header = forge.header();
            (header[name], header["kid"]) = (value.clone(), kid);
            forge.refuses(name, &signed(&own, &header.to_string(), &forge.claims().to_string()));
        }
    }
}

#[test]
fn a_kid_is_a_name_and_no_query() {
    let forge = Forge::new();
    let kid = forge.kid.as_str();
    for kid in [
        json!("../../dev/null"),
        json!("' OR 1=1 --"),
        json!("k".repeat(10_000)),
        json!(1),
        json!([kid]),
        Value::Null,
        json!(""),
        json!(&kid[..42]),
        json!(format!("{kid} ")),
        json!(kid.to_uppercase()),
    ] {
        forge.refuses("kid", &forge.with_header("kid", kid));
    }
}

#[test]
fn a_critical_extension_is_refused() {
    let forge = Forge::new();
    for crit in [json!(["x"]), json!([]), json!(["b64"]), Value::Null, json!("exp")] {
        forge.refuses("crit", &forge.with_header("crit", crit));
    }
    let mut header = forge.header();
    (header["b64"], header["crit"]) = (json!(false), json!(["b64"]));
    forge.refuses("b64", &forge.sign(&header.to_string(), &forge.claims().to_string()));
}

#[test]
fn another_type_is_refused() {
    let forge = Forge::new();
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
        &forge.sign(&json!({"alg": "ES256", "kid": forge.kid}).to_string(), &forge.claims().to_string()),
    );
}

#[test]
fn issuer_and_audience_are_compared_whole() {
    let forge = Forge::new();
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

#[test]
fn a_claim_of_the_wrong_type_is_refused_like_a_missing_one() {
    let forge = Forge::new();
    let odd = || {
        let exp = NOW.seconds() + 900;
        [json!(exp.to_string()), json!(-1), Value::Null, json!([exp]), json!({}), json!(1e300), json!(true)]
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

#[test]
fn time_is_kept_to_the_millisecond_and_without_leeway() {
    let forge = Forge::new();
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

#[test]
fn a_signature_is_64_bytes_and_proves_something() {
    let forge = Forge::new();
    let message = message(&forge.header().to_string(), &forge.claims().to_string());
    let der = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &forge.access).unwrap();
    let der = der.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
    for signature in [&[0; 64][..], &[0xff; 64], &[0; 63], &[0; 65], &[], der.as_ref()] {
        forge.refuses("signature", &format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)));
    }
    let other = signed(&generate(), &forge.header().to_string(), &forge.claims().to_string());
    forge.refuses("a stranger's key under our kid", &other);
}

#[test]
fn only_three_parts_of_plain_base64url_are_a_token() {
    let forge = Forge::new();
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
    forge.refuses("deep claims", &forge.sign(&forge.header().to_string(), &format!("{{\"iss\":{nested}")));
    forge.refuses("too long", &forge.with_claim("app", json!("x".repeat(17 * 1024))));
    assert!(forge.verify(&forge.with_claim("app", json!("x".repeat(8 * 1024)))).is_ok());
}

#[test]
fn a_member_that_comes_twice_is_refused() {
    let forge = Forge::new();
    let (header, claims) = (forge.header().to_string(), forge.claims().to_string());
    for extra in [r#""alg":"ES256","#, r#""\u0061lg":"ES256","#, r#""x":1,"x":1,"#] {
        forge.refuses("header", &forge.sign(&header.replacen('{', &format!("{{{extra}"), 1), &claims));
    }
    for extra in [r#""sid":"other","#, r#""exp":9999999999,"#, r#""x":1,"x":1,"#] {
        forge.refuses("claims", &forge.sign(&header, &claims.replacen('{', &format!("{{{extra}"), 1)));
    }
}

#[test]
fn when_keys_change_the_generation_rises_and_gone_keys_verify_nothing() {
    let forge = Forge::new();
    let good = forge.good();
    let same = || {
        vec![
            Key::from_pkcs8(Purpose::Access, true, &forge.access).unwrap(),
            Key::from_pkcs8(Purpose::Assertion, true, &forge.assertion).unwrap(),
        ]
    };
    forge.tokens.replace(same());
    assert_eq!(forge.tokens.generation(), 1, "nothing changed");
    let mut more = same();
    more.push(Key::from_pkcs8(Purpose::Access, true, &generate()).unwrap());
    let newest = more[2].kid().to_owned();
    forge.tokens.replace(more);
    assert_eq!(forge.tokens.generation(), 2);
    assert!(forge.verify(&good).is_ok(), "an older key verifies still");
    let token = forge.tokens.access(&session(ann()), &ann(), NOW, NOW.plus(Duration::from_secs(9)));
    assert_eq!(forge.verify(&token).unwrap().kid, newest);
    let mut fewer = same();
    fewer[0] = Key::from_pkcs8(Purpose::Access, true, &generate()).unwrap();
    forge.tokens.replace(fewer);
    assert!(forge.verify(&good).is_err());
}

#[test]
fn the_published_set_has_public_halves_only() {
    let forge = Forge::new();
    let set: Value = serde_json::from_str(&forge.tokens.jwks()).unwrap();
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    }
    assert_eq!((&keys[0]["kid"], &keys[1]["kid"]), (&json!(forge.kid), &json!(forge.assertion_kid)));
}

proptest! {
    #[test]
    fn a_good_token_with_any_letter_changed_is_refused(at in any::<prop::sample::Index>(), to in "[ -~]") {
        let forge = Forge::new();
        let good = forge.good();
        let at = at.index(good.len());
        prop_assume!(good[at..=at] != to);
        let changed = format!("{}{to}{}", &good[..at], &good[at + 1..]);
        prop_assert!(forge.verify(&changed).is_err());
    }

    #[test]
    fn any_text_is_refused_without_a_panic(text in ".*", parts in prop::collection::vec(any::<Vec<u8>>(), 0..5)) {
        let forge = Forge::new();
        prop_assert!(forge.verify(&text).is_err());
        let parts: Vec<_> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
        prop_assert!(forge.verify(&parts.join(".")).is_err());
    }
}
