//! Whether somebody else's page asks, in the browser of an operator: the admin listener
//! asks nobody who they are, and a browser reaches it where the page's author does not
//! (row G-01). Monitors and orchestrators send nothing that a browser sends, so they may
//! name this machine as they like; a browser is answered by names that are ours, since a
//! page can give its own name our address.
//!
//! What may not come in: the admin API, which judges origins itself and wants a token.

use crate::proxy::{
    http1::head::{Field, Head},
    target::{Authority, is_loopback_name},
};
use portcullis_config::Config;
use std::net::Ipv4Addr;

/// Fields that browsers send. A page can keep each of the others away, but for the first.
const OF_BROWSERS: &[&str] = &["accept-language", "cookie", "origin", "referer", "sec-fetch-mode"];

/// Why it is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Another page's request.
    Foreign,
    /// By a name that is not ours.
    Misdirected,
}

/// What is wrong with where a request comes from, if anything is.
pub(super) fn refused(head: &Head, bytes: &[u8], config: &Config) -> Option<Refused> {
    let values = |name: &'static str| {
        let named = move |field: &&Field| is(field, bytes, name);
        head.fields.iter().filter(named).map(|field| field.value.of_buffer(bytes))
    };
    let host = head.host.of_buffer(bytes);
    let strange_site = |value: &[u8]| !matches!(value, b"same-origin" | b"none");
    let strange_origin = |value: &[u8]| value.strip_prefix(b"http://") != Some(host);
    if values("sec-fetch-site").any(strange_site) || values("origin").any(strange_origin) {
        return Some(Refused::Foreign);
    }
    let is_browser = head.fields.iter().any(|field| OF_BROWSERS.iter().any(|name| is(field, bytes, name)));
    (is_browser && !is_ours(host, config)).then_some(Refused::Misdirected)
}

fn is(field: &Field, bytes: &[u8], name: &str) -> bool {
    field.name.of_buffer(bytes).eq_ignore_ascii_case(name.as_bytes())
}

/// An address, this machine's own name, or a host of the configuration.
fn is_ours(host: &[u8], config: &Config) -> bool {
    let Some(Authority { host, .. }) = Authority::parse(host) else { return false };
    let mut named = config.server.hosts.iter().chain(config.routes.iter().filter_map(|r| r.host.as_ref()));
    host.starts_with('[')
        || host.parse::<Ipv4Addr>().is_ok()
        || is_loopback_name(&host)
        || host == config.server.public_url.host.as_str()
        || named.any(|name| *name == host)
}
