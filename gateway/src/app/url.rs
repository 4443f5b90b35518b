//! With port 0 the system chooses; what was derived from the listener then follows it.

use portcullis_config::Config;
use std::net::SocketAddr;

/// Puts the ports that were given in the place of those that were asked for.
pub(super) fn settle(config: &mut Config, bound: &[SocketAddr]) {
    config.server.listen = bound.to_vec();
    let (Some(first), public) = (bound.first(), &mut config.server.public_url) else { return };
    // A public_url that was written down cannot have port 0.
    if public.port != 0 {
        return;
    }
    let before = std::mem::replace(&mut public.origin, format!("http://{}:{}", public.host, first.port()));
    public.port = first.port();
    for derived in [&mut config.token.issuer, &mut config.token.audience] {
        if *derived == before {
            derived.clone_from(&config.server.public_url.origin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn settled(server: &str) -> Config {
        let text = format!(
            "{server}\n[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"http://127.0.0.1:1\"]\n\
             [[routes]]\npath = \"/*\"\nupstream = \"api\"\n[token]\naudience = \"mine\"\n"
        );
        let mut config = portcullis_config::parse(&text, Path::new("/x/portcullis.toml"), &[]).unwrap();
        settle(&mut config, &[SocketAddr::from(([127, 0, 0, 1], 4711))]);
        config
    }

    #[test]
    fn what_was_derived_from_port_0_follows_the_port_that_was_given() {
        let config = settled("[server]\nlisten = \"127.0.0.1:0\"");
        assert_eq!(config.server.public_url.origin, "http://127.0.0.1:4711");
        assert_eq!(config.server.public_url.port, 4711);
        assert_eq!(config.token.issuer, "http://127.0.0.1:4711");
        assert_eq!(config.token.audience, "mine");
        assert_eq!(config.server.listen, [SocketAddr::from(([127, 0, 0, 1], 4711))]);
    }

    #[test]
    fn what_was_written_down_stays() {
        let config = settled("[server]\nlisten = \"127.0.0.1:0\"\npublic_url = \"https://gw.test\"");
        assert_eq!(config.server.public_url.origin, "https://gw.test");
        assert_eq!(config.token.issuer, "https://gw.test");
    }
}
