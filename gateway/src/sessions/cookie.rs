//! Names and values of our cookies (contract, `[session] cookie`).

/// The three names, with `__Host-` over https (RFC 6265bis §4.1.3.2).
#[derive(Clone, Debug)]
pub struct CookieNames {
    /// The session's.
    pub session: String,
    /// The refresh token's.
    pub refresh: String,
    /// The login flow's.
    pub flow: String,
    /// The stem without prefix and with it: no form of any of the six reaches an upstream.
    pub all: [String; 6],
}

impl CookieNames {
    /// From the stem of the configuration.
    pub fn new(stem: &str, https: bool) -> Self {
        let bare = [stem.to_owned(), format!("{stem}-refresh"), format!("{stem}-flow")];
        let host = bare.clone().map(|n| format!("__Host-{n}"));
        let [session, refresh, flow] = if https { host.clone() } else { bare.clone() };
        let [a, b, c] = bare;
        let [d, e, f] = host;
        Self { session, refresh, flow, all: [a, b, c, d, e, f] }
    }
}
