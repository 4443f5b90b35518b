//! Tokens that are none, of all four algorithms: every one is refused, and the good one they
//! were made from is not. Rows J-01 to J-13 and M-22 of the attack tables.
//!
//! `form.rs` form and header · `claims.rs` claims · `signature.rs` signatures · `weak.rs` keys
//! that are too weak.

mod claims;
mod form;
mod signature;
mod weak;

use super::{
    RefreshKeys, Refused, Tokens, Verified,
    keys::{Key, Purpose},
    material::{Material, generate},
};
use crate::{
    clock::UnixMillis,
    random::Random,
    seal::Sealer,
    sessions::{Account, LiveSession, live_for_tests},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_config::Algorithm;
use serde_json::{Value, json};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

const NOW: UnixMillis = UnixMillis(1_700_000_000_500);
const ISSUER: &str = "https://gw.test";

/// Three private keys of each algorithm, made once: RSA keys take their time.
fn keys(algorithm: Algorithm) -> &'static [Vec<u8>; 3] {
    static KEYS: OnceLock<Vec<[Vec<u8>; 3]>> = OnceLock::new();
    let made = KEYS.get_or_init(|| {
        Algorithm::ALL.iter().map(|algorithm| [0; 3].map(|_| generate(*algorithm).to_vec())).collect()
    });
    &made[Algorithm::ALL.iter().position(|one| *one == algorithm).unwrap()]
}

/// A key that is none of the gateway's.
fn stranger(algorithm: Algorithm) -> &'static [u8] {
    &keys(algorithm)[2]
}

fn key(purpose: Purpose, algorithm: Algorithm, private: &[u8]) -> Key {
    Key::from_private(purpose, true, algorithm, private, purpose.name()).unwrap()
}

/// Tokens, and the private keys behind them, with which a test forges.
struct Forge {
    algorithm: Algorithm,
    tokens: Tokens,
    access: &'static [u8],
    kid: String,
    assertion_kid: String,
    /// Assertions are signed by a pair, whatever signs access tokens.
    assertion_algorithm: Algorithm,
    assertion: &'static [u8],
}

impl Forge {
    fn all() -> [Self; 4] {
        Algorithm::ALL.map(Self::of)
    }

    /// For tests that ask many times and change nothing.
    fn shared() -> &'static [Self; 4] {
        static SHARED: OnceLock<[Forge; 4]> = OnceLock::new();
        SHARED.get_or_init(Self::all)
    }

    fn of(algorithm: Algorithm) -> Self {
        let assertion_algorithm = match algorithm {
            Algorithm::Hs256 => Algorithm::Es256,
            other => other,
        };
        let (access, assertion) = (&keys(algorithm)[0][..], &keys(assertion_algorithm)[1][..]);
        let keys = vec![
            key(Purpose::Access, algorithm, access),
            key(Purpose::Assertion, assertion_algorithm, assertion),
        ];
        let (kid, assertion_kid) = (keys[0].kid().to_owned(), keys[1].kid().to_owned());
        let token = portcullis_config::Token {
            algorithm,
            secret: None,
            issuer: ISSUER.into(),
            audience: "https://api.test".into(),
            lifetime: Duration::from_secs(900),
            max_lifetime: Duration::from_secs(3_600),
            refresh_lifetime: Duration::from_secs(86_400),
            refresh_idle: Duration::from_secs(86_400),
            refresh_grace: Duration::from_secs(10),
            rotate: Duration::from_secs(86_400),
            schemes: vec!["Bearer".into()],
            trusted: Vec::new(),
        };
        let lifetime = Duration::from_secs(60);
        let header = "X-Assertion".into();
        let part = portcullis_config::Assertion { header, algorithm: assertion_algorithm, lifetime };
        let refresh = RefreshKeys::new(&Sealer::from_text("key", Random::system()));
        let tokens = Tokens::with_keys(keys, &token, &part, refresh, Random::system());
        Self { algorithm, tokens, access, kid, assertion_kid, assertion_algorithm, assertion }
    }

    /// The keys that it has, anew.
    fn same(&self) -> Vec<Key> {
        vec![
            key(Purpose::Access, self.algorithm, self.access),
            key(Purpose::Assertion, self.assertion_algorithm, self.assertion),
        ]
    }

    fn header(&self) -> Value {
        json!({"alg": self.algorithm.name(), "typ": "at+jwt", "kid": self.kid})
    }

    fn claims(&self) -> Value {
        json!({
            "iss": ISSUER, "aud": "https://api.test", "sub": "u", "sid": "s",
            "iat": NOW.seconds(), "exp": NOW.seconds() + 900,
        })
    }

    /// The good header and claims, as they are signed.
    fn message(&self) -> String {
        message(&self.header().to_string(), &self.claims().to_string())
    }

    fn sign(&self, header: &str, claims: &str) -> String {
        signed(self.algorithm, self.access, header, claims)
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
        assert!(self.verify(token).is_err(), "{:?} accepted: {what}: {token}", self.algorithm);
    }
}

