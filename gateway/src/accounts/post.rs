//! Letters of endpoints: the link, the token behind it, and whom it goes to.

use super::input::store_failed;
use crate::{
    clock::UnixMillis,
    control::Ask,
    mail::{Draft, Letter, Notice},
    problem::{Code, Problem},
    store::{NewToken, Purpose, hash_token},
};
use std::time::Duration;
use uuid::Uuid;

/// How long a link that proves an address is good.
pub(super) const VERIFY_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
/// How long it is worth telling somebody of what happened.
const NEWS: Duration = Duration::from_secs(24 * 60 * 60);

/// A one-time value and the link that carries it.
pub(super) struct Link {
    pub(super) url: String,
    pub(super) hash: [u8; 32],
    pub(super) expires: UnixMillis,
    pub(super) lives: String,
}

/// 256 bits in a link to `{auth}/page`.
pub(super) fn link(ask: &Ask<'_>, page: &str, lives: Duration) -> Link {
    let control = ask.control;
    let text = control.random.opaque();
    let (origin, auth) = (&control.config.server.public_url.origin, &control.config.endpoints.auth);
    Link {
        url: format!("{origin}{auth}/{page}?token={text}"),
        hash: hash_token(&text),
        expires: control.clock.now().plus(lives),
        lives: in_words(lives),
    }
}

/// Mail is configured, or 503.
pub(super) fn available(ask: &Ask<'_>) -> Result<(), Problem> {
    match ask.control.config.mail {
        Some(_) => Ok(()),
        None => Err(Code::MailUnavailable.into()),
    }
}

/// Keeps letters and their token for the sender.
pub(super) async fn keep(ask: &Ask<'_>, token: Option<NewToken>, drafts: Vec<Draft>) -> Result<(), Problem> {
    let control = ask.control;
    let sealer = control.store.sealer().map_err(|error| {
        tracing::error!(%error, "mail cannot be sealed");
        Problem::from(Code::StoreUnavailable)
    })?;
    let now = control.clock.now();
    let kept = control.outbox.post(&control.store, &sealer, &control.pages, token, drafts, now).await;
    kept.map_err(|error| store_failed(&error))
}

/// Mails a link that proves this address, which is the account's or is to be. More than
/// a few of them to one address are kept back without a word.
pub(crate) async fn verify(ask: &Ask<'_>, account: Uuid, address: &str) -> Result<(), Problem> {
    let draft = verification(ask, account, address);
    let admitted = ask.control.outbox.admit_recipient(address, ask.control.clock.now());
    let (token, draft) = draft;
    if admitted { keep(ask, Some(token), vec![draft]).await } else { Ok(()) }
}

/// The token and the letter of such a link.
pub(super) fn verification(ask: &Ask<'_>, account: Uuid, address: &str) -> (NewToken, Draft) {
    let link = link(ask, "verify-email", VERIFY_LIFETIME);
    let token = NewToken {
        account,
        purpose: Purpose::Verify,
        hash: link.hash,
        address: address.to_owned(),
        strategy: None,
        secret: None,
        expires: link.expires,
    };
    let letter = Letter::Verify { link: link.url, lives: link.lives };
    (token, Draft { to: Some(address.to_owned()), letter, expires: link.expires })
}

/// News to somebody, if there is an address and it had not too many mails.
pub(super) fn news(ask: &Ask<'_>, to: Option<&str>, letter: Letter) -> Draft {
    let now = ask.control.clock.now();
    let to = to.filter(|address| ask.control.outbox.admit_recipient(address, now)).map(str::to_owned);
    Draft { to, letter, expires: now.plus(NEWS) }
}

/// Tells an account's owner what has changed, at an address that they have proved. It has
/// happened: that it cannot be told is for the log, and no matter of the answer. Nothing
/// holds these mails back, or whoever has stolen a session would first use up what there is.
pub(crate) async fn notice(ask: &Ask<'_>, to: Option<&str>, notice: Notice) {
    let (Some(to), true) = (to, ask.control.config.mail.is_some()) else { return };
    let expires = ask.control.clock.now().plus(NEWS);
    let draft = Draft { to: Some(to.to_owned()), letter: Letter::Notice(notice), expires };
    if keep(ask, None, vec![draft]).await.is_err() {
        tracing::error!("a change of an account could not be told to its owner");
    }
}

/// To somebody whose address another one wanted, and who had not too many mails.
pub(super) fn taken(ask: &Ask<'_>, address: &str) -> Draft {
    let expires = ask.control.clock.now().plus(NEWS);
    Draft { to: Some(address.to_owned()), letter: Letter::Taken, expires }
}

/// To an account's present address: another one is to take its place. Only who knows the
/// password can use up these mails; what anybody can ask for counts elsewhere.
pub(super) fn warning(ask: &Ask<'_>, to: Option<&str>, letter: Letter) -> Draft {
    let now = ask.control.clock.now();
    let to = to.filter(|address| ask.control.outbox.admit_notice(address, now)).map(str::to_owned);
    Draft { to, letter, expires: now.plus(NEWS) }
}

fn in_words(time: Duration) -> String {
    let (number, unit) = match time.as_secs() {
        seconds if seconds % 3600 == 0 => (seconds / 3600, "hour"),
        seconds if seconds % 60 == 0 => (seconds / 60, "minute"),
        seconds => (seconds, "second"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_its_largest_whole_unit() {
        let said = |seconds| in_words(Duration::from_secs(seconds));
        assert_eq!(
            [said(900), said(86_400), said(3600), said(90)],
            ["15 minutes", "24 hours", "1 hour", "90 seconds"]
        );
    }
}
