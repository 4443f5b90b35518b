//! Whether a request comes from our own pages (contract section 6, Origins). One rule
//! for state-changing endpoints and for proxied requests that a cookie signs in.

use portcullis_config::PublicUrl;

/// What a request says of where it comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Source<'a> {
    /// `Sec-Fetch-Site`
    pub sec_fetch_site: Option<&'a [u8]>,
    /// `Origin`
    pub origin: Option<&'a [u8]>,
    /// `Host`, lower case with its port; it has passed the 421 check.
    pub host: &'a str,
}

/// Whether it comes from us, or from an origin that is `listed` in the configuration.
/// `Sec-Fetch-Site` decides when present, else `Origin`; neither: not a browser's
/// cross-site request, so it passes.
pub fn is_own(source: Source<'_>, public: &PublicUrl, listed: &[&[String]]) -> bool {
    let known = |origin: &[u8]| listed.iter().copied().flatten().any(|known| known.as_bytes() == origin);
    if source.origin.is_some_and(known) {
        return true;
    }
    match (source.sec_fetch_site, source.origin) {
        (Some(site), _) => site == b"same-origin" || site == b"none",
        (None, None) => true,
        (None, Some(origin)) => {
            origin == public.origin.as_bytes() || is_host(origin, source.host, public.https)
        }
    }
}

/// The one value of a field; several values are nobody's: a browser sends one.
pub fn single<'a>(mut values: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let first = values.next();
    if values.next().is_some() { Some(b"") } else { first }
}

/// Our scheme with the request's own host, port included.
fn is_host(origin: &[u8], host: &str, https: bool) -> bool {
    let scheme: &[u8] = if https { b"https://" } else { b"http://" };
    origin.strip_prefix(scheme).is_some_and(|rest| rest == host.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public() -> PublicUrl {
        PublicUrl { origin: "https://gw.test".into(), https: true, host: "gw.test".into(), port: 443 }
    }

    fn passes(site: Option<&str>, origin: Option<&str>) -> bool {
        let source = Source {
            sec_fetch_site: site.map(str::as_bytes),
            origin: origin.map(str::as_bytes),
            host: "app.test:8443",
        };
        is_own(source, &public(), &[&[], &["https://app.example".to_owned()]])
    }

    #[test]
    fn two_values_of_a_field_are_nobodys() {
        let none: [&[u8]; 0] = [];
        assert_eq!(single(none.into_iter()), None);
        assert_eq!(single([&b"none"[..]].into_iter()), Some(&b"none"[..]));
        let site = single([&b"same-origin"[..], b"cross-site"].into_iter());
        assert!(!is_own(Source { sec_fetch_site: site, origin: None, host: "gw.test" }, &public(), &[]));
    }

    #[test]
    fn fetch_metadata_decides_when_present() {
        assert!(passes(Some("same-origin"), Some("https://evil.test")));
        assert!(passes(Some("none"), None));
        for site in ["cross-site", "same-site", "", "SAME-ORIGIN"] {
            assert!(!passes(Some(site), Some("https://gw.test")), "{site}");
        }
    }

    #[test]
    fn a_listed_origin_passes_whatever_the_site() {
        for site in [None, Some("cross-site"), Some("same-site")] {
            assert!(passes(site, Some("https://app.example")), "{site:?}");
        }
        for origin in
            ["https://app.example:443", "https://app.example/", "http://app.example", "https://a.app.example"]
        {
            assert!(!passes(Some("cross-site"), Some(origin)), "{origin}");
        }
    }

    #[test]
    fn without_fetch_metadata_the_origin_must_be_ours_or_absent() {
        assert!(passes(None, None));
        assert!(passes(None, Some("https://gw.test")));
        assert!(passes(None, Some("https://app.test:8443")));
        for origin in [
            "null",
            "",
            "https://app.test",
            "http://app.test:8443",
            "https://gw.test.evil",
            "https://evil.test",
        ] {
            assert!(!passes(None, Some(origin)), "{origin}");
        }
    }
}
