//! Every combination of lists, and what each kind of rule comes to.

use super::truth::Truth;
use super::*;
use crate::sessions::Account;
use portcullis_config::Rule;
use serde_json::{Value, json};

fn account() -> Account {
    let mut account = Account::for_tests("ann");
    account.email = Some("Ann@Example.org".into());
    account.email_verified = true;
    account.display_name = Some("Ann".into());
    account.roles = vec!["staff".into(), "ops".into()];
    account.app = json!({
        "team": {"name": "blue", "size": 3}, "tags": ["a", 1, true, 2.0], "on": true, "level": 3,
        "ratio": 3.0, "big": 9007199254740993.0, "nothing": null, "empty": [], "text": "3",
    })
    .as_object()
    .cloned()
    .expect("an object");
    account.metadata = json!({"team": "blue"}).as_object().cloned().expect("an object");
    account
}

fn facts(account: Option<&Account>) -> Facts<'_> {
    Facts {
        account,
        strategy: account.map(|_| "local"),
        claims: None,
        client: IpAddr::from([10, 1, 2, 3]),
        method: "GET",
    }
}

fn claim(path: &str, is: impl Into<Value>) -> Rule {
    Rule::Claim { path: path.split('.').map(str::to_owned).collect(), is: is.into() }
}

fn ip(text: &str) -> Rule {
    Rule::Ip(text.parse().expect("a network"))
}

/// Rules that come to each truth for somebody without an address.
fn of(truth: Truth) -> Rule {
    match truth {
        Truth::True => ip("10.0.0.0/8"),
        Truth::False => Rule::Method("POST".into()),
        Truth::Unknown => Rule::Email("ann@example.org".into()),
    }
}

/// Every list of up to `most` truths; the empty one is a key that was not given.
fn lists(most: usize) -> Vec<Vec<Truth>> {
    let mut all = vec![Vec::new()];
    let mut last = all.clone();
    for _ in 0..most {
        last = last
            .iter()
            .flat_map(|list| {
                [Truth::True, Truth::False, Truth::Unknown].map(|truth| [list.as_slice(), &[truth]].concat())
            })
            .collect();
        all.extend(last.clone());
    }
    all
}

/// The contract's words as a table: what decides is whether each truth occurs at all.
fn passes(key: &str, list: &[Truth]) -> bool {
    let has = |truth| list.contains(&truth);
    match (key, has(Truth::True), has(Truth::False), has(Truth::Unknown)) {
        (_, false, false, false) => true,
        ("any", true, _, _) => true,
        ("any", false, _, _) => false,
        ("all", true, false, false) => true,
        ("all", ..) => false,
        ("none", false, true, false) => true,
        ("none", ..) => false,
        _ => unreachable!(),
    }
}

#[test]
fn every_combination_of_lists_and_truths_passes_exactly_as_the_contract_says() {
    let mut nobody_special = Account::for_tests("bob");
    nobody_special.roles = vec!["staff".into()];
    let facts = facts(Some(&nobody_special));
    for truth_ in [Truth::True, Truth::False, Truth::Unknown] {
        assert_eq!(truth(&of(truth_), &facts), truth_);
    }
    let rules = |list: &[Truth]| list.iter().copied().map(of).collect::<Vec<_>>();
    let lists = lists(3);
    let mut judged = 0;
    for any in &lists {
        for all in &lists {
            for none in &lists {
                for (roles, has_role) in [(None, true), (Some("staff"), true), (Some("admin"), false)] {
                    let table = Rules {
                        roles: roles.map(str::to_owned).into_iter().collect(),
                        any: rules(any),
                        all: rules(all),
                        none: rules(none),
                        ..Rules::default()
                    };
                    let expected =
                        has_role && passes("any", any) && passes("all", all) && passes("none", none);
                    assert_eq!(pass(&table, &facts), expected, "{roles:?} {any:?} {all:?} {none:?}");
                    judged += 1;
                }
            }
        }
    }
    assert_eq!(judged, 40 * 40 * 40 * 3);
}

#[test]
fn a_rule_is_true_false_or_unknown() {
    use Truth::{False, True, Unknown};
    let (ann, bare) = (account(), Account::for_tests("bare"));
    let mut unproven = account();
    unproven.email_verified = false;
    let cases = [
        (Rule::Role("ops".into()), True, False),
        (Rule::Role("admin".into()), False, False),
        (Rule::Role("OPS".into()), False, False),
        (Rule::Strategy("local".into()), True, True),
        (Rule::Strategy("ldap".into()), False, False),
        (Rule::Email("ann@example.org".into()), True, Unknown),
        (Rule::Email("bob@example.org".into()), False, Unknown),
        (Rule::EmailDomain("example.org".into()), True, Unknown),
        (Rule::EmailDomain("ample.org".into()), False, Unknown),
        (Rule::EmailDomain("org".into()), False, Unknown),
        (Rule::Method("GET".into()), True, True),
        (Rule::Method("POST".into()), False, False),
        (ip("10.1.2.3/32"), True, True),
        (ip("10.1.2.4/31"), False, False),
        (ip("::/0"), False, False),
        (claim("name", "ann"), True, False),
        (claim("email", "Ann@Example.org"), True, Unknown),
        (claim("email_verified", true), True, False),
        (claim("roles", "ops"), True, False),
        (claim("roles", "staff,ops"), False, False),
        (claim("strategy", "local"), True, True),
        (claim("uuid", "00000000-0000-0000-0000-000000000001"), True, True),
        (claim("groups", "x"), Unknown, Unknown),
        (claim("name.first", "ann"), Unknown, Unknown),
    ];
    for (rule, for_ann, for_bare) in cases {
        assert_eq!(truth(&rule, &facts(Some(&ann))), for_ann, "{rule:?}");
        assert_eq!(truth(&rule, &facts(Some(&bare))), for_bare, "{rule:?}");
    }
    for rule in
        [Rule::Email("ann@example.org".into()), Rule::EmailDomain("example.org".into()), claim("email", "x")]
    {
        assert_eq!(truth(&rule, &facts(Some(&unproven))), Unknown, "{rule:?}");
    }
}

