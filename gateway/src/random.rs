//! Randomness, passed in like time. The system's source is aws-lc-rs; a test may give a
//! repeatable one.

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use portcullis_plugin_api::RandomSource;
use std::sync::Arc;

/// Fills slices with unpredictable bytes.
#[derive(Clone)]
pub struct Random(Arc<RandomSource>);

impl Random {
    /// The operating system's.
    pub fn system() -> Self {
        let source = SystemRandom::new();
        Self(Arc::new(move |bytes| {
            // Without randomness nothing this program does is safe: there is no fallback.
            source.fill(bytes).expect("the system's random source failed");
        }))
    }

    /// A source of the caller's making.
    pub fn from_fn(fill: impl Fn(&mut [u8]) + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// The function itself, to lend to a strategy.
    pub fn shared(&self) -> Arc<RandomSource> {
        self.0.clone()
    }

    /// `N` bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        (self.0)(&mut bytes);
        bytes
    }

    /// 256 bits as 43 letters of base64url: cookies, one-time values.
    pub fn opaque(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// A version 4 UUID (RFC 9562 §5.4).
    pub fn uuid(&self) -> uuid::Uuid {
        uuid::Builder::from_random_bytes(self.bytes()).into_uuid()
    }
}
