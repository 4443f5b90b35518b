//! The registry and its guard, with strategies of the tests' own.

mod keeping;
mod liar;
pub(super) mod libraries;
mod loaded;
mod measured;
mod refused;
mod strategies;

use super::{builtin::Kind, *};
use portcullis_plugin_api::{Begin, Call, CredentialOp, Outcome, StoredCredential, Subject};
use serde_json::json;
use std::{net::Ipv4Addr, time::Duration};
use strategies::{BEGUN, Odd, Settled};
use tokio::time::{Instant, advance};

const KINDS: &[Kind] = &[Kind::of::<Odd>(), Kind::of::<Settled>()];

fn host() -> Host {
    Host { random: Arc::new(|bytes| bytes.fill(1)), now: Arc::new(|| 0), cores: 1 }
}

fn configured(id: &str, kind: &str, settings: serde_json::Value) -> Strategy {
    let serde_json::Value::Object(settings) = settings else { panic!("a table") };
    Strategy {
        id: id.into(),
        kind: kind.into(),
        title: "Title".into(),
        required: false,
        settings,
        admission: None,
    }
}

fn place(strategy: &Strategy, problem: SettingsProblem) -> Problem {
    Problem {
        place: format!("{} {}", strategy.id, problem.path.join(".")),
        message: problem.message,
        help: problem.expected,
        excerpt: None,
    }
}

async fn start(strategies: &[Strategy]) -> Result<Registry, Vec<Problem>> {
    Registry::start_kinds(KINDS, &[], strategies, host(), &place).await
}

/// One instance of a strategy that does what each form says.
async fn odd() -> Instance {
    start(&[configured("odd", "odd", json!({}))]).await.unwrap().get("odd").unwrap()
}

async fn settled() -> Instance {
    start(&[configured("settled", "settled", json!({}))]).await.unwrap().get("settled").unwrap()
}

fn call() -> Call {
    Call::new("r", "odd", Ipv4Addr::LOCALHOST.into())
}

fn subject(text: &str) -> Subject {
    Subject::new(text).unwrap()
}

async fn ask(of: &Instance, what: &str, credential: Option<&str>) -> Result<Outcome, CallError> {
    let credential =
        credential.map(|name| StoredCredential { subject: subject(name), secret: "secret".into() });
    let form = [("do".to_owned(), what.to_owned())].into();
    of.begin(call(), Begin { form, credential, ..Begin::default() }).await
}

async fn fails(of: &Instance, what: &str) -> bool {
    ask(of, what, None).await.is_err_and(|error| error == CallError::Unavailable)
}

#[tokio::test]
async fn instances_stand_in_the_order_of_the_file_and_are_found_by_id() {
    let registry = start(&[configured("zeta", "odd", json!({})), configured("alpha", "settled", json!({}))])
        .await
        .unwrap();
    let ids: Vec<_> = registry.list().iter().map(|i| (i.id(), i.kind(), i.title())).collect();
    assert_eq!(ids, [("zeta", "odd", "Title"), ("alpha", "settled", "Title")]);
    let alpha = registry.get("alpha").unwrap();
    assert!(alpha.operations().credentials);
    assert_eq!(alpha.origin().to_string(), "built in");
    assert_eq!(alpha.failure(), None);
    assert!(registry.get("beta").is_none());
}