fn message(header: &str, claims: &str) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

fn signed(algorithm: Algorithm, private: &[u8], header: &str, claims: &str) -> String {
    let message = message(header, claims);
    let signature = Material::from_private(algorithm, private).unwrap().sign(message.as_bytes());
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
    for forge in Forge::all() {
        let verified = forge.verify(&forge.good()).unwrap();
        assert_eq!(
            (verified.sid.as_str(), verified.sub.as_str(), verified.kid),
            ("s", "u", forge.kid.clone())
        );
        assert_eq!((verified.iat, verified.exp), (NOW.seconds(), NOW.seconds() + 900));
        for typ in ["AT+JWT", "application/at+jwt", "Application/At+Jwt"] {
            assert!(forge.verify(&forge.with_header("typ", json!(typ))).is_ok(), "{typ}");
        }
    }
}

#[test]
fn a_token_of_ours_says_what_the_contract_lists_and_ends_with_its_session() {
    for forge in Forge::all() {
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
}

#[test]
fn an_assertion_is_for_one_upstream_and_no_access_token() {
    for forge in Forge::all() {
        let (session, account) = (session(ann()), ann());
        let assertion = forge.tokens.assertion("api", &session, &account, NOW);
        let claims = claims_of(&assertion);
        assert_eq!((&claims["aud"], &claims["sid"]), (&json!("api"), &json!("sid-1")));
        assert_eq!(claims["exp"], NOW.seconds() + 60);
        assert_eq!(claims["sub"], account.uuid.to_string());
        assert!(claims.get("email").is_none());
        forge.refuses("an assertion", &assertion);
        assert!(forge.tokens.looks_like_ours(&assertion));

        let by = forge.assertion_algorithm;
        // Each key under the other's header, with all else in order.
        let claims = forge.claims().to_string();
        let header = json!({"alg": by.name(), "typ": "at+jwt", "kid": forge.assertion_kid}).to_string();
        forge.refuses("at+jwt by the assertion's key", &signed(by, forge.assertion, &header, &claims));
        let header = forge.header().to_string();
        forge.refuses(
            "the access key's kid over the assertion's signature",
            &signed(by, forge.assertion, &header, &claims),
        );
        forge.refuses(
            "another typ by the access key",
            &forge.with_header("typ", json!("portcullis-assertion+jwt")),
        );
    }
}

#[test]
fn when_keys_change_the_generation_rises_and_gone_keys_verify_nothing() {
    for forge in Forge::all() {
        let good = forge.good();
        let other = || {
            let private = stranger(forge.algorithm);
            Key::from_private(Purpose::Access, true, forge.algorithm, private, "another").unwrap()
        };
        forge.tokens.replace(forge.same());
        assert_eq!(forge.tokens.generation(), 1, "nothing changed");
        let mut more = forge.same();
        more.push(other());
        let newest = more[2].kid().to_owned();
        forge.tokens.replace(more);
        assert_eq!(forge.tokens.generation(), 2);
        assert!(forge.verify(&good).is_ok(), "an older key verifies still");
        let token = forge.tokens.access(&session(ann()), &ann(), NOW, NOW.plus(Duration::from_secs(9)));
        assert_eq!(forge.verify(&token).unwrap().kid, newest);
        let mut fewer = forge.same();
        fewer[0] = other();
        forge.tokens.replace(fewer);
        assert!(forge.verify(&good).is_err());
    }
}

#[test]
fn the_published_set_has_public_halves_only() {
    for forge in Forge::all() {
        let set: Value = serde_json::from_str(&forge.tokens.jwks()).unwrap();
        let published = set["keys"].as_array().unwrap();
        let pairs = match forge.algorithm {
            Algorithm::Hs256 => vec![&forge.assertion_kid],
            _ => vec![&forge.kid, &forge.assertion_kid],
        };
        assert_eq!(published.iter().map(|key| key["kid"].as_str().unwrap()).collect::<Vec<_>>(), pairs);
        for key in published {
            let names: Vec<_> = key.as_object().unwrap().keys().map(String::as_str).collect();
            let expected = match forge.algorithm {
                Algorithm::Es256 | Algorithm::Hs256 => "alg crv kid kty use x y",
                Algorithm::EdDsa => "alg crv kid kty use x",
                Algorithm::Rs256 => "alg e kid kty n use",
            };
            assert_eq!(names.join(" "), expected);
            assert_eq!(key["alg"], forge.assertion_algorithm.name());
        }
    }
}
