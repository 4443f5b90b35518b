//! Strategies in a library, compared with the same ones linked in, and what the guard makes
//! of their mistakes. Cases 1 to 8, 13, 28 and 33 of the plugin tests.

use super::{
    libraries::{ask, local, odd, one, start, table, told, until},
    *,
};
use crate::registry::{counts::OUTCOMES, foreign, libraries as loading, tickets::TICKETS};
use portcullis_plugin_api::{
    Begin, Diagnose, DynStrategy, Logout, Notice, Refresh, Resume, Via,
    conformance::{self, Question},
};
use std::{io::Write, net::TcpListener, path::Path, time::Instant as Wall};

async fn loaded(path: &Path, kind: &str) -> Arc<dyn DynStrategy> {
    let config =
        portcullis_config::parse(&table("lib", path, "override_builtin = true"), "/gw.toml".as_ref(), &[]);
    let config = config.unwrap();
    let found = loading::load(&config.plugins, &file::Copies::passing("test"));
    let brought = loading::brought(&found);
    let kind = brought.iter().find(|one| one.name == kind).unwrap_or_else(|| panic!("{found:?}"));
    let making = foreign::Making {
        code: kind.code.clone(),
        plugin: "lib".into(),
        kind: kind.name.clone(),
        operations: kind.operations,
        strategy: "it".into(),
        slots: 256,
    };
    foreign::start(making, Object::new(), host()).await.unwrap()
}

/// Every operation, outcome and error.
fn questions() -> Vec<Question> {
    let form = |what, with: &str| Question::Begin(told(what, with));
    let megabyte = (1 << 20) - 200;
    let mut all: Vec<Question> =
        conformance::each_operation().into_iter().map(|(_, question)| question).collect();
    all.extend([
        form("form", ""),
        form("deny", "é \"quoted\" \u{1f512}"),
        form("redirect", "https://idp.test/?a=b"),
        form("echo", "é\n\t\u{0}\"\\"),
        form("random", ""),
        form("sleep", "1"),
        form("fail", "why"),
        form("busy", ""),
        form("bad", "is bad"),
        form("invalid", "it lied"),
        form("unusable", "of one"),
        form("large", &megabyte.to_string()),
        form("echo", &"x".repeat(megabyte - 400)),
        Question::Resume(Resume {
            params: [("code".to_owned(), "c".to_owned())].into(),
            flow: (0..=255).collect(),
            via: Via::Redirect,
            resume_url: "https://gw.test/login/it/callback".into(),
            state: "s".into(),
        }),
        Question::Refresh(Refresh { subject: subject("ada"), state: vec![0, 255] }),
        Question::Logout(Logout {
            subject: subject("ada"),
            state: vec![1],
            return_url: "https://gw.test/".into(),
        }),
        Question::Notice(Notice {
            params: [("logout_token".into(), "t".into())].into(),
            front_channel: true,
        }),
        Question::Diagnose(Diagnose { user: Some("ada".into()) }),
        Question::Credentials(CredentialOp::Import { secret: "weak".into() }),
        Question::Credentials(CredentialOp::Create {
            form: [("password".to_owned(), "correct horse battery".to_owned())].into(),
            about: vec!["ada".into()],
        }),
    ]);
    for current in ["old", "wrong"] {
        all.push(Question::ChangeSecret(portcullis_plugin_api::ChangeSecret {
            subject: subject("ada"),
            credential: Some(StoredCredential { subject: subject("ada"), secret: "kept".into() }),
            current: current.into(),
            next: "new".into(),
            about: vec![],
        }));
    }
    all
}

#[tokio::test]
async fn a_library_gives_the_very_answers_of_what_is_linked_in() {
    let native =
        portcullis_plugin_api::start::<portcullis_test_odd::Odd>(Object::new(), host()).await.ok().unwrap();
    let loaded_odd = loaded(odd(), "odd").await;
    let (one, two) = (
        conformance::transcript(&*native, questions()).await,
        conformance::transcript(&*loaded_odd, questions()).await,
    );
    assert!(one.len() > 25);
    for (at, (one, two)) in one.iter().zip(&two).enumerate() {
        assert_eq!(one, two, "question {at}");
    }
    assert_eq!((native.queued(), loaded_odd.queued()), (3, 3));
}

