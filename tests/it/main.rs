//! The front door, one file per behaviour, in one binary: compiled and linked once.
#![allow(clippy::unwrap_used)] // tests: a panic is the report

mod admin;
mod appearance;
mod bodies;
mod browser;
mod cli;
mod demo;
mod drain;
mod first_minute;
mod forwarding;
mod framing;
mod harness;
mod heads;
mod identity_headers;
mod keys;
mod login;
mod logs;
mod negotiation;
mod nginx;
mod operator;
mod origins;
mod pages;
mod paths;
mod reload;
mod routing;
mod sessions;
mod shared_connections;
mod store;
mod streams;
mod supervisor;
mod tls;
mod tokens;
mod upgrades;
mod upstreams;
mod websockets;
mod wrong;
