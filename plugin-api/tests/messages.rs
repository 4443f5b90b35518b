//! Case 36 of the plugin tests: whatever bytes stand where a message should, reading them is
//! an answer and never a panic; and what was read can be sent on as the same message.
#![allow(clippy::unwrap_used)] // tests: a panic is the report

use portcullis_plugin_api::{
    Begin, ChangeSecret, CredentialOp, CredentialReply, Diagnose, Health, Logout, LogoutReply, Notice,
    NoticeReply, Outcome, Refresh, Resume, Step,
    wire::{Asked, Fault, Start, decode, encode},
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Reads bytes as a message, and what was read once more.
fn read<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Vec<u8>> {
    let once = encode(&decode::<T>(bytes).ok()?).ok()?;
    let twice = encode(&decode::<T>(&once).expect("what was sent can be read")).unwrap();
    assert_eq!(once, twice, "{}", String::from_utf8_lossy(&once));
    Some(once)
}

type Reader = fn(&[u8]) -> Option<Vec<u8>>;

/// Every message, with its reader. Each member is there.
fn messages() -> Vec<(Reader, Value)> {
    let call = json!({"request_id": "r", "strategy": "corp", "client_ip": "2001:db8::1",
        "user_agent": "browser", "locale": "en"});
    let ask = |request: Value| json!({"call": call, "request": request});
    let kept = json!({"subject": "ada", "secret": "$argon2id$"});
    vec![
        (
            read::<Asked<Begin>>,
            ask(json!({"form": {"username": "ada", "password": "p"}, "credential": kept,
                "resume_url": "https://a.test/", "state": "s", "login_hint": "ada"})),
        ),
        (
            read::<Asked<Resume>>,
            ask(json!({"params": {"code": "c"}, "flow": "AQID", "via": "redirect",
            "resume_url": "https://a.test/", "state": "s"})),
        ),
        (
            read::<Asked<CredentialOp>>,
            ask(json!({"op": "create", "form": {"password": "p"}, "about": ["ada"]})),
        ),
        (read::<Asked<CredentialOp>>, ask(json!({"op": "import", "secret": "$argon2id$"}))),
        (read::<Asked<Refresh>>, ask(json!({"subject": "ada", "state": "AP8="}))),
        (
            read::<Asked<Logout>>,
            ask(json!({"subject": "ada", "state": "AP8=", "return_url": "https://a.test/"})),
        ),
        (read::<Asked<Notice>>, ask(json!({"params": {"logout_token": "t"}, "front_channel": true}))),
        (
            read::<Asked<ChangeSecret>>,
            ask(json!({"subject": "ada", "credential": kept, "current": "old", "next": "new",
                "about": ["ada"]})),
        ),
        (read::<Asked<Diagnose>>, ask(json!({"user": "ada"}))),
        (read::<Asked<()>>, ask(Value::Null)),
        (read::<Start>, json!({"strategy": "corp", "settings": {"url": ["ldap://"]}, "cores": 2})),
        (
            read::<Fault>,
            json!({"code": "settings", "message": "m", "field": "f",
                "problems": [{"path": ["tls", "ca"], "message": "m", "expected": "e"}]}),
        ),
        (
            read::<Outcome>,
            json!({"outcome": "form", "message": "m", "flow": "AQID",
                "fields": [{"name": "n", "kind": "new-password", "label": "l", "required": true}]}),
        ),
        (read::<Outcome>, json!({"outcome": "redirect", "url": "https://idp.test/", "flow": "AQID"})),
        (
            read::<Outcome>,
            json!({"outcome": "authenticated", "subject": "ada", "realm": "r",
                "claims": {"groups": ["a", {"b": null}]}, "methods": ["pwd"], "state": "AP8=",
                "refresh_after_s": 60, "provider_session": "p", "renewed_secret": "s", "session_max_s": 600,
                "secret_changed": true}),
        ),
        (read::<Outcome>, json!({"outcome": "denied", "reason": "locked", "message": "m"})),
        (read::<CredentialReply>, json!({"secret": "$argon2id$"})),
        (read::<LogoutReply>, json!({"redirect": "https://idp.test/"})),
        (
            read::<NoticeReply>,
            json!({"subject": "ada", "realm": "r", "provider_session": "p", "once": ["jti", 600]}),
        ),
        (
            read::<Vec<Step>>,
            json!([{"name": "look", "ok": false, "detail": "d", "advice": "a", "claims": {"groups": ["a"]}}]),
        ),
        (read::<Health>, json!({"health": "degraded", "message": "m"})),
    ]
}

/// Whole numbers only: a fraction may lose its last bit on the way, which is not ours.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop_oneof!["ada", "create", "denied", "redirect", "AQID", "\u{0}", "a{300}"].prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z_]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// All values of a message, itself among them, by where they are.
fn places(of: &Value, at: &str, all: &mut Vec<String>) {
    all.push(at.to_owned());
    match of {
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, item)| places(item, &format!("{at}/{index}"), all));
        }
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| places(value, &format!("{at}/{key}"), all));
        }
        _ => {}
    }
}

#[test]
fn every_message_with_all_its_members_is_read() {
    for (reader, message) in messages() {
        let again = reader(message.to_string().as_bytes());
        let again: Value = serde_json::from_slice(&again.unwrap_or_else(|| panic!("{message}"))).unwrap();
        assert_eq!(again, message);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_message_with_anything_in_any_place_is_an_answer(
        index in any::<prop::sample::Index>(),
        spots in prop::collection::vec((any::<prop::sample::Index>(), prop::option::of(anything())), 1..4),
    ) {
        for (reader, mut message) in messages() {
            for (spot, put) in &spots {
                let mut all = Vec::new();
                places(&message, "", &mut all);
                let place = spot.get(&all);
                match (put, place.rsplit_once('/')) {
                    (Some(value), _) => *message.pointer_mut(place).unwrap() = value.clone(),
                    // Left out; nothing of it, where it is the message itself.
                    (None, Some((parent, key))) => {
                        if let Some(Value::Object(members)) = message.pointer_mut(parent) {
                            members.remove(key);
                        }
                    }
                    (None, None) => message = Value::Null,
                }
            }
            let bytes = message.to_string().into_bytes();
            reader(&bytes);
            // Cut off anywhere, it is none.
            let end = index.index(bytes.len());
            if matches!(message, Value::Object(_)) {
                prop_assert!(reader(&bytes[..end]).is_none());
            }
        }
    }

    #[test]
    fn a_message_with_other_bytes_anywhere_is_an_answer(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        bytes in prop::collection::vec(any::<u8>(), 0..256),
    ) {
        for (reader, message) in messages() {
            reader(&bytes);
            let mut text = message.to_string().into_bytes();
            for (at, byte) in &flips {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            reader(&text);
        }
    }
}