#[tokio::test]
async fn local_as_a_library_gives_the_very_answers_of_local() {
    let kind = builtin::KINDS.iter().find(|kind| kind.name == "local").unwrap();
    let native = (kind.start)(Object::new(), host()).await.ok().unwrap();
    let loaded = loaded(local(), "local").await;
    let made = |form: &[(&str, &str)]| -> std::collections::BTreeMap<String, String> {
        form.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let password = "correct horse battery staple";
    let create = || CredentialOp::Create { form: made(&[("password", password)]), about: vec![] };
    let stored = conformance::ask(&*native, Question::Credentials(create())).await;
    let secret = stored["ok"]["secret"].as_str().unwrap().to_owned();
    let begin = |password: &str, secret: Option<&str>| {
        let secret = secret.map(|secret| StoredCredential { subject: subject("ada"), secret: secret.into() });
        Question::Begin(Begin {
            form: made(&[("password", password)]),
            credential: secret,
            ..Begin::default()
        })
    };
    let questions = || {
        let mut all: Vec<Question> = conformance::each_operation().into_iter().map(|(_, q)| q).collect();
        all.extend([
            Question::Credentials(create()),
            Question::Credentials(CredentialOp::Import { secret: secret.clone() }),
            Question::Credentials(CredentialOp::Create {
                form: made(&[("password", "short")]),
                about: vec![],
            }),
            begin(password, Some(&secret)),
            begin("wrong", Some(&secret)),
            begin("wrong", None),
            begin("wrong", Some("broken")),
            begin("", Some(&secret)),
        ]);
        all
    };
    let one = conformance::transcript(&*native, questions()).await;
    assert_eq!(one, conformance::transcript(&*loaded, questions()).await);
    assert_eq!(conformance::check(&*loaded).await, Vec::<String>::new());
}

#[tokio::test]
async fn an_answer_of_more_than_a_mebibyte_is_an_error_of_that_call() {
    let odd = one(odd(), "", "odd", "").await;
    assert_eq!(ask(&odd, "large", "1048577").await.unwrap_err(), CallError::Unavailable);
    assert_eq!(ask(&odd, "echo", &"x".repeat(1 << 20)).await.unwrap_err(), CallError::Unavailable);
    assert!(ask(&odd, "deny", "").await.is_ok());
}

/// Cases 2 and 3: the library's own runtime sleeps and speaks TCP.
#[tokio::test]
async fn a_thousand_calls_sleep_and_a_thousand_ask_a_server_at_once() {
    let odd = one(odd(), "max_in_flight = 1000", "odd", "").await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 18];
            std::io::Read::read_exact(&mut stream, &mut request).unwrap();
            stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
        }
    });
    for (what, with) in [("sleep", "100"), ("get", address.as_str())] {
        let calls: Vec<_> = (0..1000)
            .map(|_| {
                let (odd, with) = (odd.clone(), with.to_owned());
                tokio::spawn(async move { ask(&odd, what, &with).await })
            })
            .collect();
        for call in calls {
            assert!(matches!(call.await.unwrap(), Ok(Outcome::Authenticated(_))), "{what}");
        }
    }
    assert_eq!(odd.in_flight(), 0);
}

/// Case 4.
#[tokio::test]
async fn a_client_that_leaves_cancels_the_call_in_the_library() {
    let odd = one(odd(), "max_in_flight = 200", "odd", "").await;
    for _ in 0..5 {
        let calls: Vec<_> = (0..200)
            .map(|_| {
                let odd = odd.clone();
                tokio::spawn(async move { ask(&odd, "hang", "").await })
            })
            .collect();
        until("all are in flight", || odd.in_flight() == 200).await;
        assert_eq!(ask(&odd, "deny", "").await.unwrap_err(), CallError::Busy);
        calls.iter().for_each(tokio::task::JoinHandle::abort);
        // Their destructors panic on purpose; the library answers *cancelled* all the same.
        until("all are over", || odd.in_flight() == 0).await;
        loop {
            match ask(&odd, "deny", "").await {
                Err(CallError::Busy) => tokio::task::yield_now().await,
                other => break assert!(other.is_ok()),
            }
        }
    }
}

