//! The task that sends what waits. What could not be sent is tried again, later each
//! time, until the token that it carries is of no use.
//!
//! What may not come in: a recipient or a word of a mail, in any line of the log.

use super::{
    PURPOSE,
    transport::{Failed, Outgoing, Transport},
};
use crate::{
    clock::UnixMillis,
    control::Control,
    store::{QueuedMail, StoreError},
};
use arc_swap::ArcSwap;
use serde::Deserialize;
use std::{sync::Arc, time::Duration};

/// How many are taken out of the store at a time.
const BATCH: u32 = 16;
/// After the first failure; doubled by each one more …
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// … up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// How long the store is left alone after it did not answer, and how often it is looked
/// at without any call.
const STORE_PAUSE: Duration = Duration::from_secs(30);

/// A mail as it was sealed.
#[derive(Deserialize)]
struct Kept {
    to: Option<String>,
    subject: String,
    text: String,
    html: String,
}

/// Sends for as long as the process lives, by what configuration there is.
pub fn start(control: Arc<ArcSwap<Control>>) {
    tokio::spawn(async move {
        loop {
            let now = control.load_full();
            let pause = match send_due(&now).await {
                Ok(next) => next.map_or(STORE_PAUSE, |due| due.since(now.clock.now())),
                Err(error) => {
                    tracing::warn!(error = %error.0, "the store did not say which mail is due");
                    STORE_PAUSE
                }
            };
            // A configuration that was replaced meanwhile is not kept alive by waiting.
            let outbox = now.outbox.clone();
            drop(now);
            tokio::select! {
                () = outbox.woken() => {}
                // Never at once again: a clock that stands still would spin.
                () = tokio::time::sleep(pause.clamp(Duration::from_millis(50), STORE_PAUSE)) => {}
            }
        }
    });
}

/// Sends everything that is due, and says when the next will be.
pub(super) async fn send_due(control: &Control) -> Result<Option<UnixMillis>, StoreError> {
    loop {
        let due = control.store.due_mails(BATCH, control.clock.now()).await?;
        if due.is_empty() {
            return control.store.next_mail().await;
        }
        let transport = match &control.config.mail {
            Some(mail) => Transport::new(mail).await,
            None => Err(Failed::ForNow("[mail] is not configured any more".to_owned())),
        };
        for mail in due {
            let sent = match &transport {
                Ok(transport) => send(control, transport, &mail).await,
                Err(why) => Err(why.clone()),
            };
            settle(control, &mail, sent).await?;
        }
    }
}

async fn send(control: &Control, transport: &Transport, mail: &QueuedMail) -> Result<(), Failed> {
    let unreadable = || Failed::ForEver("it cannot be unsealed: was [store] key changed?".to_owned());
    let sealer = control.store.sealer().map_err(|error| Failed::ForNow(error.to_string()))?;
    let plain = sealer.open(PURPOSE, &mail.sealed).map_err(|_| unreadable())?;
    let kept: Kept = serde_json::from_slice(&plain).map_err(|_| unreadable())?;
    let Some(to) = kept.to else { return Ok(()) };
    let id = control.random.uuid().to_string();
    let (now, subject) = (control.clock.now(), kept.subject);
    transport.send(Outgoing { id, to, subject, text: kept.text, html: kept.html, now }).await
}

async fn settle(control: &Control, mail: &QueuedMail, sent: Result<(), Failed>) -> Result<(), StoreError> {
    match sent {
        Ok(()) => {
            tracing::debug!(mail = mail.id, "mail sent");
            control.store.forget_mail(mail.id).await
        }
        Err(Failed::ForEver(why)) => {
            tracing::warn!(mail = mail.id, error = %why, "mail refused: it is dropped");
            control.store.forget_mail(mail.id).await
        }
        Err(Failed::ForNow(why)) => {
            let pause = FIRST_PAUSE.saturating_mul(1 << mail.tries.min(16)).min(LONGEST_PAUSE);
            let due = control.clock.now().plus(pause);
            let last = due >= mail.expires;
            tracing::warn!(
                mail = mail.id, tries = mail.tries + 1, error = %why,
                "mail not sent: {}", if last { "its link is over before the next try" } else { "it is tried again" }
            );
            control.store.put_off_mail(mail.id, due).await
        }
    }
}
