//! What an entry says of the person: who they are for ever, what they are called, and
//! whether the directory lets them in at all.

use crate::{
    settings::Settings,
    verdict::Bar,
    wire::{
        message::Entry,
        name::{BindName, USERNAME},
    },
};
use portcullis_plugin_api::{Claims, Subject};
use std::fmt::Write;

/// The attributes that say that an account is closed, whatever the server is.
const CLOSED: [&str; 6] = [
    "userAccountControl",
    "accountExpires",
    "nsAccountLock",
    "pwdAccountLockedTime",
    "pwdEndTime",
    "krbPrincipalExpiration",
];

/// The attributes that a login asks for.
pub(crate) fn attributes(settings: &Settings) -> Vec<&str> {
    let own = &settings.attributes;
    let mut all = vec![own.subject.as_str(), &own.name, &own.email];
    all.extend(own.display_name.iter().map(String::as_str));
    all.extend(settings.groups.member_of.as_deref());
    // What people are found by, to compare it with what was typed.
    all.extend(settings.filter.tested(USERNAME));
    all.extend(settings.direct.as_ref().and_then(BindName::leaf).map(|(attribute, _)| attribute));
    if settings.groups.primary {
        all.extend(["objectSid", "primaryGroupID"]);
    }
    all.extend(CLOSED);
    let mut once: Vec<&str> = Vec::with_capacity(all.len());
    for attribute in all {
        if !once.iter().any(|known| known.eq_ignore_ascii_case(attribute)) {
            once.push(attribute);
        }
    }
    once
}

/// The subject of an entry; the error says what an operator can do.
pub(crate) fn subject(settings: &Settings, entry: &Entry) -> Result<Subject, String> {
    let attribute = &settings.attributes.subject;
    let values = entry.values(attribute);
    let value = match values {
        [value] => value,
        [] => {
            return Err(format!(
                "the entry has no `{attribute}`, or the service account may not read it; set attributes.subject \
                 to an attribute that never changes"
            ));
        }
        _ => {
            return Err(format!(
                "the entry has {} values of `{attribute}`, which cannot say who it is",
                values.len()
            ));
        }
    };
    let text = match Written::of(attribute) {
        Written::Guid => guid(value).ok_or(format!("`{attribute}` is not 16 bytes long"))?,
        Written::Sid => sid(value).ok_or(format!("`{attribute}` is no SID"))?,
        Written::Text => {
            std::str::from_utf8(value).map_err(|_| format!("`{attribute}` is no text"))?.to_owned()
        }
    };
    Subject::new(text).ok_or(format!("`{attribute}` is empty, or longer than 255 bytes, or no text"))
}

/// The value to search for to find a subject again.
pub(crate) fn value_of(settings: &Settings, subject: &Subject) -> Option<Vec<u8>> {
    match Written::of(&settings.attributes.subject) {
        Written::Guid => from_guid(subject.as_str()),
        Written::Sid => from_sid(subject.as_str()),
        Written::Text => Some(subject.as_str().as_bytes().to_vec()),
    }
}

/// How an attribute that says who somebody is is written as text.
enum Written {
    Guid,
    Sid,
    Text,
}

impl Written {
    fn of(attribute: &str) -> Self {
        match attribute.to_ascii_lowercase().as_str() {
            "objectguid" => Self::Guid,
            "objectsid" => Self::Sid,
            _ => Self::Text,
        }
    }
}

/// The canonical text of a GUID, whose first three numbers are stored little end first.
pub(crate) fn guid(bytes: &[u8]) -> Option<String> {
    let bytes: &[u8; 16] = bytes.try_into().ok()?;
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    let mut text = String::with_capacity(36);
    for (at, index) in order.into_iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{:02x}", bytes[index]).ok()?;
    }
    Some(text)
}

fn from_guid(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|letter| *letter != '-').collect();
    if digits.len() != 32 || !digits.is_ascii() {
        return None;
    }
    let bytes: Option<Vec<u8>> =
        (0..16).map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).ok()).collect();
    let bytes = bytes?;
    let order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
    Some(order.into_iter().map(|index| bytes[index]).collect())
}

/// `S-1-5-21-…`
pub(crate) fn sid(bytes: &[u8]) -> Option<String> {
    let (head, parts) = bytes.split_at_checked(8)?;
    let count = usize::from(head[1]);
    if parts.len() != count * 4 {
        return None;
    }
    let authority = head[2..].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let mut text = format!("S-{}-{authority}", head[0]);
    for part in parts.chunks_exact(4) {
        write!(text, "-{}", u32::from_le_bytes(part.try_into().ok()?)).ok()?;
    }
    Some(text)
}

