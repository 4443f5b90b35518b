//! An identity from outside becomes an admitted login: what it says is judged, then its
//! account is found, joined or made, in one transaction.

use super::{
    Decided,
    admit::Admitted,
    believe::{Believed, believe, is_admitted},
    who::store_failed,
};
use crate::{
    accounts::renewed,
    control::Ask,
    problem::{Code, Problem},
    registry::Instance,
    sessions::ExternalRecord,
    store::{ExternalLogin, ExternalOutcome, Stored},
};
use portcullis_config::{Admission, Link};
use portcullis_plugin_api::{Authenticated, Via};
use std::time::Duration;
use uuid::Uuid;

/// What is kept of the strategy's state under this purpose opens as nothing else.
pub(crate) const STATE: &str = "session state";

/// A login that `admit` let in. No `Debug`: it holds what the strategy wants kept.
pub(super) struct Judged {
    pub(super) login: ExternalLogin,
    pub(super) record: ExternalRecord,
    pub(super) session_max: Option<Duration>,
}

/// What the gateway itself asks of logins by this strategy.
pub(super) fn admission<'a>(ask: &'a Ask<'_>, strategy: &Instance) -> Option<&'a Admission> {
    let mut all = ask.control.config.strategies.iter();
    all.find(|one| one.id == strategy.id())?.admission.as_ref()
}

/// Judges what the strategy said; none: `admit` keeps it out.
pub(super) fn judge(
    ask: &Ask<'_>,
    strategy: &Instance,
    who: Authenticated,
) -> Result<Option<Judged>, Problem> {
    let Some(admission) = admission(ask, strategy) else {
        tracing::error!(strategy = strategy.id(), "a kind that keeps no credentials has no `admit`");
        return Err(Code::StrategyUnavailable.into());
    };
    let believed = believe(&ask.control.config, admission, strategy.id(), &who).map_err(|why| {
        tracing::warn!(
            strategy = strategy.id(),
            request_id = ask.request.request_id,
            error = why.0,
            "a login is not acceptable"
        );
        Problem::from(Code::ProviderInvalid)
    })?;
    if !is_admitted(admission, &believed, ask.request.client) {
        return Ok(None);
    }
    let record = record(ask, &believed, &who)?;
    let session_max = who.session_max;
    Ok(Some(Judged { login: login(ask, strategy, admission, believed), record, session_max }))
}

fn record(ask: &Ask<'_>, believed: &Believed, who: &Authenticated) -> Result<ExternalRecord, Problem> {
    let sealer = ask.control.store.sealer().map_err(|error| {
        tracing::error!(%error, "a strategy's state cannot be sealed");
        Problem::from(Code::StoreUnavailable)
    })?;
    Ok(ExternalRecord {
        realm: believed.realm.clone(),
        subject: believed.subject.clone(),
        roles: believed.roles.clone(),
        claims: believed.claims.clone(),
        state: sealer.seal(STATE, &who.state),
        provider_session: who.provider_session.clone(),
        refresh_at: who.refresh_after.map(|after| ask.control.clock.now().plus(after)),
    })
}

fn login(ask: &Ask<'_>, strategy: &Instance, admission: &Admission, believed: Believed) -> ExternalLogin {
    ExternalLogin {
        strategy: strategy.id().to_owned(),
        realm: believed.realm,
        subject: believed.subject,
        roles: believed.roles,
        email: believed.email,
        display_name: believed.display_name,
        names: believed.names,
        link: admission.link == Link::VerifiedEmail,
        provision: admission.provision,
        default_roles: admission.default_roles.clone(),
        uuid: ask.control.random.uuid(),
    }
}

/// Roles of groups belong to the credential, and each login replaces them: the sessions
/// that it opened before have the new ones on their next request (contract section 6).
/// Where the store fails now, its feed tells them when it answers again.
pub(super) async fn tell(ask: &Ask<'_>, account: Uuid) {
    if !ask.control.sessions.knows(account) {
        return;
    }
    if let Err(error) = told(ask, account).await {
        tracing::warn!(error = %error.0, "the sessions of an account wait to hear of a change");
    }
}

async fn told(ask: &Ask<'_>, account: Uuid) -> Stored<()> {
    let (store, sessions) = (&ask.control.store, &ask.control.sessions);
    // Before the account: whoever sees the new one sees the new roles.
    sessions.externals_changed(&store.externals_of(account).await?);
    if let Some(account) = store.account(account).await? {
        sessions.account_changed(account);
    }
    Ok(())
}

/// The account of an identity that a strategy vouches for.
pub(super) async fn admit(
    ask: &Ask<'_>,
    strategy: &Instance,
    who: Authenticated,
    via: Via,
) -> Result<Decided, Problem> {
    let changed = who.secret_changed;
    let Some(judged) = judge(ask, strategy, who)? else { return Ok(Decided::not_admitted("admit")) };
    let Judged { login, record, session_max } = judged;
    let (store, now) = (&ask.control.store, ask.control.clock.now());
    match store.external_login(login, now).await.map_err(|error| store_failed(&error))? {
        ExternalOutcome::Account(account) => {
            tell(ask, account.uuid).await;
            let account = match changed {
                true => renewed::tell(ask, &account, strategy.id(), None).await?.unwrap_or(account),
                false => account,
            };
            Ok(Decided::Admitted(Box::new(Admitted::external(account, strategy.id(), record, session_max))))
        }
        ExternalOutcome::NotProvisioned => Ok(Decided::not_admitted("provision")),
        // At a form, whether the password was right is nobody's business (contract section 5).
        ExternalOutcome::Inactive if via == Via::Form => Ok(Decided::BadCredentials("inactive")),
        ExternalOutcome::Inactive => Ok(Decided::not_admitted("inactive")),
    }
}
