//! Where a request comes from: the peer, or what a trusted proxy says of it. Nothing of
//! this takes part in routing, links or cookies (contract section 4, Client address).

use super::{http1::head::Head, target::Authority};
use crate::snapshot::Snapshot;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What is known of where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The client's address, as far as it can be believed.
    pub client: IpAddr,
    /// `X-Forwarded-For` as a trusted proxy sent it.
    pub forwarded_for: Option<String>,
    /// `http` or `https`
    pub proto: &'static str,
    /// `X-Forwarded-Host` as a trusted proxy sent it.
    pub host: Option<String>,
    /// `X-Request-Id` as a trusted proxy sent it.
    pub request_id: Option<String>,
}

impl Provenance {
    /// What the socket says, and behind a trusted proxy what that says.
    pub fn of(head: &Head, bytes: &[u8], (peer, https): (IpAddr, bool), snapshot: &Snapshot) -> Self {
        let proto = if https { "https" } else { "http" };
        if !is_trusted(peer, &snapshot.trusted_proxies) {
            return Self { client: peer, forwarded_for: None, proto, host: None, request_id: None };
        }
        let forwarded_for = joined(head, bytes, "x-forwarded-for");
        let client =
            forwarded_for.as_deref().map_or(peer, |list| client_of(list, peer, &snapshot.trusted_proxies));
        let proto = match joined(head, bytes, "x-forwarded-proto").as_deref() {
            Some("https") => "https",
            Some(_) => "http",
            None => proto,
        };
        let host =
            joined(head, bytes, "x-forwarded-host").filter(|h| Authority::parse(h.as_bytes()).is_some());
        let request_id = joined(head, bytes, "x-request-id").filter(|id| is_request_id(id));
        Self { client, forwarded_for, proto, host, request_id }
    }
}

/// The right-most entry that is not a trusted proxy. An entry that is no address ends the
/// search: what stands left of it nobody vouches for.
pub(crate) fn client_of(list: &str, peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for entry in list.rsplit(',') {
        let Some(address) = address_of(entry.trim()) else { return client };
        client = address.to_canonical();
        if !is_trusted(client, trusted) {
            return client;
        }
    }
    client
}

/// Some proxies write the port behind the address, or brackets around it, as RFC 7239 has it.
pub(crate) fn address_of(entry: &str) -> Option<IpAddr> {
    let inside = || entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let with_port = || entry.parse::<SocketAddr>().ok();
    entry
        .parse()
        .ok()
        .or_else(|| inside().map(IpAddr::V6))
        .or_else(|| with_port().map(|address| address.ip()))
}

/// `::ffff:127.0.0.1` is `127.0.0.1`.
fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|net| net.contains(&address.to_canonical()))
}

fn joined(head: &Head, bytes: &[u8], name: &str) -> Option<String> {
    let named = head.fields.iter().filter(|f| f.name.of_buffer(bytes).eq_ignore_ascii_case(name.as_bytes()));
    let values: Vec<&str> =
        named.filter_map(|f| std::str::from_utf8(f.value.of_buffer(bytes)).ok()).collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// Short and plain, since it goes into logs and answers.
fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(list: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().expect("a net"), "127.0.0.0/8".parse().expect("a net")];
        client_of(list, IpAddr::from([127, 0, 0, 1]), &trusted).to_string()
    }

    // H-12, P-19
    #[test]
    fn the_client_is_the_right_most_entry_that_is_no_trusted_proxy() {
        assert_eq!(client("1.1.1.1, 2.2.2.2, 10.0.0.1"), "2.2.2.2");
        assert_eq!(client("10.0.0.2, 10.0.0.1"), "10.0.0.2");
        assert_eq!(client("1.1.1.1, unknown, 10.0.0.1"), "10.0.0.1");
        assert_eq!(client("1.1.1.1, ::ffff:10.0.0.1"), "1.1.1.1");
        assert_eq!(client(""), "127.0.0.1");
        assert_eq!(client("1.1.1.1, , 10.0.0.1"), "10.0.0.1");
    }

    #[test]
    fn an_address_may_have_a_port_or_brackets() {
        assert_eq!(client("1.1.1.1:443, 10.0.0.1:1"), "1.1.1.1");
        assert_eq!(client("[2001:db8::1]:443"), "2001:db8::1");
        assert_eq!(client("[2001:db8::1]"), "2001:db8::1");
        assert_eq!(client("2001:db8::1"), "2001:db8::1");
        for wrong in [
            "1.1.1.1:",
            "1.1.1.1:99999",
            "[1.1.1.1]",
            "1.1.1.1 x",
            "\"1.1.1.1\"",
            "_hidden",
            "[::1",
            "::1]:1",
        ] {
            assert_eq!(client(wrong), "127.0.0.1", "{wrong}");
        }
    }

    #[test]
    fn a_request_id_is_short_and_plain() {
        assert!(is_request_id("req-1.a_b:c"));
        for id in ["", "a b", "a\"b", &"a".repeat(129)] {
            assert!(!is_request_id(id), "{id}");
        }
    }
}
