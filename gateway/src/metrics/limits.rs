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
    BodyText "body_text" "A text of more than 16 KiB in a body of an endpoint.",
    Connections "connections" "No place for another connection, or for a stream beyond the first of one.",
    H2HeaderList "h2_header_list" "A head of a stream that is too large.",
    H2Pings "h2_pings" "Too many PING frames in a second.",
    H2Settings "h2_settings" "Too many SETTINGS frames in a second.",
    H2Streams "h2_streams" "Too many streams at a time on one connection.",
    HeaderBytes "header_bytes" "A head of too many bytes.",
    HeaderTimeout "header_timeout" "A head or a handshake that was not whole in time.",
    Headers "headers" "Too many fields.",
    IdleTimeout "idle_timeout" "A connection on which no next request came in time.",
    IdentityHeader "identity_header" "An identity header that would be over 8 KiB.",
    JsonDepth "json_depth" "A body that is nested too deep.",
    JsonFields "json_fields" "A body of too many fields.",
    LoginBody "login_body" "A body of an endpoint that is too large.",
    PerAddress "per_address_connections" "Too many connections of one address.",
    RequestLine "request_line" "A request line that is too long.",
    Resets "h2_resets" "Too many streams taken back on one connection.",
    TokenBytes "token_bytes" "A token of more than 16 KiB.",
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

/// What of HTTP/2 was refused with an error code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// One stream, by RST_STREAM.
    Stream,
    /// A connection, by GOAWAY.
    Connection,
}

/// The codes of RFC 9113 §7 from 1 on (0 is no error), and one for all others.
const REASONS: [&str; 14] = [
    "protocol_error",
    "internal_error",
    "flow_control_error",
    "settings_timeout",
    "stream_closed",
    "frame_size_error",
    "refused_stream",
    "cancel",
    "compression_error",
    "connect_error",
    "enhance_your_calm",
    "inadequate_security",
    "http_1_1_required",
    "other",
];

/// Streams and connections of HTTP/2 that ended in an error, by its code.
#[derive(Default)]
pub struct Http2Refusals([[AtomicU64; REASONS.len()]; 2]);

impl Http2Refusals {
    /// One was refused with this code; code 0 is the end of what was not refused.
    pub fn count(&self, what: Refused, code: u32) {
        if let Some(index) = code.checked_sub(1) {
            let index = usize::try_from(index).unwrap_or(usize::MAX).min(REASONS.len() - 1);
            self.0[what as usize][index].fetch_add(1, Relaxed);
        }
    }

    /// What, for which reason, how often: those that were, and the one by which floods end, from
    /// the first scrape on, so that an alert has something to grow from.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        let named = ["stream", "connection"].into_iter().zip(&self.0);
        named
            .flat_map(|(what, counts)| {
                REASONS.iter().zip(counts).map(move |(reason, count)| (what, *reason, count.load(Relaxed)))
            })
            .filter(|(_, reason, count)| *count > 0 || *reason == "enhance_your_calm")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_http_2_are_counted_by_their_code() {
        let all = Http2Refusals::default();
        for code in [0, 1, 11, 11, 13, 14, 99, u32::MAX] {
            all.count(Refused::Connection, code);
        }
        all.count(Refused::Stream, 7);
        let told: Vec<_> = all.all().collect();
        let expected = [
            ("stream", "refused_stream", 1),
            ("stream", "enhance_your_calm", 0),
            ("connection", "protocol_error", 1),
            ("connection", "enhance_your_calm", 2),
            ("connection", "http_1_1_required", 1),
            ("connection", "other", 3),
        ];
        assert_eq!(told, expected);
    }
}
