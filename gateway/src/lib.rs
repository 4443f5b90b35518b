//! Portcullis, in the order in which a request meets it. No items of its own.
//!
//! | room | what is in it |
//! |---|---|
//! | [`cli`] | arguments to exit code, one file per verb |
//! | [`app`] | composition root: configuration to running gateway |
//! | [`tls`] | certificates and keys, and what rustls does with them |
//! | [`snapshot`] | the compiled configuration that a request reads |
//! | [`proxy`] | the data plane; read `pipeline.rs` first |
//! | [`control`] | the control plane's endpoints: which path is which operation |
//! | [`login`], [`accounts`] | signing in and out; what people do with their accounts |
//! | [`mail`] | what is written to people, and how it leaves |
//! | [`pages`] | everything a browser is shown |
//! | [`sessions`], [`tokens`] | live sessions and accounts; access tokens, assertions, keys |
//! | [`registry`] | strategies by kind, and the guard around every call |
//! | `made_of.rs` | what a reload compares, to know what it need not forget |
//! | [`store`], [`seal`] | what survives a restart, and the key that seals it |
//! | [`origin`] | whether a request comes from our own pages |
//! | [`admin`], [`metrics`] | whether it is ready; what is counted |
//! | [`problem`] | the only table of statuses and codes |
//! | [`telemetry`], [`clock`], [`random`] | logs; time and randomness, which are passed in |

pub mod accounts;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clock;
pub mod control;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzz;
pub mod login;
mod made_of;
pub mod mail;
pub mod metrics;
pub mod origin;
pub mod pages;
pub mod problem;
pub mod proxy;
pub mod random;
pub mod registry;
pub mod seal;
pub mod sessions;
pub mod snapshot;
pub mod store;
pub mod telemetry;
pub mod tls;
pub mod tokens;
