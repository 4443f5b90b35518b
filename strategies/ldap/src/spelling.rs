//! Whether what somebody typed is a name of the entry that the directory found by it.
//!
//! A directory takes more spellings for one name than the gateway, which counts failures
//! by name: Active Directory passes over accents, OpenLDAP takes `İ` for `i`. Each such
//! spelling would be a fresh count of failures for the same person. So an entry is taken
//! only by a name that is, but for case, width and runs of white space, a value that it
//! has: there are as many counts as the entry has names (row L-05).

use crate::wire::{
    filter::{Compared, Template},
    message::Entry,
    name::{self, BindName, USERNAME},
};
use unicode_normalization::UnicodeNormalization;

/// One spelling of a name. The gateway's may take more for one, and never less.
fn fold(text: &str) -> String {
    let lower: String = text.nfkc().collect::<String>().to_lowercase().nfkc().collect();
    lower.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a filter that was filled with this name finds the entry by a value it has.
pub(crate) fn by_filter(filter: &Template, username: &str, entry: &Entry) -> bool {
    let compared = filter.compared(USERNAME, username.as_bytes());
    has(entry, |value| compared.iter().any(|compared| fits(compared, value)))
}

/// Whether the name that was bound, made of what was typed, is the entry's own.
pub(crate) fn by_name(template: &BindName, username: &str, entry: &Entry) -> bool {
    match template.leaf() {
        // An entry has its own name as a value. Its DN may come back as it was sent.
        Some((_, value)) => {
            let wanted = fold(&value.replace(USERNAME, username));
            has(entry, |value| *value == wanted)
        }
        None => fold(&name::normal(&template.fill(username))) == fold(&name::normal(&entry.dn)),
    }
}

fn has(entry: &Entry, test: impl Fn(&String) -> bool) -> bool {
    let values = entry.attributes.iter().flat_map(|(_, values)| values);
    values.filter_map(|value| std::str::from_utf8(value).ok()).any(|value| test(&fold(value)))
}

/// Whether a folded value is what a test asks for.
fn fits(compared: &Compared, value: &str) -> bool {
    let text = |bytes: &[u8]| fold(&String::from_utf8_lossy(bytes));
    match compared {
        Compared::Whole(wanted) => value == text(wanted),
        Compared::Parts { first, middle, last } => {
            let Some(mut rest) = value.strip_prefix(text(first).as_str()) else { return false };
            for part in middle {
                let part = text(part);
                let Some(at) = rest.find(part.as_str()) else { return false };
                rest = &rest[at + part.len()..];
            }
            rest.ends_with(text(last).as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::entry;

    fn taken(filter: &str, username: &str) -> bool {
        let person = entry(&[
            ("uid", &[b"alice"]),
            ("cn", &[b"Jos\xc3\xa9  Smith"]),
            ("mail", &[b"\xff", b"Alice@Example.org"]),
        ]);
        by_filter(&Template::parse(filter).unwrap(), username, &person)
    }

    #[test]
    fn a_name_is_taken_in_any_case_width_and_spacing_and_in_no_other_spelling() {
        let any = "(|(uid={username})(cn={username})(mail={username}))";
        for name in
            ["alice", " ALICE ", "ａｌｉｃｅ", "josé smith", "Jose\u{301} \u{3000}SMITH", "ALICE@example.ORG"]
        {
            assert!(taken(any, name), "{name}");
        }
        for name in
            ["al\u{130}ce", "ali\u{307}ce", "jose smith", "josésmith", "a\u{ad}lice", "alicé", "", "*"]
        {
            assert!(!taken(any, name), "{name}");
        }
    }

    #[test]
    fn what_stands_around_the_name_in_the_filter_is_part_of_the_value() {
        assert!(taken("(&(objectClass=person)(mail={username}@example.org))", "alice"));
        assert!(!taken("(mail={username}@example.com)", "alice"));
        assert!(taken("(mail={username}@*)", "Alice") && !taken("(mail={username}@*)", "al\u{130}ce"));
        assert!(taken("(mail=a*{username}*.o*g)", "example") && !taken("(mail=a*{username}*x)", "example"));
        assert!(taken("(uid:caseIgnoreMatch:={username})", "Alice"));
        assert!(!taken("(uid~={username})", "alyce"), "what only sounds alike is another count");
        assert!(!taken("(!(uid={username}))", "bob"));
    }

    #[test]
    fn a_bound_name_is_compared_with_a_value_and_not_with_the_name_that_came_back() {
        let template = BindName::new("uid={username}+ou=x,ou=people,dc=example,dc=org");
        assert_eq!(template.leaf(), Some(("uid", "{username}")));
        let person = entry(&[("uid", &[b"alice"])]);
        assert!(by_name(&template, "ALICE", &person) && !by_name(&template, "al\u{130}ce", &person));
        let above = BindName::new("uid=alice,ou={username},dc=example,dc=org");
        assert!(above.leaf().is_none() && by_name(&above, "PEOPLE", &person));
        assert!(!by_name(&above, "people2", &person));
    }
}
