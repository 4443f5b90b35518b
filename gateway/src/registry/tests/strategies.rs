//! Two strategies that do what the form's field `do` tells them.

use portcullis_plugin_api::{
    Answer, Authenticated, Begin, Call, CredentialOp, CredentialReply, Denial, Form, Host, Object,
    Operations, Outcome, SettingsProblem, StartError, Strategy, StrategyError, Subject,
};
use std::{cell::Cell, future::pending};

thread_local! {
    /// How many calls reached a strategy, in this test: each has a thread of its own.
    pub(super) static BEGUN: Cell<usize> = const { Cell::new(0) };
}

/// Keeps no credentials with the gateway.
pub(super) struct Odd;

/// Keeps them there.
pub(super) struct Settled;

impl Strategy for Odd {
    const KIND: &'static str = "odd";
    const OPERATIONS: Operations = Operations::NONE;

    async fn start(settings: Object, _host: Host) -> Result<Self, StartError> {
        match settings.get("start").and_then(|how| how.as_str()) {
            None => Ok(Self),
            Some("hang") => pending().await,
            Some("panic") => panic!("start on purpose"),
            Some("wrong") => Err(StartError::Settings(vec![
                SettingsProblem::at("start", "`start` is wrong"),
                SettingsProblem::at("start", "and once more"),
            ])),
            Some(_) => Err(StartError::Failed("nothing to stand on".into())),
        }
    }

    async fn begin(&self, _call: &Call, request: Begin) -> Answer<Outcome> {
        act(&request.form["do"]).await
    }
}

impl Strategy for Settled {
    const KIND: &'static str = "settled";
    const OPERATIONS: Operations = Operations { credentials: true, ..Operations::NONE };

    async fn start(_settings: Object, _host: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn begin(&self, _call: &Call, request: Begin) -> Answer<Outcome> {
        act(&request.form["do"]).await
    }

    async fn credentials(&self, _call: &Call, op: CredentialOp) -> Answer<CredentialReply> {
        match op {
            CredentialOp::Import { secret } if secret != "weak" => Ok(CredentialReply { secret }),
            _ => Err(StrategyError::WeakSecret("longer".into())),
        }
    }
}

async fn act(what: &str) -> Answer<Outcome> {
    BEGUN.with(|begun| begun.set(begun.get() + 1));
    match what {
        "form" => Ok(Outcome::Form(Form::default())),
        "deny" => Ok(Outcome::denied(Denial::BadCredentials)),
        "busy" => Err(StrategyError::Busy),
        "bad" => Err(StrategyError::BadRequest { field: "do".into(), message: "is bad".into() }),
        "crowd" => {
            let mut who = Authenticated::of(Subject::new("ada").unwrap());
            who.claims.insert("groups".into(), "x".repeat(100_000).into());
            Ok(Outcome::Authenticated(Box::new(who)))
        }
        "unusable" => Err(StrategyError::UnusableCredential("of one account".into())),
        "fail" => Err(StrategyError::Failed("on purpose".into())),
        "panic" => panic!("on purpose"),
        "hang" => pending().await,
        subject => Ok(Outcome::Authenticated(Box::new(Authenticated::of(Subject::new(subject).unwrap())))),
    }
}