/// Case 5.
#[tokio::test]
async fn a_call_that_hangs_or_blocks_ends_at_its_deadline_and_harms_no_other_instance() {
    let tables = table("lib", odd(), "timeout = \"2s\"")
        + "[strategies.one]\nkind = \"odd\"\nadmit = \"anyone\"\n[strategies.two]\nkind = \"odd\"\nadmit = \"anyone\"\n";
    let registry = start(&tables).await.unwrap();
    let (one, two) = (registry.get("one").unwrap(), registry.get("two").unwrap());
    assert_eq!(one.origin().to_string(), "library lib");
    let begun = Wall::now();
    assert_eq!(ask(&one, "hang", "").await.unwrap_err(), CallError::Unavailable);
    assert!(begun.elapsed() >= Duration::from_secs(2));
    let blocked = {
        let one = one.clone();
        tokio::spawn(async move { ask(&one, "block", "4000").await })
    };
    until("it blocks", || one.in_flight() == 1).await;
    assert!(ask(&two, "deny", "").await.is_ok());
    assert_eq!(blocked.await.unwrap().unwrap_err(), CallError::Unavailable);
    let calls = one.counts().unwrap().calls();
    assert_eq!(calls[OUTCOMES.iter().position(|name| *name == "timeout").unwrap()], 2);
}

/// Case 6.
#[tokio::test]
async fn a_panic_anywhere_in_a_library_is_an_error_of_that_call() {
    let odd_one = one(odd(), "", "odd", "").await;
    for what in ["panic", "panic any", "panic grenade", "nonsense"] {
        assert_eq!(ask(&odd_one, what, "").await.unwrap_err(), CallError::Unavailable, "{what}");
        assert!(ask(&odd_one, "deny", "").await.is_ok(), "{what}");
    }
    assert_eq!(ask(&odd_one, "drop", "").await.unwrap_err(), CallError::Unavailable);
    let calls = odd_one.counts().unwrap().calls();
    assert_eq!(calls[OUTCOMES.iter().position(|name| *name == "panic").unwrap()], 5);
    let ends = one(odd(), "", "odd", "start = \"end\"").await;
    assert!(ask(&ends, "deny", "").await.is_ok());
    drop(ends);
    let broken = one(odd(), "", "broken", "").await;
    assert_eq!(broken.failure(), None);
    assert_eq!(ask(&broken, "any", "").await.unwrap_err(), CallError::Unavailable);
}

#[tokio::test]
async fn an_instance_in_a_library_offers_as_much_as_its_settings_do() {
    assert!(one(odd(), "", "odd", "").await.operations().change_secret);
    let less = one(odd(), "", "odd", "start = \"less\"").await.operations();
    assert!(!less.change_secret && less.refresh && less.resume, "{less:?}");
}

/// What this process has of its own: threads by name, descriptors.
fn held(thread: &str) -> (usize, usize) {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let named = tasks.filter(|task| {
        let name = std::fs::read_to_string(task.as_ref().unwrap().path().join("comm"));
        name.is_ok_and(|name| name.trim() == thread)
    });
    (named.count(), std::fs::read_dir("/proc/self/fd").unwrap().count())
}

/// Case 8.
#[tokio::test]
async fn an_instance_that_does_not_start_leaves_no_thread() {
    for (how, timeout, why) in [
        ("fail", "10s", "create of kind \"odd\" failed: nothing to stand on (PLG-14)"),
        ("panic", "10s", "create of kind \"odd\" failed: panicked: start on purpose at "),
        ("hang", "200ms", "did not answer within 200 ms"),
    ] {
        let strategy =
            format!("[strategies.gone-{how}]\nkind = \"odd\"\nadmit = \"anyone\"\nstart = \"{how}\"\n");
        let tables = table("lib", odd(), &format!("timeout = \"{timeout}\"")) + &strategy;
        let registry = start(&tables).await.unwrap();
        let failure = registry.list()[0].failure().unwrap().to_owned();
        assert!(failure.contains(why), "{failure}");
        let thread = format!("pc:gone-{how}");
        until("its thread is gone", || held(&thread).0 == 0).await;
    }
}

