//! What is published of the keys: their public halves and nothing else (RFC 7517 §5). A
//! secret of HS256 has none.

use super::keys::Key;

pub(super) fn document(keys: &[Key]) -> String {
    let keys: Vec<_> = keys.iter().filter_map(Key::jwk).collect();
    serde_json::json!({ "keys": keys }).to_string()
}
