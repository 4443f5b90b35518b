//! The concurrent maps behind the table. Readers take no lock; writers (a look-up that
//! came back, an end, the feed) share one, which no reader ever meets.

use super::{
    Account, LiveSession, SessionRecord,
    changes::{Changes, Subject},
    session::{AccountCell, Cookies, Idle, Used},
};
use crate::clock::UnixMillis;
use arc_swap::ArcSwap;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak, atomic::Ordering::Relaxed},
};
use uuid::Uuid;

/// How many are looked at to find one that may go.
const SAMPLE: usize = 16;

/// How many references the shelf itself holds on a session: two maps, two books. (One more for
/// a moment after a refresh, for the cookie before: such a session is spared.)
const OWN_REFERENCES: usize = 4;

/// How many last uses of sessions that left the table wait to be written.
const LEFT: usize = 10_000;

/// How many that were let go are remembered before those that nobody holds are forgotten.
const GONE: usize = 1024;

/// All sessions that this process knows.
pub(super) struct Shelf {
    by_cookie: papaya::HashMap<[u8; 32], Arc<LiveSession>>,
    by_sid: papaya::HashMap<Box<str>, Arc<LiveSession>>,
    books: Mutex<Books>,
    capacity: usize,
    idle: Idle,
}

/// What only writers see.
#[derive(Default)]
struct Books {
    all: Vec<Arc<LiveSession>>,
    /// Where the next sample begins.
    hand: usize,
    people: HashMap<Uuid, Person>,
    changes: Changes,
    /// Last uses of sessions that left the table before they were written.
    left: Vec<Used>,
    /// Let go for room. A reader may have taken one at that moment, and must hear of its end.
    gone: Vec<Weak<LiveSession>>,
}

/// An account with at least one session here.
struct Person {
    cell: AccountCell,
    sessions: HashMap<u64, Arc<LiveSession>>,
}

/// A session ended or its account changed while the store was being asked.
#[derive(Debug)]
pub(super) struct Overtaken;

impl Shelf {
    pub(super) fn new(capacity: usize, idle: Idle) -> Self {
        Self {
            by_cookie: papaya::HashMap::new(),
            by_sid: papaya::HashMap::new(),
            books: Mutex::default(),
            capacity,
            idle,
        }
    }

    pub(super) fn by_cookie(&self, hash: &[u8; 32]) -> Option<Arc<LiveSession>> {
        self.by_cookie.pin().get(hash).cloned()
    }

    pub(super) fn by_sid(&self, sid: &str) -> Option<Arc<LiveSession>> {
        self.by_sid.pin().get(sid).cloned()
    }

    /// To be noted before the store is asked.
    pub(super) fn moment(&self) -> u64 {
        self.books().changes.moment()
    }

    /// A session that is in no table, for what is signed in its name when it is made.
    pub(super) fn detached(&self, record: &SessionRecord, account: Account) -> Arc<LiveSession> {
        Arc::new(LiveSession::new(record, Arc::new(ArcSwap::from_pointee(account)), self.idle, 0))
    }

    /// Takes in what the store answered to a question put at `moment`; `read_at` is the
    /// newest event that the answer has seen.
    pub(super) fn put(
        &self,
        record: &SessionRecord,
        account: Account,
        read_at: u64,
        moment: u64,
    ) -> Result<Arc<LiveSession>, Overtaken> {
        let mut books = self.books();
        if books.changes.overtook(moment, &record.sid, record.account) {
            return Err(Overtaken);
        }
        let cell = books.cell(account);
        if let Some(known) = self.by_sid(&record.sid) {
            known.read_again(read_at, record);
            known.set_external(record.external.as_ref());
            self.give(&known, record);
            return Ok(known);
        }
        if books.all.len() >= self.capacity {
            self.evict(&mut books);
        }
        let session = Arc::new(LiveSession::new(record, cell.clone(), self.idle, read_at));
        session.slot().store(books.all.len(), Relaxed);
        books.all.push(session.clone());
        let person =
            books.people.entry(record.account).or_insert_with(|| Person { cell, sessions: HashMap::new() });
        person.sessions.insert(session.serial(), session.clone());
        let by_cookie = self.by_cookie.pin();
        by_cookie.insert(record.cookie_hash, session.clone());
        if let Some((former, _)) = record.former_cookie {
            by_cookie.insert(former, session.clone());
        }
        self.by_sid.pin().insert(session.sid().into(), session.clone());
        Ok(session)
    }

