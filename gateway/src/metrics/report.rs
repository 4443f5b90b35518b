//! All numbers at once, as one scrape gets them.

use super::{
    Metrics,
    cells::{BOUNDS, CLASSES, Seen},
    limits::Limit,
    lock,
    text::Text,
};
use crate::{
    proxy::listen::Admission,
    registry::{OUTCOMES, Registry, process},
    store::Store,
    telemetry::panics,
};
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

/// How long a scrape waits for the store; without it the number of sessions is left out.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the numbers are that somebody keeps anyway.
pub struct Sources {
    /// Sessions and failures of the store.
    pub store: Store,
    /// Open connections.
    pub connections: Arc<Admission>,
}

impl Metrics {
    /// Everything, as OpenMetrics text.
    pub async fn report(&self, sources: &Sources, registry: &Registry) -> String {
        let mut text = Text::default();
        text.family("portcullis_build", "info", "The version that runs.");
        text.sample("portcullis_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        self.requests(&mut text);
        self.upstreams(&mut text);
        self.logins(&mut text);
        self.refusals(&mut text);
        self.accounts(&mut text);
        strategies(registry, &mut text);
        calls(registry, &mut text);
        text.family("portcullis_connections", "gauge", "Open client connections.");
        text.sample("portcullis_connections", &[], sources.connections.open());
        let counted = tokio::time::timeout(PATIENCE, sources.store.count_sessions()).await;
        if let Ok(Ok(sessions)) = counted {
            text.family("portcullis_sessions", "gauge", "Sessions that are not past their end.");
            text.sample("portcullis_sessions", &[], sessions);
        }
        if let Ok(Ok(waiting)) = tokio::time::timeout(PATIENCE, sources.store.count_mails()).await {
            text.family("portcullis_mails_waiting", "gauge", "Mails that wait to be sent.");
            text.sample("portcullis_mails_waiting", &[], waiting);
        }
        text.family("portcullis_panics", "counter", "Defects: what panicked, and ended alone.");
        text.sample("portcullis_panics_total", &[], panics());
        text.family("portcullis_store_errors", "counter", "Questions that the store did not answer.");
        text.sample("portcullis_store_errors_total", &[], sources.store.errors());
        text.family("portcullis_config_reloads", "counter", "Configurations read again, taken or refused.");
        for (result, count) in [("taken", &self.reloads), ("refused", &self.failed_reloads)] {
            text.sample("portcullis_config_reloads_total", &[("result", result)], count.load(Relaxed));
        }
        text.end()
    }

    /// By route and class, over all workers. A route that nobody asked for is not there.
    pub(super) fn seen(&self) -> BTreeMap<(String, usize), Seen> {
        let mut all: BTreeMap<(String, usize), Seen> = BTreeMap::new();
        for worker in lock(&self.workers).iter() {
            for (route, cells) in lock(&worker.routes).iter() {
                for class in 0..CLASSES.len() {
                    let seen = cells.seen(class);
                    if seen.count() > 0 {
                        all.entry((route.clone(), class)).or_default().add(&seen);
                    }
                }
            }
        }
        all
    }

    fn requests(&self, text: &mut Text) {
        let all = self.seen();
        let labelled = || all.iter().map(|((route, class), seen)| (route.as_str(), CLASSES[*class], seen));
        text.family("portcullis_requests", "counter", "Requests by route and class of the status.");
        for (route, class, seen) in labelled() {
            text.sample("portcullis_requests_total", &[("route", route), ("class", class)], seen.count());
        }
        let name = "portcullis_request_duration_seconds";
        text.family(name, "histogram", "From the head of a request to the end of its answer.");
        for (route, class, seen) in labelled() {
            let mut below = 0;
            for (at, count) in seen.buckets.iter().enumerate() {
                below += count;
                let bound = BOUNDS.get(at).map_or("+Inf".to_owned(), |micros| seconds(*micros));
                let labels = [("route", route), ("class", class), ("le", &bound)];
                text.sample(&format!("{name}_bucket"), &labels, below);
            }
            let labels = [("route", route), ("class", class)];
            text.sample(&format!("{name}_count"), &labels, below);
            text.sample(&format!("{name}_sum"), &labels, seconds(seen.micros));
        }
    }

    fn upstreams(&self, text: &mut Text) {
        let mut all: BTreeMap<(String, &str), u64> = BTreeMap::new();
        for worker in lock(&self.workers).iter() {
            for (upstream, code, count) in lock(&worker.failures).iter() {
                *all.entry((upstream.clone(), code)).or_default() += count;
            }
        }
        let help = "Requests that an upstream did not answer, by the code of our answer.";
        text.family("portcullis_upstream_failures", "counter", help);
        for ((upstream, code), count) in &all {
            let labels = [("upstream", upstream.as_str()), ("code", code)];
            text.sample("portcullis_upstream_failures_total", &labels, count);
        }
    }

    fn logins(&self, text: &mut Text) {
        text.family("portcullis_logins", "counter", "Logins by strategy and what they came to.");
        for ((strategy, result), count) in lock(&self.logins).iter() {
            let labels = [("strategy", strategy.as_str()), ("result", result)];
            text.sample("portcullis_logins_total", &labels, count);
        }
    }

    fn refusals(&self, text: &mut Text) {
        let help = "Refusals because a client met a limit, by the limit.";
        text.family("portcullis_limit_refusals", "counter", help);
        for limit in Limit::ALL {
            let labels = [("limit", limit.name())];
            text.sample("portcullis_limit_refusals_total", &labels, self.limits.of(*limit));
        }
        let help = "Streams and connections of HTTP/2 that we ended with an error, by its code.";
        text.family("portcullis_http2_refusals", "counter", help);
        for (what, reason, count) in self.http2.all() {
            text.sample("portcullis_http2_refusals_total", &[("what", what), ("reason", reason)], count);
        }
    }

    fn accounts(&self, text: &mut Text) {
        let help = "Registrations, resets, changes of passwords and the like, and what they came to.";
        text.family("portcullis_accounts", "counter", help);
        for ((operation, result), count) in lock(&self.accounts).iter() {
            text.sample("portcullis_accounts_total", &[("operation", operation), ("result", result)], count);
        }
    }
}

fn strategies(registry: &Registry, text: &mut Text) {
    text.family("portcullis_strategy_degraded", "gauge", "1: it did not start, or is set aside.");
    for one in registry.list() {
        let degraded = u8::from(one.is_degraded());
        text.sample("portcullis_strategy_degraded", &[("strategy", one.id())], degraded);
    }
    let help = "Work that waits for a thread of the strategy, such as hashing a password.";
    text.family("portcullis_strategy_queue", "gauge", help);
    for one in registry.list() {
        text.sample("portcullis_strategy_queue", &[("strategy", one.id())], one.queued());
    }
}

/// What calls of strategies came to, and what libraries did.
fn calls(registry: &Registry, text: &mut Text) {
    let counted = || registry.list().iter().filter_map(|one| Some((one, one.counts()?)));
    let help = "Calls of strategies by what they came to.";
    text.family("portcullis_strategy_calls", "counter", help);
    for (one, counts) in counted() {
        for (outcome, count) in OUTCOMES.iter().zip(counts.calls()) {
            let labels = [("strategy", one.id()), ("outcome", outcome)];
            text.sample("portcullis_strategy_calls_total", &labels, count);
        }
    }
    let name = "portcullis_strategy_call_seconds";
    text.family(name, "counter", "How long calls of strategies took together.");
    for (one, counts) in counted() {
        text.sample(&format!("{name}_total"), &[("strategy", one.id())], seconds(counts.micros()));
    }
    let help = "Calls that a strategy has not answered yet, waited for or not.";
    text.family("portcullis_strategy_in_flight", "gauge", help);
    for one in registry.list() {
        text.sample("portcullis_strategy_in_flight", &[("strategy", one.id())], one.in_flight());
    }
    text.family("portcullis_plugin_events", "counter", "What strategy libraries did, by name.");
    for (event, count) in process() {
        text.sample("portcullis_plugin_events_total", &[("event", event)], count);
    }
}

/// Whole microseconds as seconds, exactly, with at least one decimal.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    let short = text.trim_end_matches('0');
    if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_added_up_and_buckets_hold_those_below() {
        let metrics = Metrics::default();
        for took in [700, 3_000_000] {
            metrics.meter().request(None, 200, Duration::from_micros(took));
        }
        let mut text = Text::default();
        metrics.requests(&mut text);
        let text = text.end();
        for line in [
            "portcullis_requests_total{route=\"(none)\",class=\"2xx\"} 2",
            "_bucket{route=\"(none)\",class=\"2xx\",le=\"0.0005\"} 0",
            "_bucket{route=\"(none)\",class=\"2xx\",le=\"0.001\"} 1",
            "_bucket{route=\"(none)\",class=\"2xx\",le=\"5.0\"} 2",
            "_bucket{route=\"(none)\",class=\"2xx\",le=\"+Inf\"} 2",
            "portcullis_request_duration_seconds_sum{route=\"(none)\",class=\"2xx\"} 3.0007",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}:\n{text}");
        }
    }

    #[test]
    fn times_are_written_without_rounding() {
        assert_eq!([500, 1_000_000, 10_000_000, 1].map(seconds), ["0.0005", "1.0", "10.0", "0.000001"]);
    }
}
