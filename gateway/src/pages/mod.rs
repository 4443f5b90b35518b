//! Everything a browser is shown: login, chooser, denial, errors. Rendered on the
//! server, without scripts and without anything from a third party.

use crate::problem::Problem;

/// Header fields of every page: a strict policy, no framing, no sniffing, no referrer
/// to others, no storing.
pub const FIELDS: &[(&str, &str)] = &[];

/// The templates, ready to render.
pub struct Pages {}

impl Pages {
    /// A refusal or an error, with its request id.
    pub fn problem(&self, _problem: &Problem, _request_id: &str) -> String {
        unimplemented!()
    }
}
