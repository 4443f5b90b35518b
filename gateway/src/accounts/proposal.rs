//! What an account is called that a login from outside makes (contract section 1, Account
//! names). Whether a name is free is the store's to say.

use super::name::{Names, fold};
use aws_lc_rs::digest::{SHA256, digest};
use portcullis_plugin_api::Claims;

/// The most characters of a name.
const MOST: usize = 64;

/// Names in the order in which they are tried: the first thing that the login offers, and
/// what it becomes when somebody has that name. `email` is the login's verified address.
pub(crate) fn names(
    names: &Names,
    strategy: &str,
    claims: &Claims,
    email: Option<&str>,
    subject: &str,
) -> Vec<String> {
    let text = |claim: &str| claims.get(claim).and_then(|value| value.as_str()).map(fold);
    let address = email.map(fold).or_else(|| text("email"));
    let local_part = address.and_then(|address| Some(address.rsplit_once('@')?.0.to_owned()));
    let offered = [text("name"), text("preferred_username"), local_part, Some(fold(subject))];
    let mut found = Vec::new();
    for offer in offered.into_iter().flatten() {
        if !offer.chars().any(|c| c.is_ascii_alphanumeric()) {
            continue;
        }
        let own_address = email.is_some_and(|email| fold(email) == offer);
        let whole = own_address.then(|| names.new_account(strategy, &offer, email).ok()).flatten();
        let plain = || names.new_account(strategy, &fitted(&offer, strategy, 0), None).ok();
        let suffix = format!("-{}", hash(subject, 4));
        let marked = format!("{}{suffix}", fitted(&offer, strategy, suffix.len()));
        found.extend(whole.or_else(plain).map(super::name::Name::into_string));
        found.extend(names.new_account(strategy, &marked, None).ok().map(super::name::Name::into_string));
        if found.len() > 1 {
            break;
        }
    }
    // Should somebody have both: a name that nobody has by chance.
    let last = names.new_account(strategy, &hash(subject, 16), None);
    found.extend(last.ok().map(super::name::Name::into_string));
    found
}

/// Of the alphabet, and short enough for the strategy's ending and `more` characters.
fn fitted(offer: &str, strategy: &str, more: usize) -> String {
    let ending = format!("@{strategy}");
    let stem = offer.strip_suffix(&ending).unwrap_or(offer);
    let of_alphabet = |c: char| match c {
        'a'..='z' | '0'..='9' | '.' | '_' | '-' | '+' => c,
        _ => '-',
    };
    stem.chars().map(of_alphabet).take(MOST.saturating_sub(ending.len() + more)).collect()
}

fn hash(subject: &str, bytes: usize) -> String {
    digest(&SHA256, subject.as_bytes()).as_ref()[..bytes].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn given() -> Names {
        let text = "[strategies.local]\nkind = \"local\"\n[strategies.corp]\nkind = \"ldap\"\n\
                    [accounts]\nbare_names = \"corp\"\n[strategies.hub]\nkind = \"oauth\"\nadmit = \"anyone\"\n";
        Names::new(&portcullis_config::parse(text, std::path::Path::new("p"), &[]).unwrap())
    }

    fn first(strategy: &str, claims: &Value, email: Option<&str>) -> Vec<String> {
        names(&given(), strategy, claims.as_object().unwrap(), email, "S-1").into_iter().take(2).collect()
    }

    #[test]
    fn the_first_thing_that_is_offered_becomes_the_name() {
        let all = json!({"name": "Ann Lee", "preferred_username": "alee", "email": "ann@x.test"});
        assert_eq!(first("corp", &all, None), ["ann-lee", "ann-lee-6636c92b"]);
        assert_eq!(first("hub", &all, None), ["ann-lee@hub", "ann-lee-6636c92b@hub"]);
        let some = json!({"name": "安", "preferred_username": "ALee", "email": "ann@x.test"});
        assert_eq!(first("corp", &some, None)[0], "alee");
        assert_eq!(first("corp", &json!({"email": "ann@x.test"}), None)[0], "ann");
        assert_eq!(first("hub", &json!({}), None)[0], "s-1@hub");
    }

    #[test]
    fn an_at_stays_only_in_the_logins_own_verified_address() {
        let claims = json!({"preferred_username": "Ann@X.test"});
        assert_eq!(first("corp", &claims, Some("ann@x.test"))[0], "ann@x.test");
        assert_eq!(first("corp", &claims, Some("ann@x.test"))[1], "ann-x.test-6636c92b");
        assert_eq!(first("corp", &claims, Some("bob@x.test"))[0], "ann-x.test");
        assert_eq!(first("corp", &claims, None)[0], "ann-x.test");
        assert_eq!(first("corp", &json!({"name": "root@local"}), None)[0], "root-local");
        assert_eq!(
            first("corp", &json!({"name": "ann@hub"}), Some("ann@hub"))[0],
            "ann-hub",
            "a reserved ending"
        );
        assert_eq!(first("hub", &json!({"name": "ann@hub"}), None)[0], "ann@hub");
    }

    proptest! {
        #[test]
        fn whatever_is_offered_makes_names_that_are_names(offer in "\\PC{0,90}", subject in "\\PC{1,90}") {
            let claims = json!({"name": offer});
            let made = names(&given(), "hub", claims.as_object().unwrap(), None, &subject);
            prop_assert!(!made.is_empty());
            for name in made {
                prop_assert!(name.len() <= 64 && name.ends_with("@hub"), "{name}");
                prop_assert_eq!(name.matches('@').count(), 1);
            }
        }
    }
}
