//! The readers of what a library is and says, for `crate::fuzz`. Its pointers are in
//! `library/fuzzing.rs`.

pub(crate) use super::library::fuzzing::{lent, table};
use super::{elf, foreign, info::Info, libraries, rules::Rules, tickets::Reply};
use portcullis_plugin_api::{
    Begin, ChangeSecret, CredentialOp, CredentialReply, Diagnose, Health, Logout, LogoutReply, Notice,
    NoticeReply, Outcome, Refresh, Resume, Step, abi,
    wire::{self, Asked, Fault, MOST_DEEP, Start},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::path::Path;

/// What the smallest library says of itself.
pub(crate) const INFO: &[u8] =
    br#"{"magic":"portcullis plugin","abi":[1,0],"name":"n","kinds":[{"kind":"stamp","operations":["refresh"]}]}"#;

/// A shared object without code: one segment, the symbol, the section.
pub(crate) const SMALLEST: [u8; 576] = smallest();

const STRINGS: usize = 120;
const SYMBOLS: usize = 160;
const INFORMATION: usize = 208;
const SECTIONS: usize = 320;

const fn put(mut file: [u8; 576], at: usize, bytes: &[u8]) -> [u8; 576] {
    let mut index = 0;
    while index < bytes.len() {
        file[at + index] = bytes[index];
        index += 1;
    }
    file
}

/// One line of the section table; the fields that nobody reads stay zero.
const fn section(file: [u8; 576], number: usize, words: [u32; 3], place: [usize; 3]) -> [u8; 576] {
    let at = SECTIONS + number * 64;
    let [name, kind, link] = words;
    let [offset, size, each] = place;
    let file = put(put(file, at, &name.to_le_bytes()), at + 4, &kind.to_le_bytes());
    let file = put(put(file, at + 24, &offset.to_le_bytes()), at + 32, &size.to_le_bytes());
    put(put(file, at + 40, &link.to_le_bytes()), at + 56, &each.to_le_bytes())
}

const fn smallest() -> [u8; 576] {
    let strings = b"\0portcullis_plugin_v1\0.portcullis\0";
    let file = put([0; 576], 0, b"\x7fELF\x02\x01\x01");
    let file = put(put(file, 16, &[3]), 18, &elf::machine().to_le_bytes());
    let file = put(put(file, 32, &[64]), 40, &SECTIONS.to_le_bytes());
    // Sizes and numbers of program headers and sections, and which one holds names.
    let file = put(file, 54, &[56, 0, 1, 0, 64, 0, 4, 0, 1]);
    // The one segment: loaded, the whole file.
    let file = put(put(file, 64, &[1]), 64 + 32, &576_usize.to_le_bytes());
    let file = put(file, STRINGS, strings);
    // The second symbol: its name, a function bound globally, at home in the first section.
    let file = put(file, SYMBOLS + 24, &[1, 0, 0, 0, 0x12, 0, 1]);
    let file = put(file, INFORMATION, INFO);
    let file = section(file, 1, [0, 3, 0], [STRINGS, strings.len(), 0]);
    let file = section(file, 2, [0, 11, 1], [SYMBOLS, 48, 24]);
    section(file, 3, [22, 1, 0], [INFORMATION, INFO.len(), 0])
}

/// A file is an answer; what is taken for a library can be configured and printed.
pub(crate) fn file(bytes: &[u8]) {
    let path = Path::new("fuzz.so");
    let infos = [libraries::look(path, bytes), Info::read(path, bytes)];
    for info in infos.into_iter().flatten() {
        assert_eq!(info.abi.0, abi::MAJOR);
        assert!(!info.kinds.is_empty());
        for text in [&info.name, &info.version, &info.sdk] {
            assert!(text.len() <= 128 && !text.chars().any(char::is_control));
        }
        for kind in &info.kinds {
            assert!((1..=32).contains(&kind.kind.len()) && kind.kind.is_ascii());
            let _ = kind.can();
        }
    }
    // Cut off anywhere, it is an answer too.
    let cut = bytes.len() / 2;
    let _ = libraries::look(path, &bytes[..cut]);
}

/// Every kind of message, either way.
pub(crate) fn message(bytes: &[u8]) {
    twice::<CredentialReply>(bytes);
    twice::<NoticeReply>(bytes);
    twice::<Vec<Step>>(bytes);
    twice::<Health>(bytes);
    twice::<Fault>(bytes);
    twice::<Start>(bytes);
    twice::<Asked<Begin>>(bytes);
    twice::<Asked<Resume>>(bytes);
    twice::<Asked<CredentialOp>>(bytes);
    twice::<Asked<Refresh>>(bytes);
    twice::<Asked<Logout>>(bytes);
    twice::<Asked<Notice>>(bytes);
    twice::<Asked<ChangeSecret>>(bytes);
    twice::<Asked<Diagnose>>(bytes);
    for status in 0..6 {
        if let Ok(fault) = foreign::fault(Reply { status, body: Ok(bytes.to_vec()) }) {
            assert!(!fault.message.chars().any(char::is_control), "a message is one line of the log");
        }
    }
    if let Some(reply) = twice::<LogoutReply>(bytes)
        && library_rules().logout(&reply).is_ok()
    {
        reply.redirect.iter().for_each(|url| check_redirect(url));
    }
    if let Some(outcome) = twice::<Outcome>(bytes) {
        check_outcome(outcome);
    }
}

fn library_rules() -> Rules {
    Rules::strict(&["idp.test"], &["groups"])
}

fn check_redirect(url: &str) {
    assert!(url.bytes().all(|byte| byte.is_ascii_graphic()));
    let parsed = url::Url::parse(url).expect("what passes is a URL to others too");
    assert_eq!((parsed.scheme(), parsed.host_str()), ("https", Some("idp.test")), "{url}");
}

fn check_outcome(mut outcome: Outcome) {
    if library_rules().outcome(&mut outcome).is_err() {
        return;
    }
    match outcome {
        Outcome::Redirect(to) => {
            assert!(to.flow.len() <= 4096);
            check_redirect(&to.url);
        }
        Outcome::Form(form) => assert!(form.flow.len() <= 4096),
        Outcome::Authenticated(who) => {
            assert!(who.claims.keys().all(|name| name == "groups") && who.state.len() <= 16 * 1024);
            assert!(!who.subject.as_str().is_empty());
        }
        _ => {}
    }
}

/// What was read can be written, and reads the same again.
fn twice<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let read: T = wire::decode(bytes).ok()?;
    let value: Value = serde_json::from_slice(bytes).expect("a message is JSON to others too");
    assert!(depth(&value) <= MOST_DEEP);
    if let Ok(written) = wire::encode(&read) {
        let again: T = wire::decode(&written).expect("what was written can be read");
        // Fractions may change in their last digit.
        if !bytes.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            assert_eq!(wire::encode(&again), Ok(written));
        }
    }
    Some(read)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_library_is_one() {
        let info = libraries::look(Path::new("x.so"), &SMALLEST).expect("it is a library");
        assert_eq!(info.kinds[0].kind, "stamp");
    }
}
