//! A refusal on the data plane, as the client gets it: a redirect to the login, a page
//! for a browser, problem+json for everything else (contract sections 6 and 8).

use super::http1::head::{Head, Known};
use super::{answer::Answer, cors::Readers, pipeline::Request, worker::Worker};
use crate::{
    problem::{Code, Problem, is_navigation},
    snapshot::Snapshot,
};

/// Why a request goes no further.
#[derive(Debug)]
pub struct Refusal {
    /// What is said.
    pub problem: Problem,
    /// A browser is sent there instead (303).
    pub location: Option<String>,
    /// The request's cookie opens nothing any more and is taken back.
    pub stale_cookie: bool,
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, location: None, stale_cookie: false }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Problem::from(code).into()
    }
}

impl Refusal {
    /// The answer to a request that was understood.
    pub fn answer(&self, request: &Request<'_>, worker: &Worker, snapshot: &Snapshot) -> Answer {
        let navigation = request.is_navigation();
        let mut answer = match &self.location {
            Some(location) => Answer::new(303).field("location", location).field("cache-control", "no-store"),
            None => problem(&self.problem, navigation, &request.id, worker),
        };
        if self.stale_cookie && navigation {
            answer = answer.field("set-cookie", &snapshot.cookies.clear_session(snapshot.same_site));
        }
        request.readers.borrow().added_to(answer)
    }
}

/// The answer to a request whose head was read but not understood.
pub fn not_understood(problem_: &Problem, head: &Head, bytes: &[u8], id: &str, worker: &Worker) -> Answer {
    let navigation = is_navigation(head.value(Known::SecFetchMode, bytes), head.value(Known::Accept, bytes));
    let answer = problem(problem_, navigation, id, worker);
    Readers::of(head, bytes, None, &worker.snapshot()).added_to(answer)
}

/// The session ended while its request was under way, and nothing was answered yet.
pub fn session_over(snapshot: &Snapshot) -> Problem {
    let login_url = Some(format!("{}{}", snapshot.public.origin, snapshot.endpoints.login));
    Problem { login_url, ..Problem::from(Code::LoginRequired).detail("the session has ended") }
}

/// A page or a problem document.
pub fn problem(problem: &Problem, navigation: bool, id: &str, worker: &Worker) -> Answer {
    let mut answer = Answer::new(problem.code.status()).field("cache-control", "no-store");
    for (name, value) in problem.fields() {
        answer = answer.field(name, &value);
    }
    if !navigation {
        return answer.body("application/problem+json", problem.json(id));
    }
    let pages = worker.pages.load();
    for (name, value) in pages.fields().filter(|(name, _)| *name != "cache-control") {
        answer = answer.field(name, value);
    }
    answer.body("text/html; charset=utf-8", pages.problem(problem, id).into_bytes())
}
