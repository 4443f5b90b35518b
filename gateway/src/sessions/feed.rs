//! Changes made by other processes: a command that ends a session, disables an account
//! or turns a key writes an event, and it counts here a moment later. The same task
//! writes last uses back, and takes out what is over.

use super::{LiveSession, Sessions};
use crate::{
    clock::{Clock, UnixMillis},
    store::{Change, Event, Store, Stored},
    telemetry::{Audit, audit},
    tokens::{LoadError, Tokens},
};
use std::{future::Future, pin::pin, sync::Arc, time::Duration};
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

/// How often the store is looked at: what a command does counts within a second.
const POLL: Duration = Duration::from_millis(250);

/// How often last uses are written: a crash shortens idleness by this much at most.
const WRITE: Duration = Duration::from_secs(10);

/// How often the table is swept of what is over by its time.
const SWEEP: Duration = Duration::from_secs(1);

/// How often the store is rid of what is over by its time.
const PRUNE: Duration = Duration::from_secs(60);

/// How many events are read at once.
const BATCH: usize = 500;

/// Follows the store's events.
pub struct Feed {
    store: Store,
    sessions: Arc<Sessions>,
    tokens: Arc<Tokens>,
    clock: Clock,
    /// The last event that was applied.
    applied: u64,
    /// The store's data version at which all events were applied.
    version: Option<u64>,
    written: UnixMillis,
    swept: UnixMillis,
    pruned: UnixMillis,
    /// Whether the last poll failed; an outage is one line in the log, not four a second.
    failing: bool,
}

impl Feed {
    /// Begins at the newest event; made before the first session is looked up.
    pub async fn new(
        store: Store,
        sessions: Arc<Sessions>,
        tokens: Arc<Tokens>,
        clock: Clock,
    ) -> Stored<Self> {
        let applied = store.newest_event().await?;
        let now = clock.now();
        Ok(Self {
            store,
            sessions,
            tokens,
            clock,
            applied,
            version: None,
            written: now,
            swept: now,
            pruned: now,
            failing: false,
        })
    }

    /// Follows until `stop`, then writes the last uses that are still to be written.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut tick = tokio::time::interval(POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = &mut stop => break,
                _ = tick.tick() => self.tick().await,
            }
        }
        if let Err(error) = self.flush().await {
            tracing::warn!(%error, "the last uses of sessions were not written");
        }
    }

    /// One look at the store, and what is due besides.
    async fn tick(&mut self) {
        let polled = self.poll().await;
        let now = self.clock.now();
        if now.since(self.swept) >= SWEEP {
            self.swept = now;
            self.sessions.shelf().sweep(now);
        }
        let housekept = self.housekeep(now).await;
        let outcome = polled.and(housekept);
        match &outcome {
            Ok(()) if self.failing => tracing::info!("the store answers again"),
            Err(error) if !self.failing => {
                tracing::warn!(%error, "the store cannot be followed; known sessions go on");
            }
            _ => {}
        }
        self.failing = outcome.is_err();
    }

    async fn housekeep(&mut self, now: UnixMillis) -> Stored<()> {
        if now.since(self.written) >= WRITE {
            self.written = now;
            self.flush().await?;
        }
        if now.since(self.pruned) >= PRUNE {
            self.pruned = now;
            self.store.prune_sessions(now).await?;
        }
        Ok(())
    }

    /// Applies what is new, in order. After an error the next call goes on where it was.
    async fn poll(&mut self) -> Stored<()> {
        // The version is read first: what is committed meanwhile moves it again.
        let version = self.store.data_version().await?;
        if self.version == Some(version) {
            return Ok(());
        }
        loop {
            let events = self.store.events_since(self.applied, BATCH).await?;
            if events.first().is_some_and(|event| event.id != self.applied + 1) {
                tracing::warn!("events were missed: all sessions are looked up anew");
                self.sessions.shelf().clear();
            }
            let full = events.len() == BATCH;
            for event in events {
                self.apply(&event).await?;
                self.applied = event.id;
            }
            if !full {
                break;
            }
        }
        self.version = Some(version);
        Ok(())
    }

    async fn apply(&self, event: &Event) -> Stored<()> {
        match &event.change {
            Change::SessionChanged(sid) => self.session_changed(sid).await?,
            Change::SessionEnded(sid) => revoked(self.sessions.end(sid)),
            Change::SessionsEnded(account) => revoked(self.sessions.end_all_before(*account, event.id)),
            Change::AccountDeleted(account) => revoked(self.sessions.end_all(*account)),
            Change::AccountChanged(account) => self.account_changed(*account).await?,
            Change::KeysChanged => self.keys_changed().await?,
            Change::Command(account, what) => audit(&Audit {
                event: "command",
                target: Some(*account),
                reason: Some(what),
                ..Audit::default()
            }),
        }
        Ok(())
    }

    /// A refresh at another gateway. One of our own is known already, and read once more.
    async fn session_changed(&self, sid: &str) -> Stored<()> {
        if self.sessions.shelf().by_sid(sid).is_some()
            && let Some((record, ..)) = self.store.session_by_sid(sid).await?
        {
            self.sessions.rotated(&record);
        }
        Ok(())
    }

    async fn account_changed(&self, uuid: Uuid) -> Stored<()> {
        // Noted first: a look-up that is under way and read the old state is asked again.
        self.sessions.shelf().note_change(uuid);
        if self.sessions.shelf().knows(uuid) {
            // Before the account: what is cached of a session is keyed by its version.
            self.sessions.externals_changed(&self.store.externals_of(uuid).await?);
            match self.store.account(uuid).await? {
                Some(account) => self.sessions.account_changed(account),
                None => revoked(self.sessions.end_all(uuid)),
            }
        }
        Ok(())
    }

    async fn keys_changed(&self) -> Stored<()> {
        let sealer = match self.store.sealer() {
            Ok(sealer) => sealer,
            Err(error) => {
                tracing::error!(%error, "the signing keys stay as they were");
                return Ok(());
            }
        };
        match self.tokens.reload(&self.store, &sealer).await {
            Ok(()) => Ok(()),
            Err(LoadError::Store(error)) => Err(error),
            Err(error @ LoadError::Key(_)) => {
                tracing::error!(%error, "the signing keys stay as they were");
                Ok(())
            }
        }
    }

    /// Writes last uses that the store does not know yet.
    async fn flush(&self) -> Stored<()> {
        let shelf = self.sessions.shelf();
        let uses = shelf.unsaved();
        if uses.is_empty() {
            return Ok(());
        }
        let written = self.store.touch_sessions(uses.clone()).await;
        match &written {
            Ok(()) => shelf.saved(&uses),
            Err(_) => shelf.not_saved(uses),
        }
        written
    }
}