fn from_sid(text: &str) -> Option<Vec<u8>> {
    let mut parts = text.strip_prefix("S-")?.split('-');
    let revision: u8 = parts.next()?.parse().ok()?;
    let authority: u64 = parts.next()?.parse().ok()?;
    let rest: Option<Vec<u32>> = parts.map(|part| part.parse().ok()).collect();
    let rest = rest?;
    let mut bytes = vec![revision, u8::try_from(rest.len()).ok()?];
    bytes.extend_from_slice(&authority.to_be_bytes()[2..]);
    bytes.extend(rest.into_iter().flat_map(u32::to_le_bytes));
    Some(bytes)
}

/// The SID of somebody's primary group: their own with another end.
pub(crate) fn primary_group(entry: &Entry) -> Option<Vec<u8>> {
    let own = entry.values("objectSid").first()?;
    let number: u32 = entry.texts("primaryGroupID").next()?.parse().ok()?;
    let (domain, _) = own.split_at_checked(own.len().checked_sub(4)?)?;
    sid(own)?;
    Some([domain, &number.to_le_bytes()].concat())
}

/// What the person is called in the directory, for a group's list of names.
pub(crate) fn name<'a>(settings: &Settings, entry: &'a Entry) -> Option<&'a str> {
    entry.texts(&settings.attributes.name).map(str::trim).find(|name| !name.is_empty())
}

/// Claims without groups. Where an attribute has several values its first text counts:
/// the order is the server's.
pub(crate) fn claims(settings: &Settings, entry: &Entry) -> Claims {
    let own = &settings.attributes;
    let first = |attribute: &str| {
        let fits = |text: &&str| !text.is_empty() && text.len() <= 512 && !text.contains(char::is_control);
        entry.texts(attribute).map(str::trim).find(fits).map(str::to_owned)
    };
    let mut claims = Claims::new();
    if let Some(name) = first(&own.name) {
        claims.insert("name".to_owned(), name.into());
    }
    if let Some(display) = own.display_name.iter().find_map(|attribute| first(attribute)) {
        claims.insert("display_name".to_owned(), display.into());
    }
    let is_address = |text: &&str| {
        let halves = text.split_once('@').filter(|(local, host)| !local.is_empty() && !host.is_empty());
        halves.is_some_and(|(_, host)| !host.contains('@'))
            && text.len() <= 254
            && !text.chars().any(|c| c.is_control() || c.is_whitespace())
    };
    if let Some(email) = entry.texts(&own.email).map(str::trim).find(is_address) {
        claims.insert("email".to_owned(), email.into());
        // Who keeps the directory vouches for it; the gateway applies `trust_email`.
        claims.insert("email_verified".to_owned(), true.into());
    }
    claims
}

/// Whether the entry says that its account is closed. `now`: milliseconds since 1970.
pub(crate) fn bar(entry: &Entry, now: u64) -> Option<Bar> {
    let number = |attribute| entry.texts(attribute).next().and_then(|text| text.parse::<u64>().ok());
    // ADS_UF_ACCOUNTDISABLE
    if number("userAccountControl").is_some_and(|flags| flags & 2 != 0) {
        return Some(Bar::Disabled);
    }
    // Ticks of 100 ns since 1601; 0 and the largest mean never.
    let expires = number("accountExpires").filter(|ticks| *ticks != 0 && *ticks < i64::MAX.unsigned_abs());
    if expires.is_some_and(|ticks| ticks / 10_000 <= now.saturating_add(11_644_473_600_000)) {
        return Some(Bar::AccountExpired);
    }
    if entry.texts("nsAccountLock").any(|flag| flag.eq_ignore_ascii_case("true")) {
        return Some(Bar::Disabled);
    }
    // Locked by an operator and for ever, which attempts never do.
    if entry.texts("pwdAccountLockedTime").any(|time| time == "000001010000Z") {
        return Some(Bar::Disabled);
    }
    // OpenLDAP from 2.5 on; FreeIPA. What is no time says nothing.
    let ended = |attribute| entry.texts(attribute).filter_map(moment).any(|end| end <= now);
    if ended("pwdEndTime") || ended("krbPrincipalExpiration") {
        return Some(Bar::AccountExpired);
    }
    None
}

