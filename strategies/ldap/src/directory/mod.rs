//! The servers of one directory as if they were one: which is asked, on which connection,
//! for how long, and what happens when it does not answer.
//!
//! Two kinds of connection, each bounded by `pool`: those that search stay bound as the
//! service account; those that people's passwords are tried on do nothing else, and none
//! is kept that is bound as a person (row L-09).

mod circuit;
mod patience;
mod server;
#[cfg(test)]
mod tests;

use crate::{
    settings::{ChangeBy, Settings},
    wire::{
        Trouble,
        connection::{Connection, Found},
        message::{Done, Search, code},
    },
};
use patience::{Missed, SHORTEST};
use portcullis_plugin_api::{Answer, StrategyError};
use rustls::ClientConfig;
use server::{Purpose, open};
use std::sync::Arc;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout_at},
};
use zeroize::Zeroizing;

pub(crate) use patience::seconds;
pub(crate) use server::{Server, secured};

/// All servers and their connections.
pub(crate) struct Directory {
    pub(crate) settings: Arc<Settings>,
    servers: Vec<Server>,
    pub(crate) tls: Arc<ClientConfig>,
    searching: Semaphore,
    binding: Semaphore,
}

/// A change of a password.
pub(crate) struct Change<'a> {
    pub(crate) dn: &'a str,
    pub(crate) old: &'a str,
    pub(crate) new: &'a str,
    pub(crate) by: ChangeBy,
}

/// What is to be done on some server.
enum Work<'a> {
    Search(&'a Search<'a>),
    Bind {
        name: &'a str,
        password: &'a str,
    },
    /// As the service account.
    Change(&'a Change<'a>),
}

/// What came of it.
enum Result {
    Found(Found),
    Done(Done),
    /// A search that the server does not do, though it works.
    Refused(Trouble),
}

impl Directory {
    pub(crate) fn new(settings: Arc<Settings>, tls: Arc<ClientConfig>) -> Self {
        let servers = settings.servers.iter().map(|at| Server::new(at.clone(), &settings)).collect();
        let (searching, binding) = (Semaphore::new(settings.pool), Semaphore::new(settings.pool));
        Self { settings, servers, tls, searching, binding }
    }

