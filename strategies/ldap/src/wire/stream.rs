//! The bytes to a server: plain, or TLS whose certificate was verified. Nothing but
//! StartTLS is ever written to a stream that is to become TLS.

use super::Trouble;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How many bytes are read at a time.
const CHUNK: usize = 16 * 1024;

/// How long an address of a host is waited for before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(100);

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects to the first address of a host that answers.
    pub(crate) async fn connect(host: &str, port: u16) -> Result<Self, Trouble> {
        let addresses = tokio::net::lookup_host((host, port)).await;
        let addresses = addresses.map_err(|error| Trouble::Connection(describe(&error)))?;
        let stream = first(addresses.collect()).await;
        let stream = stream.map_err(|error| Trouble::Connection(describe(&error)))?;
        // Each request is one small write that somebody waits for.
        stream.set_nodelay(true).map_err(|error| Trouble::Connection(describe(&error)))?;
        Ok(Self::Plain(stream))
    }

    /// The same bytes under TLS, once the server has proved who it is.
    pub(crate) async fn into_tls(
        self,
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
    ) -> Result<Self, Trouble> {
        let Self::Plain(plain) = self else { return Err(Trouble::Tls("is there already".to_owned())) };
        let tls = TlsConnector::from(config).connect(name, plain).await;
        let tls = tls.map_err(|error| Trouble::Tls(describe(&error)))?;
        Ok(Self::Tls(Box::new(tls)))
    }

    /// What the TLS connection turned out to be, for operators.
    pub(crate) fn protocol(&self) -> Option<String> {
        let Self::Tls(stream) = self else { return None };
        let (_, session) = stream.get_ref();
        let version = session.protocol_version().map(|version| format!("{version:?}"));
        Some(version.unwrap_or_default().replace("TLSv1_", "TLS 1."))
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let done = match self {
            Self::Plain(stream) => stream.write_all(bytes).await,
            Self::Tls(stream) => match stream.write_all(bytes).await {
                Ok(()) => stream.flush().await,
                failed => failed,
            },
        };
        done.map_err(|error| Trouble::Connection(describe(&error)))
    }

    /// Appends what comes next; an end is trouble, because an answer was awaited.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>) -> Result<(), Trouble> {
        let start = buffer.len();
        buffer.resize(start + CHUNK, 0);
        let read = match self {
            Self::Plain(stream) => stream.read(&mut buffer[start..]).await,
            Self::Tls(stream) => stream.read(&mut buffer[start..]).await,
        };
        buffer.truncate(start + read.as_ref().map_or(0, |read| *read));
        match read {
            Ok(0) => Err(Trouble::Connection("the server closed the connection".to_owned())),
            Ok(_) => Ok(()),
            Err(error) => Err(Trouble::Connection(describe(&error))),
        }
    }

    /// Whether the connection is quiet: neither closed nor with bytes that nobody asked for.
    pub(crate) fn is_quiet(&self) -> bool {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_ref().0,
        };
        let mut one = [0; 1];
        // A server that sends session tickets late looks alive here and is asked once more.
        matches!(socket.try_read(&mut one), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The first that answers. Each has a head start on the next, who does not wait for its end:
/// one without power would use all the time up (RFC 8305).
async fn first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut waiting = addresses.into_iter();
    let mut under_way = JoinSet::new();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    loop {
        match waiting.next() {
            Some(address) => _ = under_way.spawn(TcpStream::connect(address)),
            None if under_way.is_empty() => return Err(failed),
            None => {}
        }
        let more = waiting.len() > 0;
        tokio::select! {
            Some(done) = under_way.join_next() => match done {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => failed = error,
                Err(error) => failed = error.into(),
            },
            () = tokio::time::sleep(HEAD_START), if more => {}
        }
    }
}

/// The innermost cause says what happened.
fn describe(error: &io::Error) -> String {
    let mut text = error.to_string();
    let mut inner = error.get_ref().and_then(|inner| inner.source());
    while let Some(cause) = inner {
        text = format!("{text}: {cause}");
        inner = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// An address that swallows: its backlog is full, so nothing answers there.
    fn silent() -> (TcpListener, Vec<std::net::TcpStream>, SocketAddr) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap().into_std().unwrap();
        let at = listener.local_addr().unwrap();
        let mut guests = Vec::new();
        while let Ok(guest) = std::net::TcpStream::connect_timeout(&at, Duration::from_millis(200)) {
            guests.push(guest);
        }
        (listener, guests, at)
    }

    #[tokio::test]
    async fn a_host_is_as_alive_as_any_of_its_addresses() {
        let (_listener, _guests, silent) = silent();
        let good = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = good.local_addr().unwrap();
        let refused = {
            let gone = TcpListener::bind("127.0.0.1:0").unwrap();
            gone.local_addr().unwrap()
        };
        for addresses in [vec![silent, at], vec![refused, silent, refused, at], vec![at, silent]] {
            let stream = tokio::time::timeout(Duration::from_secs(30), first(addresses)).await;
            assert_eq!(stream.expect("nobody waits for the silent one").unwrap().peer_addr().unwrap(), at);
        }
        assert!(first(vec![refused]).await.is_err() && first(Vec::new()).await.is_err());
    }
}