/// A GeneralizedTime in UTC, as directories write them (`20260102030405Z`, RFC 4517 section
/// 3.3.13), in milliseconds since 1970.
fn moment(text: &str) -> Option<u64> {
    let (digits, rest) = text.split_at_checked(14)?;
    if !rest.ends_with('Z') || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| digits[from..to].parse::<i64>().ok();
    let (year, month, day) = (number(0, 4)?, number(4, 6)?, number(6, 8)?);
    // The year begins in March here, so that the leap day is its last.
    let (from_march, years) = ((month + 9) % 12, if month <= 2 { year - 1 } else { year });
    let days =
        365 * years + years / 4 - years / 100 + years / 400 + (153 * from_march + 2) / 5 + day - 719_469;
    let seconds = ((days * 24 + number(8, 10)?) * 60 + number(10, 12)?) * 60 + number(12, 14)?;
    Some(u64::try_from(seconds).unwrap_or(0) * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{entry, settings};
    use serde_json::json;

    #[test]
    fn a_guid_is_written_as_windows_writes_it_and_found_again() {
        let bytes: Vec<u8> = (0..16).collect();
        let text = guid(&bytes).unwrap();
        assert_eq!(text, "03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(from_guid(&text), Some(bytes));
        assert_eq!(guid(&[0; 15]), None);
        assert_eq!(from_guid("03020100"), None);
        assert_eq!(from_guid(&"é".repeat(16)), None);
    }

    #[test]
    fn a_sid_is_written_as_windows_writes_it_and_found_again() {
        let text = "S-1-5-21-3623811015-3361044348-30300820-1013";
        let bytes = from_sid(text).unwrap();
        assert_eq!(bytes.len(), 28);
        assert_eq!(sid(&bytes).as_deref(), Some(text));
        assert_eq!(sid(&bytes[..27]), None);
        assert_eq!(sid(&[]), None);
        let person = entry(&[("objectSid", &[&bytes]), ("primaryGroupID", &[b"513"])]);
        let group = primary_group(&person).unwrap();
        assert_eq!(sid(&group).as_deref(), Some("S-1-5-21-3623811015-3361044348-30300820-513"));
    }

    #[test]
    fn an_attribute_that_cannot_say_who_it_is_is_an_error_and_never_a_subject() {
        let settings = settings(json!({}));
        let read = |values: &[&[u8]]| subject(&settings, &entry(&[("entryUUID", values)]));
        assert_eq!(read(&[b"A-b"]).unwrap().as_str(), "A-b");
        let wrong: [&[&[u8]]; 6] = [&[], &[b"a", b"b"], &[b"\xff"], &[b""], &[b"a\n"], &[&[b'a'; 256]]];
        for wrong in wrong {
            assert!(read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_no_text_is_passed_over() {
        let settings = settings(json!({}));
        let person = entry(&[
            ("uid", &[b"\xff\xfe", b"", b" alice "]),
            ("cn", &[b"Alice\0", "Älice".as_bytes()]),
            ("mail", &[b"none", b"a@b@c", b"a b@c", b"\xff@x", b"alice@example.org"]),
        ]);
        let claims = claims(&settings, &person);
        assert_eq!(claims["name"], "alice");
        assert_eq!(claims["display_name"], "Älice");
        assert_eq!(claims["email"], "alice@example.org");
        assert_eq!(claims["email_verified"], true);
    }

    #[test]
    fn a_closed_account_is_seen_whatever_the_server_is() {
        let now = 1_700_000_000_000;
        let read = |name: &str, value: &str| bar(&entry(&[(name, &[value.as_bytes()])]), now);
        assert_eq!(read("userAccountControl", "514"), Some(Bar::Disabled));
        assert_eq!(read("userAccountControl", "512"), None);
        assert_eq!(read("nsAccountLock", "TRUE"), Some(Bar::Disabled));
        assert_eq!(read("nsAccountLock", "false"), None);
        assert_eq!(read("pwdAccountLockedTime", "000001010000Z"), Some(Bar::Disabled));
        assert_eq!(read("pwdAccountLockedTime", "20260101000000Z"), None);
        assert_eq!(moment("20231114221320Z"), Some(now));
        assert_eq!(moment("20000229235959.5Z"), Some(951_868_799_000));
        assert_eq!(moment("19700101000000Z"), Some(0));
        for attribute in ["pwdEndTime", "krbPrincipalExpiration"] {
            assert_eq!(read(attribute, "20231114221320Z"), Some(Bar::AccountExpired));
            for open in ["20231114221321Z", "99991231235959Z", "never", "2023111422132Z", ""] {
                assert_eq!(read(attribute, open), None, "{open}");
            }
        }
        assert_eq!(read("accountExpires", "0"), None);
        assert_eq!(read("accountExpires", "9223372036854775807"), None);
        // 2023-11-14 and a second after `now`.
        assert_eq!(read("accountExpires", "133444736000000000"), Some(Bar::AccountExpired));
        assert_eq!(read("accountExpires", "133444736010000000"), None);
    }
}
