//! Looking again at people whom a strategy vouched for: in the background, on the control
//! plane, one call for a session however many requests and gateways there are. A no ends
//! the session; a strategy that cannot answer ends nothing for a bounded time.

use super::{
    believe::{believe, is_admitted},
    external::STATE,
};
use crate::{
    clock::UnixMillis,
    control::Control,
    registry::CallError,
    sessions::ExternalRecord,
    store::{DueRefresh, Stored},
    telemetry::{Audit, audit},
};
use arc_swap::ArcSwap;
use portcullis_plugin_api::{Authenticated, Call, Outcome, Refresh, Subject};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::MissedTickBehavior};

/// How often the store is asked who is due.
const TICK: Duration = Duration::from_secs(1);
/// How many calls are under way at once.
const AT_ONCE: usize = 16;
/// How long another gateway leaves a session that this one looks at.
const LEASE: Duration = Duration::from_secs(30);
/// When to try again after a call that came to nothing.
const AGAIN: Duration = Duration::from_secs(30);
/// For how long a session goes on whose strategy cannot answer.
const GRACE: Duration = Duration::from_secs(6 * 60 * 60);

/// Looks for as long as the gateway runs.
pub(crate) async fn run(control: Arc<ArcSwap<Control>>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        // The store's outage has its own line in the log.
        let _ = pass(&control.load_full()).await;
    }
}

/// Everybody who is due, once.
pub(crate) async fn pass(control: &Arc<Control>) -> Stored<()> {
    loop {
        let now = control.clock.now();
        if !control.store.has_due_refresh(now).await? {
            return Ok(());
        }
        let idle =
            |idle: Duration| UnixMillis(now.0.saturating_sub(u64::try_from(idle.as_millis()).unwrap_or(0)));
        let idle_since = [idle(control.config.session.idle), idle(control.config.token.refresh_idle)];
        let due = control.store.take_due_refreshes(now, now.plus(LEASE), idle_since, AT_ONCE).await?;
        if due.is_empty() {
            return Ok(());
        }
        let mut calls = JoinSet::new();
        for one in due {
            calls.spawn(look(control.clone(), one));
        }
        // All of them: a provider may have replaced its refresh token already, and one that
        // is not kept ends the session.
        let mut failed = Ok(());
        while let Some(done) = calls.join_next().await {
            failed = failed.and(done.unwrap_or(Ok(())));
        }
        failed?;
    }
}

/// What looking came to.
enum Seen {
    Still(Box<ExternalRecord>),
    No(&'static str),
    Unclear,
}

async fn look(control: Arc<Control>, due: DueRefresh) -> Stored<()> {
    let now = control.clock.now();
    match ask(&control, &due).await {
        Seen::Still(next) => {
            if let Some(account) = control.store.refreshed(&due, *next, now).await? {
                // The roles are the credential's: all its sessions have them.
                control.sessions.externals_changed(&control.store.externals_of(account.uuid).await?);
                control.sessions.account_changed(account);
            }
            Ok(())
        }
        Seen::No(reason) => end(&control, &due, reason).await,
        Seen::Unclear if due.failing_since.is_some_and(|since| now.since(since) >= GRACE) => {
            end(&control, &due, "unavailable_for_too_long").await
        }
        Seen::Unclear => control.store.refresh_failed(&due.sid, now.plus(AGAIN), now).await,
    }
}

async fn ask(control: &Control, due: &DueRefresh) -> Seen {
    let Some(strategy) = control.registry.get(&due.strategy) else { return Seen::Unclear };
    let opened = control.store.sealer().ok().and_then(|key| key.open(STATE, &due.external.state).ok());
    let (Some(state), Some(subject)) = (opened, Subject::new(due.external.subject.clone())) else {
        // Sealed under a key that is lost: it can never be asked again.
        return Seen::No("state_unreadable");
    };
    let call = Call::new(format!("refresh-{}", due.sid), strategy.id(), due.address);
    match strategy.refresh(call, Refresh { subject, state: state.to_vec() }).await {
        Ok(Outcome::Authenticated(who)) => believed(control, due, &who),
        Ok(_) => Seen::No("refused_by_strategy"),
        // No outage: a login in this state is refused, and a session would keep what it had.
        Err(CallError::Unusable) => Seen::No("unusable"),
        Err(_) => Seen::Unclear,
    }
}

/// What it says now is judged like a login.
fn believed(control: &Control, due: &DueRefresh, who: &Authenticated) -> Seen {
    let strategy = control.config.strategies.iter().find(|one| one.id == due.strategy);
    let Some(admission) = strategy.and_then(|one| one.admission.as_ref()) else { return Seen::Unclear };
    let believed = match believe(&control.config, admission, &due.strategy, who) {
        Ok(believed) if believed.realm == due.external.realm => believed,
        Ok(_) => {
            tracing::warn!(strategy = due.strategy, "a refresh came from another realm than the login");
            return Seen::Unclear;
        }
        Err(why) => {
            tracing::warn!(strategy = due.strategy, error = why.0, "a refresh is not acceptable");
            return Seen::Unclear;
        }
    };
    if !is_admitted(admission, &believed, due.address) {
        return Seen::No("admit");
    }
    let Ok(sealer) = control.store.sealer() else { return Seen::Unclear };
    let refresh_at = who.refresh_after.map(|after| control.clock.now().plus(after));
    let record = ExternalRecord {
        realm: believed.realm,
        subject: believed.subject,
        roles: believed.roles,
        claims: believed.claims,
        state: sealer.seal(STATE, &who.state),
        provider_session: who.provider_session.clone(),
        refresh_at,
    };
    Seen::Still(Box::new(record))
}

async fn end(control: &Control, due: &DueRefresh, reason: &'static str) -> Stored<()> {
    control.store.end_session(&due.sid).await?;
    let ended = control.sessions.end(&due.sid);
    let account = ended.as_ref().map(|session| session.account());
    audit(&Audit {
        event: "revoked",
        account: account.as_ref().map(|account| account.name.as_str()),
        strategy: Some(&due.strategy),
        sid: Some(&due.sid),
        reason: Some(reason),
        ..Audit::default()
    });
    Ok(())
}
