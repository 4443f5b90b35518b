//! Names and values of our cookies (contract, `[session] cookie`): finding ours in a
//! request strictly, keeping ours from upstreams liberally, and setting it.
//!
//! A request is read as RFC 6265bis §5.6.3 writes it and in no older way: `$Version`,
//! quotes and foreign blanks mean nothing, so nothing can hide in them.

use portcullis_config::SameSite;
use std::{borrow::Cow, time::Duration};

/// The three names, with `__Host-` over https (RFC 6265bis §4.1.3.2).
#[derive(Clone, Debug)]
pub struct CookieNames {
    /// The session's.
    pub session: String,
    /// The refresh token's.
    pub refresh: String,
    /// The login flow's.
    pub flow: String,
    /// The stem without prefix and with it: no form of any of the six reaches an upstream.
    pub all: [String; 6],
    https: bool,
}

/// Our session cookie in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'a> {
    /// It has none.
    Absent,
    /// Its value as it came.
    One(&'a [u8]),
    /// More than one, be they equal: somebody planted one, and nobody can tell which. All
    /// are ignored; the caller logs it.
    Several,
}

impl CookieNames {
    /// From the stem of the configuration.
    pub fn new(stem: &str, https: bool) -> Self {
        let bare = [stem.to_owned(), format!("{stem}-refresh"), format!("{stem}-flow")];
        let host = bare.clone().map(|n| format!("__Host-{n}"));
        let [session, refresh, flow] = if https { host.clone() } else { bare.clone() };
        let [a, b, c] = bare;
        let [d, e, f] = host;
        Self { session, refresh, flow, all: [a, b, c, d, e, f], https }
    }

    /// Our session cookie among the values of a request's `Cookie` fields.
    pub fn session_value<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> Found<'a> {
        value(&self.session, fields)
    }

    /// The refresh cookie, found in the same way.
    pub fn refresh_value<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> Found<'a> {
        value(&self.refresh, fields)
    }

    /// Our flow cookie, found in the same way.
    pub fn flow_value<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> Found<'a> {
        value(&self.flow, fields)
    }

    /// `Set-Cookie` for logins under way. Always `Lax`: a provider sends the browser back from
    /// its own site, and a strict cookie would not come with it.
    pub fn set_flow(&self, value: &str, max_age: Duration) -> String {
        self.set(&self.flow, value, SameSite::Lax, max_age)
    }

    /// The value of a `Cookie` field without our cookies; empty when nothing is left. The
    /// others keep their bytes and their order.
    pub fn without_ours<'a>(&self, field: &'a [u8]) -> Cow<'a, [u8]> {
        if !pairs(field).any(|pair| self.is_our_pair(pair)) {
            return Cow::Borrowed(field);
        }
        let mut rest = Vec::with_capacity(field.len());
        for pair in pairs(field).filter(|pair| !pair.is_empty() && !self.is_our_pair(pair)) {
            if !rest.is_empty() {
                rest.extend_from_slice(b"; ");
            }
            rest.extend_from_slice(pair);
        }
        Cow::Owned(rest)
    }

    /// Whether an upstream's `Set-Cookie` would set one of ours. A nameless cookie
    /// (`=portcullis=x`) comes back from a browser as `portcullis=x`, so it is one too.
    pub fn is_ours_set_cookie(&self, value: &[u8]) -> bool {
        let pair = value.split(|b| *b == b';').next().unwrap_or_default();
        let bare = pair.iter().position(|b| !matches!(b, b' ' | b'\t' | b'=')).unwrap_or(pair.len());
        self.is_our_pair(trim(&pair[bare..]))
    }

    /// `Set-Cookie` for a new session.
    pub fn set_session(&self, value: &str, same_site: SameSite, max_age: Duration) -> String {
        self.set(&self.session, value, same_site, max_age)
    }

    /// `Set-Cookie` that takes the session's cookie from the browser.
    pub fn clear_session(&self, same_site: SameSite) -> String {
        self.set(&self.session, "", same_site, Duration::ZERO)
    }

    /// `Set-Cookie` for a refresh token. No other site ever sends it (contract, section 5).
    pub fn set_refresh(&self, value: &str, max_age: Duration) -> String {
        self.set(&self.refresh, value, SameSite::Strict, max_age)
    }

    /// `Set-Cookie` that takes the refresh token from the browser.
    pub fn clear_refresh(&self) -> String {
        self.set_refresh("", Duration::ZERO)
    }

    fn set(&self, name: &str, value: &str, same_site: SameSite, max_age: Duration) -> String {
        let same_site = match same_site {
            SameSite::Lax => "Lax",
            SameSite::Strict => "Strict",
        };
        let secure = if self.https { "; Secure" } else { "" };
        let seconds = max_age.as_secs();
        format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite={same_site}{secure}")
    }

    /// Read as widely as any upstream may: blanks around the name, or no `=` at all.
    fn is_our_pair(&self, pair: &[u8]) -> bool {
        let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
        let name = trim(name);
        self.all.iter().any(|ours| ours.as_bytes() == name)
    }
}

