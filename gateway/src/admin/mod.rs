//! The admin listener: `/livez`, `/readyz` and `/metrics` in plain HTTP/1.1, for an
//! orchestrator and a monitor. It runs on the control plane and asks nobody who they are,
//! so it is off unless `[admin] listen` says where, never on a public address, and
//! everything on it only reads.
//!
//! `standing.rs` what the gateway can do now · `answer.rs` what is said about it.
//!
//! What may not come in: anything that changes something.

mod answer;
mod standing;

pub use standing::Standing;

use crate::proxy::http1::head::{Head, Limits, Scanner};
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
    let read = timeout(PATIENCE, read(&mut stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
    let answer = match &read {
        Some((method, path)) => answer::to(method, path, standing).await,
        None => answer::bad_request(),
    };
    let sending = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    timeout(PATIENCE, sending).await.map_err(|_| io::ErrorKind::TimedOut)?
}

/// Method and target. None: it is no request that we read.
async fn read(stream: &mut TcpStream) -> io::Result<Option<(String, String)>> {
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
    let text = |span: &[u8]| String::from_utf8_lossy(span).into_owned();
    Ok(Some((text(head.method.of_buffer(bytes)), text(head.target.of_buffer(bytes)))))
}