#[tokio::test]
async fn all_problems_of_all_strategies_are_reported_at_once() {
    let problems =
        start(&[configured("one", "odd", json!({"start": "wrong"})), configured("two", "od", json!({}))])
            .await
            .unwrap_err();
    let said: Vec<_> =
        problems.iter().map(|p| (p.place.as_str(), p.message.as_str(), p.help.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("one start", "`start` is wrong", None),
            ("one start", "and once more", None),
            ("two kind", "there is no strategy kind `od`", Some("one of `odd`, `settled`")),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_does_not_start_is_unavailable_and_the_others_work() {
    for (how, reason) in [
        ("fail", "nothing to stand on"),
        ("panic", "panicked: start on purpose"),
        ("hang", "did not answer within 10 seconds"),
    ] {
        let registry = start(&[
            configured("broken", "odd", json!({ "start": how })),
            configured("odd", "odd", json!({})),
        ])
        .await
        .unwrap();
        let broken = registry.get("broken").unwrap();
        assert_eq!(broken.failure(), Some(reason));
        assert!(fails(&broken, "deny").await);
        assert!(ask(&registry.get("odd").unwrap(), "deny", None).await.is_ok());
    }
}

#[tokio::test]
async fn a_required_strategy_that_does_not_start_stops_the_gateway() {
    let mut strategy = configured("broken", "odd", json!({"start": "fail"}));
    strategy.required = true;
    let problems = start(&[strategy]).await.unwrap_err();
    assert_eq!(problems[0].message, "the strategy is required and did not start: nothing to stand on");
}

#[tokio::test]
async fn answers_and_refusals_pass_as_they_are() {
    let odd = odd().await;
    assert!(matches!(ask(&odd, "form", None).await, Ok(Outcome::Form(_))));
    assert!(matches!(ask(&odd, "deny", None).await, Ok(Outcome::Denied(_))));
    assert!(matches!(ask(&odd, "bob", None).await, Ok(Outcome::Authenticated(_))));
    assert_eq!(ask(&odd, "busy", None).await.unwrap_err(), CallError::Busy);
    assert_eq!(
        ask(&odd, "bad", None).await.unwrap_err(),
        CallError::BadRequest { field: "do".into(), message: "is bad".into() }
    );
    let op = CredentialOp::Import { secret: String::new() };
    assert_eq!(odd.credentials(call(), op).await.unwrap_err(), CallError::Unsupported);
}

#[tokio::test]
async fn a_strategy_may_authenticate_the_subject_of_its_credential_only() {
    let settled = settled().await;
    assert!(ask(&settled, "bob", Some("bob")).await.is_ok());
    assert_eq!(ask(&settled, "bob", Some("alice")).await.unwrap_err(), CallError::Unavailable);
    // It keeps its credentials with the gateway, which found none: there is nobody to be.
    assert_eq!(ask(&settled, "bob", None).await.unwrap_err(), CallError::Unavailable);
}

#[tokio::test]
async fn a_credential_is_made_or_the_secret_is_too_weak() {
    let settled = settled().await;
    let import = |secret: &str| CredentialOp::Import { secret: secret.into() };
    assert_eq!(settled.credentials(call(), import("good")).await.unwrap().secret, "good");
    assert_eq!(
        settled.credentials(call(), import("weak")).await.unwrap_err(),
        CallError::Weak("longer".into())
    );
    assert_eq!(settled.credentials(call(), import("")).await.unwrap_err(), CallError::Unavailable);
}

#[tokio::test]
async fn a_panic_is_an_error_of_that_call_alone() {
    let odd = odd().await;
    assert!(fails(&odd, "panic").await);
    assert!(ask(&odd, "deny", None).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_at_the_deadline() {
    let odd = odd().await;
    let begun = Instant::now();
    assert!(fails(&odd, "hang").await);
    assert_eq!(begun.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn too_many_calls_in_flight_are_busy_and_a_client_that_leaves_frees_its_slot() {
    let odd = odd().await;
    let before = BEGUN.with(|n| n.get());
    let mut waiting = Vec::new();
    for _ in 0..256 {
        let odd = odd.clone();
        waiting.push(tokio::spawn(async move { ask(&odd, "hang", None).await }));
    }
    while BEGUN.with(|n| n.get()) - before < 256 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&odd, "deny", None).await.unwrap_err(), CallError::Busy);
    waiting.pop().unwrap().abort();
    let answer = loop {
        match ask(&odd, "deny", None).await {
            Err(CallError::Busy) => tokio::task::yield_now().await,
            other => break other,
        }
    };
    assert!(answer.is_ok());
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
}

/// How often the strategy itself was asked meanwhile.
async fn asked<T>(work: impl Future<Output = T>) -> (T, usize) {
    let before = BEGUN.with(|n| n.get());
    let result = work.await;
    (result, BEGUN.with(|n| n.get()) - before)
}

#[tokio::test(start_paused = true)]
async fn a_strategy_that_keeps_failing_is_set_aside_and_probed_once_in_ten_seconds() {
    let odd = odd().await;
    for what in ["fail", "panic", "hang", "fail"] {
        assert!(fails(&odd, what).await);
    }
    assert_eq!(asked(fails(&odd, "fail")).await, (true, 1), "the fifth still asks");
    assert_eq!(asked(fails(&odd, "deny")).await, (true, 0), "now it is set aside");
    advance(Duration::from_secs(10)).await;
    assert_eq!(asked(fails(&odd, "fail")).await, (true, 1), "the probe");
    assert_eq!(asked(fails(&odd, "deny")).await, (true, 0), "only one");
    advance(Duration::from_secs(10)).await;
    assert_eq!(asked(fails(&odd, "deny")).await, (false, 1), "this one decides");
    assert_eq!(asked(fails(&odd, "deny")).await, (false, 1), "so it is back");
}

#[tokio::test(start_paused = true)]
async fn asking_for_the_form_or_leaving_does_not_use_the_probe_up() {
    let odd = odd().await;
    for _ in 0..5 {
        assert!(fails(&odd, "fail").await);
    }
    advance(Duration::from_secs(10)).await;
    assert!(ask(&odd, "form", None).await.is_ok());
    let left = tokio::time::timeout(Duration::from_secs(1), ask(&odd, "hang", None)).await;
    assert!(left.is_err());
    assert_eq!(asked(fails(&odd, "deny")).await, (false, 1));
}

#[tokio::test(start_paused = true)]
async fn refusals_busy_answers_and_one_accounts_broken_credential_set_nothing_aside() {
    let odd = odd().await;
    for what in ["deny", "busy", "bad", "unusable"] {
        for _ in 0..10 {
            let _ = ask(&odd, what, None).await;
        }
    }
    assert!(ask(&odd, "deny", None).await.is_ok());
}

/// Somebody in so many groups is not told apart from a strategy that is broken otherwise.
#[tokio::test(start_paused = true)]
async fn what_may_not_be_said_of_one_person_sets_nothing_aside() {
    let odd = odd().await;
    for _ in 0..10 {
        assert!(fails(&odd, "crowd").await);
    }
    assert_eq!(asked(fails(&odd, "deny")).await, (false, 1));
}

#[tokio::test(start_paused = true)]
async fn failures_far_apart_or_with_decisions_between_set_nothing_aside() {
    let odd = odd().await;
    for _ in 0..10 {
        assert!(fails(&odd, "fail").await);
        advance(Duration::from_secs(15)).await;
    }
    for _ in 0..10 {
        assert!(fails(&odd, "fail").await);
        assert!(ask(&odd, "deny", None).await.is_ok());
    }
}

/// The keys that a kind cannot do without, as they stand in a file.
fn least(kind: &str) -> &'static str {
    match kind {
        "oauth" => "admit = \"anyone\"\nprovider = \"google\"\nclient_id = \"x\"\nclient_secret = \"y\"",
        "ldap" => "url = \"ldaps://x\"\nbase = \"dc=x\"\nuser_dn = \"uid={username},dc=x\"",
        _ => "",
    }
}

async fn start_file(strategies: &str) -> Result<Registry, Vec<Problem>> {
    let text = format!(
        "{strategies}\n[upstreams.api]\nurls = [\"http://127.0.0.1:3000\"]\n\
         [[routes]]\npath = \"/*\"\nupstream = \"api\"\n"
    );
    let config = portcullis_config::parse(&text, "/etc/gw.toml".as_ref(), &[]).unwrap();
    Registry::start(&config, host()).await
}

#[tokio::test]
async fn problems_of_a_strategys_settings_have_their_place_in_the_file() {
    let problems = start_file(
        "[strategies.local]\nkind = \"local\"\nmin_lenght = 9\n\n\
         [strategies.other]\nkind = \"local\"\nmin_length = 7",
    )
    .await
    .unwrap_err();
    let [unknown, short] = &problems[..] else { panic!("{problems:?}") };
    assert!(unknown.place.starts_with("/etc/gw.toml:3:"), "{}", unknown.place);
    assert_eq!(unknown.help.as_deref(), Some("did you mean `min_length`?"));
    assert_eq!(short.place, "/etc/gw.toml:7:14");
    assert_eq!(short.help.as_deref(), Some("an integer from 8 to 128"));
}

#[tokio::test]
async fn every_kind_that_is_linked_in_can_be_configured() {
    for kind in builtin::kinds() {
        let text = format!("[strategies.it]\nkind = \"{kind}\"\n{}", least(kind));
        let registry = start_file(&text).await.unwrap();
        let it = registry.get("it").unwrap();
        assert_eq!((it.kind(), it.failure()), (kind, None));
        let operations = builtin::KINDS.iter().find(|known| known.name == kind).unwrap().operations;
        // An instance may offer less than its kind: a directory's secrets only where its
        // settings let people change them.
        let change_secret = operations.change_secret;
        assert_eq!(Operations { change_secret, ..it.operations() }, operations);
    }
    assert!(builtin::kinds().count() > 1);
}

/// The page says that 14 lines are enough; these are the lines.
#[tokio::test]
async fn the_example_of_the_page_about_providers_starts() {
    let text = include_str!("../../../../config/examples/oauth.toml");
    let env = [("GOOGLE_CLIENT_SECRET".to_owned(), "s".to_owned())];
    let config = portcullis_config::parse(text, "/etc/gw.toml".as_ref(), &env).unwrap();
    let registry = Registry::start(&config, host()).await.unwrap();
    assert_eq!(registry.get("google").unwrap().failure(), None);
    let page = include_str!("../../../../docs/oauth.md");
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 14);
    let quoted = lines.iter().map(|line| format!("   {line}\n")).collect::<String>();
    assert!(page.contains(&quoted), "docs/oauth.md quotes another file");
}
