//! The strategy against a real OpenLDAP server, as the gateway calls it but without one.
//! What may not come in: anything that a hostile server does (`hostile.rs` plays one).

#![allow(clippy::unwrap_used)] // tests: a panic is the report

mod bench;
mod diagnosis;
mod groups;
mod hostile;
mod logins;
mod names;
mod one_person;
mod passwords;
mod patience;
mod pool;
mod server;
mod support;
mod tls;
