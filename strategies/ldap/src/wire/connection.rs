//! One connection to one server, with one operation at a time. An operation that was
//! given up in the middle leaves a connection that nobody may use again, so whoever holds
//! one drops it unless the operation ended.

use super::{
    Trouble,
    ber::{self, Frame},
    message::{self, Done, Entry, Reply, Search},
    policy_control,
    stream::Stream,
};
use rustls::{ClientConfig, pki_types::ServerName};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, timeout_at};

/// The most bytes of all answers to one search.
const MAX_SEARCH: usize = 4 * ber::MAX_MESSAGE;

/// A connection; its buffer holds what came and was not read yet.
pub(crate) struct Connection {
    stream: Stream,
    buffer: Vec<u8>,
    id: u32,
}

/// What a search found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Entry>,
    /// There were more than asked for.
    pub(crate) more: bool,
    /// The base is not there, or not on this server.
    pub(crate) missing: Option<Done>,
}

impl Connection {
    /// Connects without TLS.
    pub(crate) async fn plain(host: &str, port: u16, until: Instant) -> Result<Self, Trouble> {
        let stream = timeout_at(until, Stream::connect(host, port)).await.map_err(|_| Trouble::Silent)??;
        Ok(Self { stream, buffer: Vec::new(), id: 0 })
    }

    /// Asks for TLS on a plain connection (RFC 4511 §4.14). Whatever else came before TLS
    /// stands could be from anybody, so it ends the attempt: row L-06.
    pub(crate) async fn start_tls(&mut self, until: Instant) -> Result<(), Trouble> {
        let body = message::extended(message::START_TLS, None);
        let done = self.ask(0x77, &body, 0x78, None, until).await?;
        if done.code != message::code::SUCCESS {
            return Err(refused("StartTLS", done));
        }
        if !self.buffer.is_empty() {
            return Err(Trouble::Malformed("bytes behind the answer to StartTLS"));
        }
        Ok(())
    }

    /// Goes on under TLS.
    pub(crate) async fn secure(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        until: Instant,
    ) -> Result<Self, Trouble> {
        let Self { stream, id, .. } = self;
        let stream =
            timeout_at(until, stream.into_tls(config, name)).await.map_err(|_| Trouble::Silent)??;
        Ok(Self { stream, buffer: Vec::new(), id })
    }

    /// The TLS version, if it is TLS.
    pub(crate) fn protocol(&self) -> Option<String> {
        self.stream.protocol()
    }

    /// Whether it may be used again after a rest.
    pub(crate) fn is_quiet(&self) -> bool {
        self.buffer.is_empty() && self.stream.is_quiet()
    }

    /// A simple bind. An empty password would be an anonymous bind, which succeeds
    /// (RFC 4513 §5.1.2): there is no way to send one from here (rows L-01, N-83).
    pub(crate) async fn bind(&mut self, name: &str, password: &str, until: Instant) -> Result<Done, Trouble> {
        if name.is_empty() || password.is_empty() {
            return Err(Trouble::Malformed("a bind without a name or a password was asked for"));
        }
        let body = message::bind(name, password);
        self.ask(0x60, &body, 0x61, Some(policy_control::OID), until).await
    }

    /// A change of a password by RFC 3062.
    pub(crate) async fn password_modify(
        &mut self,
        who: &str,
        old: &str,
        new: &str,
        until: Instant,
    ) -> Result<Done, Trouble> {
        let value = message::password_modify(who, old, new);
        let body = message::extended(message::PASSWORD_MODIFY, Some(&value));
        self.ask(0x77, &body, 0x78, Some(policy_control::OID), until).await
    }

    /// One value of an attribute in exchange for another.
    pub(crate) async fn exchange(
        &mut self,
        entry: &str,
        attribute: &str,
        old: &[u8],
        new: &[u8],
        until: Instant,
    ) -> Result<Done, Trouble> {
        let body = message::exchange(entry, attribute, old, new);
        self.ask(0x66, &body, 0x67, None, until).await
    }

