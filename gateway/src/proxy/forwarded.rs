//! Where a request comes from: the peer, or what a trusted proxy says of it. Nothing of
//! this takes part in routing, links or cookies (contract section 4, Client address).

use super::{http1::head::Head, target::Authority};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// What is known of where a request comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The client's address, as far as it can be believed.
    pub client: IpAddr,
    /// `X-Forwarded-For` as a trusted proxy sent it: whatever bytes a client began it with.
    pub forwarded_for: Option<Vec<u8>>,
    /// `http` or `https`
    pub proto: &'static str,
    /// `X-Forwarded-Host` as a trusted proxy sent it.
    pub host: Option<String>,
    /// `X-Request-Id` as a trusted proxy sent it.
    pub request_id: Option<String>,
}

impl Provenance {
    /// What the socket says, and behind a trusted proxy what that says.
    pub fn of(head: &Head, bytes: &[u8], (peer, https): (IpAddr, bool), trusted: &[IpNet]) -> Self {
        let proto = if https { "https" } else { "http" };
        if !is_trusted(peer, trusted) {
            return Self { client: peer, forwarded_for: None, proto, host: None, request_id: None };
        }
        let forwarded_for = joined(head, bytes, "x-forwarded-for");
        let client = forwarded_for.as_deref().map_or(peer, |list| client_of(list, peer, trusted));
        let proto = match joined(head, bytes, "x-forwarded-proto").as_deref() {
            Some(b"https") => "https",
            Some(_) => "http",
            None => proto,
        };
        let text = |name| joined(head, bytes, name).and_then(|value| String::from_utf8(value).ok());
        let host = text("x-forwarded-host").filter(|h| Authority::parse(h.as_bytes()).is_some());
        let request_id = text("x-request-id").filter(|id| is_request_id(id));
        Self { client, forwarded_for, proto, host, request_id }
    }
}

/// The right-most entry that is not a trusted proxy. An entry that is no address ends the
/// search: what stands left of it nobody vouches for. Proxies append to what a client sent,
/// which may be any bytes: those spoil their own entry and nothing right of it.
pub(crate) fn client_of(list: &[u8], peer: IpAddr, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer;
    for entry in list.rsplit(|byte| *byte == b',') {
        let Some(address) = address_of(entry.trim_ascii()) else { return client };
        client = address.to_canonical();
        if !is_trusted(client, trusted) {
            return client;
        }
    }
    client
}

/// Some proxies write the port behind the address, or brackets around it, as RFC 7239 has it.
pub(crate) fn address_of(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
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

/// All values of a field as one list (RFC 9110 §5.2), byte for byte.
fn joined(head: &Head, bytes: &[u8], name: &str) -> Option<Vec<u8>> {
    let named = head.fields.iter().filter(|f| f.name.of_buffer(bytes).eq_ignore_ascii_case(name.as_bytes()));
    let mut values = named.map(|field| field.value.of_buffer(bytes));
    let mut list = values.next()?.to_vec();
    for value in values {
        list.extend_from_slice(b", ");
        list.extend_from_slice(value);
    }
    Some(list)
}

/// Short and plain, since it goes into logs and answers.
fn is_request_id(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(list: impl AsRef<[u8]>) -> String {
        let trusted = ["10.0.0.0/8".parse().expect("a net"), "127.0.0.0/8".parse().expect("a net")];
        client_of(list.as_ref(), IpAddr::from([127, 0, 0, 1]), &trusted).to_string()
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

    // M-10: the client's bytes stand first in what its proxy sends
    #[test]
    fn bytes_that_are_no_text_spoil_their_own_entry_alone() {
        for list in [&b"\xff, 2.2.2.2"[..], b"1.1.1.1\xe9, 2.2.2.2, 10.0.0.1", b"\x80,\xc3, 2.2.2.2"] {
            assert_eq!(client(list), "2.2.2.2", "{}", list.escape_ascii());
        }
        assert_eq!(client(b"2.2.2.2, \xff, 10.0.0.1"), "10.0.0.1");
        assert_eq!(client(b"2.2.2.2\xa0"), "127.0.0.1");
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
