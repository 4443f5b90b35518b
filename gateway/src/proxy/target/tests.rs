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

#[test]
fn a_path_that_is_its_own_normal_form_is_not_written_again() {
    for raw in ["/", "/a", "/a/b.c", "/a;b/c", "/a=b,c~d", "/a/"] {
        let path = normal_path(raw.as_bytes()).expect("valid");
        assert!(matches!(path.text, Cow::Borrowed(text) if text == raw), "{raw}");
    }
    for (raw, written) in
        [("/.a", "/.a"), ("/a/..b", "/a/..b"), ("/%61;b/..", "/"), ("/.;/", ""), ("/%41;b", "/A;b")]
    {
        let path = normal_path(raw.as_bytes()).map(|path| path.text.into_owned());
        assert_eq!(path.unwrap_or_default(), written, "{raw}");
    }
}

#[test]
fn a_port_and_a_name_have_their_lengths() {
    let long = |length: usize| {
        format!("{}.{}", "a".repeat(60), "b.".repeat(100))[..length].trim_end_matches('.').to_owned()
    };
    for (host, fine) in [
        ("a:1".to_owned(), true),
        ("a:65535".into(), true),
        ("a:65536".into(), false),
        ("a:00080".into(), true),
        ("a:000080".into(), false),
        ("a:+8080".into(), false),
        ("a:+80".into(), false),
        ("a:".into(), false),
        ("a".repeat(255), true),
        ("a".repeat(256), false),
        (long(200), true),
    ] {
        assert_eq!(Authority::parse(host.as_bytes()).is_some(), fine, "{host}");
    }
}

#[test]
fn host_and_port_are_put_together_again_in_one_spelling() {
    for (raw, text) in
        [("A.Test:80", "a.test:80"), ("a.test.", "a.test"), ("[::1]:8", "[::1]:8"), ("[::1]", "[::1]")]
    {
        let authority = Authority::parse(raw.as_bytes()).expect("valid");
        assert_eq!(authority.to_text(), text);
    }
}

#[test]
fn a_loopback_name_is_one_of_few() {
    for (host, own) in [
        ("localhost", true),
        ("a.localhost", true),
        ("127.0.0.1", true),
        ("[::1]", true),
        ("a", false),
        ("localhost.a", false),
    ] {
        assert_eq!(is_loopback_name(host), own, "{host}");
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
