//! The bytes to a server: plain, or TLS whose certificate was verified. Nothing but
//! StartTLS is ever written to a stream that is to become TLS.

use super::Trouble;
use rustls::{ClientConfig, pki_types::ServerName};
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How many bytes are read at a time.
const CHUNK: usize = 16 * 1024;

pub(crate) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Stream {
    /// Connects to the first address that answers.
    pub(crate) async fn connect(host: &str, port: u16) -> Result<Self, Trouble> {
        let stream = TcpStream::connect((host, port)).await;
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