    /// When a login that begins now has to be over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.settings.timeout
    }

    /// Searches as the service account.
    pub(crate) async fn search(&self, request: &Search<'_>, until: Instant) -> Answer<Found> {
        match self.somewhere(&Work::Search(request), until).await? {
            Result::Found(found) => Ok(found),
            Result::Refused(trouble) => Err(refused(&trouble)),
            Result::Done(_) => Err(StrategyError::Failed("a search ended as something else".to_owned())),
        }
    }

    /// Tries a person's password.
    pub(crate) async fn bind(&self, name: &str, password: &str, until: Instant) -> Answer<Done> {
        self.done(&Work::Bind { name, password }, until).await
    }

    /// Changes a person's password as the service account.
    pub(crate) async fn change(&self, change: &Change<'_>, until: Instant) -> Answer<Done> {
        self.done(&Work::Change(change), until).await
    }

    async fn done(&self, work: &Work<'_>, until: Instant) -> Answer<Done> {
        match self.somewhere(work, until).await? {
            Result::Done(done) => Ok(done),
            Result::Found(_) | Result::Refused(_) => {
                Err(StrategyError::Failed("a request ended as a search".to_owned()))
            }
        }
    }

    /// A connection of its own that is bound as a person; it is never kept. The answer
    /// says whether the bind succeeded.
    pub(crate) async fn as_person(
        &self,
        name: &str,
        password: &str,
        until: Instant,
    ) -> Answer<(Done, Person<'_>)> {
        let slot = slot(&self.binding, until).await?;
        let mut last = None;
        for (server, others) in self.in_order() {
            let Some(pass) = server.admit(others) else { continue };
            match self.bound(server, name, password, until, others).await {
                Ok((done, connection)) => {
                    pass.good();
                    return Ok((done, Person { connection, _slot: slot }));
                }
                Err(missed) => last = Some(pass.missed(missed)),
            }
        }
        Err(self.nobody(last))
    }

    async fn bound(
        &self,
        server: &Server,
        name: &str,
        password: &str,
        until: Instant,
        others: bool,
    ) -> std::result::Result<(Done, Connection), Missed> {
        let mut connection = self.open(server, Purpose::Bind, until, others).await?;
        let limit = self.on_new(until, others);
        let done = self.unless_gone(server, others, connection.bind(name, password, limit.at)).await;
        let done = done.and_then(told).map_err(|trouble| limit.missed(trouble))?;
        Ok((done, connection))
    }

    /// Does the work on the first server that can.
    async fn somewhere(&self, work: &Work<'_>, until: Instant) -> Answer<Result> {
        let slots = match work {
            Work::Bind { .. } => &self.binding,
            Work::Search(_) | Work::Change(_) => &self.searching,
        };
        let _slot = slot(slots, until).await?;
        let mut last = None;
        for (server, others) in self.in_order() {
            let Some(pass) = server.admit(others) else { continue };
            match self.on(server, work, until, others).await {
                Ok(result) => {
                    pass.good();
                    return Ok(result);
                }
                Err(missed) => last = Some(pass.missed(missed)),
            }
            // A change may have been made all the same, and is not made twice.
            if Instant::now() >= until || matches!(work, Work::Change(_)) {
                break;
            }
        }
        Err(self.nobody(last))
    }

    /// Does the work on one server. A connection that has rested may have died unseen, so
    /// what fails on one is tried once more on a new one (row R-26), or on another server
    /// where there is one.
    async fn on(
        &self,
        server: &Server,
        work: &Work<'_>,
        until: Instant,
        others: bool,
    ) -> std::result::Result<Result, Missed> {
        let purpose = match work {
            Work::Bind { .. } => Purpose::Bind,
            Work::Search(_) | Work::Change(_) => Purpose::Search,
        };
        if let Some(mut connection) = server.rested(purpose) {
            let limit = self.on_rested(until);
            // The server may take all of the login's time for a search.
            let running = run(&mut connection, work, limit.at, patience::seconds(until));
            match self.unless_gone(server, others, running).await {
                Ok(result) => {
                    self.keep(server, connection, work, &result, until).await;
                    return Ok(result);
                }
                Err(trouble) if trouble == Trouble::Gone || matches!(work, Work::Change(_)) => {
                    return Err(limit.missed(trouble));
                }
                Err(trouble) => {
                    // Its neighbours have rested beside it.
                    server.empty();
                    if trouble == Trouble::Silent && (others || Instant::now() + SHORTEST > until) {
                        return Err(Missed::ByChance);
                    }
                }
            }
        }
        let mut connection = self.open(server, purpose, until, others).await?;
        let limit = self.on_new(until, others);
        let running = run(&mut connection, work, limit.at, patience::seconds(limit.at));
        let result = self.unless_gone(server, others, running).await;
        let result = result.map_err(|trouble| limit.missed(trouble))?;
        self.keep(server, connection, work, &result, until).await;
        Ok(result)
    }

    async fn open(
        &self,
        server: &Server,
        purpose: Purpose,
        until: Instant,
        others: bool,
    ) -> std::result::Result<Connection, Missed> {
        let limit = self.connecting(until, others);
        open(server, self, purpose, limit.at).await.map_err(|trouble| limit.missed(trouble))
    }

    /// Puts a connection back, if it is nobody's. After a good bind it is the person's: it
    /// becomes the service account's again or is closed. After a bad one it is anonymous
    /// (RFC 4513 §4).
    async fn keep(
        &self,
        server: &Server,
        mut connection: Connection,
        work: &Work<'_>,
        result: &Result,
        until: Instant,
    ) {
        let Work::Bind { .. } = work else {
            return server.rest(Purpose::Search, connection);
        };
        if matches!(result, Result::Done(done) if done.code == code::SUCCESS) {
            let Some(service) = &self.settings.service else { return };
            let again = connection.bind(&service.dn, &service.password, until).await;
            if !matches!(again, Ok(Done { code: code::SUCCESS, .. })) {
                return;
            }
        }
        server.rest(Purpose::Bind, connection);
    }

    /// The servers in the order of the settings, each with whether one could be asked after it.
    fn in_order(&self) -> impl Iterator<Item = (&Server, bool)> {
        let last_chance = self.servers.iter().all(Server::is_set_aside);
        self.servers.iter().enumerate().filter_map(move |(at, server)| {
            let others = self.servers[at + 1..].iter().any(|other| !other.is_set_aside());
            // With all of them set aside, those are asked whose time has come.
            (!last_chance || server.may_be_probed()).then_some((server, others))
        })
    }

    fn nobody(&self, last: Option<Missed>) -> StrategyError {
        let why = match last {
            // Whoever comes again may have more time.
            Some(Missed::ByChance) => return StrategyError::Busy,
            Some(Missed::ByServer(trouble)) => trouble.to_string(),
            None => self.troubles().unwrap_or_else(|| "all servers are set aside".to_owned()),
        };
        StrategyError::Failed(format!("no server of the directory could answer: {why}"))
    }

    /// What is wrong, if all servers are set aside.
    pub(crate) fn troubles(&self) -> Option<String> {
        let all: Option<Vec<_>> = self.servers.iter().map(Server::trouble).collect();
        all.map(|all| all.join("; "))
    }

    pub(crate) fn servers(&self) -> &[Server] {
        &self.servers
    }
}

