//! `portcullis user`: accounts, changed in the store by this process alone. A gateway that
//! runs learns of it by the store's events, within a second.
//!
//! `open.rs` configuration and store · `secret.rs` a password to what is stored ·
//! `add.rs` a new account · `change.rs` everything done to one · `shown.rs` what is told.

mod add;
mod change;
mod open;
mod secret;
mod shown;

use super::{
    args::{Named, User, UserVerb},
    block_on, configuration,
    output::{Done, Failure},
};
use crate::{clock::Clock, telemetry};
use std::process::ExitCode;

pub(in crate::cli) use add::{NewUser, give};
pub(in crate::cli) use open::{Room, stuck};

pub(super) fn run(arguments: User) -> Done {
    let _log = telemetry::start_for_command(Clock::system());
    let config = configuration::load(&arguments.file)?;
    block_on(async {
        let room = Room::open(config)?;
        act(&room, arguments.verb).await
    })??;
    Ok(ExitCode::SUCCESS)
}

async fn act(room: &Room, verb: UserVerb) -> Result<(), Failure> {
    match verb {
        UserVerb::Add(new) => add::run(room, new).await,
        UserVerb::List { json } => shown::list(room, json).await,
        UserVerb::Show { name, json } => shown::show(room, &name, json).await,
        UserVerb::Passwd(which) => change::password(room, which).await,
        UserVerb::Disable(which) => change::active(room, &which, false).await,
        UserVerb::Enable(which) => change::active(room, &which, true).await,
        UserVerb::Unlock(which) => change::unlock(room, &which).await,
        UserVerb::Delete(which) => change::delete(room, &which).await,
        UserVerb::Roles { name, roles, json } => change::roles(room, &Named { name, json }, roles).await,
    }
}
