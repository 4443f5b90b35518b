//! The seam to the control plane: a request to one of our own endpoints is handed over
//! whole, with its body, and comes back as a whole answer.

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use std::{
    future::{Future, pending},
    net::IpAddr,
    pin::Pin,
    sync::Arc,
};
use tokio::sync::watch;

/// A request to one of our endpoints.
#[derive(Debug)]
pub struct EndpointRequest {
    /// The method.
    pub method: Method,
    /// The path in normal form.
    pub path: String,
    /// The query as it came, without `?`.
    pub query: Option<String>,
    /// `Host`, lower case, with the port if one was given; it has passed the 421 check.
    pub host: String,
    /// The fields as they came, without hop-by-hop ones.
    pub headers: HeaderMap,
    /// The whole body, at most `[limits] login_body`.
    pub body: Bytes,
    /// The client's address (contract, section 4).
    pub client: IpAddr,
    /// This request's id.
    pub request_id: String,
    /// Whether anybody still waits for the answer.
    pub departure: Departure,
}

/// Tells an endpoint that its client has left. What it has begun to change it still brings to
/// its end, with its audit line and its notices; only the question whether somebody may come
/// in need not be answered any more.
#[derive(Clone, Debug, Default)]
pub struct Departure(Option<watch::Receiver<()>>);

impl Departure {
    /// Of a client that waits for as long as the first of both is held.
    pub fn new() -> (watch::Sender<()>, Self) {
        let (waits, departure) = watch::channel(());
        (waits, Self(Some(departure)))
    }

    /// Returns once nobody waits.
    pub async fn happened(&self) {
        match self.0.clone() {
            Some(mut waits) => while waits.changed().await.is_ok() {},
            None => pending().await,
        }
    }
}

/// Answers a request to an endpoint. The data plane adds `X-Request-Id`, `Date` and
/// framing; everything else is the handler's.
pub type EndpointHandler =
    Arc<dyn Fn(EndpointRequest) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> + Send + Sync>;

#[cfg(test)]
mod tests {
    use super::*;

    async fn has_happened(departure: &Departure) -> bool {
        tokio::select! {
            biased;
            () = departure.happened() => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test]
    async fn a_departure_happens_when_nobody_waits_any_more() {
        let (waits, departure) = Departure::new();
        assert!(!has_happened(&departure).await);
        drop(waits);
        assert!(has_happened(&departure).await);
        assert!(!has_happened(&Departure::default()).await);
    }
}
