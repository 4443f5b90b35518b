//! Upstreams: U1, which records every byte and answers as told, and U5, which is given
//! the connection and may do anything with it.

use crate::{recorded::Recorded, wait::until};
use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// An upstream on a port of its own, until it is dropped.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    seen: Mutex<Seen>,
    stop: AtomicBool,
}

#[derive(Default)]
struct Seen {
    connections: usize,
    bytes: Vec<u8>,
    requests: Vec<Recorded>,
    open: Vec<TcpStream>,
    ended: usize,
}

/// Answers a request that has arrived whole.
type Answer = dyn Fn(&Recorded) -> Vec<u8> + Send + Sync;

impl Upstream {
    /// Records, and answers 200 `ok`.
    pub fn start() -> Self {
        Self::answering(|_| ok("ok"))
    }

    /// Records, and answers each request with these bytes.
    pub fn answering(answer: impl Fn(&Recorded) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::answering_on(TcpListener::bind("127.0.0.1:0").expect("a port is free"), answer)
    }

    /// The same where it was told to listen.
    pub fn answering_on(
        listener: TcpListener,
        answer: impl Fn(&Recorded) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let answer: Arc<Answer> = Arc::new(answer);
        Self::serving_on(listener, move |stream, state, number| {
            let mut buffer = Vec::new();
            let mut piece = [0; 64 * 1024];
            while let Ok(n @ 1..) = stream.read(&mut piece) {
                state.lock().bytes.extend(&piece[..n]);
                buffer.extend(&piece[..n]);
                while let Some(request) = Recorded::take(&mut buffer, number) {
                    // Recorded before it is answered: who has the answer can look here.
                    state.lock().requests.push(request.clone());
                    let mut answer = answer(&request);
                    if request.method == "HEAD" {
                        let end = answer.windows(4).position(|w| w == b"\r\n\r\n").map_or(0, |at| at + 4);
                        answer.truncate(end);
                    }
                    if stream.write_all(&answer).is_err() {
                        return;
                    }
                }
            }
        })
    }

    /// Hands each connection over as it is, with its number (U5). Nothing is recorded but
    /// that it was there.
    pub fn scripted(script: impl Fn(&mut TcpStream, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        Self::serving_on(listener, move |stream, _, number| script(stream, number))
    }

    fn serving_on(
        listener: TcpListener,
        serve: impl Fn(&mut TcpStream, &State, usize) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("it is bound");
        let state = Arc::new(State::default());
        let serve = Arc::new(serve);
        let shared = state.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                if shared.stop.load(Ordering::SeqCst) {
                    return;
                }
                let (serve, shared) = (serve.clone(), shared.clone());
                let number = shared.enter(&stream);
                thread::spawn(move || {
                    serve(&mut stream, &shared, number);
                    let _ = stream.shutdown(Shutdown::Both);
                    shared.lock().ended += 1;
                });
            }
        });
        Self { address, state }
    }

    /// Its origin, for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request that arrived whole, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        self.state.lock().requests.clone()
    }

    /// The newest request.
    #[track_caller]
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("the upstream was asked")
    }

    /// The one request that carries this mark in its bytes.
    #[track_caller]
    pub fn marked(&self, mark: &str) -> Recorded {
        let mut all = self.all_marked(mark);
        assert_eq!(all.len(), 1, "requests with the mark {mark}");
        all.remove(0)
    }

    /// Every request that carries this mark in its bytes.
    pub fn all_marked(&self, mark: &str) -> Vec<Recorded> {
        self.requests().into_iter().filter(|r| r.text().contains(mark)).collect()
    }

    /// How many bytes arrived, whole requests or not.
    pub fn bytes(&self) -> usize {
        self.state.lock().bytes.len()
    }

    /// Everything that arrived.
    pub fn everything(&self) -> Vec<u8> {
        self.state.lock().bytes.clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.state.lock().connections
    }

    /// How many of them have ended.
    pub fn ended(&self) -> usize {
        self.state.lock().ended
    }

    /// Waits until so many requests have arrived whole.
    #[track_caller]
    pub fn wait_for(&self, count: usize) -> Vec<Recorded> {
        until("requests at the upstream", || {
            let requests = self.requests();
            (requests.len() >= count).then_some(requests)
        })
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, stream: &TcpStream) -> usize {
        let mut seen = self.lock();
        seen.connections += 1;
        if let Ok(copy) = stream.try_clone() {
            seen.open.push(copy);
        }
        seen.connections - 1
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::SeqCst);
        for stream in self.state.lock().open.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        // Wakes the thread that accepts, so that it sees the word to stop.
        let _ = TcpStream::connect(self.address);
    }
}

/// A 200 with a text.
pub fn ok(body: &str) -> Vec<u8> {
    answer(200, &[("Content-Type", "text/plain")], body.as_bytes())
}

/// A well-formed answer.
pub fn answer(status: u16, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} Any\r\n").into_bytes();
    for (name, value) in fields {
        out.extend(format!("{name}: {value}\r\n").bytes());
    }
    out.extend(format!("Content-Length: {}\r\n\r\n", body.len()).bytes());
    out.extend(body);
    out
}

/// For scripts: reads until the head of a request is there; its bytes, or none at the end.
pub fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(head)
}
