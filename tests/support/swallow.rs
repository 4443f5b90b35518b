//! A way to a server that can lose what it carries: connections that stand go silent
//! without an end, as when a firewall forgets them, and new ones work.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// The way.
pub struct Way {
    /// Its end on this side.
    pub port: u16,
    generation: Arc<AtomicUsize>,
}

impl Way {
    /// To a port of this machine.
    pub fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let own = listener.local_addr().expect("it has an address").port();
        let generation = Arc::new(AtomicUsize::new(0));
        let current = generation.clone();
        thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone(), to.try_clone());
                    let (from, to) = (from.expect("a descriptor"), to.expect("a descriptor"));
                    let current = current.clone();
                    thread::spawn(move || carry(from, to, &current));
                }
            }
        });
        Self { port: own, generation }
    }

    /// From now on nothing arrives over the connections that stand, in either direction, not
    /// even their end.
    pub fn swallow(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, current: &AtomicUsize) {
    let born = current.load(Ordering::SeqCst);
    let mut bytes = [0; 16 * 1024];
    loop {
        let read = from.read(&mut bytes).unwrap_or(0);
        if current.load(Ordering::SeqCst) != born {
            // Held open for as long as the other side holds it.
            if read == 0 {
                return;
            }
            continue;
        }
        if read == 0 || to.write_all(&bytes[..read]).is_err() {
            let _ = to.shutdown(std::net::Shutdown::Both);
            return;
        }
    }
}
