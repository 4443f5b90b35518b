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

/// What a test compares values with, its places filled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compared {
    /// A whole value.
    Whole(Vec<u8>),
    /// Pieces of one: how it begins, what follows in this order, how it ends.
    Parts { first: Vec<u8>, middle: Vec<Vec<u8>>, last: Vec<u8> },
}

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

    /// The attributes that are tested for what stands in this place.
    pub(crate) fn tested(&self, place: &str) -> Vec<&str> {
        let mut tests = Vec::new();
        tests_of(&self.0, place.as_bytes(), &mut tests);
        tests.into_iter().filter_map(|(attribute, _)| std::str::from_utf8(attribute?).ok()).collect()
    }

    /// What the tests of this place compare with, when this value stands there.
    pub(crate) fn compared(&self, place: &str, value: &[u8]) -> Vec<Compared> {
        let mut tests = Vec::new();
        tests_of(&self.0, place.as_bytes(), &mut tests);
        tests.into_iter().map(|(_, with)| compared(with, &[(place, value)])).collect()
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

/// The tests that have this place in their value: the attribute and the value.
fn tests_of<'a>(tag: &'a StructureTag, place: &[u8], tests: &mut Vec<(Option<&'a [u8]>, &'a StructureTag)>) {
    let PL::C(inner) = &tag.payload else { return };
    // The choices of `Filter` in RFC 4511 §4.5.1. What a `!` turns round finds nobody.
    let (attribute, with) = match tag.id {
        0 | 1 => return inner.iter().for_each(|tag| tests_of(tag, place, tests)),
        3..=6 | 8 => (inner.first(), inner.get(1)),
        9 => (inner.iter().find(|tag| tag.id == 2), inner.iter().find(|tag| tag.id == 3)),
        _ => return,
    };
    let Some(with) = with.filter(|with| any(with, &|bytes| find(bytes, place).is_some())) else { return };
    let attribute = attribute.and_then(|tag| match &tag.payload {
        PL::P(bytes) => Some(bytes.as_slice()),
        PL::C(_) => None,
    });
    tests.push((attribute, with));
}

fn compared(with: &StructureTag, places: &[(&str, &[u8])]) -> Compared {
    let pieces = match &with.payload {
        PL::P(bytes) => return Compared::Whole(put_in(bytes, places)),
        PL::C(pieces) => pieces,
    };
    let (mut first, mut middle, mut last) = (Vec::new(), Vec::new(), Vec::new());
    for piece in pieces {
        let PL::P(bytes) = &piece.payload else { continue };
        let text = put_in(bytes, places);
        match piece.id {
            0 => first = text,
            1 => middle.push(text),
            _ => last = text,
        }
    }
    Compared::Parts { first, middle, last }
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
