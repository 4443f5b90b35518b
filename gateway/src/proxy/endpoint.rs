//! The seam to the control plane: a request to one of our own endpoints is handed over
//! whole, with its body, and comes back as a whole answer.

use bytes::Bytes;
use http::{HeaderMap, Method, Response};
use std::{future::Future, net::IpAddr, pin::Pin, sync::Arc};

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
}

/// Answers a request to an endpoint. The data plane adds `X-Request-Id`, `Date` and
/// framing; everything else is the handler's.
pub type EndpointHandler =
    Arc<dyn Fn(EndpointRequest) -> Pin<Box<dyn Future<Output = Response<Bytes>> + Send>> + Send + Sync>;
