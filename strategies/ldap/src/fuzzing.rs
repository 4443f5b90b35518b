//! The readers of what a directory sends and what an operator writes, for the gateway's
//! fuzz targets (`gateway/src/fuzz/providers.rs`).

use crate::wire::{
    ber::{self, Frame},
    filter::Template,
    message::{self, Reply},
    name, policy_control,
};

/// Any bytes as what a server sends, as a name, and as a filter of the settings.
pub fn message(bytes: &[u8]) {
    match ber::frame(bytes) {
        Ok(Frame::Whole(size)) => {
            assert!(size <= bytes.len());
            // Only what is missing makes a whole message partial.
            assert_eq!(ber::frame(&bytes[..size]), Ok(Frame::Whole(size)));
            assert!(!matches!(ber::frame(&bytes[..size - 1]), Ok(Frame::Whole(_))));
            reply(&bytes[..size]);
        }
        Ok(Frame::Partial) | Err(_) => {}
    }
    reply(bytes);
    let _ = policy_control::read(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        names(text);
        filters(text);
    }
}

fn reply(bytes: &[u8]) {
    let Ok((_, Reply::Entry(entry))) = message::reply(bytes) else { return };
    let held: usize = entry.attributes.iter().flat_map(|(_, values)| values).map(Vec::len).sum();
    assert!(held + entry.dn.len() <= bytes.len(), "no more than was sent");
    let _ = name::parts(&entry.dn);
}

/// One spelling is its own.
fn names(text: &str) {
    let normal = name::normal(text);
    assert_eq!(name::normal(&normal), normal, "{text:?}");
    let _ = (name::leaf(text), name::naming_context(text));
}

/// What a person types changes no filter but its value.
fn filters(text: &str) {
    let Some(template) = Template::parse(text) else { return };
    let plain = template.fill(&[("{username}", b"x"), ("{dn}", b"x")]);
    let odd = template.fill(&[("{username}", b")"), ("{dn}", b"*")]);
    assert_eq!(plain.len(), odd.len());
}
