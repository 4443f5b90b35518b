//! What a strategy's answer to a step of a login comes to. One body for every wrong name
//! and password; more is said only where the strategy says that it reveals nothing.

use super::{
    admit::{Admitted, admit},
    asked::Asked,
    body::malformed,
    external,
    kept::Link,
    link,
    who::Handed,
};
use crate::{
    control::Ask,
    problem::{Code, Problem},
    registry::{CallError, Instance},
    sessions::Account,
};
use http::header::{ACCEPT_LANGUAGE, USER_AGENT};
use portcullis_plugin_api::{Authenticated, Call, Denial, Denied, Form, Outcome, Redirect, Via};
use std::sync::Arc;

/// The most bytes of a header field that a strategy is told.
const MOST: usize = 256;
/// The most characters of a strategy's sentence to a person.
const SENTENCE: usize = 500;

/// What a step comes to.
pub(super) enum Decided {
    Admitted(Box<Admitted>),
    Form(Form),
    Redirect(Redirect),
    /// Added to this account, which stays signed in as it was.
    Linked(Arc<Account>),
    /// No, and not for a wrong name or password.
    Refused(Box<Refusal>),
    /// For the audit trail only.
    BadCredentials(&'static str),
}

/// A no that may be told.
pub(crate) struct Refusal {
    pub(crate) problem: Problem,
    /// For the audit trail.
    pub(crate) reason: &'static str,
}

impl Refusal {
    fn of(code: Code, message: Option<String>, reason: &'static str) -> Self {
        let mut problem = Problem::from(code);
        problem.detail = message.map(|text| text.chars().take(SENTENCE).collect::<String>().into());
        Self { problem, reason }
    }
}

impl Decided {
    pub(super) fn not_admitted(reason: &'static str) -> Self {
        Self::Refused(Box::new(Refusal::of(Code::NotAdmitted, None, reason)))
    }
}

/// Reads an outcome. `bad` is what the audit trail says of wrong credentials;
/// `to` is the account that the login is to be added to; `via` how the step came.
pub(super) async fn on(
    ask: &Ask<'_>,
    strategy: &Instance,
    handed: Option<Handed>,
    outcome: Outcome,
    bad: &'static str,
    to: Option<&Link>,
    via: Via,
) -> Result<Decided, Problem> {
    match (outcome, to) {
        (Outcome::Authenticated(who), Some(link)) if strategy.operations().credentials => {
            match authenticated(ask, strategy, handed, *who, via).await? {
                Decided::Admitted(admitted) => link::kept(ask, link, &admitted).await,
                other => Ok(other),
            }
        }
        (Outcome::Authenticated(who), Some(link)) => link::add(ask, strategy, link, *who).await,
        (Outcome::Authenticated(who), None) => authenticated(ask, strategy, handed, *who, via).await,
        (Outcome::Form(form), _) => Ok(Decided::Form(form)),
        (Outcome::Redirect(redirect), _) => Ok(Decided::Redirect(redirect)),
        (Outcome::Denied(denied), _) => Ok(match told(denied) {
            Some(refusal) => Decided::Refused(Box::new(refusal)),
            None => Decided::BadCredentials(bad),
        }),
        // An outcome that this gateway does not know decides nothing.
        _ => Err(Code::StrategyUnavailable.into()),
    }
}

/// A no that the strategy lets the person hear: it was no wrong name or password.
pub(crate) fn told(Denied { reason, message, .. }: Denied) -> Option<Refusal> {
    let (code, reason) = match reason {
        Denial::NotAdmitted => (Code::NotAdmitted, "not_admitted"),
        Denial::Locked => (Code::Locked, "locked_by_strategy"),
        Denial::ProviderRefused => (Code::ProviderRefused, "provider_refused"),
        _ => return None,
    };
    Some(Refusal::of(code, message, reason))
}

async fn authenticated(
    ask: &Ask<'_>,
    strategy: &Instance,
    handed: Option<Handed>,
    who: Authenticated,
    via: Via,
) -> Result<Decided, Problem> {
    if !strategy.operations().credentials {
        return external::admit(ask, strategy, who, via).await;
    }
    let has_policy = external::admission(ask, strategy).is_some();
    if has_policy && external::judge(ask, strategy, who.clone())?.is_none() {
        return Ok(Decided::not_admitted("admit"));
    }
    Ok(match admit(strategy.id(), handed, who) {
        Some(admitted) => Decided::Admitted(Box::new(admitted)),
        None => Decided::not_admitted("not_admitted"),
    })
}

/// The circumstances of a call.
pub(super) fn call(ask: &Ask<'_>, strategy: &Instance) -> Call {
    let text = |name| {
        let text = String::from_utf8_lossy(ask.header(name).unwrap_or_default()).into_owned();
        text.char_indices().take_while(|(at, c)| at + c.len_utf8() <= MOST).map(|(_, c)| c).collect()
    };
    Call {
        user_agent: text(USER_AGENT),
        locale: text(ACCEPT_LANGUAGE),
        ..Call::new(ask.request.request_id.clone(), strategy.id(), ask.request.client)
    }
}

/// What a strategy says of somebody who wants to come in. A directory or a provider does not
/// work for a client that has left. Then nothing was decided: it counts for as little as an
/// answer that there was no place, and nobody reads it.
pub(super) async fn unless_left<T>(
    ask: &Ask<'_>,
    answer: impl Future<Output = Result<T, CallError>>,
) -> Result<T, CallError> {
    tokio::select! {
        biased;
        answer = answer => answer,
        () = ask.request.departure.happened() => Err(CallError::Busy),
    }
}

/// Why a strategy did not decide, for the client.
pub(super) fn undecided(error: CallError, asked: &Asked) -> Problem {
    match error {
        CallError::Busy => Code::Busy.into(),
        CallError::BadRequest { field, .. } if asked.not_text.contains(&field) => {
            malformed(format!("{field}: must be text"))
        }
        CallError::BadRequest { field, message } => malformed(format!("{field}: {message}")),
        CallError::ProviderInvalid => in_the_log(Code::ProviderInvalid),
        CallError::Weak(message) => Problem::from(Code::WeakPassword).detail(message),
        CallError::Unavailable | CallError::Unusable | CallError::Unsupported => {
            in_the_log(Code::StrategyUnavailable)
        }
    }
}

/// Something that only the operator can mend, and of which the log says more: where to look,
/// without a word of what was found.
pub(super) fn in_the_log(code: Code) -> Problem {
    let title = code.title();
    let help = "whoever runs this gateway finds the reason in its log, under the id of this request";
    Problem::from(code).detail(format!("{title}: {help}."))
}
