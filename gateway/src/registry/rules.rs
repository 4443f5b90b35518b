//! What no strategy may answer, whatever its origin: too much to keep, claims that were
//! not allowed, a browser sent where the operator did not say.

use portcullis_config::Plugin;
use portcullis_plugin_api::{Claims, LogoutReply, Outcome, claims_fit};
use std::time::Duration;

/// The limits of one instance.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// How long a call may take.
    pub(super) timeout: Duration,
    /// How many may be in flight.
    pub(super) slots: usize,
    /// Where a browser may be sent; none: where the strategy's own settings say.
    redirect_hosts: Option<Vec<String>>,
    /// What may be said of people; none: everything.
    claims: Option<Vec<String>>,
}

/// A library that answers inside the call holds a thread of ours meanwhile.
const BLOCKING_SLOTS: usize = 32;

const MOST_FLOW: usize = 4 * 1024;
const MOST_STATE: usize = 16 * 1024;
const DEEPEST_CLAIMS: usize = 32;

impl Default for Rules {
    /// Of what is built in.
    fn default() -> Self {
        Self { timeout: Duration::from_secs(10), slots: 256, redirect_hosts: None, claims: None }
    }
}

impl Rules {
    /// Of a library with these hosts and claims, for the fuzz targets.
    #[cfg(any(test, feature = "fuzzing"))]
    pub(super) fn strict(hosts: &[&str], claims: &[&str]) -> Self {
        let own = |texts: &[&str]| Some(texts.iter().map(|text| (*text).to_owned()).collect());
        Self { redirect_hosts: own(hosts), claims: own(claims), ..Self::default() }
    }

    /// Of a library.
    pub(super) fn of(plugin: &Plugin, is_async: bool) -> Self {
        let slots = if is_async { Self::default().slots } else { BLOCKING_SLOTS };
        Self {
            timeout: plugin.timeout,
            slots: plugin.max_in_flight.unwrap_or(slots),
            redirect_hosts: Some(plugin.redirect_hosts.clone()),
            claims: plugin.claims.clone(),
        }
    }

    /// Refuses what may not be, and takes out what may not be said.
    pub(super) fn outcome(&self, outcome: &mut Outcome) -> Result<(), &'static str> {
        match outcome {
            Outcome::Redirect(to) => {
                small(&to.flow, MOST_FLOW, "it asked to keep a flow of more than 4 KiB")?;
                self.redirect(&to.url)
            }
            Outcome::Form(form) => small(&form.flow, MOST_FLOW, "it asked to keep a flow of more than 4 KiB"),
            Outcome::Authenticated(who) => {
                if let Some(allowed) = &self.claims {
                    who.claims.retain(|name, _| allowed.contains(name));
                }
                small(&who.state, MOST_STATE, "it asked to keep a state of more than 16 KiB")?;
                claims(&who.claims)
            }
            _ => Ok(()),
        }
    }

    /// The same of a logout's redirect.
    pub(super) fn logout(&self, reply: &LogoutReply) -> Result<(), &'static str> {
        reply.redirect.as_deref().map_or(Ok(()), |url| self.redirect(url))
    }

    fn redirect(&self, url: &str) -> Result<(), &'static str> {
        const NO_URL: &str = "it sent a browser to what is no http or https URL";
        // It goes into a header: nothing that could end it, and nothing that is not ASCII.
        if url.len() > 8 * 1024 || !url.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(NO_URL);
        }
        let parsed: http::Uri = url.parse().map_err(|_| NO_URL)?;
        let (Some(scheme), Some(authority)) = (parsed.scheme_str(), parsed.authority()) else {
            return Err(NO_URL);
        };
        let host = parsed.host().unwrap_or_default().to_ascii_lowercase();
        if !matches!(scheme, "https" | "http") || host.is_empty() || authority.as_str().contains('@') {
            return Err(NO_URL);
        }
        let Some(allowed) = &self.redirect_hosts else { return Ok(()) };
        if !allowed.contains(&host) {
            return Err("it sent a browser to a host that is not in redirect_hosts");
        }
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let near = address.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        if scheme == "https" || near { Ok(()) } else { Err("it sent a browser over http") }
    }
}

