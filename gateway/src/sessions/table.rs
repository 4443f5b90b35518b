//! The concurrent table of live sessions, and the question to the store behind it.

use super::{
    Account, Idle, LiveSession, SessionRecord,
    absent::Absent,
    ask::{Answer, Question, Questions, Source},
    shelf::Shelf,
};
use crate::{clock::UnixMillis, store::Store};
use aws_lc_rs::digest;
use std::sync::Arc;
use tokio::runtime::Handle;
use uuid::Uuid;

/// How many sessions are kept at hand.
const SESSIONS: usize = 100_000;

/// How many "no"s are remembered, of cookies and of sids each.
const ABSENT: usize = 65_536;

/// How often a question is put anew because its session or account changed meanwhile.
const TRIES: usize = 4;

/// What the table knows without waiting.
pub enum Lookup {
    /// Here it is, and it is live.
    Live(Arc<LiveSession>),
    /// There is none (ended, expired, or the store was asked a moment ago).
    None,
    /// The table does not know: [`Sessions::ask_cookie`] or [`Sessions::ask_sid`].
    Unknown,
}

/// The store could not be asked: it is down, or too many questions are under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unavailable;

/// All live sessions. Cheap to clone as an `Arc`.
pub struct Sessions {
    known: Arc<Known>,
    questions: Questions,
    source: Arc<dyn Source>,
    runtime: Handle,
}

/// What is known without asking.
struct Known {
    shelf: Shelf,
    no_cookie: Absent<[u8; 32]>,
    no_sid: Absent<Box<str>>,
}

/// SHA-256 of a session cookie's value: all that is kept of it.
pub fn hash_cookie(value: &[u8]) -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, value).as_ref());
    hash
}

impl Sessions {
    /// An empty table before `store`; questions run on `runtime`, the control plane's.
    /// A session that is not used for `idle` is over.
    pub fn new(store: Store, idle: Idle, runtime: Handle) -> Self {
        Self::over(Arc::new(store), idle, runtime, SESSIONS)
    }

    pub(super) fn over(source: Arc<dyn Source>, idle: Idle, runtime: Handle, capacity: usize) -> Self {
        let known = Known {
            shelf: Shelf::new(capacity, idle),
            no_cookie: Absent::new(ABSENT),
            no_sid: Absent::new(ABSENT),
        };
        Self { known: Arc::new(known), questions: Questions::default(), source, runtime }
    }

    /// By the value of the session cookie, as it came.
    pub fn by_cookie(&self, value: &[u8], now: UnixMillis) -> Lookup {
        if !is_cookie(value) {
            return Lookup::None;
        }
        let hash = hash_cookie(value);
        match look(self.known.shelf.by_cookie(&hash), now, || self.known.no_cookie.knows(&hash, now)) {
            Lookup::Live(session) if !session.is_opened_by(&hash, now) => Lookup::None,
            looked => looked,
        }
    }

    /// By the `sid` of a verified token.
    pub fn by_sid(&self, sid: &str, now: UnixMillis) -> Lookup {
        if !is_sid(sid) {
            return Lookup::None;
        }
        look(self.known.shelf.by_sid(sid), now, || self.known.no_sid.knows(sid, now))
    }

