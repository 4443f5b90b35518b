//! What is legal and unwise: `check` and each start say it, and nothing is refused for it.

use crate::{
    address::Origin,
    path::is_within,
    policy::Policy,
    problem::{At, Book},
    routes::{Route, RoutePath},
};
use std::net::{IpAddr, Ipv4Addr};

/// Looks at all routes, each with the place of its path.
pub(crate) fn routes(routes: &[(At, Route)], book: &mut Book<'_>) {
    for (at, route) in routes {
        open_around_guarded(at, route, routes, book);
        open_host_beside_guarded(at, route, routes, book);
        mark_within_a_path(at, route, routes, book);
    }
    for (index, (at, route)) in routes.iter().enumerate() {
        differs_by_case_alone(at, route, &routes[..index], book);
    }
}

/// Letters are compared without case in other readings: each path is the other's.
fn differs_by_case_alone(at: &At, route: &Route, before: &[(At, Route)], book: &mut Book<'_>) {
    let twin = before.iter().find(|(_, other)| {
        let (one, two) = (route.path.written(), other.path.written());
        other.host == route.host
            && one != two
            && one.eq_ignore_ascii_case(&two)
            && other.policy != route.policy
    });
    if let Some((place, other)) = twin {
        let message = format!(
            "[[routes]] \"{}\" and \"{}\" at {} are answered 400: they differ by case alone, and an application \
             may not tell them apart",
            route.path.written(),
            other.path.written(),
            book.place(place)
        );
        book.warn(at, message, "give both the same policy, or keep one of them");
    }
}

/// Whoever finds a spelling of the guarded path that the application takes and we do not is
/// on the public route.
fn open_around_guarded(at: &At, open: &Route, routes: &[(At, Route)], book: &mut Book<'_>) {
    if open.policy != Policy::Public {
        return;
    }
    let inside = routes.iter().find(|(_, other)| {
        other.policy != Policy::Public
            && other.host == open.host
            && other.path != open.path
            && covers(open, other)
    });
    if let Some((place, guarded)) = inside {
        let message = format!(
            "[[routes]] \"{}\" is public and covers \"{}\", which is guarded, at {}",
            open.path.written(),
            guarded.path.written(),
            book.place(place)
        );
        let help = "guard the outer route, and open single paths inside it with policy = \"public\"";
        book.warn(at, message, help);
    }
}

/// A host that has any route is searched alone (contract section 4).
fn open_host_beside_guarded(at: &At, open: &Route, routes: &[(At, Route)], book: &mut Book<'_>) {
    let Some(host) = open.host.as_deref().filter(|_| open.policy == Policy::Public) else { return };
    let guarded_here = |path: &Route| {
        let here = |other: &&(At, Route)| other.1.host == open.host && other.1.policy != Policy::Public;
        routes.iter().filter(here).any(|(_, other)| covers(other, path))
    };
    let left_out = routes.iter().find(|(_, other)| {
        other.host.is_none() && other.policy != Policy::Public && covers(open, other) && !guarded_here(other)
    });
    if let Some((place, guarded)) = left_out {
        let message = format!(
            "[[routes]] \"{}\" on {host} is public, and \"{}\" at {} does not hold there: \
             a host that has a route of its own is searched alone",
            open.path.written(),
            guarded.path.written(),
            book.place(place)
        );
        book.warn(
            at,
            message,
            format!("if it must be guarded there too, write it again with host = \"{host}\""),
        );
    }
}

/// Servers that cut a path at `;`, `#` or `?` read every spelling of such a path as the one
/// before the mark (decision 0007).
fn mark_within_a_path(at: &At, route: &Route, routes: &[(At, Route)], book: &mut Book<'_>) {
    let written = route.path.written();
    let Some(mark) = [";", "%3B", "%23", "%3F"].into_iter().find(|mark| written.contains(mark)) else {
        return;
    };
    let around = routes.iter().map(|(_, other)| other);
    let around =
        around.filter(|other| other.host == route.host && other.path != route.path && covers(other, route));
    let nearest = around.max_by_key(|other| other.path.written().len());
    if nearest.is_none_or(|other| other.policy != route.policy) {
        let message = format!(
            "[[routes]] \"{written}\" is answered 400 in every spelling: some servers end a path at \"{mark}\", \
             and what is before it {}",
            match nearest {
                Some(other) => format!("falls under \"{}\", which has another policy", other.path.written()),
                None => "has no route".to_owned(),
            }
        );
        book.warn(at, message, format!("guard the path before the \"{mark}\" with the same policy"));
    }
}

fn covers(outer: &Route, inner: &Route) -> bool {
    let RoutePath::Prefix(prefix) = &outer.path else { return outer.path == inner.path };
    let (RoutePath::Exact(path) | RoutePath::Prefix(path)) = &inner.path;
    prefix.is_empty() || is_within(path, prefix)
}

