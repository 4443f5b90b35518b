//! What providers and directories send: tokens and keys of OpenID Connect, messages of LDAP.

use super::targets::Target;
use portcullis_openid::{Algorithm, Jws, KeySet, object};
use serde_json::Value;

pub(super) const TARGETS: &[Target] = &[
    Target {
        name: "token of a provider",
        corpus: &[
            b"eyJhbGciOiJFUzI1NiIsImtpZCI6ImEiLCJ0eXAiOiJhdCtqd3QifQ.eyJpc3MiOiJodHRwczovL2EudGVzdCIsImV4cCI6MX0.AAAA",
            b"eyJhbGciOiJub25lIn0.e30.", b"eyJhbGciOiJSUzI1NiIsImNyaXQiOltdfQ.e30.AA", b"a.b.c.d.e",
        ],
        check: token,
    },
    Target {
        name: "keys of a provider",
        corpus: &[
            br#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","use":"sig","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
            br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},{"kty":"RSA","n":"AQAB","e":"AQAB"}]}"#,
            br#"{"keys":[]}"#, br#"{"keys":[],"keys":[]}"#,
        ],
        check: keys,
    },
    #[cfg(feature = "fuzzing")]
    Target {
        name: "messages of a directory",
        corpus: &[
            b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00",
            b"\x30\x25\x02\x01\x02\x64\x20\x04\x05uid=a\x30\x17\x30\x15\x04\x04mail\x31\x0d\x04\x05a@b.c\x04\x04x@yz",
            b"\x30\x84\x00\x00\x00\x10\x02\x01\x01\x61\x84\x00\x00\x00\x07\x0a\x01\x31\x04\x00\x04\x00",
            b"\x30\x03\xa0\x03\x80\x01\x05", b"uid=a\\,b+cn=\\c3\\a9,ou=x,dc=example,dc=org", b"(&(a={username})(!(b=*c*)))",
        ],
        check: crate::registry::builtin::fuzzing::message,
    },
];

/// A token is refused or says what it is; nothing of it is proven, and no algorithm is `none`.
fn token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let Ok(token) = Jws::parse(text) else { return };
    assert_eq!(text.matches('.').count(), 2);
    assert!(text.len() <= 16 * 1024 && token.kid.as_ref().is_none_or(|kid| (1..=255).contains(&kid.len())));
    assert!(token.typ.iter().all(|typ| !typ.bytes().any(|byte| byte.is_ascii_uppercase())));
    let none = KeySet::read(br#"{"keys":[]}"#).expect("a set");
    assert!(none.of(&token).is_err());
    let _ = token.unproven();
}

/// What is an object here is the same object to another reader.
fn keys(input: &[u8]) {
    if let Some(members) = object(input) {
        let theirs: Value = serde_json::from_slice(input).expect("another reader takes it too");
        assert_eq!(Value::Object(members), theirs);
    }
    let Ok(set) = KeySet::read(input) else { return };
    assert!(set.len() <= 100);
    // No key of any set has signed this, whatever it says of itself.
    for algorithm in ["ES256", "RS256", "PS256", "EdDSA"] {
        assert!(Algorithm::named(algorithm).is_some());
        let unsigned = forged(algorithm);
        let token = Jws::parse(&unsigned).expect("it has the form");
        assert!(set.of(&token).is_err() || set.of(&token).is_ok_and(|key| token.open(key).is_err()));
    }
}

/// A token of no kid with a signature of zeros.
fn forged(algorithm: &str) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
    let header = BASE64.encode(format!("{{\"alg\":\"{algorithm}\"}}"));
    format!("{header}.e30.{}", BASE64.encode([0; 64]))
}