/// The cookie of this name. (RFC 6265bis §5.6.3 and no older way.)
fn value<'a>(name: &str, fields: impl Iterator<Item = &'a [u8]>) -> Found<'a> {
    let mut found = Found::Absent;
    for pair in fields.flat_map(pairs) {
        let Some(equals) = pair.iter().position(|b| *b == b'=') else { continue };
        if is_old_style(&pair[..equals], &pair[equals + 1..]) {
            return Found::Several;
        }
        if &pair[..equals] == name.as_bytes() {
            found = match found {
                Found::Absent => Found::One(&pair[equals + 1..]),
                _ => return Found::Several,
            };
        }
    }
    found
}

fn pairs(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    field.split(|b| *b == b';').map(trim)
}

/// Without spaces and tabs at both ends. No other byte is a blank here (RFC 9110 §5.6.3).
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = bytes {
        bytes = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// `$Version=1` and a quote that closes in a later pair: with these an old parser (RFC
/// 2965) takes the field apart at other places than a new one, so that neither reading
/// may open a session.
fn is_old_style(name: &[u8], value: &[u8]) -> bool {
    let quotes = value.iter().filter(|b| **b == b'"').count();
    name.first() == Some(&b'$') || (value.first() == Some(&b'"') && quotes % 2 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> CookieNames {
        CookieNames::new("portcullis", true)
    }

    fn found<'a>(fields: &[&'a [u8]]) -> Found<'a> {
        names().session_value(fields.iter().copied())
    }

    #[test]
    fn our_cookie_is_found_among_others() {
        assert_eq!(found(&[b"a=1; __Host-portcullis=V; b=2"]), Found::One(b"V"));
        assert_eq!(found(&[b"a=1", b"\t__Host-portcullis=V=W "]), Found::One(b"V=W"));
        assert_eq!(found(&[]), Found::Absent);
        assert_eq!(found(&[b";;==;=;a"]), Found::Absent);
    }

    #[test]
    fn two_of_our_name_are_several_even_when_equal() {
        assert_eq!(found(&[b"__Host-portcullis=V; __Host-portcullis=V"]), Found::Several);
        assert_eq!(found(&[b"__Host-portcullis=EVIL", b"__Host-portcullis=V"]), Found::Several);
        assert_eq!(found(&[b"__Host-portcullis=; x=1; __Host-portcullis=V"]), Found::Several);
    }

    #[test]
    fn no_old_way_of_writing_cookies_hides_ours() {
        // C-03; the plain form of the name counts for nothing over https.
        for field in [
            "\u{2000}__Host-portcullis=V",
            "\u{a0}__Host-portcullis=V",
            "__Host-portcullis =V",
            "__host-portcullis=V",
            "portcullis=V",
            "__Host-portcullis",
            "x\u{b}__Host-portcullis=V",
        ] {
            assert_eq!(found(&[field.as_bytes()]), Found::Absent, "{field:?}");
        }
        assert_eq!(
            found(&[b"__Host-portcullis=\"V\""]),
            Found::One(b"\"V\""),
            "quotes are part of the value"
        );
        for field in [
            &b"q=\"a; __Host-portcullis=V; b\""[..],
            b"$Version=1; __Host-portcullis=V",
            b"$Version=1, __Host-portcullis=V",
        ] {
            assert_eq!(found(&[field]), Found::Several, "two parsers read it differently");
        }
        assert_eq!(
            found(&[b"q=\"a\"; __Host-portcullis=V"]),
            Found::One(b"V"),
            "a closed quote hides nothing"
        );
    }

    #[test]
    fn upstreams_get_all_cookies_but_ours() {
        let names = names();
        for (field, rest) in [
            ("a=1; b=\"x y\"", "a=1; b=\"x y\""),
            ("a=1;b=2;; ", "a=1;b=2;; "),
            ("__Host-portcullis=V", ""),
            ("portcullis=V; a=1;portcullis-refresh=R;b=2", "a=1; b=2"),
            ("a=1; portcullis-flow=F", "a=1"),
            ("a=1; __Host-portcullis-refresh =F; portcullisx=2", "a=1; portcullisx=2"),
            ("portcullis; a", "a"),
        ] {
            let left = names.without_ours(field.as_bytes());
            assert_eq!(String::from_utf8_lossy(&left), rest, "{field:?}");
        }
        assert!(matches!(names.without_ours(b"a=1"), Cow::Borrowed(_)));
    }

    #[test]
    fn an_upstream_cannot_set_our_cookies() {
        let names = names();
        for value in [
            "portcullis=x; Path=/",
            " __Host-portcullis = x",
            "portcullis-refresh",
            "=portcullis=x",
            " = portcullis-flow=x",
            "portcullis",
        ] {
            assert!(names.is_ours_set_cookie(value.as_bytes()), "{value:?}");
        }
        for value in ["a=portcullis", "portcullisx=1", "", ";portcullis=1", "a; portcullis=x", "==a"] {
            assert!(!names.is_ours_set_cookie(value.as_bytes()), "{value:?}");
        }
    }

    #[test]
    fn a_cookie_is_set_and_taken_with_the_same_attributes() {
        let https = names().set_session("V", SameSite::Lax, Duration::from_secs(60));
        assert_eq!(https, "__Host-portcullis=V; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure");
        let http = CookieNames::new("p", false).clear_session(SameSite::Strict);
        assert_eq!(http, "p=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    }

    /// Pieces that a `Cookie` field is likely to be made of, and some that are not.
    fn field() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just(b"portcullis=V".to_vec()),
            Just(b"__Host-portcullis".to_vec()),
            Just(b"; ".to_vec()),
            Just(b";".to_vec()),
            Just(b"=".to_vec()),
            Just(b" \t".to_vec()),
            prop::collection::vec(any::<u8>(), 0..6),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn what_is_left_has_none_of_ours_and_all_others(field in field()) {
            let names = names();
            let left = names.without_ours(&field);
            // A pair written the old way (`$a=b`) stays, and makes the rest open nothing.
            prop_assert!(!matches!(names.session_value([&*left].into_iter()), Found::One(_)));
            prop_assert!(!pairs(&left).any(|pair| names.is_our_pair(pair)));
            let others = |bytes: &[u8]| -> Vec<Vec<u8>> {
                let kept = pairs(bytes).filter(|p| !p.is_empty() && !names.is_our_pair(p));
                kept.map(<[u8]>::to_vec).collect()
            };
            prop_assert_eq!(others(&left), others(&field));
        }

        #[test]
        fn any_bytes_are_read_without_a_panic(fields in prop::collection::vec(field(), 0..4)) {
            let names = names();
            let _ = names.session_value(fields.iter().map(Vec::as_slice));
            for field in &fields {
                let _ = names.is_ours_set_cookie(field);
            }
        }
    }
}