fn small(bytes: &[u8], most: usize, why: &'static str) -> Result<(), &'static str> {
    if bytes.len() <= most { Ok(()) } else { Err(why) }
}

fn claims(claims: &Claims) -> Result<(), &'static str> {
    if claims.values().any(|value| depth(value) >= DEEPEST_CLAIMS) {
        return Err("its claims nest more than 32 deep");
    }
    match claims_fit(claims) {
        true => Ok(()),
        false => Err("its claims are more than 16 KiB, or its groups more than 96 KiB"),
    }
}

fn depth(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        serde_json::Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_plugin_api::{Authenticated, Form, Redirect, Subject};
    use serde_json::json;

    fn rules(hosts: &[&str], claims: Option<&[&str]>) -> Rules {
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        Rules { redirect_hosts: Some(own(hosts)), claims: claims.map(own), ..Rules::default() }
    }

    fn redirect(rules: &Rules, url: &str) -> bool {
        rules.outcome(&mut Outcome::Redirect(Redirect { url: url.into(), flow: vec![] })).is_ok()
            && rules.logout(&LogoutReply { redirect: Some(url.into()) }).is_ok()
    }

    /// Case 27.
    #[test]
    fn a_library_sends_a_browser_to_its_hosts_over_https_alone() {
        let library = rules(&["idp.example.com", "127.0.0.1"], None);
        for (url, fits) in [
            ("https://idp.example.com/authorize?x=1", true),
            ("https://IDP.example.com:8443/", true),
            ("http://127.0.0.1:8080/authorize", true),
            ("http://idp.example.com/", false),
            ("https://evil.example.com/", false),
            ("https://idp.example.com.evil.test/", false),
            ("https://idp.example.com@evil.test/", false),
            ("https://evil.test\\@idp.example.com/", false),
            ("//idp.example.com/", false),
            ("/local", false),
            ("javascript:alert(1)", false),
            ("data:text/html,x", false),
            ("https://idp.example.com/\r\nSet-Cookie: a=b", false),
            ("https://idp.example.com/\u{e9}", false),
            ("", false),
        ] {
            assert_eq!(redirect(&library, url), fits, "{url}");
        }
        assert!(!redirect(&rules(&[], None), "https://idp.example.com/"));
        let built_in = Rules::default();
        assert!(redirect(&built_in, "http://idp.test/") && !redirect(&built_in, "javascript:alert(1)"));
    }

    /// Case 28.
    #[test]
    fn what_is_not_allowed_is_taken_out_and_what_is_too_large_refused() {
        let library = rules(&[], Some(&["email"]));
        let who = |change: &dyn Fn(&mut Authenticated)| {
            let mut who = Authenticated::of(Subject::new("ada").unwrap());
            change(&mut who);
            Outcome::Authenticated(Box::new(who))
        };
        let mut said = who(&|who| {
            who.claims = json!({"email": "a@b", "groups": ["admin"]}).as_object().unwrap().clone();
        });
        library.outcome(&mut said).unwrap();
        assert!(matches!(said, Outcome::Authenticated(who) if who.claims.keys().eq(["email"])));
        let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        for (mut outcome, fits) in [
            (who(&|who| who.state = vec![0; 16 * 1024]), true),
            (who(&|who| who.state = vec![0; 16 * 1024 + 1]), false),
            (who(&|who| drop(who.claims.insert("email".into(), nested(31)))), true),
            (who(&|who| drop(who.claims.insert("email".into(), nested(32)))), false),
            (who(&|who| drop(who.claims.insert("email".into(), "x".repeat(17_000).into()))), false),
            (who(&|who| drop(who.claims.insert("other".into(), "x".repeat(17_000).into()))), true),
            (Outcome::Form(Form { flow: vec![0; 4 * 1024], ..Form::default() }), true),
            (Outcome::Form(Form { flow: vec![0; 4 * 1024 + 1], ..Form::default() }), false),
        ] {
            assert_eq!(library.outcome(&mut outcome).is_ok(), fits, "{outcome:?}");
        }
    }
}