    /// Asks the store, one question for many askers; remembers a "no" for a moment.
    pub async fn ask_cookie(
        &self,
        value: &[u8],
        now: UnixMillis,
    ) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        if !is_cookie(value) {
            return Ok(None);
        }
        let hash = hash_cookie(value);
        let found = self.ask(Question::Cookie(hash), now).await?;
        if found.as_ref().is_some_and(|session| !session.is_opened_by(&hash, now)) {
            // The store knows it still, as a former cookie: it is not asked each time either.
            self.known.no_cookie.note(hash, now);
            return Ok(None);
        }
        Ok(found)
    }

    /// The same by `sid`.
    pub async fn ask_sid(&self, sid: &str, now: UnixMillis) -> Result<Option<Arc<LiveSession>>, Unavailable> {
        if !is_sid(sid) {
            return Ok(None);
        }
        self.ask(Question::Sid(sid.into()), now).await
    }

    /// A session that the store has just taken, for the tokens signed in its name. The
    /// table itself fills through its one door, the question to the store, which is put
    /// in the background: so a login that was slow cannot undo an end that came between.
    pub fn insert(&self, record: &SessionRecord, account: Account) -> Arc<LiveSession> {
        let question = Question::Sid(record.sid.as_str().into());
        let (runtime, questions) = (self.runtime.clone(), self.questions.clone());
        let answer = self.answer(question.clone(), record.created);
        self.runtime.spawn(async move {
            // Nobody waits for it: the first request asks again if this came to nothing.
            let _ = questions.put(question, &runtime, || answer).await;
        });
        self.known.shelf.detached(record, account)
    }

    /// A refresh gave this session a new cookie: on this gateway from now on. One that
    /// has ended stays ended.
    pub fn rotated(&self, record: &SessionRecord) {
        self.known.shelf.rotated(record);
    }

    /// This session is over: on this gateway from now on.
    /// Answers with it if it was at hand.
    pub fn end(&self, sid: &str) -> Option<Arc<LiveSession>> {
        self.known.shelf.end(sid)
    }

    /// All sessions of this account are over: on this gateway from now on. Sessions that
    /// the store takes afterwards are new ones.
    /// Answers with those that were at hand.
    pub fn end_all(&self, account: Uuid) -> Vec<Arc<LiveSession>> {
        self.known.shelf.end_all(account, None)
    }

    /// All sessions of this account that began before event `number` are over.
    /// Answers with those that were at hand.
    pub fn end_all_before(&self, account: Uuid, number: u64) -> Vec<Arc<LiveSession>> {
        self.known.shelf.end_all(account, Some(number))
    }

    /// The account is now so: on this gateway from now on.
    pub fn account_changed(&self, account: Account) {
        self.known.shelf.account_changed(account);
    }

    /// What the logins behind these sessions are known for now: on this gateway from now on.
    pub fn externals_changed(&self, externals: &[(String, super::ExternalRecord)]) {
        self.known.shelf.externals_changed(externals);
    }

    /// Whether a session of this account is at hand.
    pub fn knows(&self, account: Uuid) -> bool {
        self.known.shelf.knows(account)
    }

    /// How many sessions are at hand.
    pub fn len(&self) -> usize {
        self.known.shelf.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first half of a look-up, for tests of what comes between the two.
    #[cfg(test)]
    pub(crate) fn begin_look_up(&self) -> u64 {
        self.known.shelf.moment()
    }

    /// The second half: what the store answered.
    #[cfg(test)]
    pub(crate) fn finish_look_up(&self, begun: u64, row: Option<super::Row>) {
        if let Some((record, account, read_at)) = row {
            let _ = self.known.shelf.put(&record, account, read_at, begun);
        }
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.known.shelf
    }

    async fn ask(&self, question: Question, now: UnixMillis) -> Answer {
        let found =
            self.questions.put(question.clone(), &self.runtime, || self.answer(question, now)).await?;
        // It may have ended between the answer and here.
        Ok(found.filter(|session| session.is_live(now)))
    }

    /// The question, put until its answer is not overtaken by an end or a change.
    fn answer(&self, question: Question, now: UnixMillis) -> impl Future<Output = Answer> + Send + 'static {
        let (known, source) = (self.known.clone(), self.source.clone());
        async move {
            for _ in 0..TRIES {
                let moment = known.shelf.moment();
                let row = source.ask(question.clone()).await.map_err(|error| {
                    tracing::warn!(error = %error.0, "the store did not say whether a session lives");
                    Unavailable
                })?;
                let Some((record, account, read_at)) = row else {
                    known.note_absent(question, now);
                    return Ok(None);
                };
                let Ok(session) = known.shelf.put(&record, account, read_at, moment) else { continue };
                return Ok(Some(session));
            }
            Err(Unavailable)
        }
    }
}

impl Known {
    fn note_absent(&self, question: Question, now: UnixMillis) {
        match question {
            Question::Cookie(hash) => self.no_cookie.note(hash, now),
            Question::Sid(sid) => self.no_sid.note(sid, now),
        }
    }
}

fn look(found: Option<Arc<LiveSession>>, now: UnixMillis, absent: impl FnOnce() -> bool) -> Lookup {
    match found {
        Some(session) if session.is_live(now) => Lookup::Live(session),
        Some(_) => Lookup::None,
        None if absent() => Lookup::None,
        None => Lookup::Unknown,
    }
}

/// 256 bits as base64url: anything else was never given out.
fn is_cookie(value: &[u8]) -> bool {
    value.len() == 43 && value.iter().all(|b| is_name_byte(*b))
}

fn is_sid(sid: &str) -> bool {
    (1..=64).contains(&sid.len()) && sid.bytes().all(is_name_byte)
}

fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}
