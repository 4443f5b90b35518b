//! `portcullis session`: who is signed in, and the end of it. What is changed in the store
//! reaches a gateway that runs by the store's events, within a second.

use super::{
    args::{Session, SessionRevoke, SessionVerb},
    block_on, configuration,
    output::{Done, Failure, result, safe, table},
    user::{Room, stuck},
};
use crate::{
    clock::Clock,
    sessions::{Idle, SessionRecord},
    telemetry::{self, rfc3339},
};
use serde_json::{Value, json};
use std::process::ExitCode;

pub(super) fn run(arguments: Session) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    let config = configuration::load(&arguments.file)?;
    block_on(async {
        let room = Room::open(config)?;
        match arguments.verb {
            SessionVerb::List { account, json } => list(&room, account.as_deref(), json).await,
            SessionVerb::Revoke(what) => revoke(&room, what).await,
        }
    })??;
    Ok(ExitCode::SUCCESS)
}

/// A session and the name of its account.
type Named = (SessionRecord, String);

async fn list(room: &Room, account: Option<&str>, as_json: bool) -> Result<(), Failure> {
    let whose = match account {
        Some(name) => Some(room.account(name).await?.uuid),
        None => None,
    };
    let mut all = room.store.all_sessions().await.map_err(stuck)?;
    all.retain(|(session, _)| whose.is_none_or(|uuid| session.account == uuid) && is_live(room, session));
    if as_json {
        result(&Value::from(all.iter().map(json_of).collect::<Vec<_>>()).to_string());
        return Ok(());
    }
    let rows: Vec<_> = all
        .iter()
        .map(|(session, name)| {
            [
                session.sid.clone(),
                name.clone(),
                session.strategy.clone(),
                rfc3339(session.created),
                rfc3339(session.last_used),
                session.address.to_string(),
                session.user_agent.clone(),
            ]
        })
        .collect();
    table(["SID", "ACCOUNT", "STRATEGY", "CREATED", "LAST USED", "ADDRESS", "USER AGENT"], &rows);
    Ok(())
}

/// Neither past its end nor unused for too long. (The store knows the last use to ten
/// seconds; one that is over is taken out by the gateway, in its own time.)
fn is_live(room: &Room, session: &SessionRecord) -> bool {
    let now = room.clock.now();
    let idle = Idle::of(&room.config);
    // One that can be refreshed lives as long as its refresh token is good.
    let idle = if session.family { idle.family } else { idle.session };
    session.expires > now && session.last_used.plus(idle) > now
}

fn json_of((session, name): &Named) -> Value {
    json!({
        "sid": session.sid,
        "account": name,
        "uuid": session.account.to_string(),
        "strategy": session.strategy,
        "created": rfc3339(session.created),
        "last_used": rfc3339(session.last_used),
        "expires": rfc3339(session.expires),
        "address": session.address.to_string(),
        "user_agent": session.user_agent,
    })
}

async fn revoke(room: &Room, SessionRevoke { which, json }: SessionRevoke) -> Result<(), Failure> {
    if let Some(name) = which.account {
        let account = room.account(&name).await?;
        let ended = room.store.end_sessions_of(account.uuid).await.map_err(stuck)?;
        if json {
            result(&json!({ "account": account.name, "ended": ended }).to_string());
            return Ok(());
        }
        let what = if ended == 1 { "1 session".to_owned() } else { format!("{ended} sessions") };
        result(&format!("{what} of account {} ended", account.name));
        return Ok(());
    }
    let sid = which.sid.unwrap_or_default();
    if !room.store.end_session(&sid).await.map_err(stuck)? {
        let sid = safe(&sid);
        return Err(Failure::new(format!(
            "there is no session `{sid}`; `portcullis session list` shows all"
        )));
    }
    match json {
        true => result(&json!({ "sid": sid, "ended": 1 }).to_string()),
        false => result(&format!("session {} ended", safe(&sid))),
    }
    Ok(())
}
