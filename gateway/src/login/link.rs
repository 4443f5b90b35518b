//! A login that is added to the account that is signed in. It never happens by itself: it is
//! asked for from our own pages, soon after a login, and its callback needs that session
//! still alive (contract section 5, the row of `{auth}/credentials`).

use super::{
    admit::Admitted,
    asked::Asked,
    body::{Body, malformed},
    decide::Decided,
    external::{Judged, judge, tell},
    kept::Link,
    page,
    who::store_failed,
};
use crate::{
    accounts::post,
    control::{Ask, Reply, presented, reply},
    mail::Notice,
    pages::LinkView,
    problem::{Code, Problem},
    registry::Instance,
    sessions::{LiveSession, Lookup},
    store::Linked,
    telemetry::Audit,
};
use portcullis_plugin_api::{Authenticated, Form};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// How long after a login its account may be changed without another one.
const FRESH: Duration = Duration::from_secs(600);

/// Whether a body asks for it. What is neither a yes nor a no is refused: it would sign
/// somebody in where a link was meant.
pub(super) fn is_asked(body: &Body) -> Result<bool, Problem> {
    match body.fields.get("link") {
        None | Some(Value::Bool(false)) => Ok(false),
        Some(Value::Bool(true)) => Ok(true),
        Some(Value::String(text)) if matches!(text.as_str(), "true" | "1" | "on") => Ok(true),
        Some(Value::String(text)) if matches!(text.as_str(), "false" | "0" | "off" | "") => Ok(false),
        Some(_) => Err(malformed("link: must be true or false")),
    }
}

/// The session that a login may be linked to, or why there is none.
pub(super) async fn wanted(ask: &Ask<'_>) -> Result<Link, Problem> {
    let session = presented(ask).await?.signed_in()?.ok_or(Code::Forbidden)?;
    let account = session.account();
    if !is_fresh(ask, &session) {
        return Err(Code::FreshLoginRequired.into());
    }
    if account.email.is_some() && !account.email_verified {
        return Err(Code::EmailUnverified.into());
    }
    Ok(Link { account: account.uuid.to_string(), sid: session.sid().to_owned() })
}

fn is_fresh(ask: &Ask<'_>, session: &LiveSession) -> bool {
    ask.control.clock.now().since(session.created()) < FRESH
}

/// `GET {login}/:strategy?link=1`: a link on somebody's page starts nothing; its button does.
pub(super) async fn show(ask: &Ask<'_>, strategy: &Instance, form: Option<&Form>) -> Result<Reply, Problem> {
    wanted(ask).await?;
    let asked = Asked::by_link(ask, true);
    Ok(shown(ask, strategy, form, &asked.return_to, None))
}

/// The page with its button; `problem` is why it is shown again.
pub(super) fn shown(
    ask: &Ask<'_>,
    strategy: &Instance,
    form: Option<&Form>,
    return_to: &str,
    problem: Option<&Problem>,
) -> Reply {
    let view = LinkView {
        action: format!("{}/{}", ask.control.config.endpoints.login, strategy.id()),
        title: strategy.title(),
        form,
        return_to,
        error: problem.map(Problem::text),
        request_id: &ask.request.request_id,
    };
    let status = problem.map_or(200, |problem| problem.code.status());
    let html = ask.control.pages.link(&view);
    page::leading_out(ask, reply::page(&ask.control.pages, status, html))
}

/// Adds what the strategy vouches for to the account, if `admit` lets it in.
pub(super) async fn add(
    ask: &Ask<'_>,
    strategy: &Instance,
    link: &Link,
    who: Authenticated,
) -> Result<Decided, Problem> {
    let Some(Judged { login, .. }) = judge(ask, strategy, who)? else {
        return Ok(Decided::not_admitted("admit"));
    };
    let Some(session) = live(ask, link).await? else { return Err(Code::Forbidden.into()) };
    let account = session.account();
    let now = ask.control.clock.now();
    let linked = ask.control.store.link_external(login, account.uuid, &link.sid, now).await;
    match linked.map_err(|error| store_failed(&error))? {
        Linked::Done => {
            tell(ask, account.uuid).await;
            ask.audit(Audit {
                event: "credential_linked",
                account: Some(&account.name),
                strategy: Some(strategy.id()),
                sid: Some(&link.sid),
                ..Audit::default()
            });
            let added = Notice::Added(strategy.title().to_owned());
            post::notice(ask, account.verified_email(), added).await;
            Ok(Decided::Linked(account))
        }
        // It was theirs: that is no news.
        Linked::Already => {
            tell(ask, account.uuid).await;
            Ok(Decided::Linked(account))
        }
        Linked::SubjectTaken => Err(Code::SubjectTaken.into()),
        Linked::Gone => Err(Code::Forbidden.into()),
    }
}

/// The same where the gateway keeps the credential itself: it was made with its account, so
/// it is that account's already, or another one's.
pub(super) async fn kept(ask: &Ask<'_>, link: &Link, admitted: &Admitted) -> Result<Decided, Problem> {
    let Some(session) = live(ask, link).await? else { return Err(Code::Forbidden.into()) };
    match session.account() {
        account if account.uuid == admitted.account().uuid => Ok(Decided::Linked(account)),
        _ => Err(Code::SubjectTaken.into()),
    }
}

async fn live(ask: &Ask<'_>, link: &Link) -> Result<Option<Arc<LiveSession>>, Problem> {
    let (sessions, now) = (&ask.control.sessions, ask.control.clock.now());
    let found = match sessions.by_sid(&link.sid, now) {
        Lookup::Live(session) => Some(session),
        Lookup::None => None,
        Lookup::Unknown => {
            sessions.ask_sid(&link.sid, now).await.map_err(|_| Problem::from(Code::StoreUnavailable))?
        }
    };
    Ok(found.filter(|session| session.account().uuid.to_string() == link.account))
}

/// Whether the page is asked for.
pub(super) fn is_page(ask: &Ask<'_>) -> bool {
    ask.is_navigation() && ask.query("link").as_deref() == Some("1")
}

/// The first form, for the page; none where a provider asks for everything itself.
pub(super) async fn page(ask: &Ask<'_>, strategy: &Instance) -> Result<Reply, Problem> {
    let form = match strategy.has_provider() {
        true => None,
        false => page::first_form(ask, strategy).await?,
    };
    show(ask, strategy, form.as_ref()).await
}
