//! Search filters with places to fill in. A template is parsed once, when the settings
//! are read; what a person typed is put into the parsed tree as an assertion value. So it
//! cannot become syntax, whatever it holds (RFC 4515 §3; rows L-02, N-84).

use bytes::BytesMut;
use lber::{
    common::TagClass,
    structure::{PL, StructureTag},
    structures::ASNTag,
    write,
};

/// `lber` and the filter grammar recurse, so a template may not nest deeper.
const MAX_DEPTH: usize = 32;

/// The tag of a presence test, `(attribute=*)`.
const PRESENT: u64 = 7;

/// A parsed filter, possibly with places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Template(StructureTag);

/// A filter as bytes, ready for a request.
pub(crate) type Filter = Vec<u8>;

impl Template {
    /// Reads the text form of RFC 4515. `{username}` and `{dn}` may stand in values.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mut depth, mut deepest) = (0_usize, 0);
        for byte in text.bytes() {
            match byte {
                b'(' => depth += 1,
                b')' => depth = depth.saturating_sub(1),
                _ => {}
            }
            deepest = deepest.max(depth);
        }
        if deepest > MAX_DEPTH {
            return None;
        }
        // A filter without parentheses is taken too, as the tools of OpenLDAP do.
        let text = text.trim();
        ldap3::parse_filter(text).ok().map(|tag| Self(tag.into_structure()))
    }

    /// Whether any value has this place.
    pub(crate) fn has(&self, place: &str) -> bool {
        any(&self.0, &|bytes| find(bytes, place.as_bytes()).is_some())
    }

    /// The filter with values put into its places.
    pub(crate) fn fill(&self, places: &[(&str, &[u8])]) -> Filter {
        encode(map(&self.0, places))
    }

    /// The filter with every test of this place turned into one that the attribute is there.
    pub(crate) fn any_value_of(&self, place: &str) -> Self {
        Self(present(&self.0, place.as_bytes()))
    }
}

/// `(attribute=value)`.
pub(crate) fn equals(attribute: &str, value: &[u8]) -> Filter {
    let mut body = Vec::new();
    super::ber::put(&mut body, super::ber::OCTETS, attribute.as_bytes());
    super::ber::put(&mut body, super::ber::OCTETS, value);
    let mut filter = Vec::new();
    super::ber::put(&mut filter, 0xa3, &body);
    filter
}

/// `(&…)` of filters.
pub(crate) fn all(filters: &[Filter]) -> Filter {
    let mut filter = Vec::new();
    super::ber::put(&mut filter, 0xa0, &filters.concat());
    filter
}

/// `(objectClass=*)`: every entry.
pub(crate) fn anything() -> Filter {
    let mut filter = Vec::new();
    super::ber::put(&mut filter, 0x87, b"objectClass");
    filter
}

fn encode(tag: StructureTag) -> Filter {
    let mut bytes = BytesMut::new();
    write::encode_into(&mut bytes, tag).expect("writing into memory cannot fail");
    bytes.to_vec()
}

fn any(tag: &StructureTag, test: &dyn Fn(&[u8]) -> bool) -> bool {
    match &tag.payload {
        PL::P(bytes) => test(bytes),
        PL::C(inner) => inner.iter().any(|tag| any(tag, test)),
    }
}

fn map(tag: &StructureTag, places: &[(&str, &[u8])]) -> StructureTag {
    let payload = match &tag.payload {
        PL::P(bytes) => PL::P(put_in(bytes, places)),
        PL::C(inner) => PL::C(inner.iter().map(|tag| map(tag, places)).collect()),
    };
    StructureTag { id: tag.id, class: tag.class, payload }
}

/// One pass from left to right, so that a value that looks like a place stays a value.
fn put_in(bytes: &[u8], places: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    'next: while let Some((first, after)) = rest.split_first() {
        for (place, value) in places {
            if let Some(after) = rest.strip_prefix(place.as_bytes()) {
                out.extend_from_slice(value);
                rest = after;
                continue 'next;
            }
        }
        out.push(*first);
        rest = after;
    }
    out
}

fn present(tag: &StructureTag, place: &[u8]) -> StructureTag {
    let holds = |bytes: &[u8]| find(bytes, place).is_some();
    let payload = match &tag.payload {
        PL::P(bytes) => PL::P(bytes.clone()),
        // An item is context-specific and holds universal strings; its first is the
        // attribute. `&`, `|` and `!` hold context-specific filters.
        PL::C(inner) => match inner.first() {
            Some(StructureTag { class: TagClass::Universal, payload: PL::P(attribute), .. })
                if any(tag, &holds) =>
            {
                return StructureTag {
                    id: PRESENT,
                    class: TagClass::Context,
                    payload: PL::P(attribute.clone()),
                };
            }
            _ => PL::C(inner.iter().map(|tag| present(tag, place)).collect()),
        },
    };
    StructureTag { id: tag.id, class: tag.class, payload }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
