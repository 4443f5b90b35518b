//! `{auth}/me`: a person's own account, and what of it they may change.

use super::{
    input::{self, store_failed},
    keeper,
    name::Names,
    post, proof, sessions, view,
};
use crate::{
    control::{Ask, Reply, reply},
    login::page::leading_out,
    login::{
        body::{Body, Shape, malformed},
        fresh,
    },
    mail::Letter,
    pages::{Credential, Device, More, ProfileView},
    problem::{Code, Problem},
    registry::Instance,
    sessions::{Account, LiveSession, Transport},
    store::ProfileChange,
    telemetry::Audit,
};
use serde_json::{Value, json};

/// What is somebody else's to change, and where what is not changed here is.
const NOT_HERE: &[&str] = &[
    "roles",
    "app",
    "active",
    "uuid",
    "id",
    "email_verified",
    "verified",
    "created",
    "updated",
    "strategies",
    "username",
    "password",
];

/// `GET {auth}/me`
pub(crate) async fn show(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let session = input::session(ask).await?;
    if ask.is_navigation() {
        let html = page(ask, &session, None).await?;
        // Its buttons may lead to a provider's logout.
        return Ok(leading_out(ask, reply::page(&ask.control.pages, 200, html)));
    }
    if ask.takes_json_api() {
        return Ok(reply::json_api(&view::resource(&session.account(), None)));
    }
    Ok(reply::json(&told(ask, &session.account()).await?))
}

/// `PATCH`, `POST {auth}/me`
pub(crate) async fn submit(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let session = input::session(ask).await?;
    let body = input::read(ask)?;
    let outcome = change(ask, &session, &body).await;
    let result = outcome.as_ref().map_or_else(|problem| problem.code.as_str(), |_| "success");
    ask.control.metrics.account("me", result);
    match outcome {
        Err(problem) if ask.is_browser_form() => again(ask, &session, &problem).await,
        Ok(_) if ask.is_browser_form() => {
            Ok(reply::see_other(&format!("{}/me", ask.control.config.endpoints.auth)))
        }
        outcome => outcome,
    }
}

async fn change(ask: &Ask<'_>, session: &LiveSession, body: &Body) -> Result<Reply, Problem> {
    let shown = if body.shape == Shape::JsonApi { "name" } else { "display_name" };
    if let Some(field) = NOT_HERE.iter().find(|field| body.fields.contains_key(**field)) {
        return Err(malformed(format!("{field}: cannot be changed here")));
    }
    if body.shape != Shape::JsonApi && body.fields.contains_key("name") {
        return Err(malformed("name: a name once given stays; display_name is what people see"));
    }
    let asked = fresh::Asked::read(ask, body)?;
    asked.keeps(session)?;
    let wanted =
        ProfileChange { display_name: input::display_name(body, shown)?, metadata: input::metadata(body)? };
    let account = session.account();
    let names = Names::new(&ask.control.config);
    let address = body.text("email")?.map(|text| names.address(text)).transpose();
    let address = address.map_err(|why| malformed(format!("email: {why}")))?;
    if wanted.display_name.is_none() && wanted.metadata.is_none() && address.is_none() {
        return Err(malformed(format!("{shown}, metadata, email: nothing to change")));
    }
    match address {
        Some(address) if account.email.as_ref() != Some(&address) => {
            change_address(ask, session, body, &account, &address).await?;
        }
        // Its link was lost, or is over, or there was no mail when it could have been sent.
        Some(address) if !account.email_verified && ask.control.config.mail.is_some() => {
            post::verify(ask, account.uuid, &address).await?;
        }
        _ => {}
    }
    if wanted.display_name.is_some() || wanted.metadata.is_some() {
        let control = ask.control;
        let changed = control.store.change_profile(account.uuid, wanted, control.clock.now()).await;
        let changed = changed.map_err(|e| store_failed(&e))?.ok_or(Code::LoginRequired)?;
        control.sessions.account_changed(changed);
        ask.audit(Audit {
            event: "profile_changed",
            account: Some(&account.name),
            sid: Some(session.sid()),
            ..Audit::default()
        });
    }
    // As it is now, with the roles of this login.
    let account = session.account();
    let token = (session.transport() != Transport::Cookie).then(|| {
        let now = ask.control.clock.now();
        let expires = now.plus(asked.lifetime()).min(session.expires());
        (ask.control.tokens.access(session, &account, now, expires), expires)
    });
    if body.shape == Shape::JsonApi {
        let token = token.as_ref().map(|(text, expires)| (text.as_str(), *expires));
        return Ok(reply::json_api(&view::resource(&account, token)));
    }
    let mut answer = told(ask, &account).await?;
    if let Some((token, expires)) = token {
        view::add_token(&mut answer, &token, expires, ask.control.clock.now());
    }
    Ok(reply::json(&answer))
}