/// Case 8: descriptors belong to a whole process, so this runs in one of its own.
#[tokio::test]
async fn an_instance_that_does_not_start_leaves_no_descriptor() {
    const NAME: &str = "registry::tests::loaded::an_instance_that_does_not_start_leaves_no_descriptor";
    if std::env::var_os("PORTCULLIS_TEST_ALONE").is_none() {
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        alone.args([NAME, "--exact", "--nocapture"]).env("PORTCULLIS_TEST_ALONE", "1");
        let done = tokio::task::spawn_blocking(move || alone.output().unwrap()).await.unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let fails = async || {
        for how in ["fail", "panic", "hang"] {
            let strategy =
                format!("[strategies.gone]\nkind = \"odd\"\nadmit = \"anyone\"\nstart = \"{how}\"\n");
            let tables = table("lib", odd(), "timeout = \"200ms\"") + &strategy;
            assert!(start(&tables).await.unwrap().list()[0].failure().is_some(), "{how}");
        }
        until("its threads are gone", || held("pc:gone").0 == 0).await;
    };
    fails().await;
    let before = held("pc:gone").1;
    for _ in 0..5 {
        fails().await;
    }
    until("its descriptors are closed", || held("pc:gone").1 <= before).await;
}

/// Case 13 and the end of every instance.
#[tokio::test]
async fn an_instance_that_nobody_uses_any_more_ends_with_its_thread() {
    let tables = table("lib", odd(), "") + "[strategies.ends]\nkind = \"odd\"\nadmit = \"anyone\"\n";
    let registry = start(&tables).await.unwrap();
    let ends = registry.get("ends").unwrap();
    assert_eq!(held("pc:ends").0, 1);
    let call = tokio::spawn(async move { ask(&ends, "sleep", "300").await });
    drop(registry);
    // A call under way keeps it.
    assert!(call.await.unwrap().is_ok());
    until("its thread is gone", || held("pc:ends").0 == 0).await;
}

#[tokio::test]
async fn problems_of_a_librarys_settings_have_their_place_in_the_file() {
    let strategy =
        "[strategies.it]\nkind = \"odd\"\nadmit = \"anyone\"\nstart = \"wrong\"\ninner = { key = 1 }\n";
    let problems = start(&(strategy.to_owned() + &table("lib", odd(), ""))).await.unwrap_err();
    let said: Vec<_> =
        problems.iter().map(|p| (p.place.as_str(), p.message.as_str(), p.help.as_deref())).collect();
    assert_eq!(
        said,
        [
            ("/etc/gw.toml:4:9", "[strategies.it] start: `start` is wrong", Some("another")),
            ("/etc/gw.toml:5:17", "[strategies.it] inner key: is odd", None),
        ]
    );
}

/// Cases 27 and 28, at the door of the gateway: `rules.rs` has all of them.
#[tokio::test]
async fn what_a_library_may_not_answer_is_refused() {
    let odd = one(odd(), "redirect_hosts = [\"idp.test\"]\nclaims = [\"id\"]", "odd", "").await;
    assert!(ask(&odd, "redirect", "https://idp.test/a").await.is_ok());
    for url in ["https://evil.test/", "javascript:alert(1)", "https://idp.test/\r\nX: y"] {
        assert_eq!(ask(&odd, "redirect", url).await.unwrap_err(), CallError::Unavailable, "{url}");
    }
    let Ok(Outcome::Authenticated(who)) = ask(&odd, "echo", "x").await else { panic!() };
    assert!(who.claims.keys().eq(["id"]), "{:?}", who.claims);
}

/// Case 33; the numbers are in `lent.rs`.
#[tokio::test]
async fn a_flood_of_log_lines_does_not_keep_a_login_waiting() {
    let odd = one(odd(), "", "odd", "").await;
    assert!(ask(&odd, "flood", "").await.is_ok());
    assert!(ask(&odd, "log", "line\nfeed").await.is_ok());
}

#[tokio::test]
async fn two_registries_share_one_module_and_each_ticket_is_answered() {
    let (one_, two) = (one(odd(), "", "odd", "").await, one(odd(), "", "odd", "").await);
    assert!(ask(&one_, "echo", "1").await.is_ok() && ask(&two, "echo", "2").await.is_ok());
    assert_eq!(TICKETS.out(u64::MAX), 0);
    assert_eq!(<portcullis_test_odd::Odd as portcullis_plugin_api::Strategy>::KIND, "odd");
}
