//! The strategy as the gateway sees it, without a gateway.

use super::*;
use argon2::{Algorithm, Argon2, Params, Version, password_hash::phc::PasswordHash};
use portcullis_plugin_api::{RandomSource, StoredCredential, Subject};
use std::{
    collections::BTreeMap,
    future::Future,
    net::Ipv4Addr,
    sync::atomic::{AtomicU8, Ordering},
    task::{Context, Poll, Waker},
};

const TYPED: &str = "correct horse";

async fn local() -> Local {
    with_cores(2).await
}

async fn with_cores(cores: usize) -> Local {
    let next = AtomicU8::new(0);
    let random = Arc::new(move |bytes: &mut [u8]| {
        bytes.iter_mut().for_each(|b| *b = next.fetch_add(1, Ordering::SeqCst))
    });
    Local::start(Object::new(), Host { random, now: Arc::new(|| 0), cores }).await.unwrap()
}

fn call() -> Call {
    Call::new("r", "local", Ipv4Addr::LOCALHOST.into())
}

fn form(password: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("username".into(), "alice".into()), ("password".into(), password.into())])
}

async fn create(local: &Local, password: &str, about: &[&str]) -> Answer<String> {
    let about = about.iter().map(|word| (*word).to_owned()).collect();
    let op = CredentialOp::Create { form: form(password), about };
    Strategy::credentials(local, &call(), op).await.map(|reply| reply.secret)
}

async fn import(local: &Local, secret: &str) -> Answer<String> {
    let op = CredentialOp::Import { secret: secret.to_owned() };
    Strategy::credentials(local, &call(), op).await.map(|reply| reply.secret)
}

async fn login(local: &Local, password: &str, secret: Option<&str>) -> Answer<Outcome> {
    let credential = secret.map(|secret| StoredCredential {
        subject: Subject::new("subject-of-alice").unwrap(),
        secret: secret.to_owned(),
    });
    Strategy::begin(local, &call(), Begin { form: form(password), credential, ..Begin::default() }).await
}

fn is_denied(answer: &Answer<Outcome>) -> bool {
    matches!(answer, Ok(Outcome::Denied(no)) if no.reason == Denial::BadCredentials)
}

fn authenticated(answer: Answer<Outcome>) -> Authenticated {
    match answer {
        Ok(Outcome::Authenticated(who)) => *who,
        other => panic!("not authenticated: {other:?}"),
    }
}

/// A hash in other parameters than today's, made with the library alone.
fn hashed(password: &str, memory: u32, passes: u32, lanes: u32) -> String {
    let argon = Argon2::new(
        Algorithm::Argon2id,
        Version::V0x13,
        Params::new(memory, passes, lanes, Some(32)).unwrap(),
    );
    let hash: PasswordHash =
        argon2::PasswordHasher::hash_password_with_salt(&argon, password.as_bytes(), &[7; 16]).unwrap();
    hash.to_string()
}

#[test]
fn the_librarys_defaults_are_still_the_parameters_we_promise() {
    let defaults = Params::default(); // M-24
    assert_eq!((defaults.m_cost(), defaults.t_cost(), defaults.p_cost()), (19_456, 2, 1));
    assert_eq!(Params::DEFAULT_OUTPUT_LEN, 32);
}

#[tokio::test]
async fn an_empty_form_asks_for_name_and_password() {
    let answer = Strategy::begin(&local().await, &call(), Begin::default()).await.unwrap();
    let Outcome::Form(form) = answer else { panic!("{answer:?}") };
    let fields: Vec<_> =
        form.fields.iter().map(|f| (f.name.as_str(), f.kind.as_str(), f.label.as_str())).collect();
    assert_eq!(
        fields,
        [("username", "username", "Name or e-mail address"), ("password", "password", "Password")]
    );
}

