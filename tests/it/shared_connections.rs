//! What must not pass from one person to another by way of what they share: upstream
//! connections and caches (contract sections 6 and 7; D-07).

use portcullis_tests::{Request, Site, Upstream, site::ROUTES, upstream::answer};

// D-07
#[test]
fn a_connection_that_signs_somebody_in_is_not_used_for_the_next() {
    for (challenge, connections) in [("NTLM TlRMTVNTUAAC", 2), ("Negotiate x", 2), ("Basic realm=x", 1)] {
        let upstream = Upstream::answering(move |_| answer(401, &[("WWW-Authenticate", challenge)], b"no"));
        // One worker, so that both requests would find the same connection.
        let site = Site::before(upstream, "threads = 1", ROUTES);
        for _ in 0..2 {
            site.send(&Request::get("/public")).expect(401, "");
        }
        assert_eq!(site.upstream.connections(), connections, "{challenge}");
    }
}

#[test]
fn an_answer_that_takes_a_cookie_back_is_kept_by_no_shared_cache() {
    let upstream =
        Upstream::answering(|_| answer(200, &[("Cache-Control", "public, s-maxage=60, max-age=60")], b"ok"));
    let site = Site::before(upstream, "", ROUTES);
    let dead = format!("portcullis={}", "A".repeat(43));
    let plain = site.send(&Request::get("/public").navigation()).expect(200, "");
    assert_eq!(plain.header("cache-control"), Some("public, s-maxage=60, max-age=60"));
    let taken = site.send(&Request::get("/public").navigation().cookie(&dead)).expect(200, "");
    assert!(taken.header("set-cookie").is_some_and(|c| c.starts_with("portcullis=;")), "{taken:?}");
    assert_eq!(taken.header("cache-control"), Some("max-age=60, private"));
}
