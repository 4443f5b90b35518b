//! What one worker counts. A cell is written by one thread alone, so adding to it is a load
//! and a store, without a lock on the bus and without a line of memory that another core
//! writes; whoever reads sees a number that was true a moment ago.

use super::{
    limits::{Http2Refusals, Limit, Refusals, Refused},
    lock,
};
use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// Upper bounds of the buckets, in microseconds; above the last there is one more.
pub(super) const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// The first digits of a status.
pub(super) const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The names of requests that no route has.
pub(super) const ENDPOINTS: &str = "(endpoints)";
pub(super) const NO_ROUTE: &str = "(none)";

/// What the requests of one route came to, on one worker. On lines of memory of its own.
#[repr(align(128))]
#[derive(Default)]
pub(super) struct RouteCells([Class; CLASSES.len()]);

#[derive(Default)]
struct Class {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// One route's requests of one class: how many in each bucket, and their time in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) buckets: [u64; BOUNDS.len() + 1],
    pub(super) micros: u64,
}

impl Seen {
    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (mine, more) in self.buckets.iter_mut().zip(other.buckets) {
            *mine += more;
        }
        self.micros += other.micros;
    }
}

impl RouteCells {
    fn add(&self, status: u16, took: Duration) {
        let class = &self.0[usize::from(status / 100).clamp(1, CLASSES.len()) - 1];
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // A bound belongs to the bucket below it, as OpenMetrics has it.
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        one_writer(&class.buckets[bucket], 1);
        one_writer(&class.micros, micros);
    }

    pub(super) fn seen(&self, class: usize) -> Seen {
        let class = &self.0[class];
        Seen {
            buckets: class.buckets.each_ref().map(|cell| cell.load(Relaxed)),
            micros: class.micros.load(Relaxed),
        }
    }
}

/// Adds to a cell that no other thread writes.
fn one_writer(cell: &AtomicU64, more: u64) {
    cell.store(cell.load(Relaxed).wrapping_add(more), Relaxed);
}

/// A worker's cells as others see them. The locks are taken when a route is met for the
/// first time, and by whoever reads.
#[derive(Default)]
pub(super) struct WorkerCells {
    pub(super) routes: Mutex<Vec<(String, Arc<RouteCells>)>>,
    /// By upstream and code.
    pub(super) failures: Mutex<Vec<(String, &'static str, u64)>>,
}

impl WorkerCells {
    fn route(&self, id: &str) -> Rc<RouteMeter> {
        let cells = Arc::new(RouteCells::default());
        lock(&self.routes).push((id.to_owned(), cells.clone()));
        Rc::new(RouteMeter(cells))
    }
}

/// Where a request of one route is counted; bound to its worker's thread.
pub struct RouteMeter(Arc<RouteCells>);

/// One worker's way to its cells; bound to its thread.
pub struct Meter {
    cells: Arc<WorkerCells>,
    limits: Arc<Refusals>,
    http2: Arc<Http2Refusals>,
    /// By the id of the route, which keeps its cells through a reload.
    met: RefCell<HashMap<String, Rc<RouteMeter>>>,
    endpoints: Rc<RouteMeter>,
    no_route: Rc<RouteMeter>,
}

impl Meter {
    pub(super) fn new(cells: Arc<WorkerCells>, limits: Arc<Refusals>, http2: Arc<Http2Refusals>) -> Self {
        let (endpoints, no_route) = (cells.route(ENDPOINTS), cells.route(NO_ROUTE));
        Self { cells, limits, http2, met: RefCell::default(), endpoints, no_route }
    }

    /// Where this route's requests are counted.
    pub fn route(&self, id: &str) -> Rc<RouteMeter> {
        let mut met = self.met.borrow_mut();
        if let Some(known) = met.get(id) {
            return known.clone();
        }
        let meter = self.cells.route(id);
        met.insert(id.to_owned(), meter.clone());
        meter
    }

    /// Where requests to our own endpoints are counted.
    pub fn endpoints(&self) -> Rc<RouteMeter> {
        self.endpoints.clone()
    }

    /// A request is over. Without a meter of its own it had no route.
    pub fn request(&self, at: Option<&RouteMeter>, status: u16, took: Duration) {
        at.unwrap_or(&self.no_route).0.add(status, took);
    }

    /// A client was refused because it met this limit.
    pub fn limit(&self, limit: Limit) {
        self.limits.count(limit);
    }

    /// A stream or a connection of HTTP/2 ended in an error that we told.
    pub fn http2(&self, what: Refused, code: u32) {
        self.http2.count(what, code);
    }

    /// An upstream did not do its part.
    pub fn upstream_failed(&self, upstream: &str, code: &'static str) {
        let mut failures = lock(&self.cells.failures);
        match failures.iter_mut().find(|(id, known, _)| id == upstream && *known == code) {
            Some((_, _, count)) => *count += 1,
            None => failures.push((upstream.to_owned(), code, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn a_time_on_a_bound_is_in_the_bucket_below_and_no_status_falls_out() {
        let cells = RouteCells::default();
        for (micros, bucket) in
            [(0, 0), (500, 0), (501, 1), (10_000_000, 13), (10_000_001, 14), (u64::MAX, 14)]
        {
            let before = cells.seen(1);
            cells.add(200, Duration::from_micros(micros));
            assert_eq!(cells.seen(1).buckets[bucket], before.buckets[bucket] + 1, "{micros}");
        }
        for (status, class) in [(101, 0), (303, 2), (499, 3), (504, 4), (0, 0), (999, 4)] {
            let before = cells.seen(class).count();
            cells.add(status, Duration::ZERO);
            assert_eq!(cells.seen(class).count(), before + 1, "{status}");
        }
    }

    #[test]
    fn a_route_has_one_set_of_cells_on_a_worker() {
        let metrics = Metrics::default();
        let meter = metrics.meter();
        meter.request(Some(&meter.route("a")), 200, Duration::ZERO);
        meter.request(Some(&meter.route("a")), 200, Duration::ZERO);
        let workers = lock(&metrics.workers);
        let routes = lock(&workers[0].routes);
        let of_a: Vec<u64> =
            routes.iter().filter(|(id, _)| id == "a").map(|(_, c)| c.seen(1).count()).collect();
        assert_eq!(of_a, [2]);
    }

    #[test]
    fn cells_of_two_routes_share_no_line_of_memory() {
        assert_eq!(align_of::<RouteCells>(), 128);
        assert_eq!(size_of::<RouteCells>() % 128, 0);
    }

    /// `cargo test --release -p portcullis what_counting_costs -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn what_counting_costs() {
        let meter = Metrics::default().meter();
        let (start, rounds) = (std::time::Instant::now(), 10_000_000u32);
        for round in 0..rounds {
            let at = meter.route(std::hint::black_box("/api/orders/*"));
            meter.request(Some(&at), 200, Duration::from_micros(u64::from(round % 3_000)));
        }
        eprintln!("{:?} for each request", start.elapsed() / rounds);
    }
}
