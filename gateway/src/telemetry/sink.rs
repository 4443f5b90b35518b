//! The way out of every log line: a queue of bounded size, and one thread that writes. A
//! reader that is stuck stops nobody; what does not fit is dropped and counted.

use super::Line;
use crate::clock::Clock;
use portcullis_config::{Level, LogFormat};
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    time::Duration,
};

/// How many bytes wait at most.
const QUEUE: usize = 4 << 20;
/// How many bytes one write takes at most, if no single batch is larger.
const WRITE: usize = 64 << 10;

/// Where the lines go.
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Anything else.
    Writer(Box<dyn Write + Send>),
}

/// A queue to the writing thread. Cheap to clone; never waits.
#[derive(Clone, Debug)]
pub struct Sink {
    queue: Sender<Message>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    dropped: AtomicU64,
}

enum Message {
    Lines(Vec<u8>),
    Flush(Sender<()>),
}

impl Sink {
    /// Starts the thread. What it says itself (lines were dropped) has that format.
    pub fn start(target: Target, format: LogFormat, clock: Clock) -> Self {
        let (queue, messages) = channel();
        let shared = Arc::new(Shared::default());
        let writer = Writer { target, format, clock, shared: shared.clone() };
        let thread = std::thread::Builder::new().name("log".into());
        if let Err(error) = thread.spawn(move || writer.run(&messages)) {
            eprintln!("portcullis: no log: cannot start its thread: {error}");
        }
        Self { queue, shared }
    }

    /// Queues complete lines, each with its newline; drops them all when the queue is full.
    pub fn write(&self, lines: Vec<u8>) {
        let size = lines.len();
        let waiting = self.shared.waiting.fetch_add(size, Ordering::Relaxed);
        // One batch always fits, however large, so that no line can be too long for ever.
        if waiting == 0 || waiting + size <= QUEUE {
            let _ = self.queue.send(Message::Lines(lines));
        } else {
            self.shared.waiting.fetch_sub(size, Ordering::Relaxed);
            self.shared.dropped.fetch_add(count(&lines), Ordering::Relaxed);
        }
    }

    /// Waits until everything queued so far is written, but no longer than `limit`.
    pub fn flush(&self, limit: Duration) {
        let (done, wait) = channel();
        if self.queue.send(Message::Flush(done)).is_ok() {
            let _ = wait.recv_timeout(limit);
        }
    }
}

fn count(lines: &[u8]) -> u64 {
    lines.iter().filter(|byte| **byte == b'\n').count() as u64
}

struct Writer {
    target: Target,
    format: LogFormat,
    clock: Clock,
    shared: Arc<Shared>,
}

impl Writer {
    fn run(mut self, messages: &Receiver<Message>) {
        let mut waiting = None;
        while let Some(message) = waiting.take().or_else(|| messages.recv().ok()) {
            match message {
                Message::Flush(done) => drop(done.send(())),
                Message::Lines(mut lines) => {
                    // What came meanwhile goes out with it: one system call for many lines.
                    while lines.len() < WRITE && waiting.is_none() {
                        match messages.try_recv() {
                            Ok(Message::Lines(more)) => lines.extend_from_slice(&more),
                            Ok(flush) => waiting = Some(flush),
                            Err(_) => break,
                        }
                    }
                    self.put(&lines);
                }
            }
        }
    }

    fn put(&mut self, lines: &[u8]) {
        // A log that nobody reads any more (a closed pipe) ends the log, not the gateway.
        if self.target.write(lines).is_err() {
            self.shared.dropped.fetch_add(count(lines), Ordering::Relaxed);
            self.shared.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
            return;
        }
        self.shared.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
        let dropped = self.shared.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let mut line = Line::new(self.format, self.clock.now(), Some(Level::Warn));
            line.message("message", "log lines were dropped, because their reader was too slow")
                .plain("dropped", &dropped.to_string());
            let _ = self.target.write(&line.finish());
        }
    }
}

impl Target {
    fn write(&mut self, lines: &[u8]) -> std::io::Result<()> {
        fn all(mut to: impl Write, lines: &[u8]) -> std::io::Result<()> {
            to.write_all(lines)?;
            to.flush()
        }
        match self {
            Self::Stdout => all(std::io::stdout().lock(), lines),
            Self::Stderr => all(std::io::stderr().lock(), lines),
            Self::Writer(writer) => all(writer, lines),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::UnixMillis;
    use std::sync::{Mutex, mpsc::SyncSender};

    /// A reader that takes nothing until it is let go.
    struct Stuck(Receiver<()>, Arc<Mutex<Vec<u8>>>, SyncSender<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.2.try_send(());
            let _ = self.0.recv();
            self.1.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_stuck_reader_stops_nobody_and_dropped_lines_are_counted() {
        let (go, wait) = channel();
        let (began, writing) = std::sync::mpsc::sync_channel(1);
        let written = Arc::new(Mutex::new(Vec::new()));
        let target = Target::Writer(Box::new(Stuck(wait, written.clone(), began)));
        let sink = Sink::start(target, LogFormat::Json, Clock::manual(UnixMillis(0)));
        sink.write(b"first\n".to_vec());
        writing.recv().unwrap();
        let batch = b"a line\n".repeat(1000);
        for _ in 0..QUEUE / batch.len() + 2 {
            sink.write(batch.clone());
        }
        drop(go);
        sink.flush(Duration::from_secs(20));
        let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        assert!(written.starts_with("first\n"));
        let told: u64 = written
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|line| line["dropped"].as_u64())
            .sum();
        let kept = written.lines().filter(|line| *line == "a line").count() as u64;
        assert!(told >= 1000);
        assert_eq!(kept + told, (QUEUE / batch.len() + 2) as u64 * 1000);
    }

    #[test]
    fn flushing_does_not_wait_for_a_stuck_reader_for_ever() {
        let (_go, wait) = channel();
        let (began, _writing) = std::sync::mpsc::sync_channel(1);
        let target = Target::Writer(Box::new(Stuck(wait, Arc::default(), began)));
        let sink = Sink::start(target, LogFormat::Text, Clock::manual(UnixMillis(0)));
        sink.write(b"never\n".to_vec());
        sink.flush(Duration::from_millis(10));
    }
}
