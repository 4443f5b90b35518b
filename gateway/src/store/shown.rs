//! What `Debug` shows of what holds a secret: whose and what for, never the secret.

use super::{Credential, NewCredential, NewToken};
use std::fmt::{Debug, Formatter, Result};

impl Debug for NewCredential {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("NewCredential").field("strategy", &self.strategy).finish_non_exhaustive()
    }
}

impl Debug for Credential {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Credential").field("account", &self.account).finish_non_exhaustive()
    }
}

impl Debug for NewToken {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut shown = f.debug_struct("NewToken");
        shown.field("account", &self.account).field("purpose", &self.purpose).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::UnixMillis, mail::Letter, store::Purpose};
    use uuid::Uuid;

    #[test]
    fn nothing_that_holds_a_secret_shows_it() {
        let secret = || Some("canary".to_owned());
        let (strategy, account) = ("local".to_owned(), Uuid::nil());
        let new = NewCredential {
            strategy: strategy.clone(),
            realm: "local".into(),
            subject: "s".into(),
            secret: secret(),
        };
        let kept = Credential { account, subject: "s".into(), secret: secret() };
        let token = NewToken {
            account,
            purpose: Purpose::Reset,
            hash: [7; 32],
            address: "ann@x.test".into(),
            strategy: Some(strategy),
            secret: secret(),
            expires: UnixMillis(0),
        };
        let link = || "https://x.test/?token=canary".to_owned();
        let letters = [
            Letter::Reset { name: "ann".into(), link: link(), lives: "a minute".into() },
            Letter::Verify { link: link(), lives: "a minute".into() },
        ];
        for shown in [format!("{new:?}"), format!("{kept:?}"), format!("{token:?}"), format!("{letters:?}")] {
            assert!(!shown.contains("canary") && !shown.contains("7, 7"), "{shown}");
        }
    }
}
