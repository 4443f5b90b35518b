//! Pages of other origins (contract section 6, Origins): those that are listed may read
//! our answers, with credentials; no others. `[server] origins` count everywhere, a
//! route's own on that route.
//!
//! What may not come in: answers of upstreams, which say themselves who may read them.

use super::{
    answer::Answer,
    http1::head::{Framing, Head, Known, tokens},
    pipeline::Request,
};
use crate::{
    origin::single,
    snapshot::{Route, Snapshot},
};

/// How long a browser may remember the answer to a preflight, in seconds.
const REMEMBERED: &str = "600";

/// Methods that endpoints know.
const METHODS: &str = "GET, HEAD, POST, PATCH, DELETE";

/// Fields of our answers that a page may read beside the usual ones.
const EXPOSED: &str = "Retry-After, WWW-Authenticate, X-Request-Id";

/// The longest list of field names that is given back.
const MOST_NAMES: usize = 1024;

/// Who may read an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readers {
    /// The origin of a page that may.
    origin: Option<String>,
    /// Some other page might be told something else: caches must know.
    varies: bool,
}

impl Readers {
    /// Judges the `Origin` of a request; `route` is none before one was found.
    pub fn of(head: &Head, bytes: &[u8], route: Option<&Route>, snapshot: &Snapshot) -> Self {
        let of_route = route.map(|r| r.origins.as_slice()).unwrap_or_default();
        let mut listed = snapshot.origins.iter().chain(of_route);
        let origin = single(head.values(Known::Origin, bytes)).and_then(|o| std::str::from_utf8(o).ok());
        let origin = origin.filter(|origin| listed.any(|known| known == origin)).map(str::to_owned);
        Self { origin, varies: snapshot.any_origins }
    }

    /// The answer with what lets them read it.
    #[must_use]
    pub fn added_to(&self, mut answer: Answer) -> Answer {
        if self.varies {
            answer = answer.field("vary", "Origin");
        }
        match &self.origin {
            None => answer,
            Some(origin) => answer
                .field("access-control-allow-origin", origin)
                .field("access-control-allow-credentials", "true")
                .field("access-control-expose-headers", EXPOSED),
        }
    }
}

/// A browser's question before a request that a page of another origin wants to make
/// (Fetch, section 3.3.2): an OPTIONS that names both and has no body.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    /// Where the page is from.
    pub origin: &'a [u8],
    /// The method that it wants to use.
    pub method: &'a [u8],
    /// The fields that it wants to set, as a list.
    names: Option<&'a [u8]>,
}

impl<'a> Preflight<'a> {
    /// If it is one.
    pub fn of(method: &str, head: &'a Head, bytes: &'a [u8]) -> Option<Self> {
        // No browser's question asks for another protocol, and nobody gets a tunnel unasked.
        if method != "OPTIONS" || head.framing != Framing::None || asks_to_switch(head, bytes) {
            return None;
        }
        let named = |name: &str| {
            let mut fields = head.fields.iter();
            let field = fields.find(|f| f.name.of_buffer(bytes).eq_ignore_ascii_case(name.as_bytes()))?;
            Some(field.value.of_buffer(bytes))
        };
        Some(Self {
            origin: single(head.values(Known::Origin, bytes)).filter(|o| !o.is_empty())?,
            method: named("access-control-request-method").filter(|m| !m.is_empty())?,
            names: named("access-control-request-headers"),
        })
    }

    /// Whether a route lets it through to its upstream without asking who.
    pub fn passes(&self, route: &Route) -> bool {
        route.preflight || route.origins.iter().any(|origin| origin.as_bytes() == self.origin)
    }
}

/// The 204 that a listed origin gets for an endpoint. None: it is not listed, or this is
/// no preflight, and the endpoint answers as to anybody.
pub fn endpoint_preflight(request: &Request<'_>) -> Option<Answer> {
    let preflight = Preflight::of(request.method, request.head, request.bytes)?;
    request.readers.borrow().origin.as_ref()?;
    let mut answer = Answer::new(204)
        .field("access-control-allow-methods", METHODS)
        .field("access-control-max-age", REMEMBERED)
        .field("cache-control", "no-store");
    let names = preflight.names.unwrap_or_default();
    // Whoever is listed may send what it likes: its names are given back, if they are names.
    if names.len() <= MOST_NAMES && tokens(names).all(is_name) && !names.is_empty() {
        answer.push_field(b"access-control-allow-headers", names);
    }
    Some(answer)
}

fn asks_to_switch(head: &Head, bytes: &[u8]) -> bool {
    let mut connection = head.values(Known::Connection, bytes).flat_map(tokens);
    head.value(Known::Upgrade, bytes).is_some() || connection.any(|t| t.eq_ignore_ascii_case(b"upgrade"))
}

fn is_name(token: &[u8]) -> bool {
    token.iter().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b))
}