    /// A session is over, for ever.
    /// Answers with the session if it was here.
    pub(super) fn end(&self, sid: &str) -> Option<Arc<LiveSession>> {
        let mut books = self.books();
        books.changes.note(Subject::Session(sid.into()));
        books.end_gone(|session| session.sid() == sid);
        let session = self.by_sid(sid)?;
        self.remove(&mut books, &session);
        session.end();
        Some(session)
    }

    /// A refresh gave the session a new cookie. One that has ended meanwhile is not here,
    /// and does not come back by this.
    pub(super) fn rotated(&self, record: &SessionRecord) {
        let _books = self.books();
        if let Some(session) = self.by_sid(&record.sid) {
            self.give(&session, record);
        }
    }

    /// The session's cookies are now those of `record`, unless they are newer already.
    /// Called with the books open.
    fn give(&self, session: &Arc<LiveSession>, record: &SessionRecord) {
        let (old, new) = (session.cookies(), Cookies::of(record));
        if new.number <= old.number {
            return;
        }
        let by_cookie = self.by_cookie.pin();
        by_cookie.insert(new.hash, session.clone());
        if let Some((former, _)) = old.former {
            by_cookie.remove(&former);
        }
        if new.former.is_none_or(|(former, _)| former != old.hash) {
            by_cookie.remove(&old.hash);
        }
        session.give(new, record.cookie_used);
    }

    /// All sessions of an account are over that the store knew before event `before`;
    /// without a number all that are here.
    /// Answers with those that were here.
    pub(super) fn end_all(&self, account: Uuid, before: Option<u64>) -> Vec<Arc<LiveSession>> {
        let mut books = self.books();
        books.changes.note(Subject::Account(account));
        let over: Vec<_> = books.people.get(&account).map_or_else(Vec::new, |person| {
            let before = before.unwrap_or(u64::MAX);
            person.sessions.values().filter(|session| session.read_at() < before).cloned().collect()
        });
        let before = before.unwrap_or(u64::MAX);
        books.end_gone(|gone| gone.account_cell().load().uuid == account && gone.read_at() < before);
        for session in &over {
            self.remove(&mut books, session);
            session.end();
        }
        over
    }

    /// The account is now so. An older state than the one that is here changes nothing.
    pub(super) fn account_changed(&self, account: Account) {
        let (uuid, active) = (account.uuid, account.active);
        {
            let mut books = self.books();
            books.changes.note(Subject::Account(uuid));
            if books.people.contains_key(&uuid) {
                books.cell(account);
            }
        }
        if !active {
            self.end_all(uuid, None);
        }
    }

    /// What the logins behind an account's sessions are known for now.
    pub(super) fn externals_changed(&self, externals: &[(String, super::ExternalRecord)]) {
        for (sid, record) in externals {
            if let Some(session) = self.by_sid(sid) {
                session.set_external(Some(record));
            }
        }
    }

    /// Whether anybody is here who would care for a change of this account.
    pub(super) fn knows(&self, account: Uuid) -> bool {
        self.books().people.contains_key(&account)
    }

    /// Notes that an account has changed, for questions that are under way.
    pub(super) fn note_change(&self, account: Uuid) {
        self.books().changes.note(Subject::Account(account));
    }

    /// Everybody out: what is remembered of the store can no longer be trusted.
    pub(super) fn clear(&self) {
        let mut books = self.books();
        books.changes.forget();
        books.end_gone(|_| true);
        for session in books.all.clone() {
            self.remove(&mut books, &session);
            session.end();
        }
    }

    /// Takes out what has expired or idled, and tells those who hold it.
    pub(super) fn sweep(&self, now: UnixMillis) {
        let mut books = self.books();
        let over: Vec<_> = books.all.iter().filter(|session| !session.is_live(now)).cloned().collect();
        for session in over {
            self.remove(&mut books, &session);
            session.end();
        }
        // Cookies that a refresh replaced, once grace is over.
        let by_cookie = self.by_cookie.pin();
        for session in &books.all {
            if let Some((former, _)) = session.cookies().former.filter(|(_, until)| *until <= now) {
                by_cookie.remove(&former);
                session.forget_former();
            }
        }
    }

