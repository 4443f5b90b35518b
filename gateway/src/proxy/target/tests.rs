//! What has a normal form, and which.

use super::*;
use proptest::prelude::*;

fn normal(raw: &str) -> Result<String, BadPath> {
    normal_path(raw.as_bytes()).map(|p| p.text.into_owned())
}

#[test]
fn a_path_is_brought_into_one_form() {
    for (raw, expected) in [
        ("/", "/"),
        ("/a/b", "/a/b"),
        ("/a/b/", "/a/b/"),
        ("//admin//x", "/admin/x"),
        ("///admin", "/admin"),
        ("/a//", "/a/"),
        ("/a/./b", "/a/b"),
        ("/a/b/..", "/a/"),
        ("/a/b/.", "/a/b/"),
        ("/public/../admin", "/admin"),
        ("/public/%2e%2e/admin", "/admin"),
        ("/%41dmin", "/Admin"),
        ("/a%7Eb%2Dc", "/a~b-c"),
        ("/a%3bb%3Fc%23d%25e", "/a%3bb%3Fc%23d%25e"),
        ("/.well-known/x", "/.well-known/x"),
        ("/..a/...", "/..a/..."),
        ("/a;b=1/c", "/a;b=1/c"),
        ("/caf%c3%a9", "/caf%c3%a9"),
    ] {
        assert_eq!(normal(raw).as_deref(), Ok(expected), "{raw}");
    }
}

#[test]
fn what_two_parsers_might_read_differently_has_no_normal_form() {
    for raw in [
        "",
        "a",
        "*",
        "/a#b",
        "/a\\b",
        "/a%5cb",
        "/a%5Cb",
        "/a%00",
        "/%zz",
        "/%4",
        "/%",
        "/..",
        "/a/../..",
        "/%2e%2e/",
        "/..;/a",
        "/a/..;x=1/b",
        "/.;/a",
        "/a b",
        "/a\tb",
        "/a\u{7f}",
        "/é",
        "/a/%2e%2e;/b",
    ] {
        assert!(normal(raw).is_err(), "{raw}");
    }
}

#[test]
fn an_encoded_slash_is_reported_and_kept() {
    let path = normal_path(b"/group%2Fproject/x").expect("has a form");
    assert!(path.encoded_slash);
    assert_eq!(path.text, "/group%2Fproject/x");
}

#[test]
fn a_host_is_a_name_or_an_address_and_perhaps_a_port() {
    for (raw, host, port) in [
        ("example.com", "example.com", None),
        ("Example.COM:8080", "example.com", Some("8080")),
        ("example.com.", "example.com", None),
        ("127.0.0.1:1", "127.0.0.1", Some("1")),
        ("[::1]:8080", "[::1]", Some("8080")),
        ("[::1]", "[::1]", None),
    ] {
        let authority = Authority::parse(raw.as_bytes()).expect(raw);
        assert_eq!((authority.host.as_ref(), authority.port), (host, port), "{raw}");
    }
}

#[test]
fn a_host_that_can_be_read_twice_is_refused() {
    for raw in [
        "",
        " ",
        "a, b",
        "a b",
        "a/x",
        "good@evil",
        "a:80@b",
        "a:",
        "a:x",
        "a:99999",
        "a:+80",
        "::1",
        "[::1",
        "[a]",
        "a:80:90",
        "a\\b",
        "a%41",
        ".",
        "a#b",
        "a?b",
    ] {
        assert!(Authority::parse(raw.as_bytes()).is_none(), "{raw}");
    }
}

#[test]
fn absolute_form_is_taken_apart_and_other_forms_are_refused() {
    let target = Target::parse(b"http://adm.test/x?y", false).expect("absolute");
    assert_eq!(
        (target.authority, target.path, target.query),
        (Some(&b"adm.test"[..]), &b"/x"[..], Some(&b"y"[..]))
    );
    let target = Target::parse(b"http://adm.test", false).expect("absolute");
    assert_eq!(target.path, b"/");
    for raw in ["*", "b:80", "ftp://x/", "https://x/", "", "?x"] {
        assert!(Target::parse(raw.as_bytes(), false).is_none(), "{raw}");
    }
}

proptest! {
    #[test]
    fn normalisation_is_total_and_idempotent(raw in "/[a-zA-Z0-9./;%2eEfF5cC#?~\\\\ -]{0,40}") {
        if let Ok(once) = normal(&raw) {
            prop_assert_eq!(normal(&once), Ok(once.clone()));
            prop_assert!(once.starts_with('/') && !once.contains("//"));
            let dots = once.split('/').any(|s| s == "." || s == "..");
            prop_assert!(!dots);
        }
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(raw in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = normal_path(&raw);
        let _ = Authority::parse(&raw);
        let _ = Target::parse(&raw, false);
    }
}
