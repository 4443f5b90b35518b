//! What the admin listener says, as bytes.

use super::{
    standing::{Readiness, Standing},
    visitor::Refused,
};
use crate::metrics::MEDIA_TYPE;
use serde_json::json;

const TEXT: &str = "text/plain; charset=utf-8";

/// The answer to a method and a target.
pub(super) async fn to(method: &str, target: &str, standing: &Standing) -> String {
    let path = target.split('?').next().unwrap_or_default();
    if !matches!(path, "/livez" | "/readyz" | "/metrics") {
        return whole("404 Not Found", "", TEXT, "here are /livez, /readyz and /metrics\n");
    }
    if method != "GET" {
        return whole("405 Method Not Allowed", "allow: GET\r\n", TEXT, "only GET\n");
    }
    match path {
        "/livez" => whole("200 OK", "", TEXT, "ok\n"),
        "/readyz" => ready(&standing.readiness().await),
        _ => {
            let report = standing.metrics.report(&standing.sources, &standing.registry()).await;
            whole("200 OK", "", MEDIA_TYPE, &report)
        }
    }
}

/// Something came that is no request.
pub(super) fn bad_request() -> String {
    whole("400 Bad Request", "", TEXT, "this is no request\n")
}

/// Somebody else's page asks, or may.
pub(super) fn refusal(refused: Refused) -> String {
    match refused {
        Refused::Foreign => whole("403 Forbidden", "", TEXT, "this is for no page of another origin\n"),
        Refused::Misdirected => {
            let why = "a browser is answered by the address, by localhost, or by a name in [server] hosts\n";
            whole("421 Misdirected Request", "", TEXT, why)
        }
    }
}

fn ready(readiness: &Readiness) -> String {
    let body = json!({
        "ready": readiness.is_ready(),
        "store": if readiness.store { "ok" } else { "does not answer" },
        "listeners": if readiness.draining { "draining: no new connections" } else { "ok" },
        "degraded_strategies": readiness.degraded,
    });
    let status = if readiness.is_ready() { "200 OK" } else { "503 Service Unavailable" };
    whole(status, "", "application/json", &format!("{body}\n"))
}

fn whole(status: &str, more: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         x-content-type-options: nosniff\r\n{more}connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_ready_is_named_and_a_degraded_strategy_is_only_a_flag() {
        let fine = || Readiness { store: true, draining: false, degraded: vec!["ldap".into()] };
        assert!(ready(&fine()).starts_with("HTTP/1.1 200 ") && ready(&fine()).contains("[\"ldap\"]"));
        for (not, named) in [
            (Readiness { store: false, ..fine() }, "\"store\":\"does not answer\""),
            (Readiness { draining: true, ..fine() }, "\"listeners\":\"draining: no new connections\""),
        ] {
            let answer = ready(&not);
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains(named), "{answer}");
        }
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let answer = whole("200 OK", "", TEXT, "é\n");
        assert!(answer.contains("content-length: 3\r\n"), "{answer}");
    }
}
