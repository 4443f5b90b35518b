//! The concurrent table of live sessions, and the question to the store behind it.

use super::LiveSession;
use crate::clock::UnixMillis;
use std::sync::Arc;

/// What the table knows without waiting.
pub enum Lookup {
    /// Here it is, and it is live.
    Live(Arc<LiveSession>),
    /// There is none (ended, expired, or the store was asked a moment ago).
    None,
    /// The table does not know: [`Sessions::ask_cookie`] or [`Sessions::ask_sid`].
    Unknown,
}

/// The store could not be asked: it is down, or too many questions are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// All live sessions. Cheap to clone as an `Arc`.
pub struct Sessions {}

impl Sessions {
    /// By the value of the session cookie, as it came.
    pub fn by_cookie(&self, _value: &[u8], _now: UnixMillis) -> Lookup {
        unimplemented!()
    }
    /// By the `sid` of a verified token.
    pub fn by_sid(&self, _sid: &str, _now: UnixMillis) -> Lookup {
        unimplemented!()
    }
    /// Asks the store, one question for many askers; remembers a "no" for a moment.
    pub async fn ask_cookie(
        &self,
        _value: &[u8],
        _now: UnixMillis,
    ) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        unimplemented!()
    }
    /// The same by `sid`.
    pub async fn ask_sid(
        &self,
        _sid: &str,
        _now: UnixMillis,
    ) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        unimplemented!()
    }
}