#[tokio::test]
async fn a_created_password_signs_its_subject_in_and_no_other_password_does() {
    let local = local().await;
    let secret = create(&local, TYPED, &[]).await.unwrap();
    assert!(secret.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{secret}");
    let who = authenticated(login(&local, TYPED, Some(&secret)).await);
    assert_eq!(who.subject.as_str(), "subject-of-alice");
    assert_eq!(who.renewed_secret, None);
    assert!(is_denied(&login(&local, "Correct horse", Some(&secret)).await));
}

#[tokio::test]
async fn two_hashes_of_one_password_differ() {
    let local = local().await;
    let (one, two) = (create(&local, TYPED, &[]).await, create(&local, TYPED, &[]).await);
    assert_ne!(one.unwrap(), two.unwrap());
}

#[tokio::test]
async fn an_unknown_name_costs_the_same_work_as_a_wrong_password() {
    let local = local().await;
    let secret = create(&local, TYPED, &[]).await.unwrap();
    for stored in [Some(secret.as_str()), None, Some("$argon2id$broken")] {
        let before = local.hasher.work.load(Ordering::SeqCst);
        let answer = login(&local, "wrong password", stored).await;
        assert!(is_denied(&answer) || matches!(answer, Err(StrategyError::UnusableCredential(_))));
        assert_eq!(local.hasher.work.load(Ordering::SeqCst) - before, 19_456 * 2, "{stored:?}");
    }
}

#[tokio::test]
async fn a_missing_empty_or_overlong_password_is_refused_before_any_hashing() {
    let local = local().await;
    let secret = create(&local, TYPED, &[]).await.unwrap();
    let before = local.workers.executed();
    let mut forms = vec![form(""), form(&"x".repeat(1025)), form(&"x".repeat(1 << 20))];
    forms.push(BTreeMap::from([("username".into(), "alice".into())]));
    for form in forms {
        let subject = Subject::new("s").unwrap();
        let credential = Some(StoredCredential { subject, secret: secret.clone() });
        let answer = Strategy::begin(&local, &call(), Begin { form, credential, ..Begin::default() }).await;
        assert!(matches!(&answer, Err(StrategyError::BadRequest { field, .. }) if field == "password"));
    }
    assert_eq!(local.workers.executed(), before);
}

#[tokio::test]
async fn passwords_match_their_normal_form_twin_and_no_other_twin() {
    // W-06. The two spellings of é: one code point, or e and a combining accent.
    let local = local().await;
    let (composed, decomposed) = ("caf\u{e9} noir 1", "cafe\u{301} noir 1");
    for (set, typed) in [(composed, decomposed), (decomposed, composed)] {
        let secret = create(&local, set, &[]).await.unwrap();
        authenticated(login(&local, typed, Some(&secret)).await);
        for twin in ["cafe noir 1", "CAF\u{c9} NOIR 1", " caf\u{e9} noir 1", "caf\u{e9} noir 1 "] {
            assert!(is_denied(&login(&local, twin, Some(&secret)).await), "{twin:?}");
        }
    }
    // NFKC would make these two one.
    let secret = create(&local, "\u{fb01}nancial", &[]).await.unwrap();
    assert!(is_denied(&login(&local, "financial", Some(&secret)).await));
}

#[tokio::test]
async fn every_byte_of_a_long_password_counts() {
    // W-06: others cut at 72 (bcrypt), at 128, or at a NUL.
    let local = local().await;
    for length in [72, 73, 128, 1024] {
        let set: String = "plover heron stork ".chars().cycle().take(length).collect();
        let secret = create(&local, &set, &[]).await.unwrap();
        authenticated(login(&local, &set, Some(&secret)).await);
        let changed = format!("{}y", &set[1..]);
        for twin in [&set[1..], &changed] {
            assert!(is_denied(&login(&local, twin, Some(&secret)).await), "{length}");
        }
    }
    let secret = create(&local, "before\0after", &[]).await.unwrap();
    assert!(is_denied(&login(&local, "before\0other", Some(&secret)).await));
    assert!(is_denied(&login(&local, "before", Some(&secret)).await));
}

/// W-05, with what each is refused for.
fn unusable() -> Vec<(String, &'static str)> {
    let good = hashed(TYPED, 64, 1, 1);
    let with = |from: &str, to: &str| {
        assert!(good.contains(from));
        good.replacen(from, to, 1)
    };
    vec![
        (with("m=64", "m=4194304"), "cost"),
        (with("m=64", "m=262145"), "cost"),
        (with("t=1", "t=1000000"), "cost"),
        (with("t=1", "t=17"), "cost"),
        (with("m=64,t=1,p=1", "m=256,t=1,p=17"), "cost"),
        (with("m=64", "m=4294967296"), "range"),
        (with("m=64", "m=7"), "range"),
        (with("t=1", "t=0"), "range"),
        (with("p=1", "p=0"), "range"),
        (with("m=64,t=1,p=1", "m=64,t=1"), "parameters"),
        (with("m=64,t=1,p=1", "m=64,m=64,t=1,p=1"), "parameters"),
        (with("p=1", "p=1,keyid=YQ"), "parameters"),
        (with("p=1", "p=1,data=YWJj"), "parameters"),
        (with("$v=19", "$v=16"), "version"),
        (with("$v=19", ""), "version"),
        (with("argon2id", "argon2i"), "algorithm"),
        (with("argon2id", "argon2d"), "algorithm"),
        (with("argon2id", "scrypt"), "algorithm"),
        (good[..good.rfind('$').unwrap()].to_owned(), "missing"),
        (format!("{}$!!!", &good[..good.rfind('$').unwrap()]), "PHC"),
        (format!("{good}$more"), "PHC"),
        (format!("{good}{}", "A".repeat(300)), "longer"),
        (String::new(), "PHC"),
        (TYPED.to_owned(), "PHC"),
        ("$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".to_owned(), "PHC"),
    ]
}

#[tokio::test]
async fn a_broken_or_costly_stored_hash_is_an_error_and_never_a_wrong_password() {
    let local = local().await;
    for (stored, why) in unusable() {
        let answer = login(&local, TYPED, Some(&stored)).await;
        let Err(StrategyError::UnusableCredential(message)) = answer else { panic!("{stored}: {answer:?}") };
        assert!(message.contains(why), "{stored}: {message}");
    }
}

#[tokio::test]
async fn a_hash_that_could_not_be_used_later_is_not_taken_over() {
    let local = local().await;
    for (stored, why) in unusable() {
        let answer = import(&local, &stored).await;
        let Err(StrategyError::BadRequest { message, .. }) = answer else { panic!("{stored}: {answer:?}") };
        assert!(message.contains(why), "{stored}: {message}");
    }
    let good = hashed(TYPED, 64, 1, 1);
    assert_eq!(import(&local, &good).await, Ok(good));
}

#[tokio::test]
async fn a_login_with_old_parameters_renews_the_hash_once_it_was_right() {
    // W-07
    let local = local().await;
    for (memory, passes, lanes) in [(7168, 5, 1), (64, 1, 1), (19_456, 2, 2), (20_000, 2, 1)] {
        let old = hashed(TYPED, memory, passes, lanes);
        assert!(is_denied(&login(&local, "wrong password", Some(&old)).await));
        let renewed = authenticated(login(&local, TYPED, Some(&old)).await).renewed_secret.unwrap();
        assert!(renewed.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{renewed}");
        assert_eq!(authenticated(login(&local, TYPED, Some(&renewed)).await).renewed_secret, None);
    }
}

#[tokio::test]
async fn a_new_password_is_long_enough_and_names_nobody() {
    let local = local().await;
    let weak = async |password: &str, about: &[&str]| match create(&local, password, about).await {
        Ok(_) => None,
        Err(StrategyError::WeakSecret(message)) => Some(message),
        Err(other) => panic!("{other:?}"),
    };
    assert_eq!(weak("zwkqvbt", &[]).await.as_deref(), Some("The password needs at least 8 characters."));
    // Characters, not bytes, and in normal form: seven here.
    assert!(weak("e\u{301}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}", &[]).await.is_some());
    assert!(weak("zwkqvbtr", &[]).await.is_none());
    assert!(weak("my-ALICE-77", &["alice"]).await.unwrap().contains("must not contain your name"));
}

async fn change(local: &Local, current: &str, next: &str, secret: Option<&str>) -> Answer<Outcome> {
    let subject = Subject::new("subject-of-alice").unwrap();
    let credential =
        secret.map(|secret| StoredCredential { subject: subject.clone(), secret: secret.to_owned() });
    let (current, next, about) = (current.to_owned(), next.to_owned(), vec!["alice".to_owned()]);
    let request = ChangeSecret { subject, credential, current, next, about };
    Strategy::change_secret(local, &call(), request).await
}

#[tokio::test]
async fn a_change_needs_the_current_password_and_obeys_the_rules_of_a_new_one() {
    const NEXT: &str = "another horse entirely";
    let local = local().await;
    let secret = create(&local, TYPED, &[]).await.unwrap();
    for (current, stored) in [("wrong password", Some(secret.as_str())), (TYPED, None)] {
        assert!(is_denied(&change(&local, current, NEXT, stored).await));
        // A weak new one says nothing before the current one was right.
        assert!(is_denied(&change(&local, current, "password", stored).await));
    }
    for next in ["short", "password", "alice-in-wonderland"] {
        let answer = change(&local, TYPED, next, Some(&secret)).await;
        assert!(matches!(answer, Err(StrategyError::WeakSecret(_))), "{next}: {answer:?}");
    }
    for (current, next, field) in
        [("", NEXT, "current"), (TYPED, "", "next"), (TYPED, &"x".repeat(1025), "next")]
    {
        let answer = change(&local, current, next, Some(&secret)).await;
        assert!(matches!(&answer, Err(StrategyError::BadRequest { field: at, .. }) if at == field));
    }
    let renewed = authenticated(change(&local, TYPED, NEXT, Some(&secret)).await).renewed_secret.unwrap();
    authenticated(login(&local, NEXT, Some(&renewed)).await);
    assert!(is_denied(&login(&local, TYPED, Some(&renewed)).await));
}

#[tokio::test]
async fn a_full_queue_is_busy_and_a_client_that_left_makes_room() {
    let local = with_cores(1).await;
    let mut context = Context::from_waker(Waker::noop());
    // One thread and eight places: asking is quicker than hashing, so it soon is full.
    let mut logins = Vec::new();
    loop {
        let mut one_more = Box::pin(login(&local, TYPED, None));
        match one_more.as_mut().poll(&mut context) {
            Poll::Ready(Err(StrategyError::Busy)) => break,
            Poll::Ready(other) => panic!("{other:?}"),
            Poll::Pending => logins.push(one_more),
        }
    }
    // What was begun may have ended meanwhile and made room for more, but no more wait.
    assert!(logins.len() >= 9 && local.workers.queued() <= 9, "{}", logins.len());
    drop(logins);
    assert_eq!(local.workers.queued(), 0);
    assert!(is_denied(&login(&local, TYPED, None).await));
}

#[test]
fn the_hash_for_the_command_line_is_one_that_a_login_accepts() {
    let random: Arc<RandomSource> = Arc::new(|bytes: &mut [u8]| bytes.fill(9));
    let hash = hash_password("caf\u{e9}", random.clone()).unwrap();
    let password = Password::new("cafe\u{301}").ok().unwrap();
    let stored = Stored::read(&hash).unwrap();
    let checked = Hasher::new(random.clone()).check(&password, &stored);
    assert_eq!(checked, Ok(Checked::Right { renewed: None }));
    assert_eq!(hash_password("", random.clone()).unwrap_err(), "the password must not be empty");
    assert!(hash_password(&"x".repeat(1025), random).is_err());
}

#[tokio::test]
async fn it_keeps_the_rules_of_every_strategy() {
    let host = Host { random: Arc::new(|bytes| bytes.fill(1)), now: Arc::new(|| 0), cores: 1 };
    let local = portcullis_plugin_api::start::<Local>(Object::new(), host).await.ok().unwrap();
    assert_eq!(portcullis_plugin_api::conformance::check(&*local).await, Vec::<String>::new());
}
