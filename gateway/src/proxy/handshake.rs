//! A connection that begins with TLS: within the time for a head it has its keys, or it
//! is closed. Nothing is said about a failed handshake but what TLS says itself.

use super::{connection, http2, listen::Caller, pipeline::Secured, stream::Stream, worker::Worker};
use crate::{metrics::Limit, tls::ServerTls};
use std::{rc::Rc, sync::Arc};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// Shakes hands and serves what follows.
pub async fn serve(worker: Rc<Worker>, stream: TcpStream, peer: Caller, tls: Arc<ServerTls>) {
    let limit = worker.snapshot().limits.header_timeout;
    let watch = worker.timers.watch();
    let accept = TlsAcceptor::from(tls.config.clone()).accept(stream);
    let stream = match watch.within(limit, accept).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%peer, %error, "no handshake"),
        Err(_) => {
            worker.meter.limit(Limit::HeaderTimeout);
            return tracing::debug!(%peer, "no handshake in time");
        }
    };
    drop(watch);
    let secured = Secured { chosen: tls.choose(stream.get_ref().1.server_name()), tls };
    match stream.get_ref().1.alpn_protocol() {
        Some(b"h2") => http2::serve(worker, stream, peer, secured).await,
        _ => connection::serve(worker, Stream::tls(stream), peer, Some(secured)).await,
    }
}