/// Tells the audit trail of sessions that somebody else ended: one that ended here, by a
/// logout, is not at hand any more when its event comes by, and has a line of its own.
fn revoked(sessions: impl IntoIterator<Item = Arc<LiveSession>>) {
    for session in sessions {
        audit(&Audit {
            event: "revoked",
            account: Some(&session.account().public_name()),
            strategy: Some(session.strategy()),
            sid: Some(session.sid()),
            ..Audit::default()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        random::Random,
        sessions::{Idle, Lookup, SessionRecord, Transport},
        store::{NewAccount, NewCredential},
    };
    use portcullis_config::{Algorithm, Assertion, Token};
    use std::net::Ipv4Addr;
    use tokio::runtime::Handle;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);
    const HOUR: Duration = Duration::from_secs(3_600);

    struct Gateway {
        store: Store,
        sessions: Arc<Sessions>,
        tokens: Arc<Tokens>,
        clock: Clock,
        feed: Feed,
        ann: Uuid,
    }

    async fn gateway() -> Gateway {
        let clock = Clock::manual(NOW);
        let store = Store::open_temporary(Random::system(), clock.clone());
        let token = Token {
            algorithm: Algorithm::Es256,
            secret: None,
            issuer: "https://gw.test".into(),
            audience: "https://gw.test".into(),
            lifetime: HOUR,
            max_lifetime: HOUR,
            refresh_lifetime: HOUR,
            refresh_idle: HOUR,
            refresh_grace: HOUR,
            rotate: 24 * HOUR,
            schemes: vec![],
            trusted: Vec::new(),
        };
        let assertion = Assertion { header: "X-A".into(), algorithm: Algorithm::Es256, lifetime: HOUR };
        let sealer = store.sealer().unwrap();
        let tokens = Tokens::load(&store, &sealer, &token, &assertion, Random::system(), &clock).await;
        let tokens = Arc::new(tokens.unwrap());
        let sessions =
            Arc::new(Sessions::new(store.clone(), Idle { session: HOUR, family: HOUR }, Handle::current()));
        let ann = Uuid::from_u128(1);
        let account = NewAccount {
            active: true,
            uuid: ann,
            name: "ann".into(),
            name_proved: true,
            email: None,
            email_verified: false,
            display_name: None,
            roles: vec![],
            metadata: Default::default(),
            app: Default::default(),
        };
        store.create_account(account, vec![credential("old")], NOW).await.unwrap().unwrap();
        let feed = Feed::new(store.clone(), sessions.clone(), tokens.clone(), clock.clone()).await.unwrap();
        Gateway { store, sessions, tokens, clock, feed, ann }
    }

    fn credential(secret: &str) -> NewCredential {
        NewCredential {
            strategy: "local".into(),
            realm: "local".into(),
            subject: "ann".into(),
            secret: Some(secret.into()),
        }
    }

    impl Gateway {
        async fn signs_in(&self, sid: &str) {
            let record = SessionRecord {
                sid: sid.into(),
                cookie_hash: crate::sessions::hash_cookie(sid.as_bytes()),
                cookie_number: 0,
                cookie_expires: NOW.plus(12 * HOUR),
                cookie_used: NOW,
                former_cookie: None,
                family: false,
                account: self.ann,
                strategy: "local".into(),
                transport: Transport::Both,
                created: NOW,
                last_used: NOW,
                expires: NOW.plus(12 * HOUR),
                address: Ipv4Addr::LOCALHOST.into(),
                user_agent: String::new(),
                external: None,
            };
            assert!(self.store.insert_session(record, None).await.unwrap());
            assert!(self.sessions.ask_sid(sid, NOW).await.unwrap().is_some());
            assert!(self.is_live(sid));
        }

        fn is_live(&self, sid: &str) -> bool {
            matches!(self.sessions.by_sid(sid, self.clock.now()), Lookup::Live(_))
        }
    }

    #[tokio::test]
    async fn what_a_command_does_to_sessions_counts_after_one_look() {
        let mut gateway = gateway().await;
        for sid in ["a", "b", "c"] {
            gateway.signs_in(sid).await;
        }
        gateway.store.end_session("a").await.unwrap();
        assert!(gateway.is_live("a"), "nobody has looked yet");
        gateway.feed.poll().await.unwrap();
        assert!(!gateway.is_live("a") && gateway.is_live("b"));
        gateway.store.end_sessions_of(gateway.ann).await.unwrap();
        gateway.feed.poll().await.unwrap();
        assert!(!gateway.is_live("b") && !gateway.is_live("c"));
    }

    #[tokio::test]
    async fn what_a_command_does_to_an_account_counts_after_one_look() {
        let mut gateway = gateway().await;
        gateway.signs_in("a").await;
        gateway.store.set_roles(gateway.ann, vec!["staff".into()], NOW).await.unwrap();
        gateway.feed.poll().await.unwrap();
        let Lookup::Live(session) = gateway.sessions.by_sid("a", NOW) else { panic!("it lives") };
        assert_eq!(session.account().roles, ["staff"]);
        gateway.store.set_active(gateway.ann, false, NOW).await.unwrap();
        gateway.feed.poll().await.unwrap();
        assert!(!gateway.is_live("a"));
        gateway.store.set_active(gateway.ann, true, NOW).await.unwrap();
        gateway.feed.poll().await.unwrap();
        assert!(!gateway.is_live("a"), "what has ended stays ended");
        gateway.signs_in("b").await;
        gateway.store.delete_account(gateway.ann).await.unwrap();
        gateway.feed.poll().await.unwrap();
        assert!(!gateway.is_live("b"));
    }

    #[tokio::test]
    async fn a_session_made_after_a_password_change_outlives_the_news_of_it() {
        let mut gateway = gateway().await;
        gateway.signs_in("old").await;
        gateway.store.replace_secret(gateway.ann, credential("new"), NOW).await.unwrap();
        gateway.sessions.end_all(gateway.ann);
        assert!(!gateway.is_live("old"), "on this gateway at once");
        gateway.signs_in("new").await;
        gateway.feed.poll().await.unwrap();
        assert!(gateway.is_live("new") && !gateway.is_live("old"));
    }

    #[tokio::test]
    async fn last_uses_are_written_when_due_and_when_it_stops() {
        let mut gateway = gateway().await;
        gateway.signs_in("a").await;
        let stored =
            async |gateway: &Gateway| gateway.store.session_by_sid("a").await.unwrap().unwrap().0.last_used;
        let Lookup::Live(session) = gateway.sessions.by_sid("a", NOW) else { panic!("it lives") };
        let used = NOW.plus(Duration::from_secs(9));
        session.touch(used);
        gateway.clock.advance(WRITE - Duration::from_millis(1));
        gateway.feed.tick().await;
        assert_eq!(stored(&gateway).await, NOW);
        gateway.clock.advance(Duration::from_millis(1));
        gateway.feed.tick().await;
        assert_eq!(stored(&gateway).await, used);
        session.touch(used.plus(HOUR / 2));
        let store = gateway.store.clone();
        gateway.feed.run(async {}).await;
        assert_eq!(store.session_by_sid("a").await.unwrap().unwrap().0.last_used, used.plus(HOUR / 2));
    }

    #[tokio::test]
    async fn a_session_that_idles_away_is_told_so() {
        let mut gateway = gateway().await;
        gateway.signs_in("a").await;
        let Lookup::Live(session) = gateway.sessions.by_sid("a", NOW) else { panic!("it lives") };
        gateway.clock.advance(HOUR);
        gateway.feed.tick().await;
        session.ended().await;
        assert!(gateway.sessions.is_empty());
    }

    #[tokio::test]
    async fn a_new_key_elsewhere_is_taken_over() {
        let mut gateway = gateway().await;
        let key = crate::tokens::stored_key_for_tests(&gateway.store);
        let kid = key.kid.clone();
        assert!(gateway.store.insert_key(key).await.unwrap());
        gateway.feed.poll().await.unwrap();
        assert!(gateway.tokens.jwks().contains(&kid));
        assert_eq!(gateway.tokens.generation(), 2);
    }
}
