//! One server: how it does, and its connections that rest.

use super::{Directory, circuit::Circuit, patience::Missed};
use crate::{
    settings::{Safety, ServerAt, Settings},
    wire::{
        Trouble,
        connection::Connection,
        filter,
        message::{Scope, Search, code},
    },
};
use rustls::pki_types::ServerName;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A connection that rested for longer may have been dropped on the way unseen.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Searches, as the service account.
    Search,
    /// Binds, and nothing else.
    Bind,
}

/// A connection between two uses.
pub(crate) struct Resting {
    connection: Connection,
    since: Instant,
}

pub(crate) struct Server {
    pub(crate) at: ServerAt,
    name: Option<ServerName<'static>>,
    circuit: Mutex<Circuit>,
    searching: Mutex<Vec<Resting>>,
    binding: Mutex<Vec<Resting>>,
    most: usize,
    /// When somebody last went to see whether it is there, and whether it was.
    seen: tokio::sync::Mutex<Option<(Instant, bool)>>,
}

impl Server {
    pub(super) fn new(at: ServerAt, settings: &Settings) -> Self {
        Self {
            name: crate::tls::server_name(&at, &settings.tls),
            at,
            circuit: Mutex::default(),
            searching: Mutex::default(),
            binding: Mutex::default(),
            most: settings.pool,
            seen: tokio::sync::Mutex::default(),
        }
    }

    /// Whether it answers a question that costs it nothing, on a connection made for that:
    /// one at a time, and what one sees counts for all who waited.
    pub(super) async fn is_there(&self, directory: &Directory, patience: Duration) -> bool {
        let mut seen = self.seen.lock().await;
        if let Some((at, there)) = *seen
            && at.elapsed() < patience
        {
            return there;
        }
        let there = self.knock(directory, Instant::now() + patience).await;
        *seen = Some((Instant::now(), there));
        there
    }

    async fn knock(&self, directory: &Directory, until: Instant) -> bool {
        let Ok(mut connection) = secured(self, directory, until).await else { return false };
        let request = Search {
            base: "",
            scope: Scope::Base,
            filter: &filter::anything(),
            attributes: &["1.1"],
            most: 1,
        };
        let there = match connection.search(&request, 1, until).await {
            Ok(_) | Err(Trouble::Refused { .. }) => true,
            Err(_) => false,
        };
        connection.close().await;
        there
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_set_aside(&self) -> bool {
        self.circuit().is_aside()
    }

    pub(super) fn may_be_probed(&self) -> bool {
        self.circuit().may_be_probed(Instant::now())
    }

    /// Its URL and what is wrong, if it is set aside.
    pub(super) fn trouble(&self) -> Option<String> {
        self.circuit().why().map(|why| format!("{}: {why}", self.at.url))
    }

    /// Leave to make one call, whose end must be told.
    pub(super) fn admit(&self, others: bool) -> Option<Pass<'_>> {
        // The lock must be free again before a pass is made: dropping one takes it.
        let admitted = self.circuit().admit(Instant::now(), !others);
        admitted.then(|| Pass { server: self, told: false })
    }

    fn shelf(&self, purpose: Purpose) -> MutexGuard<'_, Vec<Resting>> {
        let shelf = match purpose {
            Purpose::Search => &self.searching,
            Purpose::Bind => &self.binding,
        };
        shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that can be used again; those that cannot are closed.
    pub(super) fn rested(&self, purpose: Purpose) -> Option<Connection> {
        let now = Instant::now();
        let mut shelf = self.shelf(purpose);
        while let Some(resting) = shelf.pop() {
            if now.duration_since(resting.since) < LONGEST_REST && resting.connection.is_quiet() {
                return Some(resting.connection);
            }
        }
        None
    }

    pub(super) fn rest(&self, purpose: Purpose, connection: Connection) {
        let mut shelf = self.shelf(purpose);
        forget_old(&mut shelf);
        if shelf.len() < self.most {
            shelf.push(Resting { connection, since: Instant::now() });
        }
    }

