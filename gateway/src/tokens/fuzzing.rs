//! The reader of tokens, for `crate::fuzz`: any text, and any header and payload under a
//! signature that is good.

use super::{
    jwt,
    keys::{Key, Purpose, Ring},
    looks,
    members::Members,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_config::Algorithm;
use std::sync::OnceLock;

fn ring() -> &'static Ring {
    static RING: OnceLock<Ring> = OnceLock::new();
    RING.get_or_init(|| {
        let key = |purpose: Purpose| {
            let secret = [7; 32];
            Key::from_private(purpose, true, Algorithm::Hs256, &secret, purpose.name()).expect("a key")
        };
        Ring::new(Purpose::ALL.map(key).into(), 1)
    })
}

pub(crate) fn token(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = looks::like_ours(text, "https://gw.test");
        for purpose in Purpose::ALL {
            assert!(jwt::open(text, purpose, ring()).is_err(), "nobody knows the secret");
        }
    }
    // The first line is the header, the rest the payload.
    let cut = bytes.iter().position(|b| *b == b'\n').unwrap_or(bytes.len());
    let (header, payload) = (&bytes[..cut], bytes.get(cut + 1..).unwrap_or_default());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    for purpose in Purpose::ALL {
        let Some(key) = ring().by_kid(purpose.name()) else { continue };
        let signature = URL_SAFE_NO_PAD.encode(key.material().sign(message.as_bytes()));
        if let Ok(signed) = jwt::open(&format!("{message}.{signature}"), purpose, ring()) {
            assert_eq!(signed.kid, key.kid());
            if let Some(Members([exp])) = Members::read(&signed.payload, ["exp"]) {
                assert!(exp.and_then(|exp| exp.date()).is_none_or(|date| date < 253_402_300_800_000));
            }
        }
    }
}
