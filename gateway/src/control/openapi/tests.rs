//! The document against the code it is about.

use super::*;
use crate::{
    accounts::admin::path::Which,
    control::operation::{Operation, find},
};
use std::collections::BTreeMap;
use uuid::Uuid;

const SOMEBODY: Uuid = Uuid::from_u128(7);

/// The operation after this one. A new operation does not compile until it is in the row.
fn after(operation: Operation<'static>) -> Option<Operation<'static>> {
    use Operation as O;
    Some(match operation {
        O::Login => O::LoginAt("x"),
        O::LoginAt(_) => O::Callback("x"),
        O::Callback(_) => O::BackChannel("x"),
        O::BackChannel(_) => O::FrontChannel("x"),
        O::FrontChannel(_) => O::Logout,
        O::Logout => O::Current,
        O::Current => O::Refresh,
        O::Refresh => O::Sessions,
        O::Sessions => O::SessionAt("x"),
        O::SessionAt(_) => O::SessionEnd("x"),
        O::SessionEnd(_) => O::TokenCheck,
        O::TokenCheck => O::Register,
        O::Register => O::Recovery,
        O::Recovery => O::Reset,
        O::Reset => O::VerifyEmail,
        O::VerifyEmail => O::Me,
        O::Me => O::Password,
        O::Password => O::Credentials,
        O::Credentials => O::Credential("x"),
        O::Credential(_) => O::CredentialRemove("x"),
        O::CredentialRemove(_) => O::ChangePassword,
        O::ChangePassword => O::Strategies,
        O::Strategies => O::Jwks,
        O::Jwks => O::Admin(Which::Users),
        O::Admin(Which::Users) => O::Admin(Which::User(SOMEBODY)),
        O::Admin(Which::User(_)) => O::Admin(Which::Sessions(SOMEBODY)),
        O::Admin(Which::Sessions(_)) => O::Admin(Which::Credentials(SOMEBODY)),
        O::Admin(Which::Credentials(_)) => O::Admin(Which::Credential(SOMEBODY, "x")),
        O::Admin(Which::Credential(..)) => return None,
    })
}

fn endpoints() -> Endpoints {
    Endpoints { login: "/api/auth/login".into(), logout: "/bye".into(), auth: "/api/auth".into() }
}

#[test]
fn every_operation_and_method_is_in_it_and_nothing_else() {
    let document = document(&endpoints(), None, "portcullis");
    let mut found = Vec::new();
    for (path, item) in members(&document["paths"]) {
        let place =
            path.replace("{uuid}", &SOMEBODY.to_string()).replace("{strategy}", "x").replace("{sid}", "x");
        let operation = find(&place, &endpoints()).unwrap_or_else(|| panic!("{path} is nothing"));
        let mut said: Vec<String> =
            members(item).filter(|(name, _)| *name != "parameters").map(|(m, _)| m.to_uppercase()).collect();
        let mut has: Vec<String> = operation.methods().iter().map(ToString::to_string).collect();
        said.sort();
        has.sort();
        assert_eq!(said, has, "{path}");
        found.push(format!("{operation:?}"));
    }
    let all = std::iter::successors(Some(Operation::Login), |operation| after(*operation));
    for operation in all {
        let name = format!("{operation:?}");
        assert!(found.contains(&name), "{name} is missing");
    }
}

#[test]
fn every_code_is_in_the_enumeration_and_under_its_status() {
    let document = document(&endpoints(), None, "portcullis");
    let everywhere = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
    for code in Code::ALL {
        let place =
            format!("/components/responses/{}/content/application~1problem+json/schema", code.status());
        let here = &document.pointer(&place).expect("a response")["properties"]["code"]["enum"];
        for list in [everywhere, here] {
            assert!(list.as_array().unwrap().contains(&code.as_str().into()), "{code:?}");
        }
    }
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(all) => {
            found.extend(all.get("$ref").and_then(Value::as_str).map(str::to_owned));
            all.values().for_each(|one| references(one, found));
        }
        Value::Array(all) => all.iter().for_each(|one| references(one, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    let document = document(&endpoints(), None, "portcullis");
    let mut found = Vec::new();
    references(&document, &mut found);
    for place in &found {
        let pointer = place.strip_prefix('#').expect("within the document");
        assert!(document.pointer(pointer).is_some(), "{place} leads nowhere");
    }
    for (name, _) in members(&document["components"]["schemas"]).filter(|(name, _)| *name != "Problem") {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "{name} is used by nobody");
    }
}

#[test]
fn the_data_has_no_words_of_its_own_and_no_name_twice() {
    const WORDS: &[&str] = &["id", "does", "who", "query", "takes", "form", "optional", "gives", "refuses"];
    let mut ids = BTreeMap::new();
    for (path, item) in merged(PATHS) {
        for (method, said) in members(&item) {
            for (word, _) in members(said) {
                assert!(WORDS.contains(&word.as_str()), "{method} {path}: {word}");
            }
            let former = ids.insert(said["id"].to_string(), path.clone());
            assert_eq!(former, None, "{method} {path}");
        }
    }
    let names: usize = [PATHS, SCHEMAS].iter().map(|files| merged(files).len()).sum();
    let apart: usize = PATHS.iter().chain(SCHEMAS).map(|file| merged(&[file]).len()).sum();
    assert_eq!(names, apart, "a name is in two files");
}