    /// A search. Referrals to other servers are passed over and never followed (row L-08).
    /// `seconds` is the server's own limit.
    pub(crate) async fn search(
        &mut self,
        request: &Search<'_>,
        seconds: u32,
        until: Instant,
    ) -> Result<Found, Trouble> {
        timeout_at(until, self.run_search(request, seconds)).await.map_err(|_| Trouble::Silent)?
    }

    async fn run_search(&mut self, request: &Search<'_>, seconds: u32) -> Result<Found, Trouble> {
        let id = self.send(0x63, &message::search(request, seconds), None).await?;
        let (mut found, mut bytes) = (Found::default(), 0);
        loop {
            let (size, reply) = self.receive(id).await?;
            bytes += size;
            if bytes > MAX_SEARCH {
                return Err(Trouble::Malformed("over 4 MiB of answers to one search"));
            }
            match reply {
                Reply::Entry(entry) => {
                    // A server that does not keep to the limit is not read to its end.
                    if found.entries.len() >= request.most as usize {
                        return Err(Trouble::Malformed("more entries than were asked for"));
                    }
                    found.entries.push(entry);
                }
                Reply::Reference | Reply::Intermediate => {}
                Reply::Done(0x65, done) => return conclude(found, done),
                Reply::Done(..) => return Err(Trouble::Malformed("an answer to another question")),
            }
        }
    }

    /// One request with one answer.
    async fn ask(
        &mut self,
        operation: u8,
        body: &[u8],
        answer: u8,
        control: Option<&str>,
        until: Instant,
    ) -> Result<Done, Trouble> {
        let work = async {
            let id = self.send(operation, body, control).await?;
            loop {
                match self.receive(id).await?.1 {
                    Reply::Done(tag, done) if tag == answer => return Ok(done),
                    Reply::Intermediate => {}
                    _ => return Err(Trouble::Malformed("an answer to another question")),
                }
            }
        };
        timeout_at(until, work).await.map_err(|_| Trouble::Silent)?
    }

    async fn send(&mut self, operation: u8, body: &[u8], control: Option<&str>) -> Result<u32, Trouble> {
        self.id = self.id % 0x7fff_fffe + 1;
        self.stream.write(&message::request(self.id, operation, body, control)).await?;
        Ok(self.id)
    }

    /// The next message, which must be an answer to this request, and its size.
    async fn receive(&mut self, id: u32) -> Result<(usize, Reply), Trouble> {
        let size = loop {
            match ber::frame(&self.buffer)? {
                Frame::Whole(size) => break size,
                Frame::Partial => self.stream.read(&mut self.buffer).await?,
            }
        };
        let read = message::reply(&self.buffer[..size]);
        self.buffer.drain(..size);
        match read? {
            // RFC 4511 §4.4.1: a notice of disconnection.
            (0, Reply::Done(_, done)) => Err(Trouble::Connection(format!(
                "the server ends the connection: {} {}",
                message::meaning(done.code),
                done.text.escape_debug()
            ))),
            (found, reply) if found == id => Ok((size, reply)),
            _ => Err(Trouble::Malformed("an answer to a request that was not made")),
        }
    }

    /// Says goodbye, as far as that goes without waiting for long.
    pub(crate) async fn close(mut self) {
        let bye = message::request(self.id % 0x7fff_fffe + 1, 0x42, &[], None);
        tokio::time::timeout(Duration::from_millis(100), self.stream.write(&bye)).await.ok();
    }
}

fn conclude(mut found: Found, done: Done) -> Result<Found, Trouble> {
    match done.code {
        message::code::SUCCESS => {}
        message::code::SIZE_LIMIT => found.more = true,
        message::code::NO_SUCH_OBJECT | message::code::REFERRAL => found.missing = Some(done),
        _ => return Err(refused("search", done)),
    }
    Ok(found)
}

fn refused(what: &'static str, done: Done) -> Trouble {
    Trouble::Refused { what, code: done.code, text: done.text }
}