// Contract, `[[token.trusted]]`: no account; `{claim=}` reads verified claims. A rule that
// keeps a subject out must know the subject.
#[test]
fn of_a_foreign_bearer_the_subject_is_its_tokens_and_there_is_no_uuid() {
    use Truth::{False, True, Unknown};
    let mut guest = Account::for_tests("client-1@b");
    guest.uuid = uuid::Uuid::nil();
    let claims = json!({"sub": "client-1", "uuid": "x", "team": "blue"});
    let facts = Facts { claims: claims.as_object(), ..facts(Some(&guest)) };
    for (path, is, expected) in [
        ("sub", "client-1", True),
        ("sub", "client-2", False),
        ("sub", "00000000-0000-0000-0000-000000000000", False),
        ("uuid", "00000000-0000-0000-0000-000000000000", Unknown),
        ("uuid", "x", Unknown),
        ("team", "blue", True),
        ("name", "client-1@b", True),
    ] {
        assert_eq!(truth(&claim(path, is), &facts), expected, "{path} is {is}");
    }
}

#[test]
fn claims_of_the_operator_are_read_by_path_and_a_list_contains() {
    use Truth::{False, True, Unknown};
    let ann = account();
    for (path, is, expected) in [
        ("app.team.name", json!("blue"), True),
        ("app.team.name", json!("BLUE"), False),
        ("app.team.size", json!(3), True),
        ("app.team.size", json!("3"), False),
        ("app.text", json!(3), False),
        ("app.team", json!("blue"), Unknown),
        ("app.team.other", json!("blue"), Unknown),
        ("app.text.inside", json!("3"), Unknown),
        ("app.absent", json!(true), Unknown),
        ("app.nothing", json!("x"), Unknown),
        ("app.on", json!(true), True),
        ("app.on", json!(false), False),
        ("app.on", json!("true"), False),
        ("app.tags", json!("a"), True),
        ("app.tags", json!(1), True),
        ("app.tags", json!(2), True),
        ("app.tags", json!(true), True),
        ("app.tags", json!("b"), False),
        ("app.empty", json!("a"), False),
        ("app.ratio", json!(3), True),
        ("app.big", json!(9_007_199_254_740_993_i64), False),
        // What a person sets alone decides nothing; such a file is refused, too.
        ("metadata.team", json!("blue"), Unknown),
        ("display_name", json!("Ann"), Unknown),
    ] {
        assert_eq!(truth(&claim(path, is.clone()), &facts(Some(&ann))), expected, "{path} is {is}");
    }
}

#[test]
fn a_name_that_is_an_unproven_address_is_unknown() {
    let mut account = Account::for_tests("ann@example.org");
    account.email = Some("ann@example.org".into());
    assert_eq!(truth(&claim("name", "ann@example.org"), &facts(Some(&account))), Truth::Unknown);
    account.email_verified = true;
    assert_eq!(truth(&claim("name", "ann@example.org"), &facts(Some(&account))), Truth::True);
}

// P-19
#[test]
fn a_mapped_address_is_the_address() {
    let mut facts = facts(None);
    facts.client = "::ffff:10.1.2.3".parse().expect("an address");
    assert_eq!(truth(&ip("10.0.0.0/8"), &facts), Truth::True);
    facts.client = "2001:db8::1".parse().expect("an address");
    assert_eq!(truth(&ip("2001:db8::/32"), &facts), Truth::True);
    assert_eq!(truth(&ip("0.0.0.0/0"), &facts), Truth::False);
}

#[test]
fn a_get_rule_includes_head() {
    let mut facts = facts(None);
    facts.method = "HEAD";
    assert_eq!(truth(&Rule::Method("GET".into()), &facts), Truth::True);
    facts.method = "GET";
    assert_eq!(truth(&Rule::Method("HEAD".into()), &facts), Truth::False);
}

#[test]
fn nobody_is_asked_to_log_in_first_where_a_table_asks_for_a_person() {
    let around = |method| Circumstances { client: IpAddr::from([10, 1, 2, 3]), method };
    let table = |anonymous, rule| {
        Policy::new(&config::Policy::Rules(Rules { anonymous, all: vec![rule], ..Rules::default() }))
    };
    for (anonymous, rule, expected) in [
        (false, ip("10.0.0.0/8"), Some(Code::LoginRequired)),
        (false, ip("11.0.0.0/8"), Some(Code::LoginRequired)),
        (true, ip("10.0.0.0/8"), None),
        (true, ip("11.0.0.0/8"), Some(Code::Forbidden)),
        (true, Rule::Method("POST".into()), Some(Code::Forbidden)),
    ] {
        let found = table(anonymous, rule).permit(None, around("GET"));
        assert_eq!(found.err(), expected);
    }
    assert_eq!(
        Policy::new(&config::Policy::SignedIn).permit(None, around("GET")).err(),
        Some(Code::LoginRequired)
    );
    assert!(Policy::new(&config::Policy::Public).permit(None, around("GET")).is_ok());
}