    /// Last uses that the store does not know yet.
    pub(super) fn unsaved(&self) -> Vec<Used> {
        let mut books = self.books();
        let mut uses = std::mem::take(&mut books.left);
        uses.extend(books.all.iter().filter_map(|s| s.unsaved_use()));
        uses
    }

    /// The store knows them now.
    pub(super) fn saved(&self, uses: &[Used]) {
        for used in uses {
            if let Some(session) = self.by_sid(&used.sid) {
                session.saved_use(used.at);
            }
        }
    }

    /// They could not be written. Those in the table are still there to be written; of
    /// those that left it, what fits is kept.
    pub(super) fn not_saved(&self, uses: Vec<Used>) {
        let mut books = self.books();
        let room = LEFT.saturating_sub(books.left.len());
        books.left.extend(uses.into_iter().filter(|used| self.by_sid(&used.sid).is_none()).take(room));
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.books().all.len()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, books: &mut Books, session: &Arc<LiveSession>) {
        let (by_cookie, cookies) = (self.by_cookie.pin(), session.cookies());
        for hash in [Some(cookies.hash), cookies.former.map(|(hash, _)| hash)].into_iter().flatten() {
            by_cookie.remove(&hash);
        }
        self.by_sid.pin().remove(session.sid());
        let slot = session.slot().load(Relaxed);
        books.all.swap_remove(slot);
        if let Some(moved) = books.all.get(slot) {
            moved.slot().store(slot, Relaxed);
        }
        let account = session.account_cell().load().uuid;
        if let Some(person) = books.people.get_mut(&account) {
            person.sessions.remove(&session.serial());
            if person.sessions.is_empty() {
                books.people.remove(&account);
            }
        }
    }

    /// The table is only a cache of the store: the one that was used least of a few may
    /// go. One that somebody else holds (an open stream) stays; there are never more of
    /// those than connections.
    fn evict(&self, books: &mut Books) {
        if let Some(session) = books.least_used() {
            self.let_go(books, &session);
        }
    }

    /// What making room does to a session that a reader finds at that moment.
    #[cfg(test)]
    pub(super) fn let_go_for_room(&self, sid: &str) {
        let session = self.by_sid(sid).expect("it is here");
        self.let_go(&mut self.books(), &session);
    }

    /// Takes it out though it is not over. Whoever found it before that holds it still.
    fn let_go(&self, books: &mut Books, session: &Arc<LiveSession>) {
        if let Some(used) = session.unsaved_use().filter(|_| books.left.len() < LEFT) {
            books.left.push(used);
        }
        self.remove(books, session);
        if books.gone.len() >= GONE {
            books.gone.retain(|gone| gone.strong_count() > 0);
        }
        books.gone.push(Arc::downgrade(session));
    }
}

impl Books {
    /// Of the next few, the one that nobody holds and that was used least.
    fn least_used(&mut self) -> Option<Arc<LiveSession>> {
        let len = self.all.len();
        let sample = (0..SAMPLE.min(len)).map(|step| &self.all[(self.hand + step) % len]);
        let unheld = sample.filter(|session| Arc::strong_count(session) <= OWN_REFERENCES);
        let oldest = unheld.min_by_key(|session| session.last_used()).cloned();
        self.hand = (self.hand + SAMPLE) % len.max(1);
        oldest
    }

    /// Ends those that were let go and are still held.
    fn end_gone(&mut self, is_meant: impl Fn(&LiveSession) -> bool) {
        self.gone.retain(|gone| match gone.upgrade() {
            Some(session) if is_meant(&session) => {
                session.end();
                false
            }
            held => held.is_some(),
        });
    }

    /// The account's cell, brought up to `account` if that is newer.
    fn cell(&mut self, account: Account) -> AccountCell {
        match self.people.get(&account.uuid) {
            Some(person) => {
                if person.cell.load().version < account.version {
                    person.cell.store(Arc::new(account));
                }
                person.cell.clone()
            }
            None => Arc::new(ArcSwap::from_pointee(account)),
        }
    }
}
