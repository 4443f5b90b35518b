//! Letters on their way into the store: rendered, sealed, and no more of them to one
//! person than is good. Each step is done for nobody as it is for somebody, so that
//! neither an answer nor the work behind it tells who exists.

use super::{Letter, PURPOSE, rate::Rate};
use crate::{
    clock::UnixMillis,
    pages::Pages,
    seal::Sealer,
    store::{NewMail, NewToken, Store, Stored},
};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};
use tokio::sync::Notify;

/// Mails to one address in an hour (contract section 5, recovery).
const TO_ONE: usize = 3;
const HOUR: Duration = Duration::from_secs(3600);
/// Registrations and recoveries of one client address in a minute.
const BY_ONE: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// A letter to somebody.
pub struct Draft {
    /// Whom. None: nobody; it is rendered and kept all the same, and never sent.
    pub to: Option<String>,
    /// What.
    pub letter: Letter,
    /// From when on it is not worth sending.
    pub expires: UnixMillis,
}

/// What is common to all letters of a process.
pub struct Outbox {
    recipients: Rate,
    /// Of what happens to an account: nobody can use these up but who knows its password.
    notices: Rate,
    clients: Rate,
    wake: Notify,
    /// Letters written so far, also to nobody: what equal work is proven by.
    written: AtomicU64,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            recipients: Rate::new(TO_ONE, HOUR),
            notices: Rate::new(TO_ONE, HOUR),
            clients: Rate::new(BY_ONE, MINUTE),
            wake: Notify::new(),
            written: AtomicU64::new(0),
        }
    }
}

impl Outbox {
    /// Counts a request that may lead to a mail or an account; else says in how many
    /// seconds there is room.
    pub fn admit_client(&self, client: IpAddr, now: UnixMillis) -> Result<(), u32> {
        // A host has a whole IPv6 /64.
        let key = match client.to_canonical() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets()[..8].to_vec(),
        };
        self.clients.count(&key, now)
    }

    /// Counts a mail to this address; false: it had enough of them.
    pub fn admit_recipient(&self, address: &str, now: UnixMillis) -> bool {
        self.room_for(address, now).is_ok()
    }

    /// The same; else says in how many seconds there is room.
    pub fn room_for(&self, address: &str, now: UnixMillis) -> Result<(), u32> {
        self.recipients.count(address.as_bytes(), now)
    }

    /// Counts a notice of what happens to the account of this address; false: it had enough.
    /// What anybody can ask for (recovery) does not count here, or a thief could see to it
    /// that the owner is not told.
    pub fn admit_notice(&self, address: &str, now: UnixMillis) -> bool {
        self.notices.count(address.as_bytes(), now).is_ok()
    }

    /// Keeps letters and the token that one of them carries, in one transaction, and wakes
    /// the sender.
    pub async fn post(
        &self,
        store: &Store,
        sealer: &Sealer,
        pages: &Pages,
        token: Option<NewToken>,
        drafts: Vec<Draft>,
        now: UnixMillis,
    ) -> Stored<()> {
        let mails = drafts.into_iter().map(|draft| self.sealed(sealer, pages, draft)).collect();
        store.post(token, mails, now).await?;
        self.wake.notify_one();
        Ok(())
    }

    fn sealed(&self, sealer: &Sealer, pages: &Pages, draft: Draft) -> NewMail {
        self.written.fetch_add(1, Relaxed);
        let written = pages.letter(&draft.letter);
        let text = serde_json::json!({
            "to": draft.to,
            "subject": written.subject,
            "text": written.text,
            "html": written.html,
        });
        // What is to nobody is over before it begins.
        let expires = if draft.to.is_some() { draft.expires } else { UnixMillis(0) };
        NewMail { sealed: sealer.seal(PURPOSE, text.to_string().as_bytes()), expires }
    }

    /// How many letters were written, also to nobody.
    pub fn written(&self) -> u64 {
        self.written.load(Relaxed)
    }

    /// Returns when there is something new to be sent.
    pub(super) async fn woken(&self) {
        self.wake.notified().await;
    }
}
