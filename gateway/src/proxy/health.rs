//! Asks the servers of upstreams whether they are well, where `health` says so. One
//! worker does it for all; a reload is followed because each round reads the
//! configuration anew. What may not come in: which server a request takes (`upstream.rs`).

use super::{listen::is_ours, pool, upstream::Server, worker::Worker};
use crate::tls;
use portcullis_config::Health;
use std::{io, rc::Rc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How exactly an interval is kept.
const ROUND: Duration = Duration::from_millis(100);

/// How long an answer may take, where the interval is not shorter.
const PATIENCE: Duration = Duration::from_secs(5);

/// Checks whatever is due, for ever. To be spawned on one worker.
pub async fn watch(worker: Rc<Worker>) {
    loop {
        tokio::time::sleep(ROUND).await;
        for upstream in &worker.snapshot().upstreams {
            let Some(health) = &upstream.health else { continue };
            for server in &upstream.servers {
                if server.condition.is_due(health.interval) {
                    let (id, server, health) = (upstream.id.clone(), server.clone(), health.clone());
                    tokio::task::spawn_local(check(id, server, health));
                }
            }
        }
    }
}

async fn check(upstream: String, server: Server, health: Health) {
    let asked = tokio::time::timeout(PATIENCE.min(health.interval), ask(&server, &health.path)).await;
    let found = match &asked {
        Ok(Ok(status)) => format!("it answers {status}"),
        Ok(Err(error)) => tls::reason(error),
        Err(_) => "it does not answer in time".to_owned(),
    };
    if let Ok(Err(error)) = &asked
        && is_ours(error)
    {
        return tracing::warn!(%error, "no room for a health check");
    }
    let healthy = matches!(asked, Ok(Ok(200..=399)));
    if !server.condition.checked(healthy) {
        return;
    }
    let server = &server.host_field;
    match healthy {
        true => tracing::info!(%upstream, %server, "the health check succeeds again"),
        false => tracing::warn!(%upstream, %server, %found, "the health check failed: set aside"),
    }
}

/// The status of the answer.
async fn ask(server: &Server, path: &str) -> io::Result<u16> {
    let mut stream = pool::connect(server).await?;
    let (mut reader, mut writer) = stream.split();
    let host = &server.host_field;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    writer.write_all(request.as_bytes()).await?;
    writer.flush().await?;
    let mut line = [0; 12];
    reader.read_exact(&mut line).await?;
    status(&line).ok_or_else(|| io::Error::other("its answer is no HTTP"))
}

fn status(line: &[u8; 12]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::status;

    #[test]
    fn the_status_is_read_out_of_a_status_line_and_out_of_nothing_else() {
        assert_eq!(status(b"HTTP/1.1 204"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503"), Some(503));
        assert_eq!(status(b"SSH-2.0-Open"), None);
        assert_eq!(status(b"HTTP/1.1 2x0"), None);
    }
}
