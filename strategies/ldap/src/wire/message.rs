//! Requests as bytes and answers out of bytes: the messages of RFC 4511 §4 that a login
//! needs, and no others.

use super::{
    Trouble,
    ber::{self, BOOLEAN, ENUMERATED, INTEGER, OCTETS, Reader, SEQUENCE, SET},
};
use zeroize::Zeroizing;

/// Result codes that mean something to a login.
pub(crate) mod code {
    pub(crate) const SUCCESS: u32 = 0;
    pub(crate) const TIME_LIMIT: u32 = 3;
    pub(crate) const SIZE_LIMIT: u32 = 4;
    pub(crate) const REFERRAL: u32 = 10;
    pub(crate) const CONSTRAINT: u32 = 19;
    pub(crate) const NO_SUCH_OBJECT: u32 = 32;
    pub(crate) const INVALID_DN: u32 = 34;
    pub(crate) const INVALID_CREDENTIALS: u32 = 49;
    pub(crate) const NO_ACCESS: u32 = 50;
    pub(crate) const UNWILLING: u32 = 53;
}

/// What a result code means, for operators.
pub(crate) fn meaning(code: u32) -> &'static str {
    match code {
        0 => "success",
        1 => "operationsError: on Active Directory usually a search without a bind",
        2 => "protocolError",
        3 => "timeLimitExceeded",
        4 => "sizeLimitExceeded",
        7 => "authMethodNotSupported",
        8 => "strongerAuthRequired: the server wants TLS",
        10 => "referral: these entries are on another server",
        11 => "adminLimitExceeded",
        13 => "confidentialityRequired: the server wants TLS",
        16 => "noSuchAttribute",
        17 => "undefinedAttributeType",
        18 => "inappropriateMatching",
        19 => "constraintViolation",
        21 => "invalidAttributeSyntax",
        32 => "noSuchObject",
        34 => "invalidDNSyntax",
        48 => "inappropriateAuthentication",
        49 => "invalidCredentials",
        50 => "insufficientAccessRights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwillingToPerform",
        _ => "see RFC 4511, appendix A",
    }
}

/// StartTLS (RFC 4511 §4.14.1).
pub(crate) const START_TLS: &str = "1.3.6.1.4.1.1466.20037";
/// Password Modify (RFC 3062).
pub(crate) const PASSWORD_MODIFY: &str = "1.3.6.1.4.1.4203.1.11.1";

/// How far below the base a search looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// At the base itself.
    Base = 0,
    /// At the base and everything below.
    Subtree = 2,
}

/// A search request.
pub(crate) struct Search<'a> {
    pub(crate) base: &'a str,
    pub(crate) scope: Scope,
    /// A filter as [`Template::fill`](super::filter::Template::fill) makes it.
    pub(crate) filter: &'a [u8],
    pub(crate) attributes: &'a [&'a str],
    pub(crate) most: u32,
}

/// The body of a simple bind; wiped when it is dropped.
pub(crate) fn bind(name: &str, password: &str) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::with_capacity(name.len() + password.len() + 32));
    ber::put_number(&mut body, INTEGER, 3);
    ber::put(&mut body, OCTETS, name.as_bytes());
    ber::put(&mut body, 0x80, password.as_bytes());
    body
}

/// `seconds`: for how long the server may look.
pub(crate) fn search(request: &Search<'_>, seconds: u32) -> Vec<u8> {
    let mut body = Vec::new();
    ber::put(&mut body, OCTETS, request.base.as_bytes());
    ber::put_number(&mut body, ENUMERATED, request.scope as u32);
    // Aliases are never followed: an alias may lead out of the base.
    ber::put_number(&mut body, ENUMERATED, 0);
    ber::put_number(&mut body, INTEGER, request.most);
    ber::put_number(&mut body, INTEGER, seconds);
    ber::put(&mut body, BOOLEAN, &[0]);
    body.extend_from_slice(request.filter);
    let mut names = Vec::new();
    for name in request.attributes {
        ber::put(&mut names, OCTETS, name.as_bytes());
    }
    ber::put(&mut body, SEQUENCE, &names);
    body
}

pub(crate) fn extended(oid: &str, value: Option<&[u8]>) -> Zeroizing<Vec<u8>> {
    let mut body = Zeroizing::new(Vec::new());
    ber::put(&mut body, 0x80, oid.as_bytes());
    if let Some(value) = value {
        ber::put(&mut body, 0x81, value);
    }
    body
}

/// The value of a Password Modify request.
pub(crate) fn password_modify(who: &str, old: &str, new: &str) -> Zeroizing<Vec<u8>> {
    let mut fields = Zeroizing::new(Vec::new());
    ber::put(&mut fields, 0x80, who.as_bytes());
    ber::put(&mut fields, 0x81, old.as_bytes());
    ber::put(&mut fields, 0x82, new.as_bytes());
    let mut value = Zeroizing::new(Vec::new());
    ber::put(&mut value, SEQUENCE, &fields);
    value
}

/// A modification that takes one value of an attribute away and adds another, in one
/// step: what Active Directory takes as "I know the old password".
pub(crate) fn exchange(entry: &str, attribute: &str, old: &[u8], new: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut changes = Zeroizing::new(Vec::new());
    for (operation, value) in [(1, old), (0, new)] {
        let mut values = Zeroizing::new(Vec::new());
        ber::put(&mut values, OCTETS, value);
        let mut of = Zeroizing::new(Vec::new());
        ber::put(&mut of, OCTETS, attribute.as_bytes());
        ber::put(&mut of, SET, &values);
        let mut change = Zeroizing::new(Vec::new());
        ber::put_number(&mut change, ENUMERATED, operation);
        ber::put(&mut change, SEQUENCE, &of);
        ber::put(&mut changes, SEQUENCE, &change);
    }
    let mut body = Zeroizing::new(Vec::new());
    ber::put(&mut body, OCTETS, entry.as_bytes());
    ber::put(&mut body, SEQUENCE, &changes);
    body
}

