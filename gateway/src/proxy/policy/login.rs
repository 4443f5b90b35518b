//! A policy over a login by a strategy that vouches from outside, before there is an
//! account: the same tables and the same truths, about what the strategy says.

use super::{
    judged,
    rule::{compare, find},
    truth::Truth,
};
use portcullis_config::{Rule, Rules};
use portcullis_plugin_api::Object;
use std::net::IpAddr;

/// What `admit` may ask about.
#[derive(Clone, Copy, Debug)]
pub struct LoginFacts<'a> {
    /// Roles that its groups bring.
    pub roles: &'a [String],
    /// Its verified address.
    pub email: Option<&'a str>,
    /// What the strategy says. An address that is not verified is not among it.
    pub claims: &'a Object,
    /// Where the person is.
    pub client: IpAddr,
}

/// Whether the table lets this login in.
pub fn admits(rules: &Rules, facts: &LoginFacts<'_>) -> bool {
    judged(rules, |role| facts.roles.contains(role), |rule| truth(rule, facts))
}

fn truth(rule: &Rule, facts: &LoginFacts<'_>) -> Truth {
    let email = || facts.email.map(str::to_lowercase);
    let found = match rule {
        Rule::Role(role) => Some(facts.roles.contains(role)),
        Rule::Email(wanted) => email().map(|email| email == *wanted),
        Rule::EmailDomain(wanted) => email().and_then(|email| Some(email.rsplit_once('@')?.1 == wanted)),
        Rule::Claim { path, is } => find(facts.claims, path).and_then(|value| compare(value, is)),
        Rule::Ip(network) => Some(network.contains(&facts.client.to_canonical())),
        // The configuration refuses them here.
        Rule::Strategy(_) | Rule::Method(_) => None,
    };
    found.map_or(Truth::Unknown, Truth::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn table(text: &str) -> Rules {
        let file = format!("[strategies.x]\nkind = \"oauth\"\nadmit = {text}\n");
        let config = portcullis_config::parse(&file, std::path::Path::new("p"), &[]).unwrap();
        match &config.strategies[0].admission.as_ref().unwrap().admit {
            portcullis_config::Admit::Rules(rules) => rules.clone(),
            other => panic!("{other:?}"),
        }
    }

    // O-13, O-14
    #[test]
    fn a_login_is_judged_by_its_roles_its_verified_address_its_claims_and_its_place() {
        let claims =
            json!({"hd": "example.com", "realm_access": {"roles": ["dev"]}, "https://x.test/team": "blue"});
        let claims = claims.as_object().unwrap();
        let roles = ["staff".to_owned()];
        let client = [10, 0, 0, 7].into();
        let judge =
            |text: &str, email| admits(&table(text), &LoginFacts { roles: &roles, email, claims, client });
        for yes in [
            "{ roles = [\"staff\", \"admin\"] }",
            "{ any = [{ email_domain = \"example.com\" }] }",
            "{ any = [{ email = \"Ann@example.com\" }] }",
            "{ all = [{ claim = \"hd\", is = \"example.com\" }, { ip = \"10.0.0.0/8\" }] }",
            "{ any = [{ claim = \"realm_access.roles\", is = \"dev\" }] }",
            "{ any = [{ claim = \"https://x.test/team\", is = \"blue\" }] }",
            "{ none = [{ role = \"guest\" }] }",
        ] {
            assert!(judge(yes, Some("ann@Example.com")), "{yes}");
        }
        for no in [
            "{ roles = [\"admin\"] }",
            "{ any = [{ email_domain = \"ample.com\" }] }",
            "{ all = [{ claim = \"hd\", is = \"other\" }] }",
            "{ none = [{ claim = \"absent\", is = \"x\" }] }",
            "{ none = [{ role = \"staff\" }] }",
        ] {
            assert!(!judge(no, Some("ann@example.com")), "{no}");
        }
        assert!(!judge("{ any = [{ email_domain = \"example.com\" }] }", None), "no verified address");
        assert!(!judge(
            "{ any = [{ email_domain = \"company.com\" }] }",
            Some("attacker@evil.com@x.company.com")
        ));
    }
}
