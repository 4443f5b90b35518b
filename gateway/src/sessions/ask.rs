//! The question to the store behind the table: one for many askers, a bounded number
//! under way, each with a deadline. It runs on the control plane's runtime, so that a
//! slow store holds up no worker.

use super::{Account, LiveSession, SessionRecord, Unavailable};
use crate::store::{Store, Stored};
use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, sync::watch};

/// How many questions may be under way at once.
const UNDER_WAY: usize = 256;

/// How long one may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// By the hash of the cookie's value.
    Cookie([u8; 32]),
    /// By name.
    Sid(Box<str>),
}

/// A session, its account, and the newest event that both have seen.
pub(crate) type Row = (SessionRecord, Account, u64);

/// An answer that is on its way.
pub(super) type Asked = Pin<Box<dyn Future<Output = Stored<Option<Row>>> + Send>>;

/// Who is asked. A trait so that a test can be a slow store.
pub(super) trait Source: Send + Sync + 'static {
    fn ask(&self, question: Question) -> Asked;
}

impl Source for Store {
    fn ask(&self, question: Question) -> Asked {
        let store = self.clone();
        Box::pin(async move {
            match question {
                Question::Cookie(hash) => store.session_by_cookie(hash).await,
                Question::Sid(sid) => store.session_by_sid(&sid).await,
            }
        })
    }
}

/// What all askers of one question get.
pub(super) type Answer = Result<Option<Arc<LiveSession>>, Unavailable>;

/// Questions under way. The lock is held for the moment of a map operation, on misses
/// only, and never while anything is awaited.
#[derive(Clone, Default)]
pub(super) struct Questions(Arc<Mutex<HashMap<Question, watch::Receiver<Option<Answer>>>>>);

impl Questions {
    /// Joins the question if it is under way, else puts it: `answer` runs on `runtime`.
    pub(super) async fn put<F>(
        &self,
        question: Question,
        runtime: &Handle,
        answer: impl FnOnce() -> F,
    ) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut answered = self.join(question, runtime, answer)?;
        let answer = answered.wait_for(Option::is_some).await.map_err(|_| Unavailable)?;
        answer.clone().unwrap_or(Err(Unavailable))
    }

    fn join<F>(
        &self,
        question: Question,
        runtime: &Handle,
        answer: impl FnOnce() -> F,
    ) -> Result<watch::Receiver<Option<Answer>>, Unavailable>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answered) = under_way.get(&question) {
            return Ok(answered.clone());
        }
        if under_way.len() >= UNDER_WAY {
            return Err(Unavailable);
        }
        let (tell, answered) = watch::channel(None);
        under_way.insert(question.clone(), answered.clone());
        let done = Done { questions: self.clone(), question };
        let answer = answer();
        runtime.spawn(async move {
            let answer = tokio::time::timeout(DEADLINE, answer).await.unwrap_or(Err(Unavailable));
            // Out of the list first: who comes now finds the table filled, or asks anew.
            drop(done);
            let _ = tell.send(Some(answer));
        });
        Ok(answered)
    }
}

/// Takes a question off the list, also when its task panics or is dropped.
struct Done {
    questions: Questions,
    question: Question,
}

impl Drop for Done {
    fn drop(&mut self) {
        self.questions.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.question);
    }
}
