//! The demo's upstream: it answers every request with what it received, as JSON or as a
//! page. It talks to our own gateway on loopback and to nobody else, so its HTTP/1.1 is
//! small: kept connections, bodies of both kinds, nothing more.
//!
//! `message.rs` a request out of bytes · `answer.rs` as JSON · `page.rs` as a page.

mod answer;
mod message;
mod page;

use crate::problem::is_navigation;
use message::{Connection, Received};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Where sign-out is, for the button of the page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    pub(super) logout: &'static str,
}

/// Starts it on a free port of loopback. It runs until the task is aborted.
pub(super) async fn start(links: Links) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let task = tokio::spawn(async move {
        loop {
            match listener.accept().await {
                Ok((stream, _)) => drop(tokio::spawn(async move {
                    if let Err(error) = serve(stream, links).await {
                        tracing::debug!(%error, "a connection of the demo's upstream ended early");
                    }
                })),
                // No descriptor is left: one comes back when a connection ends.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    });
    Ok((address, task))
}

async fn serve(stream: TcpStream, links: Links) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    while let Some(received) = connection.receive().await? {
        let html = is_navigation(received.field("sec-fetch-mode"), received.field("accept"));
        let (kind, body) = if html {
            ("text/html; charset=utf-8", page::render(&received, links))
        } else {
            ("application/json", answer::json(&received))
        };
        connection.stream.write_all(&response(&received, kind, &body)).await?;
        if received.close {
            break;
        }
    }
    Ok(())
}

fn response(received: &Received, kind: &str, body: &str) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ncontent-length: {}\r\ncache-control: no-store\r\n\
         content-security-policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'\r\nx-content-type-options: nosniff\r\n{}\r\n",
        body.len(),
        if received.close { "connection: close\r\n" } else { "" },
    )
    .into_bytes();
    if received.method != "HEAD" {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    async fn exchange(sent: &[u8]) -> String {
        let (address, task) = start(Links { logout: "/logout" }).await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        // Byte by byte: a request may arrive in any pieces.
        for byte in sent {
            stream.write_all(&[*byte]).await.unwrap();
        }
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        task.abort();
        answer
    }

    fn bodies(answer: &str) -> Vec<serde_json::Value> {
        let parts = answer.split("HTTP/1.1 200 OK\r\n").skip(1);
        parts.map(|part| serde_json::from_str(part.split_once("\r\n\r\n").unwrap().1).unwrap()).collect()
    }

    #[tokio::test]
    async fn it_answers_with_what_it_received_on_a_kept_connection() {
        let answer = exchange(
            b"POST /a?b=c HTTP/1.1\r\nHost: x\r\nRemote-User: ann\r\nX-Two: 1\r\nx-two: 2\r\n\
              Content-Length: 5\r\n\r\nhelloPUT /chunked HTTP/1.1\r\nHost: x\r\n\
              Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: v\r\n\r\n\
              GET /last HTTP/1.1\r\nHost: x\r\n\r\n",
        )
        .await;
        let bodies = bodies(&answer);
        assert_eq!(bodies.len(), 3, "{answer}");
        assert_eq!(bodies[0]["method"], "POST");
        assert_eq!(bodies[0]["path"], "/a?b=c");
        assert_eq!(bodies[0]["body_length"], 5);
        assert_eq!(bodies[0]["headers"]["remote-user"], "ann");
        assert_eq!(bodies[0]["headers"]["x-two"], serde_json::json!(["1", "2"]));
        assert_eq!(bodies[1]["body_length"], 13);
        assert_eq!(bodies[2]["path"], "/last");
    }

    #[tokio::test]
    async fn a_head_request_gets_no_body_and_an_expectation_is_met() {
        let answer = exchange(
            b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\nPOST /e HTTP/1.1\r\nHost: x\r\n\
              Expect: 100-continue\r\nContent-Length: 2\r\n\r\nokGET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        )
        .await;
        assert!(answer.contains("\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
    }

    #[tokio::test]
    async fn a_browser_gets_a_page_that_escapes_what_it_shows() {
        let answer = exchange(
            b"GET /<script>alert(1)</script>?\"'& HTTP/1.1\r\nHost: x\r\nAccept: text/html,*/*\r\n\
              Remote-User: <b>ann</b>\r\n\r\n",
        )
        .await;
        assert!(answer.contains("text/html"), "{answer}");
        assert!(answer.contains("&lt;b&gt;ann&lt;/b&gt;"), "{answer}");
        assert!(!answer.contains("<script") && !answer.contains("<b>ann"), "{answer}");
    }

    #[tokio::test]
    async fn what_is_no_http_ends_the_connection() {
        assert_eq!(exchange(b"nonsense\r\n\r\n").await, "");
        assert_eq!(
            exchange(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await,
            ""
        );
    }
}
