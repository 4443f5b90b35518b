//! `portcullis demo`: a gateway before a built-in application, with one account, so that
//! somebody who has just met this program sees what it does.
//!
//! `whoami/` the application.

mod whoami;
