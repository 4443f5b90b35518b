//! Where a call to a provider may go. A provider's metadata names addresses, and so does
//! whoever can change it: loopback, link-local and metadata services are asked only if
//! the operator wrote that address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// A host and port that the operator wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    host: Host<String>,
    port: Option<u16>,
}

impl Written {
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Some(Self { host: url.host()?.to_owned(), port: url.port_or_known_default() })
    }
}

/// Whether `address`, to which the host of `url` leads, may be connected to.
pub(crate) fn may_ask(url: &Url, address: IpAddr, written: &[Written]) -> bool {
    let own = Written::of(url).is_some_and(|asked| written.contains(&asked));
    match kind(address) {
        Kind::Ordinary => true,
        // A machine's own name often leads to itself; that is what the operator wants then.
        Kind::Loopback => own,
        // No name leads there by the operator's will, only the address itself.
        Kind::Local => own && !matches!(url.host(), Some(Host::Domain(_))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Loopback,
    Local,
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_4(address),
        IpAddr::V6(address) => inner(address).map_or_else(|| kind_6(address), kind_4),
    }
}

fn kind_4(address: Ipv4Addr) -> Kind {
    // Where three large clouds have their metadata services.
    const METADATA: [[u8; 4]; 3] = [[100, 100, 100, 200], [192, 0, 0, 192], [168, 63, 129, 16]];
    let [first, ..] = address.octets();
    if address.is_loopback() {
        return Kind::Loopback;
    }
    let local = address.is_link_local()
        || first == 0
        || address.is_multicast()
        || first >= 240
        || METADATA.contains(&address.octets());
    if local { Kind::Local } else { Kind::Ordinary }
}

fn kind_6(address: Ipv6Addr) -> Kind {
    const METADATA: [Ipv6Addr; 3] = [
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
        Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
        Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    ];
    if address.is_loopback() {
        return Kind::Loopback;
    }
    let local = address.is_unspecified()
        || address.is_multicast()
        || address.is_unicast_link_local()
        || METADATA.contains(&address);
    if local { Kind::Local } else { Kind::Ordinary }
}

/// The IPv4 address that an IPv6 one stands for: mapped, compatible, NAT64 (RFC 6052, RFC
/// 8215), 6to4.
fn inner(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = address.segments();
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 => Some(of(high, low)),
        // By RFC 6052 §2.2 for a prefix of 48 bits, where the octet in the middle does not
        // count, or for one of 96 below it.
        [0x64, 0xff9b, 1, high, low, last, 0, 0] => Some(of(high, (low << 8) | (last >> 8))),
        [0x64, 0xff9b, 1, _, _, _, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn may(url: &str, address: &str, written: &str) -> bool {
        let written: Vec<_> = Written::of(&Url::parse(written).unwrap()).into_iter().collect();
        may_ask(&Url::parse(url).unwrap(), address.parse().unwrap(), &written)
    }

    /// Row O-10 of the attack list.
    #[test]
    fn loopback_link_local_and_metadata_addresses_are_asked_only_if_the_operator_wrote_them() {
        for address in [
            "127.0.0.1",
            "127.9.9.9",
            "::1",
            "::ffff:127.0.0.1",
            "64:ff9b::7f00:1",
            "::127.0.0.1",
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "2002:a9fe:a9fe::1",
            "fe80::1",
            "fd00:ec2::254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "64:ff9b:1:7f00:0:100::",
            "64:ff9b:1::a9fe:a9fe",
            "100.100.100.200",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            let host = if address.contains(':') { format!("[{address}]") } else { address.to_owned() };
            let url = format!("https://{host}:8443/token");
            assert!(!may(&url, address, "https://idp.example"), "{address}");
            assert!(!may("https://idp.example/x", address, "https://other.example"), "{address}");
            assert!(may(&url, address, &url), "{address}");
            assert!(!may(&url, address, &format!("https://{host}:9443/")), "{address}: another port");
        }
        for address in ["8.8.8.8", "10.0.0.1", "192.168.0.1", "100.64.0.1", "2001:db8::1", "fd00::1"] {
            assert!(may("https://idp.example/x", address, "https://other.example"), "{address}");
        }
    }

    #[test]
    fn a_name_that_the_operator_wrote_may_lead_to_this_machine_but_to_no_metadata_service() {
        assert!(may("https://idp.example/x", "127.0.1.1", "https://idp.example"));
        assert!(may("http://localhost:8080/x", "::1", "http://localhost:8080"));
        assert!(!may("https://idp.example/x", "169.254.169.254", "https://idp.example"));
    }
}
