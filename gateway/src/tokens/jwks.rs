//! What is published of the keys: their public halves and nothing else (RFC 7517 §5).

use super::keys::Key;

pub(super) fn document(keys: &[Key]) -> String {
    let keys: Vec<_> = keys.iter().map(Key::jwk).collect();
    serde_json::json!({ "keys": keys }).to_string()
}
