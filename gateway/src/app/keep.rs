//! What a reload cannot change: sockets, the store, threads, and what was handed to
//! parts that live as long as the process. The value in force stays, and the log names
//! what would need a restart.

use portcullis_config::Config;
use std::net::SocketAddr;

/// Puts back into `next` what of `now` must stay, and names it. `asked` is where the file
/// of the start asked to listen; `now` has the ports that the system chose.
pub(super) fn keep(next: &mut Config, now: &Config, asked: &[SocketAddr]) -> Vec<&'static str> {
    let mut kept = Vec::new();
    if next.server.listen != asked {
        // An origin that was made of the listener stays with it.
        let made = next.server.listen.first().map(|first| format!("http://{first}"));
        if made.as_ref() == Some(&next.server.public_url.origin) {
            for derived in [&mut next.token.issuer, &mut next.token.audience] {
                if Some(&*derived) == made.as_ref() {
                    derived.clone_from(&now.server.public_url.origin);
                }
            }
            next.server.public_url.clone_from(&now.server.public_url);
        }
        kept.push("[server] listen");
    }
    // As it was asked for, so that what is derived from port 0 is settled as at the start.
    next.server.listen = asked.to_vec();
    hold("[admin] listen", &mut next.admin.listen, &now.admin.listen, &mut kept);
    hold("[server] threads", &mut next.server.threads, &now.server.threads, &mut kept);
    hold("[store]", &mut next.store, &now.store, &mut kept);
    hold("[session] idle", &mut next.session.idle, &now.session.idle, &mut kept);
    let refresh_idle = (&mut next.token.refresh_idle, &now.token.refresh_idle);
    hold("[token] refresh_idle", refresh_idle.0, refresh_idle.1, &mut kept);
    hold("[assertion] lifetime", &mut next.assertion.lifetime, &now.assertion.lifetime, &mut kept);
    let (limits, old) = (&mut next.limits, &now.limits);
    hold("[limits] connections", &mut limits.connections, &old.connections, &mut kept);
    let per_address = (&mut limits.per_address_connections, &old.per_address_connections);
    hold("[limits] per_address_connections", per_address.0, per_address.1, &mut kept);
    hold("[log]", &mut next.log, &now.log, &mut kept);
    kept
}

fn hold<T: PartialEq + Clone>(name: &'static str, next: &mut T, now: &T, kept: &mut Vec<&'static str>) {
    if next != now {
        next.clone_from(now);
        kept.push(name);
    }
}

/// The parties of a token, which follow `public_url` where nobody wrote them down: to be
/// kept once that has been settled.
pub(super) fn keep_parties(next: &mut Config, now: &Config, kept: &mut Vec<&'static str>) {
    hold("[token] issuer", &mut next.token.issuer, &now.token.issuer, kept);
    hold("[token] audience", &mut next.token.audience, &now.token.audience, kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn config(more: &str) -> Config {
        let text = format!(
            "{more}\n[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"http://127.0.0.1:1\"]\n\
             [[routes]]\npath = \"/*\"\nupstream = \"api\"\n"
        );
        portcullis_config::parse(&text, Path::new("/x/portcullis.toml"), &[]).unwrap()
    }

    #[test]
    fn what_has_not_changed_is_not_named() {
        let now = config("[server]\nthreads = 2");
        let mut next = config("[server]\nthreads = 2\nhosts = [\"a.test\"]\n[login]\ntitle = \"New\"");
        assert_eq!(keep(&mut next, &now, &now.server.listen), Vec::<&str>::new());
        assert_eq!((next.server.hosts.len(), next.login.title.as_str()), (1, "New"));
    }

    #[test]
    fn what_needs_a_restart_is_kept_and_named() {
        let now = config("[server]\nlisten = \"127.0.0.1:81\"\nthreads = 2");
        let mut next = config(
            "[server]\nlisten = \"127.0.0.1:82\"\nthreads = 3\n[store]\nurl = \"sqlite:other.db\"\n\
             [session]\nidle = \"2h\"\n[log]\naccess = false\n[limits]\nconnections = 7",
        );
        let mut kept = keep(&mut next, &now, &now.server.listen);
        keep_parties(&mut next, &now, &mut kept);
        assert_eq!(
            kept,
            [
                "[server] listen",
                "[server] threads",
                "[store]",
                "[session] idle",
                "[limits] connections",
                "[log]"
            ]
        );
        assert_eq!(next.server.listen, now.server.listen);
        assert_eq!(next.server.public_url, now.server.public_url);
        assert_eq!((next.server.threads, &next.store), (2, &now.store));
        assert_eq!(next.token.issuer, now.token.issuer);
    }

    #[test]
    fn an_origin_that_was_written_down_changes_without_the_listener() {
        let now = config("[server]\nlisten = \"127.0.0.1:81\"");
        let mut next = config("[server]\nlisten = \"127.0.0.1:82\"\npublic_url = \"https://gw.test\"");
        let mut kept = keep(&mut next, &now, &now.server.listen);
        keep_parties(&mut next, &now, &mut kept);
        assert_eq!(kept, ["[server] listen", "[token] issuer", "[token] audience"]);
        assert_eq!(next.server.public_url.origin, "https://gw.test");
        assert_eq!(next.token.issuer, now.token.issuer);
    }
}
