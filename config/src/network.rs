//! Addresses and networks as an operator writes them. What may not come in: what they
//! are good for.

use ipnet::{IpNet, Ipv4Net};
use std::net::IpAddr;

/// How one is written, for messages.
pub(crate) const SHAPE: &str = "write \"10.0.0.0/8\" or \"10.1.2.3\"";

/// An address or a CIDR. `::ffff:10.0.0.0/104` is `10.0.0.0/8`: clients are compared by
/// their IPv4 address where they have one.
pub(crate) fn read(text: &str) -> Option<IpNet> {
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).ok()?;
    let IpNet::V6(six) = network else { return Some(network.trunc()) };
    let mapped = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    let four = mapped.and_then(|(address, length)| Ipv4Net::new(address, length).ok());
    Some(four.map_or(network, IpNet::V4).trunc())
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn an_address_is_a_network_of_one_and_a_mapped_one_is_ipv4() {
        for (written, meant) in [
            ("10.1.2.3", "10.1.2.3/32"),
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("::1", "::1/128"),
            ("::ffff:10.1.2.3", "10.1.2.3/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(read(written).map(|n| n.to_string()).as_deref(), Some(meant), "{written}");
        }
        for wrong in ["", "10", "10.0.0.0/33", "10.0.0.0/", "x", "10.0.0.1-9", "[::1]", " 10.0.0.1"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
