//! A server that does what the test says: it hears requests and answers bytes.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What is done with one connection.
pub struct Guest {
    stream: TcpStream,
    binds: Arc<AtomicUsize>,
}

/// A request as far as it matters: its id, its operation, its bytes.
pub struct Heard {
    pub id: u8,
    pub operation: u8,
    pub bytes: Vec<u8>,
}

impl Guest {
    /// The next request; none: they left.
    pub async fn hear(&mut self) -> Option<Heard> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await.ok()?;
        let size = match head[1] {
            short @ 0..=0x7f => usize::from(short),
            _ => {
                let mut long = [0; 4];
                self.stream.read_exact(&mut long).await.ok()?;
                u32::from_be_bytes(long) as usize
            }
        };
        let mut body = vec![0; size];
        self.stream.read_exact(&mut body).await.ok()?;
        // 02 01 ID OP
        let heard = Heard { id: body[2], operation: body[3], bytes: body };
        if heard.operation == 0x60 {
            self.binds.fetch_add(1, Ordering::SeqCst);
        }
        Some(heard)
    }

    pub async fn say(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// The end of an operation.
    pub async fn end(&mut self, id: u8, answer: u8, code: u8) {
        self.say(&message(id, answer, &[0x0a, 1, code, 4, 0, 4, 0])).await;
    }

    /// Stays until they leave.
    pub async fn be_silent(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new()).await;
    }
}

/// A message with short lengths or, from 128 bytes on, with long ones.
pub fn message(id: u8, tag: u8, body: &[u8]) -> Vec<u8> {
    element(0x30, &[&[2, 1, id][..], &element(tag, body)].concat())
}

pub fn element(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut all = vec![tag];
    match u8::try_from(body.len()) {
        Ok(short @ 0..=0x7f) => all.push(short),
        _ => {
            all.push(0x84);
            all.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        }
    }
    all.extend(body);
    all
}

/// An entry with one attribute.
pub fn entry(id: u8, dn: &str, name: &str, value: &[u8]) -> Vec<u8> {
    let values = element(0x31, &element(4, value));
    let attribute = element(0x30, &[element(4, name.as_bytes()), values].concat());
    message(id, 0x64, &[element(4, dn.as_bytes()), element(0x30, &attribute)].concat())
}

/// Listens, and does the same with every connection. The counter counts binds.
pub async fn listen<F, D>(serve: F) -> (u16, Arc<AtomicUsize>)
where
    F: Fn(Guest) -> D + Send + Sync + 'static,
    D: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let binds = Arc::new(AtomicUsize::new(0));
    let counter = binds.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(Guest { stream, binds: counter.clone() }));
        }
    });
    (port, binds)
}
