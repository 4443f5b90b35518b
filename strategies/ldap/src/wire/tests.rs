//! Bytes that no honest server sends, and filters and names by their grammar.

use super::{
    ber::{Frame, frame},
    filter::Template,
    message::{self, Reply},
    name, policy_control,
};
use proptest::prelude::*;

#[test]
fn a_message_is_cut_at_its_length_and_a_huge_one_is_refused_before_it_comes() {
    assert_eq!(frame(b"").unwrap(), Frame::Partial);
    assert_eq!(frame(b"\x30").unwrap(), Frame::Partial);
    assert_eq!(frame(b"\x30\x82\x01").unwrap(), Frame::Partial);
    assert_eq!(frame(b"\x30\x02ab").unwrap(), Frame::Whole(4));
    assert_eq!(frame(b"\x30\x02abc").unwrap(), Frame::Whole(4));
    // Active Directory writes every length in four bytes.
    assert_eq!(frame(b"\x30\x84\0\0\0\x02ab").unwrap(), Frame::Whole(8));
    for refused in [
        &b"\x30\x84\x80\0\0\0"[..],
        b"\x30\x84\x7f\xff\xff\xff",
        b"\x30\x83\x10\0\x01",
        b"\x30\x80",
        b"\x30\x85\0\0\0\0\x01",
        b"\x30\xff",
        b"GET / HTTP/1.1",
        b"\x31\x00",
    ] {
        assert!(frame(refused).is_err(), "{refused:x?}");
    }
}

#[test]
fn a_message_that_breaks_the_grammar_is_trouble_and_never_a_panic() {
    // A good answer to a bind, then the same with any byte replaced or its end cut off.
    let good = b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00";
    let (id, reply) = message::reply(good).unwrap();
    assert!(id == 1 && matches!(reply, Reply::Done(0x61, done) if done.code == 0));
    for at in 0..good.len() {
        for byte in 0..=255 {
            let mut bytes = good.to_vec();
            bytes[at] = byte;
            let _ = message::reply(&bytes);
        }
        let _ = message::reply(&good[..at]);
    }
    // A thousand levels, in which nothing of an answer is.
    let mut deep = Vec::new();
    for _ in 0..1000 {
        let mut outer = Vec::new();
        super::ber::put(&mut outer, 0x30, &deep);
        deep = outer;
    }
    assert!(message::reply(&deep).is_err());
}

#[test]
fn a_number_is_written_as_it_is_read() {
    for number in [0, 1, 127, 128, 255, 256, 0x7fff, 0x8000, 0xff_ffff, 0x7fff_ffff, u32::MAX] {
        let mut bytes = Vec::new();
        super::ber::put_number(&mut bytes, 2, number);
        assert_eq!(super::ber::number(&bytes[2..]), Some(number), "{bytes:x?}");
    }
    assert_eq!(super::ber::number(&[0x80]), None, "a negative one");
    assert_eq!(super::ber::number(&[1, 0, 0, 0, 0]), None, "a larger one");
    assert_eq!(super::ber::number(&[]), None);
}

#[test]
fn a_filter_is_parsed_or_refused() {
    for good in ["(uid={username})", "uid={username}", "(&(a=b)(|(c=d*)(!(e=*))))", "(member:1.2.3:={dn})"] {
        assert!(Template::parse(good).is_some(), "{good}");
    }
    let deep = format!("{}(a=b){}", "(&".repeat(40), ")".repeat(40));
    for bad in ["", "(", "(uid={username}", "(uid=a)(uid=b)", "(uid)", "(=x)", deep.as_str()] {
        assert!(Template::parse(bad).is_none(), "{bad}");
    }
}

#[test]
fn a_renamed_person_still_passes_the_filter_of_their_login() {
    let filter = |text: &str| Template::parse(text).unwrap();
    for (login, again) in [
        ("(uid={username})", "(uid=*)"),
        ("(&(objectClass=person)(uid={username}))", "(&(objectClass=person)(uid=*))"),
        ("(|(uid={username})(mail={username}*))", "(|(uid=*)(mail=*))"),
        ("(&(a=b)(uid={username}@x))", "(&(a=b)(uid=*))"),
        ("(memberOf=cn=ops)", "(memberOf=cn=ops)"),
    ] {
        assert_eq!(filter(login).any_value_of("{username}"), filter(again), "{login}");
    }
}

#[test]
fn names_are_read_and_written_by_rfc_4514() {
    assert_eq!(name::leaf(r"cn=a\,b,dc=x").as_deref(), Some("a,b"));
    assert_eq!(name::leaf(r"CN=Jos\C3\A9\20 ,dc=x").as_deref(), Some("José "));
    assert_eq!(name::leaf("no name"), None);
    assert_eq!(name::normal(r"CN=A\2Cb, DC=X"), name::normal(r"cn=a\,B,dc=x"));
    assert_ne!(name::normal(r"cn=a\,dc=x"), name::normal("cn=a,dc=x"));
    assert_eq!(name::normal("b=1+a=2,c=3"), name::normal("A=2+B=1,C=3"));
    for (base, context) in [
        ("ou=people,dc=example,dc=org", "dc=example,dc=org"),
        ("OU=Staff, OU=HQ, DC=corp, DC=example", "dc=corp,dc=example"),
        ("dc=example,dc=org", "dc=example,dc=org"),
        ("cn=users,cn=accounts,dc=ipa", "dc=ipa"),
        ("ou=people,o=acme,c=de", "o=acme,c=de"),
        ("ou=all", "ou=all"),
    ] {
        assert_eq!(name::naming_context(base), context, "{base}");
    }
}

proptest! {
    /// Rows L-02, N-84: the value is found in the filter as it is, and nothing else of the
    /// filter changes.
    #[test]
    fn whatever_is_put_into_a_filter_is_one_value_of_it(value in any::<Vec<u8>>()) {
        let filter = Template::parse("(&(objectClass=person)(uid={username}))").unwrap();
        let filled = filter.fill(&[("{username}", &value)]);
        let person = super::filter::equals("objectClass", b"person");
        let expected = super::filter::all(&[person, super::filter::equals("uid", &value)]);
        // Two encoders write lengths differently, so the elements are compared.
        prop_assert_eq!(elements(&filled), elements(&expected));
    }

    /// Rows L-04, N-85.
    #[test]
    fn whatever_is_put_into_a_name_is_one_value_of_it(value in any::<String>()) {
        let filled = name::BindName::new("uid={username},ou=people,dc=x").fill(&value);
        let parts = name::parts(&filled);
        prop_assert_eq!(parts.len(), 3);
        prop_assert_eq!(&parts[0].1, &value);
        prop_assert_eq!(&parts[1].1, "people");
    }

    #[test]
    fn no_bytes_of_a_server_make_a_panic(bytes in any::<Vec<u8>>()) {
        let _ = frame(&bytes);
        let _ = message::reply(&bytes);
        let _ = policy_control::read(&bytes);
        let mut message = Vec::new();
        super::ber::put(&mut message, 0x30, &[b"\x02\x01\x01", &bytes[..]].concat());
        let _ = message::reply(&message);
    }
}

/// Tags and contents of a filter, leaves only.
fn elements(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut reader = super::ber::Reader::new(bytes);
    let mut all = Vec::new();
    while let Some((tag, content)) = reader.next().unwrap() {
        if tag & 0x20 != 0 {
            all.push((tag, Vec::new()));
            all.extend(elements(content));
        } else {
            all.push((tag, content.to_vec()));
        }
    }
    all
}
