//! What an upstream learns of who is signed in: names that only the gateway may set are
//! removed from every request, then set from the principal or left absent (contract
//! section 7).
//!
//! Names are compared folded: applications turn `-`, `_`, `.` and other symbols into one.

use super::{authenticate::Identity, http1::head::Known};
use portcullis_config::HeaderTable;
use serde_json::Value;
use std::collections::HashSet;

/// Families of names that some proxy somewhere uses for identity or for where a request
/// came from, by how they begin. Folded.
const FAMILIES: &[&str] = &[
    "cf-access-",
    "client-cert",
    "remote-",
    "ssl-client-",
    "x-amzn-oidc-",
    "x-auth-request-",
    "x-authentik-",
    "x-forwarded-",
    "x-goog-authenticated-user-",
    "x-ms-client-principal",
    "x-pomerium-",
    "x-remote-",
    "x-vouch-",
    "x-webauth-",
];

/// Single names of the same kinds, and ways to make an application see another request
/// than the one that was judged: other URL, other method, another outgoing proxy.
const NAMES: &[&str] = &[
    "cf-connecting-ip",
    "client-ip",
    "fastly-client-ip",
    "forwarded",
    "proxy",
    "remote",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-request-id",
    "x-rewrite-url",
];

/// No name that is compared is longer; a longer one is compared by its beginning.
const FOLD: usize = 64;

/// An identity header over this many bytes is refused with 431, never cut.
pub const MAX_VALUE: usize = 8 * 1024;

/// Names that no client may send.
pub struct Protected {
    names: HashSet<Vec<u8>>,
    /// First bytes, folded, of everything that is covered: most names need no second look.
    begins: [bool; 256],
    /// Of the fields that the gateway reads itself, those that are covered: looked up by
    /// what the head's reader made of the name.
    known: [bool; READ.len()],
}

/// Fields that the gateway reads and that go on all the same. A table may name them.
const READ: [(Known, &[u8]); 5] = [
    (Known::Accept, b"accept"),
    (Known::Origin, b"origin"),
    (Known::SecFetchMode, b"sec-fetch-mode"),
    (Known::SecFetchSite, b"sec-fetch-site"),
    (Known::UserAgent, b"user-agent"),
];

impl Protected {
    /// From all header sets, what else is to be stripped, and the assertion's header.
    pub fn new<'a>(sets: impl Iterator<Item = &'a HeaderSet>, strip: &[String], assertion: &str) -> Self {
        let configured = sets.flat_map(|set| set.headers.iter().map(|h| h.name.as_str()));
        let more = strip.iter().map(String::as_str).chain([assertion]).chain(NAMES.iter().copied());
        let names: HashSet<Vec<u8>> =
            configured.chain(more).map(|n| n.bytes().map(fold_byte).collect()).collect();
        let mut begins = [false; 256];
        for name in names.iter().map(Vec::as_slice).chain(FAMILIES.iter().map(|f| f.as_bytes())) {
            if let Some(first) = name.first() {
                begins[usize::from(*first)] = true;
            }
        }
        let mut protected = Self { names, begins, known: [false; READ.len()] };
        protected.known = READ.map(|(_, name)| protected.covers(name));
        protected
    }

    /// Whether a client's field is removed that the gateway reads itself.
    pub fn covers_known(&self, known: Known) -> bool {
        READ.iter().zip(self.known).any(|((read, _), covered)| covered && *read == known)
    }

    /// Whether a client's field of this name is removed.
    pub fn covers(&self, name: &[u8]) -> bool {
        if !name.first().is_some_and(|first| self.begins[usize::from(fold_byte(*first))]) {
            return false;
        }
        let mut room = [0; FOLD];
        let length = name.len().min(FOLD);
        for (to, from) in room.iter_mut().zip(name) {
            *to = fold_byte(*from);
        }
        let folded = &room[..length];
        if FAMILIES.iter().any(|family| folded.starts_with(family.as_bytes())) {
            return true;
        }
        if name.len() > FOLD {
            let folded: Vec<u8> = name.iter().copied().map(fold_byte).collect();
            return self.names.contains(&folded);
        }
        self.names.contains(folded)
    }
}