/// Who is signed in, and everything that is answered, can be read and changed on the way.
pub(crate) fn upstream(label: &str, origin: &Origin, at: &At, book: &mut Book<'_>) {
    let host = origin.host.trim_start_matches('[').trim_end_matches(']');
    if !origin.https && host.parse::<IpAddr>().is_ok_and(is_public) {
        let message =
            format!("{label}: {} is a public address, and http can be read on the way", origin.host);
        book.warn(at, message, "write https://, or reach it by a private address");
    }
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            // RFC 6598: between a provider and its customers.
            let shared = v4.octets()[0] == 100 && v4.octets()[1] & 0xc0 == 64;
            let near =
                v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4 == Ipv4Addr::UNSPECIFIED;
            !near && !shared
        }
        IpAddr::V6(v6) => {
            let near = v6.is_loopback() || v6.is_unicast_link_local() || v6.is_unique_local();
            !near && !v6.is_unspecified()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn warned(text: &str) -> Vec<String> {
        let text = format!(
            "[strategies.local]\nkind = \"local\"\n[upstreams.api]\nurls = [\"http://127.0.0.1:1\"]\n{text}"
        );
        let config = crate::parse(&text, Path::new("p"), &[]).expect("it is legal");
        config.warnings.iter().map(ToString::to_string).collect()
    }

    fn routes_warned(routes: &[(&str, &str)]) -> Vec<String> {
        let one = |(path, more): &(&str, &str)| {
            format!("[[routes]]\npath = \"{path}\"\nupstream = \"api\"\n{more}\n")
        };
        warned(&routes.iter().map(one).collect::<String>())
    }

    const PUBLIC: &str = "policy = \"public\"";

    #[test]
    fn a_public_route_around_a_guarded_one_is_named_with_both_places() {
        let found = routes_warned(&[("/*", PUBLIC), ("/admin/*", "")]);
        assert_eq!(
            found,
            ["p:6:8: [[routes]] \"/*\" is public and covers \"/admin/*\", which is guarded, at p:10:8\n    \
              help: guard the outer route, and open single paths inside it with policy = \"public\""]
        );
        for fine in [
            [("/*", ""), ("/public/*", PUBLIC)],
            [("/a/*", PUBLIC), ("/ab/*", "")],
            [("/a", PUBLIC), ("/a/b", "")],
            [("/a/*", PUBLIC), ("/a/b", PUBLIC)],
        ] {
            assert!(routes_warned(&fine).is_empty(), "{fine:?}");
        }
    }

    #[test]
    fn a_guarded_route_that_does_not_hold_on_a_public_host_is_named() {
        let open = format!("host = \"a.test\"\n{PUBLIC}");
        let found = routes_warned(&[("/*", &open), ("/admin/*", "")]);
        assert!(found.len() == 1 && found[0].contains("on a.test is public, and \"/admin/*\""), "{found:?}");
        let again = routes_warned(&[("/*", &open), ("/admin/*", ""), ("/admin/*", "host = \"a.test\"")]);
        assert!(again.iter().all(|one| !one.contains("does not hold there")), "{again:?}");
    }

    #[test]
    fn a_path_with_an_escape_that_can_never_be_reached_is_named() {
        let found =
            routes_warned(&[("/*", PUBLIC), ("/a%3Bb", PUBLIC), ("/c%3Bd", "policy = { roles = [\"x\"] }")]);
        assert_eq!(
            found.iter().filter(|one| one.contains("\"/c%3Bd\" is answered 400")).count(),
            1,
            "{found:?}"
        );
        assert!(!found.iter().any(|one| one.contains("a%3Bb")), "{found:?}");
    }

    #[test]
    fn paths_that_differ_by_case_alone_under_two_policies_are_named_once() {
        let found = routes_warned(&[("/Admin/*", "policy = { roles = [\"x\"] }"), ("/admin/*", "")]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("p:9:8:") || found[0].starts_with("p:10:8:"), "{found:?}");
        assert!(found[0].contains("\"/admin/*\" and \"/Admin/*\" at p:6:8 are answered 400"), "{found:?}");
        for fine in [
            [("/Admin/*", ""), ("/admin/*", "")],
            [("/Admin", ""), ("/admin/*", "policy = { roles = [\"x\"] }")],
        ] {
            assert!(routes_warned(&fine).is_empty(), "{fine:?}");
        }
        let other_host = [("/Admin", "host = \"a.test\""), ("/admin", "policy = { roles = [\"x\"] }")];
        assert!(routes_warned(&other_host).is_empty());
    }

    #[test]
    fn an_upstream_over_http_is_near() {
        let of = |url: &str| {
            warned(&format!(
                "[upstreams.far]\nurls = [\"{url}\"]\n[[routes]]\npath = \"/*\"\nupstream = \"api\"\n"
            ))
        };
        for far in ["http://203.0.113.5", "http://8.8.8.8:3000", "http://[2001:db8::1]", "http://100.128.0.1"]
        {
            assert!(of(far).iter().any(|one| one.contains("is a public address")), "{far}");
        }
        for near in [
            "http://10.1.2.3",
            "http://172.20.0.1",
            "http://192.168.1.1",
            "http://127.0.0.1:1",
            "http://100.64.0.1",
            "http://[::1]",
            "http://[fd00::1]",
            "http://[fe80::1]",
            "http://api.internal",
            "http://169.254.1.1",
        ] {
            assert!(of(near).is_empty(), "{near}: {:?}", of(near));
        }
    }
}
