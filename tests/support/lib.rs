//! What the tests of the front door stand on: a gateway on a free port, a client that
//! writes bytes and reads strictly, upstreams that record bytes or misbehave on purpose.
//!
//! `program.rs` the built binary · `gateway.rs` one running gateway · `site.rs` a gateway
//! with an upstream and alice · `request.rs` `connection.rs` `response.rs` the client ·
//! `raw.rs` bytes against the shared site · `upstream.rs` `recorded.rs` what an upstream saw · `readers.rs` how applications read
//! it · `websocket.rs` `frames.rs` frames by hand · `login.rs` signing in · `load.rs` many requests at a
//! steady rate · `numbers.rs` what is counted · `wait.rs` conditions instead of sleeps · `rng.rs` repeatable variants ·
//! `libraries.rs` strategy libraries · `services.rs` programs that may be missing · `certificates.rs` a private authority ·
//! `ports.rs` ports of our own ·
//! `directory.rs` an OpenLDAP server · `corp.rs` a gateway before it · `swallow.rs` a way to it that loses what it carries.
//!
//! What may not come in: a crate of the gateway. The tests know the contract only.

pub mod certificates;
pub mod connection;
pub mod corp;
pub mod directory;
pub mod frames;
pub mod gateway;
pub mod libraries;
pub mod load;
pub mod login;
pub mod numbers;
pub mod ports;
pub mod program;
pub mod provider;
pub mod raw;
pub mod readers;
pub mod recorded;
pub mod request;
pub mod response;
pub mod rng;
pub mod services;
pub mod site;
pub mod swallow;
pub mod upstream;
pub mod wait;
pub mod websocket;

pub use connection::{Broken, Connection};
pub use corp::Corp;
pub use gateway::Gateway;
pub use login::Login;
pub use numbers::Numbers;
pub use recorded::Recorded;
pub use request::Request;
pub use response::Response;
pub use site::Site;
pub use upstream::Upstream;
pub use wait::until;
