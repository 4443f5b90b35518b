//! Refusals by limit: each limit of the configuration that a client can meet, and those
//! that are ours alone. Counted only where something is refused, so the numbers may be
//! shared by all threads.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

macro_rules! limits {
    ($($variant:ident $name:literal $doc:literal,)*) => {
        /// What a client had too much of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            $(#[doc = $doc] $variant,)*
        }

        impl Limit {
            /// All of them, in the order of a report.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As a label; limits of the configuration have the name of their key.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

limits! {
    BodyStall "body_stall" "Nothing came of a body for too long.",
    Connections "connections" "No place for another connection.",
    HeaderBytes "header_bytes" "A head of too many bytes.",
    HeaderTimeout "header_timeout" "A head or a handshake that was not whole in time.",
    Headers "headers" "Too many fields.",
    IdentityHeader "identity_header" "An identity header that would be over 8 KiB.",
    JsonDepth "json_depth" "A body that is nested too deep.",
    JsonFields "json_fields" "A body of too many fields.",
    LoginBody "login_body" "A body of an endpoint that is too large.",
    PerAddress "per_address_connections" "Too many connections of one address.",
    RequestLine "request_line" "A request line that is too long.",
    Resets "h2_resets" "Too many streams taken back on one connection.",
}

/// How often each was met.
#[derive(Default)]
pub struct Refusals([AtomicU64; Limit::ALL.len()]);

impl Refusals {
    /// Somebody was refused for this.
    pub fn count(&self, limit: Limit) {
        self.0[limit as usize].fetch_add(1, Relaxed);
    }

    /// So often so far.
    pub(super) fn of(&self, limit: Limit) -> u64 {
        self.0[limit as usize].load(Relaxed)
    }
}
