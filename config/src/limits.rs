//! `[limits]`: how much a client may take.

use crate::{
    problem::Book,
    section::{ANY, Section},
    tree::Table,
};
use std::time::Duration;

/// `[limits]`
#[derive(Clone, Debug)]
pub struct Limits {
    /// The header block, with the request line.
    pub header_bytes: usize,
    /// How many header fields.
    pub headers: usize,
    /// The request line.
    pub request_line: usize,
    /// The body of an endpoint request.
    pub login_body: usize,
    /// Nesting of a JSON body.
    pub json_depth: usize,
    /// Fields of a body.
    pub json_fields: usize,
    /// Streams of one HTTP/2 connection at a time.
    pub h2_streams: u32,
    /// The fields of one HTTP/2 request, unpacked.
    pub h2_header_list: u32,
    /// Open client connections; none: from the descriptor limit.
    pub connections: Option<usize>,
    /// Open connections of one client address.
    pub per_address_connections: Option<usize>,
    /// From accept or the first byte to the end of the head.
    pub header_timeout: Duration,
    /// Between requests.
    pub idle_timeout: Duration,
    /// Without a byte of a body.
    pub body_stall: Duration,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &[
    "header_bytes",
    "headers",
    "request_line",
    "login_body",
    "json_depth",
    "json_fields",
    "h2_streams",
    "h2_header_list",
    "connections",
    "per_address_connections",
    "header_timeout",
    "idle_timeout",
    "body_stall",
];

/// A gateway that holds more than this for one client is misconfigured.
const MOST_BYTES: u32 = 16 * 1024 * 1024;
/// A head is parsed on the stack, with room for so many fields.
const MOST_FIELDS: u32 = 256;
/// More connections than a machine has ports.
const MOST_CONNECTIONS: u32 = 10_000_000;

/// Reads the table.
pub(crate) fn read(root: &Table, book: &mut Book<'_>) -> Limits {
    let table = Section::open(root, "limits", KEYS, book);
    let mut count = |key, most| table.field(key).and_then(|f| f.count(most, book)).map(|n| n as usize);
    let header_bytes = count("header_bytes", MOST_BYTES).unwrap_or(32 * 1024);
    let headers = count("headers", MOST_FIELDS).unwrap_or(100);
    let request_line = count("request_line", MOST_BYTES).unwrap_or(16 * 1024);
    let login_body = count("login_body", MOST_BYTES).unwrap_or(64 * 1024);
    // A deeper nesting would exhaust the stack of whoever reads it.
    let json_depth = count("json_depth", 100).unwrap_or(16);
    let json_fields = count("json_fields", 10_000).unwrap_or(64);
    let h2_streams = count("h2_streams", 10_000).map_or(100, |n| n as u32);
    let h2_header_list = count("h2_header_list", MOST_BYTES).map_or(32 * 1024, |n| n as u32);
    let connections = count("connections", MOST_CONNECTIONS);
    let per_address_connections = count("per_address_connections", MOST_CONNECTIONS);
    let mut time = |key, seconds| {
        let given = table.field(key).and_then(|field| field.duration(ANY, book));
        given.unwrap_or(Duration::from_secs(seconds))
    };
    Limits {
        header_bytes,
        headers,
        request_line,
        login_body,
        json_depth,
        json_fields,
        h2_streams,
        h2_header_list,
        connections,
        per_address_connections,
        header_timeout: time("header_timeout", 10),
        idle_timeout: time("idle_timeout", 60),
        body_stall: time("body_stall", 30),
    }
}
