//! What of an identity from outside the gateway believes: its verified address, the roles
//! that its groups bring, what it proposes to be called; and whether `admit` lets it in.

use crate::{
    accounts::{
        name::{Names, fold, new_address},
        proposal,
    },
    proxy::policy::{LoginFacts, admits},
};
use portcullis_config::{Admission, Admit, Config};
use portcullis_plugin_api::{Authenticated, Claims, claims_fit};
use serde_json::Value;
use std::net::IpAddr;

/// The most bytes of the strategy's state.
const MOST: usize = 16 * 1024;
/// How deep claims may be nested.
const DEPTH: usize = 32;
/// The most bytes of a realm and of a provider's name for a login.
const MOST_NAME: usize = 255;

/// An identity as the gateway believes it.
pub(super) struct Believed {
    pub(super) realm: String,
    pub(super) subject: String,
    pub(super) roles: Vec<String>,
    pub(super) email: Option<String>,
    pub(super) display_name: Option<String>,
    pub(super) names: Vec<String>,
    /// Without an address that nobody vouches for.
    pub(super) claims: Claims,
}

/// The strategy said something that no strategy may say; the text is for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unbelievable(pub(super) &'static str);

/// Reads what a strategy said.
pub(super) fn believe(
    config: &Config,
    admission: &Admission,
    strategy: &str,
    who: &Authenticated,
) -> Result<Believed, Unbelievable> {
    check(who)?;
    let email = verified_email(admission, &who.claims);
    let mut claims = who.claims.clone();
    if email.is_none() {
        claims.remove("email");
        claims.remove("email_verified");
    }
    let subject = who.subject.as_str();
    let names = proposal::names(&Names::new(config), strategy, &who.claims, email.as_deref(), subject);
    let display_name = who.claims.get("display_name").and_then(Value::as_str).map(str::trim);
    Ok(Believed {
        realm: who.realm.clone(),
        subject: subject.to_owned(),
        roles: roles(admission, &who.claims),
        display_name: display_name.and_then(shown),
        email,
        names,
        claims,
    })
}

/// Whether `admit` lets it in.
pub(super) fn is_admitted(admission: &Admission, believed: &Believed, client: IpAddr) -> bool {
    match &admission.admit {
        Admit::Anyone => true,
        Admit::Rules(rules) => admits(
            rules,
            &LoginFacts {
                roles: &believed.roles,
                email: believed.email.as_deref(),
                claims: &believed.claims,
                client,
            },
        ),
    }
}

fn check(who: &Authenticated) -> Result<(), Unbelievable> {
    let named = |text: &str| text.len() <= MOST_NAME && !text.contains(char::is_control);
    if !claims_fit(&who.claims) {
        return Err(Unbelievable("its claims are over 16 KiB, or its groups over 96 KiB"));
    }
    if who.claims.values().any(|value| !is_shallow(value, DEPTH - 1)) {
        return Err(Unbelievable("its claims are nested deeper than 32"));
    }
    if who.state.len() > MOST {
        return Err(Unbelievable("the state it wants to keep is over 16 KiB"));
    }
    if !named(&who.realm) || !who.provider_session.as_deref().is_none_or(named) {
        return Err(Unbelievable("its realm or the provider's name for the login is over 255 bytes"));
    }
    Ok(())
}

fn is_shallow(value: &Value, left: usize) -> bool {
    match value {
        Value::Array(items) => left > 0 && items.iter().all(|item| is_shallow(item, left - 1)),
        Value::Object(members) => left > 0 && members.values().all(|member| is_shallow(member, left - 1)),
        _ => true,
    }
}

/// The address, if somebody vouches for it: the strategy by `email_verified: true` (the
/// boolean, not the word), or the operator by `trust_email` (contract section 1, E-mail).
/// What a provider itself calls unverified no operator can have meant.
fn verified_email(admission: &Admission, claims: &Claims) -> Option<String> {
    let said = claims.get("email_verified");
    let vouched = match admission.trust_email {
        Some(trusted) => trusted && said != Some(&Value::Bool(false)),
        None => said == Some(&Value::Bool(true)),
    };
    let address = claims.get("email").and_then(Value::as_str)?;
    vouched.then(|| new_address(address).ok()).flatten()
}

/// Roles from groups. `admin` comes only from a group that `roles` names exactly.
fn roles(admission: &Admission, claims: &Claims) -> Vec<String> {
    let mut roles: Vec<String> = Vec::new();
    let mut add = |role: &str| {
        if !roles.iter().any(|known| known == role) {
            roles.push(role.to_owned());
        }
    };
    let groups = claims.get("groups").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for group in groups.iter().filter_map(Value::as_str).filter(|group| !group.is_empty()) {
        let mut mapped = false;
        for mapping in &admission.roles {
            let fits =
                if mapping.prefix { group.starts_with(&mapping.group) } else { group == mapping.group };
            if fits {
                mapped = true;
                mapping.roles.iter().for_each(|role| add(role));
            }
        }
        if !mapped && admission.groups_as_roles && is_role(group) && fold(group) != "admin" {
            add(group);
        }
    }
    roles
}

