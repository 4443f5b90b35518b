//! The protocol: messages of RFC 4511 on one connection, one operation at a time.
//!
//! The reading half is ours because what a server sends is not to be trusted: it walks
//! the bytes by the grammar, without recursion, within limits (decision 0013). What may
//! not come in: what a login is, how many servers there are.

pub(crate) mod ber;
pub(crate) mod connection;
pub(crate) mod filter;
pub(crate) mod message;
pub(crate) mod name;
pub(crate) mod policy_control;
pub(crate) mod stream;
#[cfg(test)]
mod tests;

/// Why an operation has no answer. None of them is a "no" of the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The connection cannot be had, or broke.
    Connection(String),
    /// TLS failed: nothing was sent that must not be read.
    Tls(String),
    /// The server did not answer in time.
    Silent,
    /// It does not answer anybody.
    Gone,
    /// It answered what it may not answer.
    Malformed(&'static str),
    /// It refused what it would have to do for any login.
    Refused {
        /// The operation.
        what: &'static str,
        /// The result code of RFC 4511, appendix A.
        code: u32,
        /// Its own words.
        text: String,
    },
}

impl Trouble {
    /// The server works, and refused this one search: too long, too much, not allowed, not
    /// understood. It says nothing of other people's logins.
    pub(crate) fn is_about_the_question(&self) -> bool {
        // operationsError (nobody is bound any more), strongerAuthRequired,
        // confidentialityRequired, busy, unavailable, loopDetect, other
        matches!(self, Self::Refused { what: "search", code, .. } if !matches!(code, 1 | 8 | 13 | 51 | 52 | 54 | 80))
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connection(why) => f.write_str(why),
            Self::Tls(why) => write!(f, "TLS: {why}"),
            Self::Silent => f.write_str("no answer in time"),
            Self::Gone => f.write_str("it does not answer, nor a new connection"),
            Self::Malformed(what) => write!(f, "a malformed answer: {what}"),
            Self::Refused { what, code, text } => {
                write!(f, "the {what} was refused with code {code} ({})", message::meaning(*code))?;
                if text.is_empty() { Ok(()) } else { write!(f, ": {}", text.escape_debug()) }
            }
        }
    }
}

impl std::error::Error for Trouble {}