/// A whole request: `operation` is the tag of its body.
pub(crate) fn request(id: u32, operation: u8, body: &[u8], control: Option<&str>) -> Zeroizing<Vec<u8>> {
    let mut inner = Zeroizing::new(Vec::with_capacity(body.len() + 64));
    ber::put_number(&mut inner, INTEGER, id);
    ber::put(&mut inner, operation, body);
    if let Some(oid) = control {
        let mut one = Vec::new();
        ber::put(&mut one, OCTETS, oid.as_bytes());
        let mut list = Vec::new();
        ber::put(&mut list, SEQUENCE, &one);
        ber::put(&mut inner, 0xa0, &list);
    }
    let mut whole = Zeroizing::new(Vec::with_capacity(inner.len() + 8));
    ber::put(&mut whole, SEQUENCE, &inner);
    whole
}

/// The result of an operation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) code: u32,
    /// The server's own words. Not for the person.
    pub(crate) text: String,
    /// The value of the password policy control, if one came.
    pub(crate) policy: Option<Vec<u8>>,
}

/// An entry as it came. Attribute names are in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) dn: String,
    pub(crate) attributes: Vec<(String, Vec<Vec<u8>>)>,
}

impl Entry {
    /// The values of an attribute, whatever the case of its name.
    pub(crate) fn values(&self, name: &str) -> &[Vec<u8>] {
        let found = self.attributes.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(&[], |(_, values)| values)
    }

    /// Whether an attribute came with an option (RFC 4512 §2.5.2) that begins so.
    pub(crate) fn has_option(&self, name: &str, option: &str) -> bool {
        self.attributes.iter().any(|(known, _)| {
            let mut parts = known.split(';');
            parts.next().is_some_and(|known| known.eq_ignore_ascii_case(name))
                && parts.any(|part| part.starts_with(option))
        })
    }

    /// The values that are text.
    pub(crate) fn texts<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.values(name).iter().filter_map(|value| std::str::from_utf8(value).ok())
    }
}

/// What a message of the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Entry(Entry),
    /// "Look there too": never followed.
    Reference,
    /// The end of the operation whose answers have this tag.
    Done(u8, Done),
    /// Something between that no operation of ours asks for.
    Intermediate,
}

/// A message: whose answer it is, and what. Id 0 is the server's own notice.
pub(crate) fn reply(message: &[u8]) -> Result<(u32, Reply), Trouble> {
    let mut outer = Reader::new(message);
    let mut inner = Reader::new(outer.expect(SEQUENCE, "not an LDAP message")?);
    let id = inner.number(INTEGER, "a message without an id")?;
    let (tag, body) = inner.next()?.ok_or(Trouble::Malformed("a message without an operation"))?;
    let reply = match tag {
        0x64 => Reply::Entry(entry(body)?),
        0x73 => Reply::Reference,
        0x79 => Reply::Intermediate,
        0x61 | 0x65 | 0x67 | 0x78 => {
            let mut done = result(body)?;
            if let Some(controls) = inner.optional(0xa0)? {
                done.policy = policy(controls)?;
            }
            Reply::Done(tag, done)
        }
        _ => return Err(Trouble::Malformed("an answer of an unknown kind")),
    };
    Ok((id, reply))
}

fn result(body: &[u8]) -> Result<Done, Trouble> {
    let mut fields = Reader::new(body);
    let code = fields.number(ENUMERATED, "a result without a code")?;
    fields.expect(OCTETS, "a result without a matched name")?;
    let text = fields.expect(OCTETS, "a result without a message")?;
    // What follows (referrals, SASL, an extended answer's value) is of no use to a login.
    Ok(Done { code, text: String::from_utf8_lossy(text).into_owned(), policy: None })
}

fn policy(controls: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
    let mut list = Reader::new(controls);
    while let Some(control) = list.optional(SEQUENCE)? {
        let mut fields = Reader::new(control);
        let oid = fields.expect(OCTETS, "a control without a name")?;
        fields.optional(BOOLEAN)?;
        if oid == super::policy_control::OID.as_bytes() {
            return Ok(fields.optional(OCTETS)?.map(<[u8]>::to_vec));
        }
    }
    Ok(None)
}

fn entry(body: &[u8]) -> Result<Entry, Trouble> {
    let mut fields = Reader::new(body);
    let dn = fields.expect(OCTETS, "an entry without a name")?;
    let dn = std::str::from_utf8(dn).map_err(|_| Trouble::Malformed("an entry's name is not UTF-8"))?;
    let mut list = Reader::new(fields.expect(SEQUENCE, "an entry without attributes")?);
    let mut attributes = Vec::new();
    while let Some((_, one)) = list.next()? {
        let mut fields = Reader::new(one);
        let name = fields.expect(OCTETS, "an attribute without a name")?;
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let mut set = Reader::new(fields.expect(SET, "an attribute without values")?);
        let mut values = Vec::new();
        while let Some((_, value)) = set.next()? {
            values.push(value.to_vec());
        }
        attributes.push((name, values));
    }
    Ok(Entry { dn: dn.to_owned(), attributes })
}