/// A role has no comma or control character and at most 128 bytes (contract section 1).
fn is_role(text: &str) -> bool {
    !text.trim().is_empty() && text.len() <= 128 && !text.contains(',') && !text.contains(char::is_control)
}

/// What pages and upstreams may show, cut to 255 bytes at a character.
fn shown(text: &str) -> Option<String> {
    let mut kept = String::new();
    for c in text.chars().filter(|c| !c.is_control()) {
        if kept.len() + c.len_utf8() > MOST_NAME {
            break;
        }
        kept.push(c);
    }
    (!kept.is_empty()).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_plugin_api::Subject;
    use serde_json::json;

    fn config(keys: &str) -> Config {
        let text = format!("[strategies.hub]\nkind = \"oauth\"\nadmit = \"anyone\"\n{keys}\n");
        portcullis_config::parse(&text, std::path::Path::new("p"), &[]).unwrap()
    }

    fn believed(keys: &str, claims: Value) -> Result<Believed, Unbelievable> {
        let config = config(keys);
        let mut who = Authenticated::of(Subject::new("s").unwrap());
        who.claims = claims.as_object().cloned().unwrap();
        believe(&config, config.strategies[0].admission.as_ref().unwrap(), "hub", &who)
    }

    // O-13
    #[test]
    fn an_address_counts_only_where_somebody_vouches_for_it() {
        let email = |keys: &str, claims| believed(keys, claims).unwrap();
        let vouched = email("", json!({"email": "Ann@X.test", "email_verified": true}));
        assert_eq!(vouched.email.as_deref(), Some("ann@x.test"));
        for said in [json!(false), json!("true"), json!(1), json!(null)] {
            let believed = email("", json!({"email": "a@x.test", "email_verified": said}));
            assert_eq!(believed.email, None, "{said}");
            assert!(!believed.claims.contains_key("email"), "and no rule can see it");
        }
        assert_eq!(email("", json!({"email": "a@x.test"})).email, None);
        assert!(email("trust_email = true", json!({"email": "a@x.test"})).email.is_some());
        let denied = email("trust_email = true", json!({"email": "a@x.test", "email_verified": false}));
        assert!(denied.email.is_none());
        let mistrusted = email("trust_email = false", json!({"email": "a@x.test", "email_verified": true}));
        assert_eq!(mistrusted.email, None);
        let odd = email("", json!({"email": "attacker@evil.com@company.com", "email_verified": true}));
        assert_eq!(odd.email, None);
    }

    #[test]
    fn groups_bring_the_roles_that_are_mapped_and_admin_only_exactly() {
        let groups =
            json!({"groups": ["ops", "Ops", "team-blue", "admin", " ADMIN ", "a,b", "", 3, "other"]});
        let of = |keys: &str| believed(keys, groups.clone()).unwrap().roles;
        assert_eq!(of(""), Vec::<String>::new());
        assert_eq!(
            of("roles = { ops = [\"admin\", \"dev\"], \"team-*\" = \"staff\" }"),
            ["admin", "dev", "staff"]
        );
        assert_eq!(of("groups_as_roles = true"), ["ops", "Ops", "team-blue", "other"]);
        assert_eq!(of("groups_as_roles = true\nroles = { other = \"x\" }"), ["ops", "Ops", "team-blue", "x"]);
        assert_eq!(
            believed("groups_as_roles = true", json!({"groups": "ops"})).unwrap().roles,
            Vec::<String>::new()
        );
    }

    #[test]
    fn claims_have_a_size_and_a_depth() {
        let large = json!({"x": "a".repeat(MOST)});
        assert!(believed("", large).err().is_some_and(|why| why.0.contains("16 KiB")));
        let groups = |n: usize| json!({"groups": vec!["4a1b2c3d-0000-4000-8000-000000000001"; n]});
        let many = believed("roles = { \"4a1b2c3d-*\" = \"staff\" }", groups(2048)).unwrap();
        assert_eq!(many.roles, ["staff"]);
        assert!(believed("", groups(2600)).is_err());
        let nested = |depth| (0..depth).fold(json!(1), |inner, _| json!([inner]));
        assert!(believed("", json!({"x": nested(31)})).is_ok());
        assert!(believed("", json!({"x": nested(32)})).is_err());
    }
}
