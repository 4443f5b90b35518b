//! What a gateway counts: its admin listener, asked like a monitor asks it.

use crate::{connection::Connection, ports, request::Request};
use std::net::SocketAddr;

/// Where the numbers of a gateway are.
#[derive(Clone, Copy, Debug)]
pub struct Numbers(pub SocketAddr);

impl Numbers {
    /// A place that is free, for the admin listener does not say which port it got.
    pub fn place() -> Self {
        Self(ports::nobody())
    }

    /// `[admin]` for this place.
    pub fn table(&self) -> String {
        format!("\n[admin]\nlisten = \"{}\"\n", self.0)
    }

    /// A whole scrape.
    #[track_caller]
    pub fn text(&self) -> String {
        Connection::open(self.0).send(&Request::get("/metrics")).expect(200, "").text()
    }

    /// A sample by its name and labels.
    #[track_caller]
    pub fn sample(&self, name: &str) -> u64 {
        let text = self.text();
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("no sample of {name}:\n{text}"))
    }

    /// Refusals so far by this limit.
    #[track_caller]
    pub fn refused(&self, limit: &str) -> u64 {
        self.sample(&format!("portcullis_limit_refusals_total{{limit=\"{limit}\"}}"))
    }
}