    /// Closes what has rested too long, so that a burst leaves nothing behind (row N-87).
    pub(crate) fn tidy(&self) {
        for purpose in [Purpose::Search, Purpose::Bind] {
            forget_old(&mut self.shelf(purpose));
        }
    }

    /// Closes what rests: after a failure the rest is suspect.
    pub(super) fn empty(&self) {
        self.shelf(Purpose::Search).clear();
        self.shelf(Purpose::Bind).clear();
    }
}

/// The lower ones of a shelf are not taken while few are needed.
fn forget_old(shelf: &mut Vec<Resting>) {
    shelf.retain(|resting| resting.since.elapsed() < LONGEST_REST);
}

/// Leave to make one call of a server.
pub(super) struct Pass<'a> {
    server: &'a Server,
    told: bool,
}

impl Pass<'_> {
    pub(super) fn good(mut self) {
        self.told = true;
        if self.server.circuit().good() {
            tracing::info!(server = %self.server.at.url, "the directory server answers again");
        }
    }

    /// Gives it back.
    pub(super) fn missed(mut self, missed: Missed) -> Missed {
        let Missed::ByServer(trouble) = &missed else { return missed };
        self.told = true;
        let first = self.server.circuit().bad(Instant::now(), &trouble.to_string());
        self.server.empty();
        if first {
            tracing::warn!(server = %self.server.at.url, error = %trouble,
                "the directory server fails and is set aside for a while");
        }
        missed
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if !self.told {
            self.server.circuit().given_up();
        }
    }
}

/// A new connection: TLS first, and only then the service account's bind, if it is to
/// search. There is no way to a bind that leaves TLS out (rows L-06, L-07, N-86).
pub(crate) async fn open(
    server: &Server,
    directory: &Directory,
    purpose: Purpose,
    until: Instant,
) -> Result<Connection, Trouble> {
    let mut connection = secured(server, directory, until).await?;
    if let (Purpose::Search, Some(service)) = (purpose, &directory.settings.service) {
        let done = connection.bind(&service.dn, &service.password, until).await?;
        if done.code != code::SUCCESS {
            let what = "bind of the service account";
            return Err(Trouble::Refused { what, code: done.code, text: done.text });
        }
    }
    Ok(connection)
}

/// A new connection on which nobody has bound.
pub(crate) async fn secured(
    server: &Server,
    directory: &Directory,
    until: Instant,
) -> Result<Connection, Trouble> {
    let mut connection = Connection::plain(&server.at.host, server.at.port, until).await?;
    if server.at.safety == Safety::Plain {
        return Ok(connection);
    }
    if server.at.safety == Safety::StartTls {
        connection.start_tls(until).await?;
    }
    let name = server.name.clone().ok_or_else(|| Trouble::Tls("no name to verify".to_owned()))?;
    connection.secure(directory.tls.clone(), name, until).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row N-87: what a burst needed does not stay open, though only the uppermost is used.
    #[tokio::test]
    async fn connections_that_nobody_needs_any_more_are_closed_after_half_a_minute() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("ldaps://127.0.0.1:{port}");
        let settings = crate::testing::settings(serde_json::json!({ "url": url }));
        let server = Server::new(settings.servers[0].clone(), &settings);
        let until = Instant::now() + Duration::from_secs(30);
        let connection = async || Connection::plain("127.0.0.1", port, until).await.unwrap();
        for _ in 0..4 {
            server.rest(Purpose::Search, connection().await);
        }
        let age = |server: &Server| {
            for resting in server.shelf(Purpose::Search).iter_mut() {
                resting.since -= LONGEST_REST;
            }
        };
        assert_eq!(server.shelf(Purpose::Search).len(), 4);
        age(&server);
        server.rest(Purpose::Search, connection().await);
        assert_eq!(server.shelf(Purpose::Search).len(), 1, "the rest is closed when one is put back");
        age(&server);
        server.tidy();
        assert!(server.shelf(Purpose::Search).is_empty(), "and when somebody asks how it does");
    }
}
