//! Hosts and origins as an operator writes them. What may not come in: name resolution.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A host and a port with the scheme before them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    /// Lower case; an IPv6 address in brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Origin {
    /// Without a trailing slash, and without the port that is the scheme's own.
    pub(crate) fn text(&self) -> String {
        let scheme = if self.https { "https" } else { "http" };
        let usual = if self.https { 443 } else { 80 };
        match self.port {
            port if port == usual => format!("{scheme}://{}", self.host),
            port => format!("{scheme}://{}:{port}", self.host),
        }
    }

    /// Reads `http://host[:port]`. The error says what is wrong with it and, where that
    /// can be known, what to write.
    pub(crate) fn read(text: &str) -> Result<Self, (String, Option<String>)> {
        let fault = |what: &str| (what.to_owned(), None);
        let (scheme, rest) =
            text.split_once("://").ok_or_else(|| fault("must begin with http:// or https://"))?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(fault("must begin with http:// or https://")),
        };
        if rest.contains('@') {
            return Err(fault("must not hold a name or a password"));
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let origin = match host_and_port(&rest[..end]) {
            Some((host, port)) => Self { https, host, port: port.unwrap_or(if https { 443 } else { 80 }) },
            None => return Err(fault("has no valid host and port")),
        };
        if end < rest.len() {
            let help = format!("write \"{}\"", origin.text());
            return Err(("must be an origin, without a path".to_owned(), Some(help)));
        }
        Ok(origin)
    }

    /// Whether it can only be reached from this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        }
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; the host lower case, the port not 0.
fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.rfind(':') {
        Some(colon) if !text.ends_with(']') => (&text[..colon], Some(&text[colon + 1..])),
        _ => (text, None),
    };
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            Some(digits.parse::<u16>().ok().filter(|port| *port != 0)?)
        }
        Some(_) => return None,
    };
    Some((self::host(host)?, port))
}

/// A host name or address without a port, lower case; an IPv6 address in brackets and in
/// its shortest form.
pub(crate) fn host(text: &str) -> Option<String> {
    if let Some(inside) = text.strip_prefix('[') {
        let address: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]"));
    }
    let lower = text.to_ascii_lowercase();
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if lower.len() > 253 || !lower.split('.').all(is_label) {
        return None;
    }
    // A last label of digits makes it an address, and then it must be one: `127.1` and
    // `0x7f.1` mean different hosts to different readers.
    let last = lower.rsplit('.').next().unwrap_or_default();
    let numeric = last.bytes().all(|b| b.is_ascii_digit()) || last.starts_with("0x");
    match numeric && lower.parse::<Ipv4Addr>().is_err() {
        true => None,
        false => Some(lower),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_taken_apart_and_put_together_in_one_spelling() {
        for (written, text, port) in [
            ("HTTPS://GW.Example.com", "https://gw.example.com", 443),
            ("https://gw.example.com:443", "https://gw.example.com", 443),
            ("http://gw.example.com:8080", "http://gw.example.com:8080", 8080),
            ("http://[::0001]:80", "http://[::1]", 80),
        ] {
            let origin = Origin::read(written).expect(written);
            assert_eq!((origin.text().as_str(), origin.port), (text, port));
        }
    }

    #[test]
    fn what_is_no_plain_origin_is_refused() {
        for wrong in [
            "",
            "gw.example.com",
            "ftp://gw",
            "http://",
            "http://a:b@gw",
            "http://gw/",
            "http://gw/x",
            "http://gw?x",
            "http://gw#x",
            "http://gw:0",
            "http://gw:65536",
            "http://gw:",
            "http://gw:+1",
            "http://127.1",
            "http://0x7f.1",
            "http://::1",
            "http://[::1",
            "http://a..b",
            "http://a b",
            "http://münchen.example",
            "http://*.example.com",
        ] {
            assert!(Origin::read(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn loopback_is_told_from_the_rest() {
        let loopback = |text: &str| Origin::read(text).expect(text).is_loopback();
        assert!(loopback("http://127.8.9.1") && loopback("http://[::1]") && loopback("http://a.localhost"));
        assert!(!loopback("http://10.0.0.1") && !loopback("http://localhost.example.com"));
    }
}
