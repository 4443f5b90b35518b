//! One line for each request: who asked what, which way it went, how it ended. No query,
//! no credential, no field but those named here.

use super::{
    authenticate::Identity,
    exchange::Done,
    http1::head::{Head, Span},
    pipeline::Request,
    worker::Worker,
};
use crate::{
    clock::UnixMillis,
    metrics::RouteMeter,
    snapshot::Route,
    telemetry::{Line, Logger},
};
use std::{cell::RefCell, net::IpAddr, rc::Rc, time::Duration};

/// Lines are handed on when they come to so many bytes, and ten times a second.
const BATCH: usize = 32 * 1024;

/// What is known of a request; filled in as it becomes known. Without an access log only
/// the id is kept.
pub struct Entry {
    /// The request's id.
    pub id: String,
    /// Where it is counted, once that is known.
    pub meter: Option<Rc<RouteMeter>>,
    wanted: bool,
    now: Option<UnixMillis>,
    client: IpAddr,
    method: String,
    host: String,
    path: String,
    route: Option<String>,
    user: Option<String>,
}

impl Entry {
    /// Of a head that may yet turn out not to be understood: host and path as they were sent.
    pub fn new(head: &Head, bytes: &[u8], peer: IpAddr, log: &AccessLog) -> Self {
        let wanted = log.logger.is_some();
        let text = |span: Span| {
            if wanted { String::from_utf8_lossy(span.of_buffer(bytes)).into_owned() } else { String::new() }
        };
        let mut path = text(head.target);
        // Neither a query nor the userinfo of a URL belongs in a log.
        let end = if path.starts_with('/') { path.find('?').unwrap_or(path.len()) } else { 0 };
        path.truncate(end);
        Self {
            id: String::new(),
            meter: None,
            wanted,
            now: None,
            client: peer,
            method: text(head.method),
            host: text(head.host),
            path,
            route: None,
            user: None,
        }
    }

    /// Host, path and client are known.
    pub fn understood(&mut self, request: &Request<'_>) {
        if self.wanted {
            self.id.clone_from(&request.id);
            self.now = Some(request.now);
            self.client = request.origin.client;
            self.host = request.host.to_text();
            self.path.clone_from(&request.path);
        }
    }

    /// The route is known, and who asked.
    pub fn routed(&mut self, route: &Route, identity: Option<&Identity>) {
        if self.wanted {
            self.route = Some(route.id.clone());
            self.user = identity.map(|i| i.account.public_name());
        }
    }
}

/// One worker's share of the access log.
pub struct AccessLog {
    logger: Option<Logger>,
    lines: RefCell<Vec<u8>>,
}

impl AccessLog {
    /// `None`: nothing is written.
    pub fn new(logger: Option<Logger>) -> Self {
        Self { logger, lines: RefCell::default() }
    }

    /// Writes one line.
    pub fn request(&self, entry: &Entry, done: &Done, took: Duration, worker: &Worker) {
        let Some(logger) = &self.logger else { return };
        let now = entry.now.unwrap_or_else(|| worker.clock.now());
        let mut line = Line::new(logger.format, now, None);
        line.message("access", &entry.method);
        line.field("host", &entry.host).field("path", &entry.path);
        line.plain("status", &done.status.to_string());
        line.plain("duration_ms", &format!("{:.3}", took.as_secs_f64() * 1000.0));
        line.plain("bytes", &done.sent.to_string());
        line.field("client_ip", &entry.client.to_string());
        if let Some(route) = &entry.route {
            line.field("route", route);
        }
        if let Some(user) = &entry.user {
            line.field("user", user);
        }
        line.field("request_id", &entry.id);
        let mut lines = self.lines.borrow_mut();
        lines.extend(line.finish());
        if lines.len() >= BATCH {
            logger.sink.write(std::mem::take(&mut lines));
        }
    }

    /// Hands on what there is.
    pub fn flush(&self) {
        let lines = std::mem::take(&mut *self.lines.borrow_mut());
        if let (Some(logger), false) = (&self.logger, lines.is_empty()) {
            logger.sink.write(lines);
        }
    }
}
