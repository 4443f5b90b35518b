//! What a table of identity headers becomes for one person, value by value and to the byte.

use super::*;
use crate::{
    clock::UnixMillis,
    sessions::{Account, live_for_tests},
};
use std::sync::Arc;

fn somebody(change: impl FnOnce(&mut Account)) -> Identity {
    let mut account = Account::for_tests("ann");
    change(&mut account);
    let session = live_for_tests("s", account.clone(), UnixMillis(0), UnixMillis(1));
    Identity { session, account: Arc::new(account), by_cookie: true }
}

/// The lines of a table for one person.
fn lines(table: &[(&str, &str)], person: &Identity) -> Result<String, TooLarge> {
    let table = table.iter().map(|(name, source)| ((*name).to_owned(), (*source).to_owned())).collect();
    HeaderSet::new(&table).render(person).map(|bytes| String::from_utf8(bytes).expect("ASCII"))
}

#[test]
fn each_source_is_its_own_value_and_what_there_is_none_of_is_absent() {
    let object = |json: Value| json.as_object().expect("an object").clone();
    let full = somebody(|account| {
        account.email = Some("ann@x.io".into());
        account.email_verified = true;
        account.display_name = Some("Ann Ö".into());
        account.roles = vec!["staff".into(), "a,b".into()];
        account.app = object(serde_json::json!({"team": {"name": "ops"}, "n": 1}));
        account.metadata = object(serde_json::json!({"team": "theirs"}));
    });
    let bare = somebody(|account| account.email = Some("ann@x.io".into()));
    let uuid = full.account.uuid.to_string();
    for (source, value, of_bare) in [
        ("name", Some("ann"), Some("ann")),
        ("display_name", Some("Ann %C3%96"), None),
        ("email", Some("ann@x.io"), None),
        ("roles", Some("staff,a%2Cb"), None),
        ("uuid", Some(uuid.as_str()), Some(uuid.as_str())),
        ("strategy", Some("local"), Some("local")),
        ("app.team.name", Some("ops"), None),
        ("app.n", Some("1"), None),
        ("app.team", None, None),
        ("app", None, None),
        ("metadata.team", Some("theirs"), None),
        ("metadata", None, None),
        ("anything", None, None),
    ] {
        for (person, value) in [(&full, value), (&bare, of_bare)] {
            let line = value.map(|value| format!("X-A: {value}\r\n")).unwrap_or_default();
            assert_eq!(lines(&[("X-A", source)], person), Ok(line), "{source}");
        }
    }
}

#[test]
fn lines_stand_one_after_another_and_an_empty_value_is_none() {
    let person = somebody(|account| account.display_name = Some(String::new()));
    let both = lines(&[("A", "name"), ("B", "display_name"), ("C", "strategy")], &person);
    assert_eq!(both.as_deref(), Ok("A: ann\r\nC: local\r\n"));
}

#[test]
fn a_value_of_8_kib_goes_whole_and_one_byte_more_goes_nowhere() {
    let named = |length: usize| somebody(|account| account.name = "x".repeat(length));
    for length in [1, 8191, 8192] {
        assert_eq!(lines(&[("A", "name")], &named(length)).map(|line| line.len()), Ok(length + 5));
    }
    assert_eq!(lines(&[("A", "name")], &named(8193)), Err(TooLarge));
}

#[test]
fn a_name_of_any_length_is_covered_whole_and_by_nothing_shorter_or_longer() {
    for length in [1, 2, 62, 63, 64, 65, 66, 200] {
        let name = format!("y{}", "-".repeat(length - 1));
        let none = HeaderTable::new();
        let protected =
            Protected::new([HeaderSet::new(&none)].iter(), std::slice::from_ref(&name), "X-Assertion");
        assert!(protected.covers(name.as_bytes()), "{length}");
        assert!(protected.covers(name.replace('-', "_").to_uppercase().as_bytes()), "{length}");
        assert!(!protected.covers(format!("{name}z").as_bytes()), "{length}");
        assert!(
            !protected.covers(format!("y{}", &name[..length - 1]).replace('-', "z").as_bytes())
                || length == 1
        );
    }
}

#[test]
fn what_is_encoded_is_what_must_be_and_nothing_else() {
    for (text, plain, item) in [
        ("", "", ""),
        (" ", "%20", "%20"),
        ("  ", "%20%20", "%20%20"),
        ("a b", "a b", "a b"),
        (" a", "%20a", "%20a"),
        ("a ", "a%20", "a%20"),
        ("a,b", "a,b", "a%2Cb"),
        ("~!{}", "~!{}", "~!{}"),
        ("\u{7f}", "%7F", "%7F"),
        ("\u{1f}", "%1F", "%1F"),
        ("%41", "%2541", "%2541"),
    ] {
        assert_eq!((encode(text, false).as_str(), encode(text, true).as_str()), (plain, item), "{text:?}");
    }
}
