//! `{auth}/credentials`: the ways in of one's own account. The last one stays.

use super::{
    input::{self, store_failed},
    me, post, proof,
};
use crate::{
    control::{Ask, Reply, reply},
    mail::Notice,
    problem::{Code, Problem},
    sessions::LiveSession,
    store::{OwnCredential, Removal},
    telemetry::{Audit, rfc3339},
};
use serde_json::{Value, json};

/// `GET {auth}/credentials`
pub(crate) async fn list(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let session = input::session(ask).await?;
    let own = ask.control.store.own_credentials(session.account().uuid).await;
    let one = |one: OwnCredential| {
        let (created, last_used) = (rfc3339(one.created), one.last_used.map(rfc3339));
        json!({ "strategy": one.strategy, "created": created, "last_used": last_used })
    };
    let data: Vec<Value> = own.map_err(|e| store_failed(&e))?.into_iter().map(one).collect();
    Ok(reply::json(&json!({ "data": data })))
}

/// `DELETE {auth}/credentials/:strategy`
pub(crate) async fn delete(ask: &Ask<'_>, strategy: &str) -> Result<Reply, Problem> {
    let session = input::session(ask).await?;
    remove(ask, &session, strategy).await?;
    Ok(reply::no_content())
}

/// `POST {auth}/credentials/:strategy/remove`
pub(crate) async fn submit(ask: &Ask<'_>, strategy: &str) -> Result<Reply, Problem> {
    let session = input::session(ask).await?;
    match remove(ask, &session, strategy).await {
        Ok(()) => Ok(reply::see_other(&format!("{}/me", ask.control.config.endpoints.auth))),
        Err(problem) if ask.is_navigation() => me::again(ask, &session, &problem).await,
        Err(problem) => Err(problem),
    }
}

async fn remove(ask: &Ask<'_>, session: &LiveSession, strategy: &str) -> Result<(), Problem> {
    if !proof::is_fresh(ask, session) {
        return Err(Code::FreshLoginRequired.into());
    }
    let (control, account) = (ask.control, session.account());
    let removal = control
        .store
        .remove_credentials(account.uuid, strategy, control.registry.ids(), control.clock.now())
        .await;
    let removal = removal.map_err(|e| store_failed(&e))?;
    ask.control
        .metrics
        .account("credentials", if matches!(removal, Removal::Done(_)) { "success" } else { "refused" });
    match removal {
        Removal::None => Err(Code::NotFound.into()),
        Removal::Last => Err(Code::LastCredential.into()),
        Removal::Done(sessions) => {
            for sid in sessions {
                control.sessions.end(&sid);
            }
            let title =
                control.registry.get(strategy).map_or(strategy.to_owned(), |one| one.title().to_owned());
            post::notice(ask, account.verified_email(), Notice::Removed(title)).await;
            ask.audit(Audit {
                event: "credential_removed",
                account: Some(&account.name),
                strategy: Some(strategy),
                sid: Some(session.sid()),
                ..Audit::default()
            });
            Ok(())
        }
    }
}