/// A connection that is bound as a person, and the place that it takes.
pub(crate) struct Person<'a> {
    pub(crate) connection: Connection,
    _slot: SemaphorePermit<'a>,
}

async fn slot(slots: &Semaphore, until: Instant) -> Answer<SemaphorePermit<'_>> {
    match timeout_at(until, slots.acquire()).await {
        Ok(Ok(slot)) if Instant::now() + SHORTEST < until => Ok(slot),
        _ => Err(StrategyError::Busy),
    }
}

async fn run(
    connection: &mut Connection,
    work: &Work<'_>,
    until: Instant,
    seconds: u32,
) -> std::result::Result<Result, Trouble> {
    match work {
        Work::Search(request) => match connection.search(request, seconds, until).await {
            Err(trouble) if trouble.is_about_the_question() => Ok(Result::Refused(trouble)),
            found => found.map(Result::Found),
        },
        Work::Bind { name, password } => {
            connection.bind(name, password, until).await.and_then(told).map(Result::Done)
        }
        Work::Change(change) => change_on(connection, change, until).await.map(Result::Done),
    }
}

/// Changes a password on a connection, whoever it is bound as.
pub(crate) async fn change_on(
    connection: &mut Connection,
    change: &Change<'_>,
    until: Instant,
) -> std::result::Result<Done, Trouble> {
    match change.by {
        ChangeBy::PasswordModify => {
            connection.password_modify(change.dn, change.old, change.new, until).await
        }
        ChangeBy::UnicodePwd => {
            let (old, new) = (quoted(change.old), quoted(change.new));
            connection.exchange(change.dn, "unicodePwd", &old, &new, until).await
        }
    }
}

/// A password as Active Directory takes it: in quotation marks, as UTF-16LE.
fn quoted(password: &str) -> Zeroizing<Vec<u8>> {
    let units = "\"".encode_utf16().chain(password.encode_utf16()).chain("\"".encode_utf16());
    Zeroizing::new(units.flat_map(u16::to_le_bytes).collect())
}

/// What it is that a server refuses one search, though it works.
pub(crate) fn refused(trouble: &Trouble) -> StrategyError {
    match trouble {
        // Somebody's groups, or everybody's: whoever comes again may be luckier.
        Trouble::Silent | Trouble::Refused { code: code::TIME_LIMIT, .. } => {
            tracing::warn!("a search took the directory longer than a login has time; see `timeout`");
            StrategyError::Busy
        }
        trouble => StrategyError::UnusableCredential(trouble.to_string()),
    }
}

/// A server that says "not now" has not judged the password; another may.
fn told(done: Done) -> std::result::Result<Done, Trouble> {
    match done.code {
        // busy, unavailable, loopDetect, other
        51 | 52 | 54 | 80 => Err(Trouble::Refused { what: "bind", code: done.code, text: done.text }),
        _ => Ok(done),
    }
}
