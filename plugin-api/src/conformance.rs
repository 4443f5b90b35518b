//! Checks that any author can run on a strategy, and the transcript by which two forms of
//! one (linked in, and loaded) are compared word for word. What may not come in: a
//! gateway, a loader.

use crate::{
    Answer, Begin, Call, ChangeSecret, CredentialOp, Diagnose, DynStrategy, Logout, Notice, Outcome, Refresh,
    Resume, StrategyError, Subject, Via,
    wire::{self, Fault},
};
use serde::Serialize;
use serde_json::{Value, json};
use std::net::Ipv4Addr;

/// A question to a strategy.
#[derive(Clone, Debug)]
pub enum Question {
    /// [`DynStrategy::begin`]
    Begin(Begin),
    /// [`DynStrategy::resume`]
    Resume(Resume),
    /// [`DynStrategy::credentials`]
    Credentials(CredentialOp),
    /// [`DynStrategy::refresh`]
    Refresh(Refresh),
    /// [`DynStrategy::logout`]
    Logout(Logout),
    /// [`DynStrategy::notice`]
    Notice(Notice),
    /// [`DynStrategy::change_secret`]
    ChangeSecret(ChangeSecret),
    /// [`DynStrategy::diagnose`]
    Diagnose(Diagnose),
    /// [`DynStrategy::health`]
    Health,
}

/// The circumstances of every question here.
pub fn call() -> Call {
    Call::new("conformance", "conformance", Ipv4Addr::LOCALHOST.into())
}

/// What a strategy answers, as JSON: `{"ok": …}` or `{"error": …}`.
pub async fn ask(strategy: &dyn DynStrategy, question: Question) -> Value {
    let call = &call();
    match question {
        Question::Begin(of) => shown(strategy.begin(call, of).await),
        Question::Resume(of) => shown(strategy.resume(call, of).await),
        Question::Credentials(of) => shown(strategy.credentials(call, of).await),
        Question::Refresh(of) => shown(strategy.refresh(call, of).await),
        Question::Logout(of) => shown(strategy.logout(call, of).await),
        Question::Notice(of) => shown(strategy.notice(call, of).await),
        Question::ChangeSecret(of) => shown(strategy.change_secret(call, of).await),
        Question::Diagnose(of) => shown(strategy.diagnose(call, of).await),
        Question::Health => shown(strategy.health(call).await),
    }
}

/// What it answers to all of them, in order. Two forms of one strategy give the same.
pub async fn transcript(strategy: &dyn DynStrategy, questions: Vec<Question>) -> Vec<Value> {
    let mut all =
        vec![json!({ "kind": strategy.kind(), "operations": format!("{:?}", strategy.operations()) })];
    for question in questions {
        all.push(ask(strategy, question).await);
    }
    all
}

fn shown<T: Serialize>(answer: Answer<T>) -> Value {
    match answer {
        Ok(answer) => json!({ "ok": answer }),
        Err(error) => json!({ "error": Fault::from(error) }),
    }
}

/// One question of each operation, with nothing of use in it.
pub fn each_operation() -> Vec<(&'static str, Question)> {
    let subject = || Subject::new("nobody").expect("it fits");
    let (state, flow, about) = (Vec::new, Vec::new, Vec::new);
    vec![
        ("begin", Question::Begin(Begin::default())),
        (
            "resume",
            Question::Resume(Resume {
                params: [].into(),
                flow: flow(),
                via: Via::Form,
                resume_url: String::new(),
                state: String::new(),
            }),
        ),
        ("credentials", Question::Credentials(CredentialOp::Create { form: [].into(), about: about() })),
        ("refresh", Question::Refresh(Refresh { subject: subject(), state: state() })),
        (
            "logout",
            Question::Logout(Logout { subject: subject(), state: state(), return_url: String::new() }),
        ),
        ("notice", Question::Notice(Notice::default())),
        (
            "change_secret",
            Question::ChangeSecret(ChangeSecret {
                subject: subject(),
                credential: None,
                current: String::new(),
                next: String::new(),
                about: about(),
            }),
        ),
        ("diagnose", Question::Diagnose(Diagnose::default())),
        ("health", Question::Health),
    ]
}

/// The rules that every strategy keeps, whatever it does; one line for each that it breaks.
pub async fn check(strategy: &dyn DynStrategy) -> Vec<String> {
    let mut broken = Vec::new();
    let kind = strategy.kind();
    let letters =
        |text: &str| text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !letters(kind) || !kind.starts_with(|c: char| c.is_ascii_lowercase()) || kind.len() > 32 {
        broken.push(format!("the kind {kind:?} is not [a-z][a-z0-9-]{{0,31}}"));
    }
    let can = strategy.operations();
    for (name, question) in each_operation() {
        let has = match name {
            "resume" => can.resume,
            "credentials" => can.credentials,
            "refresh" => can.refresh,
            "logout" => can.logout,
            "notice" => can.notice,
            "change_secret" => can.change_secret,
            "diagnose" => can.diagnose,
            _ => true,
        };
        let answer = ask(strategy, question).await;
        let unsupported = answer["error"]["code"] == Fault::from(StrategyError::Unsupported).code;
        if has && unsupported {
            broken.push(format!("it says that it has `{name}`, and answers that it does not"));
        }
        if !has && !unsupported {
            broken.push(format!("it says that it does not have `{name}`, and answers {answer}"));
        }
    }
    match strategy.begin(&call(), Begin::default()).await {
        Ok(Outcome::Authenticated(_)) => broken.push("it authenticates a form without fields".to_owned()),
        Ok(outcome) => {
            if let Err(why) = wire::encode(&outcome) {
                broken.push(format!("its first answer cannot be sent: {why}"));
            }
        }
        Err(error) => broken.push(format!("a form without fields is an error: {error}")),
    }
    broken
}
