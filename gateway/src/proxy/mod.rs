//! The data plane: one single-threaded runtime per core that forwards requests. Read
//! `pipeline.rs` first.
//!
//! In the order in which a request meets them: `listen` `worker` `handshake` `http2/` `pipe` `connection` `stream` `client`
//! `http1/` `pipeline` (`target` `forwarded` `route` `ambiguity` `authenticate` `policy`
//! `cors` `refuse`) `exchange` (`request_head` `identity_headers` `prepared` `upstream` `pool`
//! `relay` `upgrade` `response_head`) or `endpoint_call`; `answer` `access_log` `timers` `caught` `health` `passing`
//! beside them.
//!
//! What may not come in: `login`, `accounts`, `store`, `registry`. Sessions and tokens
//! are seen through their read side only.

mod access_log;
pub(crate) mod ambiguity;
mod answer;
mod authenticate;
mod caught;
mod client;
mod connection;
mod cors;
pub mod endpoint;
mod endpoint_call;
mod exchange;
pub(crate) mod forwarded;
mod handshake;
mod health;
pub(crate) mod http1;
pub(crate) mod http2;
pub mod identity_headers;
pub mod listen;
mod passing;
mod pipe;
mod pipeline;
pub mod policy;
mod pool;
mod prepared;
mod refuse;
mod relay;
mod request_head;
mod response_head;
pub mod route;
mod stream;
pub mod target;
mod timers;
pub(crate) mod upgrade;
pub mod upstream;
pub mod worker;
