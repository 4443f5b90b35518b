//! The admin listener: `/livez`, `/readyz` and `/metrics` in plain HTTP/1.1, for an
//! orchestrator and a monitor. It runs on the control plane and asks nobody who they are,
//! so it is off unless `[admin] listen` says where, never on a public address, and
//! everything on it only reads. With `[admin] api = "listener"` the admin API is here too,
//! which asks for itself.
//!
//! `standing.rs` what the gateway can do now · `answer.rs` what is said about it · `api.rs` the
//! way to the admin API · `visitor.rs` whether somebody else's page asks.
//!
//! What may not come in: anything that changes something.

mod answer;
mod api;
mod standing;
mod visitor;

pub use standing::Standing;

use crate::proxy::http1::head::{Head, Limits, Scanner, Span};
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};

/// Monitors come in small numbers; more than these wait.
const AT_ONCE: usize = 32;

/// For a whole request, and for its answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A scrape's head is small.
const LIMITS: Limits = Limits { bytes: 8 * 1024, fields: 64, request_line: 2 * 1024 };

/// A bound socket that answers nobody yet.
pub struct Door(std::net::TcpListener);

impl Door {
    /// Takes the address.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self(listener))
    }

    /// Answers from now on, until what it returns is dropped.
    pub fn open(self, standing: Arc<Standing>) -> io::Result<Open> {
        let address = self.0.local_addr()?;
        let listener = TcpListener::from_std(self.0)?;
        Ok(Open { address, task: tokio::spawn(accept(listener, standing)) })
    }
}

/// A door that answers; dropping it closes it.
pub struct Open {
    /// Where it is, with the port that the system chose where it was asked to.
    pub address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, standing: Arc<Standing>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let standing = standing.clone();
                tokio::spawn(async move {
                    // A client that leaves or says nothing is nobody's error.
                    let _ = serve(stream, &standing).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection on the admin listener");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// One request, one answer, and the end of the connection.
async fn serve(mut stream: TcpStream, standing: &Standing) -> io::Result<()> {
    let answering = answered(&mut stream, standing);
    let answer = timeout(PATIENCE * 3, answering).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let sending = async {
        stream.write_all(&answer).await?;
        stream.shutdown().await
    };
    timeout(PATIENCE, sending).await.map_err(|_| io::ErrorKind::TimedOut)?
}

async fn answered(stream: &mut TcpStream, standing: &Standing) -> io::Result<Vec<u8>> {
    let read = timeout(PATIENCE, read(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let Some((head, buffer)) = read else { return Ok(answer::bad_request().into_bytes()) };
    let text = |span: Span| String::from_utf8_lossy(span.of_buffer(&buffer)).into_owned();
    let (method, target) = (text(head.method), text(head.target));
    let control = standing.control.load_full();
    if api::is_for(&control, &target) {
        let client = stream.peer_addr()?.ip();
        let begun = api::Begun { head: &head, buffer: &buffer, client };
        return api::answer(stream, begun, control).await;
    }
    if let Some(refused) = visitor::refused(&head, &buffer, &control.config) {
        return Ok(answer::refusal(refused).into_bytes());
    }
    Ok(answer::to(&method, &target, standing).await.into_bytes())
}

/// The head and what came with it. None: it is no request that we read.
async fn read(stream: &mut TcpStream) -> io::Result<Option<(Head, Vec<u8>)>> {
    let (mut buffer, mut scanner) = (Vec::new(), Scanner::default());
    let length = loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match scanner.find_end(&buffer, LIMITS) {
            Ok(Some(length)) => break length,
            Ok(None) => {}
            Err(_) => return Ok(None),
        }
    };
    let (mut head, bytes) = (Head::default(), &buffer[..length]);
    if head.read(bytes, LIMITS).is_err() {
        return Ok(None);
    }
    Ok(Some((head, buffer)))
}
