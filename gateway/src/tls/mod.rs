//! TLS: certificates and keys from files, and what rustls is told to do with them. Read
//! at `check`, at each start and at each reload. What may not come in: sockets.
//!
//! `certificate.rs` one chain with its key · `server.rs` which one a client gets ·
//! `client.rs` how servers behind us are checked · `validity.rs` from when to when a certificate is valid.

mod certificate;
mod client;
mod server;
pub(crate) mod validity;

pub use client::{ClientTls, is_refused, reason};
pub use server::ServerTls;

use crate::clock::Clock;
use client::ClientMaker;
use portcullis_config::{Config, MailRoute, Problem, Smtp};
use rustls::crypto::CryptoProvider;
use std::{collections::HashMap, sync::Arc};

/// What a configuration's files come to.
#[derive(Default)]
pub struct Tls {
    /// Of the listeners; none: they are plain.
    pub server: Option<Arc<ServerTls>>,
    /// Of upstreams with https, by id.
    pub upstreams: HashMap<String, ClientTls>,
    /// What works but deserves a look.
    pub warnings: Vec<Problem>,
}

impl Tls {
    /// Reads every file that the configuration names. All problems are reported at once.
    pub fn load(config: &Config, clock: &Clock) -> Result<Self, Vec<Problem>> {
        let mut tls = Self::default();
        let mut problems = Vec::new();
        if !config.server.tls.is_empty() {
            match ServerTls::load(&config.server.tls, clock.now(), &mut tls.warnings) {
                Ok(server) => tls.server = Some(Arc::new(server)),
                Err(found) => problems.extend(found),
            }
        }
        let mut maker = ClientMaker::new(clock);
        for upstream in &config.upstreams {
            match maker.make(upstream, &config.file, &mut tls.warnings) {
                Ok(Some(made)) => drop(tls.upstreams.insert(upstream.id.clone(), made)),
                Ok(None) => {}
                // Two upstreams with one bad file: said once for each place.
                Err(problem) => problems.push(problem),
            }
        }
        // The sender reads it at each start; whether it can is said here.
        if let Some(MailRoute::Smtp(Smtp { ca: Some(ca), .. })) = config.mail.as_ref().map(|mail| &mail.route)
        {
            problems.extend(client::only(ca).err());
        }
        if problems.is_empty() { Ok(tls) } else { Err(problems) }
    }
}

/// The one source of cryptography: aws-lc-rs, with the suites and groups that rustls
/// takes for safe.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}
