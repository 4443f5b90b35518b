//! Where a password comes from. What becomes of it is `accounts::manage`'s to say.

use super::super::{
    output::{Failure, note},
    password,
};
use crate::{accounts::manage, registry::builtin};
use portcullis_plugin_api::CredentialOp;

/// Where a password comes from.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    Prompt,
    Stdin,
    HashOnStdin,
}

impl From {
    /// Asks for it or reads it, as an operation of a strategy. `about` may not be in it.
    pub(super) fn take(self, about: Vec<String>) -> Result<CredentialOp, Failure> {
        let password = match self {
            Self::Prompt => password::ask()?,
            Self::Stdin => password::from_stdin()?,
            Self::HashOnStdin => {
                let secret = password::from_stdin()?.trim().to_owned();
                // N-50: the time of an answer.
                if builtin::costs_otherwise(&secret) {
                    note(
                        "warning: this hash does not cost what ours do, so until its owner has signed in once \
                         the time of a failed login says that the account exists",
                    );
                }
                return Ok(CredentialOp::Import { secret });
            }
        };
        Ok(manage::of_password(&password, about))
    }
}
