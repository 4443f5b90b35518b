//! Distinguished names (RFC 4514): filling a template, and reading names that a server
//! wrote, as far as a login needs it.

/// A template for the name that somebody binds with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BindName {
    template: String,
    /// It makes a distinguished name, and not `somebody@domain` or `DOMAIN\somebody`.
    pub(crate) is_dn: bool,
    /// The part of the leaf that the person's name goes into: its type and its value.
    leaf: Option<(String, String)>,
}

/// Where the name of the person goes.
pub(crate) const USERNAME: &str = "{username}";

impl BindName {
    pub(crate) fn new(template: &str) -> Self {
        let leaf = split(template, ',').first().copied().unwrap_or_default();
        let leaf = split(leaf, '+').into_iter().filter_map(part).find(|(_, value)| value.contains(USERNAME));
        Self { template: template.to_owned(), is_dn: template.contains('='), leaf }
    }

    /// The part of the leaf that the person's name goes into, if it does: its type and the
    /// value with the place in it.
    pub(crate) fn leaf(&self) -> Option<(&str, &str)> {
        self.leaf.as_ref().map(|(kind, value)| (kind.as_str(), value.as_str()))
    }

    /// The name of this person, who cannot add to it: N-85, row L-04.
    pub(crate) fn fill(&self, username: &str) -> String {
        let value = if self.is_dn { ldap3::dn_escape(username) } else { username.into() };
        self.template.replace(USERNAME, &value)
    }
}

/// The parts of a name, from the leaf to the root: type in lower case, value as text.
pub(crate) fn parts(dn: &str) -> Vec<(String, String)> {
    split(dn, ',').into_iter().filter_map(part).collect()
}

/// What the leaf is called: `ops` of `cn=ops,ou=groups,dc=example,dc=org`.
pub(crate) fn leaf(dn: &str) -> Option<String> {
    parts(dn).into_iter().next().map(|(_, value)| value).filter(|value| !value.is_empty())
}

/// One spelling of a name, so that two spellings can be compared.
pub(crate) fn normal(dn: &str) -> String {
    let parts = split(dn, ',').into_iter().map(|rdn| {
        let mut own: Vec<String> = split(rdn, '+')
            .into_iter()
            .filter_map(part)
            .map(|(kind, value)| format!("{kind}={}", ldap3::dn_escape(value.to_lowercase())))
            .collect();
        own.sort();
        own.join("+")
    });
    parts.collect::<Vec<_>>().join(",")
}

/// The naming context that a base lies in, by its looks: what is left without the `ou=`
/// and `cn=` in front. It stays the same when a base is made narrower or wider.
pub(crate) fn naming_context(base: &str) -> String {
    let normal = normal(base);
    let mut rest = normal.as_str();
    while rest.starts_with("ou=") || rest.starts_with("cn=") {
        match split(rest, ',').first() {
            Some(first) if first.len() < rest.len() => rest = &rest[first.len() + 1..],
            _ => return normal,
        }
    }
    if rest.is_empty() { normal } else { rest.to_owned() }
}

/// Cuts at a symbol where it is not escaped.
fn split(text: &str, at: char) -> Vec<&str> {
    let (mut pieces, mut from, mut escaped) = (Vec::new(), 0, false);
    for (index, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == at {
            pieces.push(&text[from..index]);
            from = index + letter.len_utf8();
        }
    }
    pieces.push(&text[from..]);
    pieces
}

fn part(rdn: &str) -> Option<(String, String)> {
    let (kind, value) = rdn.split_once('=')?;
    Some((kind.trim().to_lowercase(), unescape(value.trim_start_matches(' '))))
}

fn unescape(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    // Spaces at the end mean nothing, unless one is escaped.
    let mut keep = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            out.push(bytes[at]);
            at += 1;
            if bytes[at - 1] != b' ' {
                keep = out.len();
            }
            continue;
        }
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.extend(bytes.get(at + 1));
                at += 2;
            }
        }
        keep = out.len();
    }
    out.truncate(keep);
    String::from_utf8_lossy(&out).into_owned()
}