/// Letters without case, every symbol as `-`.
fn fold_byte(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// A table of identity headers, ready to be filled in.
pub struct HeaderSet {
    headers: Vec<Header>,
}

struct Header {
    name: String,
    /// `app.team.name` is `["app", "team", "name"]`.
    source: Vec<String>,
}

/// A value would be over [`MAX_VALUE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge;

impl HeaderSet {
    /// From a checked table.
    pub fn new(table: &HeaderTable) -> Self {
        let header = |(name, source): (&String, &String)| Header {
            name: name.clone(),
            source: source.split('.').map(str::to_owned).collect(),
        };
        Self { headers: table.iter().map(header).collect() }
    }

    /// The fields of this person as they go on the wire. What they have no value for is absent.
    pub fn render(&self, identity: &Identity) -> Result<Vec<u8>, TooLarge> {
        let mut out = Vec::new();
        for header in &self.headers {
            let Some(value) = value(&header.source, identity) else { continue };
            if value.len() > MAX_VALUE {
                return Err(TooLarge);
            }
            out.extend_from_slice(header.name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Ok(out)
    }
}

fn value(source: &[String], identity: &Identity) -> Option<String> {
    let account = &identity.account;
    let text = match source.first()?.as_str() {
        "name" => encode(&account.public_name(), false),
        "display_name" => encode(account.display_name.as_deref()?, false),
        "email" => encode(account.verified_email()?, false),
        "roles" => list(account.roles.iter().map(String::as_str)),
        "uuid" if account.is_guest() => return None,
        "uuid" => account.uuid.to_string(),
        "strategy" => encode(identity.session.strategy(), false),
        "app" => claim(account.app.get(source.get(1)?)?, &source[2..])?,
        "metadata" => claim(account.metadata.get(source.get(1)?)?, &source[2..])?,
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

fn claim(value: &Value, path: &[String]) -> Option<String> {
    if let [first, rest @ ..] = path {
        return claim(value.as_object()?.get(first)?, rest);
    }
    match value {
        Value::Null | Value::Object(_) => None,
        Value::Array(items) => {
            let items: Vec<String> = items.iter().filter_map(scalar).collect();
            Some(list(items.iter().map(String::as_str)))
        }
        other => Some(encode(&scalar(other)?, false)),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

/// Items joined by commas; a comma inside one is encoded, so that it stays one.
fn list<'a>(items: impl Iterator<Item = &'a str>) -> String {
    items.map(|item| encode(item, true)).collect::<Vec<_>>().join(",")
}

/// Bytes outside 0x20 to 0x7E, and `%`, as `%XX`; so are spaces at either end, which a
/// parser would trim.
fn encode(text: &str, in_list: bool) -> String {
    let last = text.len().saturating_sub(1);
    let mut out = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let edge = byte == b' ' && (at == 0 || at == last);
        if !(0x20..=0x7e).contains(&byte) || byte == b'%' || edge || (in_list && byte == b',') {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

#[cfg(test)]
mod rendered;
#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn protected() -> Protected {
        let table = HeaderTable::from([("x-Auth-Sub".into(), "name".into())]);
        Protected::new([HeaderSet::new(&table)].iter(), &["X-Team".into()], "X-Portcullis-Assertion")
    }

    // H-01, H-02, H-04, H-10, H-11, H-14, H-19
    #[test]
    fn a_protected_name_is_covered_in_any_case_with_any_symbol() {
        let protected = protected();
        let names = [
            "X-Auth-Sub",
            "X-Team",
            "X-Portcullis-Assertion",
            "Remote-User",
            "Remote-Anything",
            "X-Remote-User",
            "X-Forwarded-User",
            "X-Forwarded-For",
            "X-Forwarded-Prefix",
            "Forwarded",
            "X-Auth-Request-Email",
            "X-Webauth-User",
            "X-Authentik-Username",
            "X-Pomerium-Jwt-Assertion",
            "X-Vouch-User",
            "Cf-Access-Jwt-Assertion",
            "X-Goog-Authenticated-User-Email",
            "X-Amzn-Oidc-Data",
            "X-Ms-Client-Principal",
            "X-Ms-Client-Principal-Name",
            "Ssl-Client-Verify",
            "Client-Cert",
            "Client-Cert-Chain",
            "Client-Certificate",
            "Client-CertX",
            "X-Ms-Client-PrincipalName",
            "X-Real-IP",
            "X-Original-URL",
            "X-Rewrite-URL",
            "Client-IP",
            "True-Client-IP",
            "CF-Connecting-IP",
            "Proxy",
            "X-HTTP-Method-Override",
            "X-HTTP-Method",
            "X-Method-Override",
        ];
        for name in names {
            for symbol in "-_!#$%&'*+.^`|~".chars() {
                let spelled = name.replace('-', &symbol.to_string());
                assert!(protected.covers(spelled.to_uppercase().as_bytes()), "{spelled}");
                assert!(protected.covers(spelled.to_lowercase().as_bytes()), "{spelled}");
            }
        }
    }

    #[test]
    fn other_names_pass() {
        let long = "x".repeat(80);
        for name in
            ["Accept", "X-Custom", "User-Agent", "Remotely", "X-Auth-Subject", "Proxy2", "Client", &long]
        {
            assert!(!protected().covers(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_field_that_is_read_is_covered_like_any_other() {
        let table = HeaderTable::from([("Origin".into(), "name".into())]);
        let protected = Protected::new([HeaderSet::new(&table)].iter(), &["user_agent".into()], "X-A");
        let covered = READ.map(|(known, _)| known).into_iter().filter(|known| protected.covers_known(*known));
        assert_eq!(covered.collect::<Vec<_>>(), [Known::Origin, Known::UserAgent]);
        assert!(!protected.covers_known(Known::Cookie));
    }

    // H-15, H-16
    #[test]
    fn a_value_can_never_become_a_second_field_or_a_second_item() {
        assert_eq!(encode("alice\r\nX: y", false), "alice%0D%0AX: y");
        assert_eq!(encode("Zoë 100%", false), "Zo%C3%AB 100%25");
        assert_eq!(encode(" a ", false), "%20a%20");
        assert_eq!(list(["staff,admin", "ops"].into_iter()), "staff%2Cadmin,ops");
    }

    #[test]
    fn claims_are_found_by_path_and_objects_are_no_values() {
        let value = serde_json::json!({"team": {"name": "ops", "size": 3}, "on": true, "list": ["a", 1, {}]});
        let at = |path: &[&str]| claim(&value, &path.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>());
        assert_eq!(at(&["team", "name"]).as_deref(), Some("ops"));
        assert_eq!(at(&["team", "size"]).as_deref(), Some("3"));
        assert_eq!(at(&["on"]).as_deref(), Some("true"));
        assert_eq!(at(&["list"]).as_deref(), Some("a,1"));
        assert_eq!(at(&["team"]), None);
        assert_eq!(at(&["absent"]), None);
    }

    proptest! {
        #[test]
        fn an_encoded_value_is_printable_ascii(text in any::<String>()) {
            let encoded = encode(&text, true);
            prop_assert!(encoded.bytes().all(|b| (0x20..=0x7e).contains(&b) && b != b','));
        }
    }
}
