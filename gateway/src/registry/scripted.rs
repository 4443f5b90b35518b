//! Strategies that answer what a test tells them to: `oauth` with a provider and `ldap` with
//! a form. What they are asked is written down. Both are of the thread that the test runs on.

use super::builtin::Kind;
use portcullis_plugin_api::{
    Answer, Authenticated, Begin, Call, ChangeSecret, Diagnose, Field, FieldKind, Form, Host, Logout,
    LogoutReply, Notice, NoticeReply, Object, Operations, Outcome, Redirect, Refresh, Resume, StartError,
    Step, Strategy, StrategyError, Subject,
};
use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
};

thread_local! {
    static ANSWERS: RefCell<VecDeque<Answer<Outcome>>> = const { RefCell::new(VecDeque::new()) };
    static ASKED: RefCell<Vec<Asked>> = const { RefCell::new(Vec::new()) };
}

/// A call that was made.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// `begin`, `resume`, …
    pub(crate) what: &'static str,
    pub(crate) strategy: String,
    pub(crate) params: BTreeMap<String, String>,
    /// The flow or the state that was handed back.
    pub(crate) bytes: Vec<u8>,
    /// The one-time state.
    pub(crate) state: String,
}

/// The next call is answered so; without one a provider redirects and a directory shows its
/// form.
pub(crate) fn answer(with: Answer<Outcome>) {
    ANSWERS.with_borrow_mut(|answers| answers.push_back(with));
}

/// The next call signs in this subject with these claims.
pub(crate) fn sign_in(subject: &str, claims: &serde_json::Value) {
    answer(Ok(Outcome::Authenticated(Box::new(who(subject, claims)))));
}

/// A good login to be changed by the test.
pub(crate) fn who(subject: &str, claims: &serde_json::Value) -> Authenticated {
    let mut who = Authenticated::of(Subject::new(subject).unwrap());
    who.realm = "https://idp.test".into();
    who.claims = claims.as_object().cloned().unwrap();
    who.state = format!("tokens of {subject}").into_bytes();
    who
}

/// Everything that was asked since the last look.
pub(crate) fn asked() -> Vec<Asked> {
    ASKED.with_borrow_mut(std::mem::take)
}

fn note(what: &'static str, call: &Call, params: BTreeMap<String, String>, bytes: &[u8], state: &str) {
    let (strategy, state, bytes) = (call.strategy.clone(), state.to_owned(), bytes.to_vec());
    ASKED.with_borrow_mut(|asked| asked.push(Asked { what, strategy, params, bytes, state }));
}

fn next() -> Option<Answer<Outcome>> {
    ANSWERS.with_borrow_mut(VecDeque::pop_front)
}

struct Provider;
struct Directory;

impl Strategy for Provider {
    const KIND: &'static str = "oauth";
    const OPERATIONS: Operations =
        Operations { resume: true, refresh: true, logout: true, notice: true, ..Operations::NONE };

    async fn start(_: Object, _: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn begin(&self, call: &Call, request: Begin) -> Answer<Outcome> {
        let mut params = request.form;
        params.extend(request.login_hint.map(|hint| ("login_hint".to_owned(), hint)));
        note("begin", call, params, request.resume_url.as_bytes(), &request.state);
        let url = format!("https://idp.test/authorize?state={}", request.state);
        next().unwrap_or_else(|| Ok(Outcome::Redirect(Redirect { url, flow: b"verifier".to_vec() })))
    }

    async fn resume(&self, call: &Call, request: Resume) -> Answer<Outcome> {
        note("resume", call, request.params, &request.flow, &request.state);
        next().unwrap_or(Err(StrategyError::Failed("no script".into())))
    }

    async fn refresh(&self, call: &Call, request: Refresh) -> Answer<Outcome> {
        note("refresh", call, BTreeMap::new(), &request.state, request.subject.as_str());
        next().unwrap_or(Err(StrategyError::Failed("no script".into())))
    }

    async fn logout(&self, call: &Call, request: Logout) -> Answer<LogoutReply> {
        note("logout", call, BTreeMap::new(), &request.state, &request.return_url);
        Ok(LogoutReply { redirect: Some("https://idp.test/end".into()) })
    }

    /// `logout_token=sub SUBJECT ONCE` or `sid SESSION ONCE`.
    async fn notice(&self, call: &Call, request: Notice) -> Answer<NoticeReply> {
        note("notice", call, request.params.clone(), &[], "");
        let said =
            request.params.get("logout_token").or(request.params.get("sid")).cloned().unwrap_or_default();
        let words: Vec<&str> = said.split(' ').collect();
        let ["sub" | "sid", name, once] = words[..] else {
            return Err(StrategyError::BadRequest {
                field: "logout_token".into(),
                message: "not good".into(),
            });
        };
        let by_subject = words[0] == "sub";
        Ok(NoticeReply {
            subject: by_subject.then(|| Subject::new(name).unwrap()),
            realm: "https://idp.test".into(),
            provider_session: (!by_subject).then(|| name.to_owned()),
            once: Some((once.to_owned(), std::time::Duration::from_secs(120))),
        })
    }
}

impl Strategy for Directory {
    const KIND: &'static str = "ldap";
    const OPERATIONS: Operations =
        Operations { resume: true, refresh: true, change_secret: true, diagnose: true, ..Operations::NONE };

    async fn start(_: Object, _: Host) -> Result<Self, StartError> {
        Ok(Self)
    }

    async fn begin(&self, call: &Call, request: Begin) -> Answer<Outcome> {
        if request.form.is_empty() {
            let field =
                |name: &str, kind| Field { name: name.into(), kind, label: name.into(), required: true };
            let fields = vec![field("username", FieldKind::Username), field("password", FieldKind::Password)];
            return Ok(Outcome::Form(Form { fields, ..Form::default() }));
        }
        note("begin", call, request.form, &[], &request.state);
        next().unwrap_or_else(|| Ok(Outcome::denied(portcullis_plugin_api::Denial::BadCredentials)))
    }

    async fn resume(&self, call: &Call, request: Resume) -> Answer<Outcome> {
        note("resume", call, request.params, &request.flow, &request.state);
        next().unwrap_or(Err(StrategyError::Failed("no script".into())))
    }

    async fn refresh(&self, call: &Call, request: Refresh) -> Answer<Outcome> {
        note("refresh", call, BTreeMap::new(), &request.state, request.subject.as_str());
        next().unwrap_or(Err(StrategyError::Failed("no script".into())))
    }

    async fn change_secret(&self, _: &Call, _: ChangeSecret) -> Answer<Outcome> {
        next().unwrap_or(Err(StrategyError::Failed("no script".into())))
    }

    async fn diagnose(&self, _: &Call, request: Diagnose) -> Answer<Vec<Step>> {
        let step = |name: &str, ok, advice: Option<&str>| Step {
            name: name.into(),
            ok,
            detail: format!("about {}", request.user.as_deref().unwrap_or("nobody")),
            advice: advice.map(str::to_owned),
            claims: None,
        };
        Ok(vec![step("connect", Some(true), None), step("bind", Some(false), Some("look at bind_password"))])
    }
}

/// The scripted kinds.
pub(super) const KINDS: &[Kind] = &[Kind::of::<Provider>(), Kind::of::<Directory>()];