/// The new address waits for its proof; the old one stays in force and is told.
async fn change_address(
    ask: &Ask<'_>,
    session: &LiveSession,
    body: &Body,
    account: &Account,
    address: &str,
) -> Result<(), Problem> {
    post::available(ask)?;
    match keeper::of(ask, account, session.strategy()).await? {
        Some(strategy) if strategy.operations().credentials => {
            let current = input::required(body, "current")?;
            proof::current(ask, account, &strategy, current).await?;
        }
        // There is no password that we could ask for.
        _ if proof::is_fresh(ask, session) => {}
        _ => return Err(Code::FreshLoginRequired.into()),
    }
    let taken = ask.control.store.is_taken(address, account.uuid).await.map_err(|e| store_failed(&e))?;
    if taken && ask.control.config.accounts.reveal_taken {
        return Err(Code::EmailTaken.into());
    }
    // A link that is not mailed must not take the place of one that was.
    ask.control.outbox.room_for(address, ask.control.clock.now()).map_err(input::too_many)?;
    let told = post::warning(ask, account.email.as_deref(), Letter::Changing { address: address.to_owned() });
    // Whoever has a taken address is told; whoever asked learns nothing. Their account waits
    // for the proof as it would for a free one, by a link that is mailed to nobody.
    let (token, draft) = post::verification(ask, account.uuid, address);
    let draft = if taken { post::taken(ask, address) } else { draft };
    post::keep(ask, Some(token), vec![draft, told]).await?;
    ask.audit(Audit {
        event: "email_change_requested",
        account: Some(&account.name),
        sid: Some(session.sid()),
        ..Audit::default()
    });
    Ok(())
}

/// The account as its owner is told of it.
async fn told(ask: &Ask<'_>, account: &Account) -> Result<Value, Problem> {
    let (store, now) = (&ask.control.store, ask.control.clock.now());
    let strategies = store.credential_strategies(account.uuid).await.map_err(|e| store_failed(&e))?;
    let pending = store.pending_address(account.uuid, now).await.map_err(|e| store_failed(&e))?;
    Ok(json!({
        "success": true,
        "authenticated": view::of(account),
        "email_verified": account.email_verified,
        "pending_email": pending,
        "display_name": account.display_name,
        "metadata": account.metadata,
        "strategies": strategies,
    }))
}

/// The page again after a failure, with the status that a machine would get.
pub(super) async fn again(ask: &Ask<'_>, session: &LiveSession, problem: &Problem) -> Result<Reply, Problem> {
    let html = page(ask, session, Some(problem)).await?;
    Ok(ask.page_of(problem, html))
}

async fn page(ask: &Ask<'_>, session: &LiveSession, problem: Option<&Problem>) -> Result<String, Problem> {
    let (account, store) = (session.account(), &ask.control.store);
    let sessions = sessions::live(ask, session).await?;
    let credentials = store.own_credentials(account.uuid).await.map_err(|e| store_failed(&e))?;
    let pending = store.pending_address(account.uuid, ask.control.clock.now()).await;
    let pending = pending.map_err(|e| store_failed(&e))?;
    let keeper = keeper::of(ask, &account, session.strategy()).await?;
    let more = more(ask, &account, &credentials);
    let device = |one: crate::sessions::SessionRecord| Device {
        current: one.sid == session.sid(),
        user_agent: one.user_agent,
        address: one.address.to_string(),
        created: view::minute(one.created),
        last_used: view::minute(one.last_used),
        sid: one.sid,
    };
    let title = |id: &str| ask.control.registry.get(id).map_or(id.to_owned(), |one| one.title().to_owned());
    let credential = |one: crate::store::OwnCredential| Credential {
        title: title(&one.strategy),
        created: view::minute(one.created),
        last_used: one.last_used.map(view::minute),
        strategy: one.strategy,
    };
    Ok(ask.control.pages.profile(&ProfileView {
        name: &account.name,
        display_name: account.display_name.as_deref(),
        email: account.email.as_deref(),
        email_verified: account.email_verified,
        pending: pending.as_deref(),
        password: keeper.is_some(),
        proof: keeper.is_some_and(|one| one.operations().credentials),
        more,
        devices: sessions.into_iter().map(device).collect(),
        credentials: credentials.into_iter().map(credential).collect(),
        error: problem.map(Problem::text),
    }))
}

/// The ways to sign in that may be added to the account: `login::link` has the rule.
fn more(ask: &Ask<'_>, account: &Account, have: &[crate::store::OwnCredential]) -> Vec<More> {
    if account.email.is_some() && !account.email_verified {
        return Vec::new();
    }
    let can = |one: &&Instance| {
        !one.operations().credentials
            && one.failure().is_none()
            && have.iter().all(|credential| credential.strategy != one.id())
    };
    let of = |one: &Instance| More { strategy: one.id().to_owned(), title: one.title().to_owned() };
    ask.control.registry.list().iter().filter(can).map(of).collect()
}
