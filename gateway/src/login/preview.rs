//! What would become of a login by what a strategy would say: the roles that its groups
//! bring, and whether `admit` lets it in. For `strategy test`; nothing is stored or opened.

use super::believe::{believe, is_admitted};
use portcullis_config::{Admission, Admit, Config};
use portcullis_plugin_api::{Authenticated, Claims, Step, Subject};
use std::net::Ipv4Addr;

/// The steps behind the strategy's own. None of the claims are known: an earlier step failed.
pub(crate) fn steps(config: &Config, strategy: &str, claims: Option<&Claims>) -> Vec<Step> {
    let mut all = config.strategies.iter();
    let Some(admission) = all.find(|one| one.id == strategy).and_then(|one| one.admission.as_ref()) else {
        return Vec::new();
    };
    let Some(claims) = claims else {
        let why = "not tried, because an earlier step failed";
        return ["roles", "admit"].map(|name| step(name, None, why, None)).into();
    };
    let subject = Subject::new("somebody").expect("it is short");
    let who = Authenticated { claims: claims.clone(), ..Authenticated::of(subject) };
    let believed = match believe(config, admission, strategy, &who) {
        Ok(believed) => believed,
        Err(why) => {
            let advice = "name fewer groups or attributes in this strategy's settings";
            return vec![step("roles", Some(false), why.0, Some(advice))];
        }
    };
    let groups = claims.get("groups").and_then(|groups| groups.as_array()).map_or(0, Vec::len);
    let is_in = is_admitted(admission, &believed, Ipv4Addr::LOCALHOST.into());
    vec![roles(strategy, admission, &believed.roles, groups), admit(strategy, admission, is_in)]
}

fn roles(strategy: &str, admission: &Admission, roles: &[String], groups: usize) -> Step {
    let first = match admission.default_roles.as_slice() {
        [] => String::new(),
        given => format!("; a new account is given {} (default_roles)", given.join(", ")),
    };
    if !roles.is_empty() {
        return step("roles", Some(true), &format!("{}, by their groups{first}", roles.join(", ")), None);
    }
    let (detail, advice) = match (groups, admission.roles.is_empty()) {
        (0, _) => ("none, for no group is known of them", None),
        (_, true) => (
            "none, for no group brings a role here",
            Some(format!("write roles = {{ \"GROUP\" = \"ROLE\" }} in [strategies.{strategy}]")),
        ),
        (_, false) => (
            "none, for none of their groups is named in `roles`",
            Some(format!(
                "compare the groups above with `roles` of [strategies.{strategy}]: a name is written as \
                 above, a DN whole"
            )),
        ),
    };
    step("roles", Some(true), &format!("{detail}{first}"), advice.as_deref())
}

fn admit(strategy: &str, admission: &Admission, is_in: bool) -> Step {
    let detail = match (&admission.admit, is_in) {
        (Admit::Anyone, _) => "lets in everybody for whom this strategy vouches",
        (Admit::Rules(_), true) => "lets them in, if they come from 127.0.0.1",
        (Admit::Rules(_), false) => "keeps them out",
    };
    if !is_in {
        let advice = format!(
            "compare `admit` of [strategies.{strategy}] with the roles and the address above, or give them a \
             group that brings such a role; an address that nobody vouches for needs trust_email = true"
        );
        return step("admit", Some(false), detail, Some(&advice));
    }
    let only = "; whoever has no account yet is refused (provision = false)";
    let detail = format!("{detail}{}", if admission.provision { "" } else { only });
    step("admit", Some(true), &detail, None)
}

fn step(name: &str, ok: Option<bool>, detail: &str, advice: Option<&str>) -> Step {
    Step {
        name: name.to_owned(),
        ok,
        detail: detail.to_owned(),
        advice: advice.map(str::to_owned),
        claims: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn said(keys: &str, claims: Option<Value>) -> Vec<(Option<bool>, String)> {
        let text = format!("[strategies.corp]\nkind = \"ldap\"\n{keys}\n");
        let config = portcullis_config::parse(&text, std::path::Path::new("p"), &[]).unwrap();
        let claims = claims.map(|claims| claims.as_object().unwrap().clone());
        let one = |step: Step| (step.ok, format!("{}: {}", step.name, step.detail));
        steps(&config, "corp", claims.as_ref()).into_iter().map(one).collect()
    }

    #[test]
    fn groups_roles_and_admission_are_those_of_a_login() {
        let of = |keys: &str, groups: Value| said(keys, Some(json!({ "groups": groups })));
        let keys = "roles = { ops = \"operator\" }\nadmit = { roles = [\"operator\"] }\nprovision = false\n\
                    default_roles = [\"guest\"]";
        assert_eq!(
            of(keys, json!(["ops"])),
            [
                (
                    Some(true),
                    "roles: operator, by their groups; a new account is given guest (default_roles)".into()
                ),
                (
                    Some(true),
                    "admit: lets them in, if they come from 127.0.0.1; whoever has no account yet is refused \
                     (provision = false)"
                        .into()
                ),
            ]
        );
        let out = of(keys, json!(["staff"]));
        assert!(out[0].1.contains("none of their groups"), "{out:?}");
        assert_eq!(out[1], (Some(false), "admit: keeps them out".into()));
        let plain = of("", json!(["staff"]));
        assert!(plain[0].1.contains("no group brings a role") && plain[1].0 == Some(true), "{plain:?}");
        assert!(of("groups_as_roles = true", json!(["staff"]))[0].1.contains("staff"));
        assert!(of("", json!([]))[0].1.contains("no group is known"));
    }

    #[test]
    fn what_is_not_known_or_not_acceptable_is_not_guessed() {
        assert_eq!(said("", None).iter().map(|step| step.0).collect::<Vec<_>>(), [None, None]);
        let large = said("", Some(json!({ "groups": ["x".repeat(100_000)] })));
        assert!(large.len() == 1 && large[0].0 == Some(false), "{large:?}");
    }
}
