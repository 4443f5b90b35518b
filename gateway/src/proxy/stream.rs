//! A connection to a client or to an upstream, whatever carries its bytes: plain TCP,
//! TLS, or a stream of HTTP/2. Its two halves are used at once by one task of one thread, so that nothing here
//! is locked or counted. What may not come in: what the bytes mean.

use super::{
    passing::LARGE,
    pipe::{End, Pipe},
};
use std::{
    cell::RefCell,
    io,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::{
    io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, tcp},
};
use tokio_rustls::TlsStream;

/// An open connection.
pub enum Stream {
    /// Bytes as they are.
    Plain(TcpStream),
    /// After a finished handshake. Boxed: a plain connection does not pay for its size.
    Tls(Box<RefCell<TlsStream<TcpStream>>>),
    /// One stream of an HTTP/2 connection.
    Pipe(End),
}

/// What comes in.
pub enum ReadHalf<'s> {
    /// Of plain TCP.
    Plain(tcp::ReadHalf<'s>),
    /// Of TLS; borrowed for the length of one poll.
    Tls(&'s RefCell<TlsStream<TcpStream>>),
    /// Of a stream of HTTP/2.
    Pipe(&'s Pipe),
}

/// What goes out.
pub struct WriteHalf<'s> {
    to: Outgoing<'s>,
    begun: bool,
    broken: bool,
}

/// What carries it.
enum Outgoing<'s> {
    /// Of plain TCP.
    Plain(tcp::WriteHalf<'s>),
    /// Of TLS; borrowed for the length of one poll.
    Tls(&'s RefCell<TlsStream<TcpStream>>),
    /// Of a stream of HTTP/2.
    Pipe(&'s Pipe),
}

impl Stream {
    /// A finished handshake's connection.
    pub fn tls(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        Self::Tls(Box::new(RefCell::new(stream.into())))
    }

    /// Both halves. They belong to one task: TLS may have to write before it can read, and
    /// then the reader's waker is the one that is called.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let (from, to) = match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.split();
                (ReadHalf::Plain(reader), Outgoing::Plain(writer))
            }
            Self::Tls(stream) => (ReadHalf::Tls(stream), Outgoing::Tls(stream)),
            Self::Pipe(end) => (ReadHalf::Pipe(&end.incoming), Outgoing::Pipe(&end.outgoing)),
        };
        (from, WriteHalf { to, begun: false, broken: false })
    }

    /// Whether it is open and has nothing to read: between two requests neither bytes nor
    /// an end may come. (What TLS says for itself, a session ticket, is not the peer's.)
    pub fn is_at_rest(&mut self) -> bool {
        match self {
            Self::Plain(stream) => {
                matches!(stream.try_read(&mut [0]), Err(e) if e.kind() == io::ErrorKind::WouldBlock)
            }
            Self::Tls(stream) => {
                let mut context = Context::from_waker(Waker::noop());
                Pin::new(stream.get_mut()).poll_fill_buf(&mut context).is_pending()
            }
            // No upstream is reached over one.
            Self::Pipe(_) => false,
        }
    }
}

impl ReadHalf<'_> {
    /// Waits until something can be read, or the end has come, without room for it: an
    /// idle connection holds none.
    pub fn poll_readable(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(reader) => reader.as_ref().poll_read_ready(context),
            Self::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_fill_buf(context).map_ok(|_| ()),
            Self::Pipe(pipe) => pipe.poll_filled(context).map(|_| Ok(())),
        }
    }

    /// Looks whether something has come, and leaves it there. Zero: the end has come; an
    /// error: the other side takes nothing either.
    pub fn poll_peek(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(reader) => reader.poll_peek(context, &mut ReadBuf::new(&mut [0])),
            Self::Tls(stream) => {
                Pin::new(&mut *stream.borrow_mut()).poll_fill_buf(context).map_ok(<[u8]>::len)
            }
            Self::Pipe(pipe) => pipe.poll_peek(context),
        }
    }
}

impl WriteHalf<'_> {
    /// Nothing of the next answer has been written.
    pub fn begin(&mut self) {
        self.begun = false;
    }

    /// Whether anything was written since.
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// What was written last is not the end of it, though the connection ends: the peer is
    /// to see an error. Over TLS its own end is missing too, which nobody may write
    /// from now on.
    pub fn break_off(&mut self) {
        self.broken = true;
        let reset = |socket: socket2::SockRef<'_>| drop(socket.set_linger(Some(Duration::ZERO)));
        match &self.to {
            Outgoing::Plain(writer) => reset(writer.as_ref().into()),
            Outgoing::Tls(stream) => reset(stream.borrow().get_ref().0.into()),
            Outgoing::Pipe(_) => {}
        }
    }

    /// Whether the end of the connection is not to look like one.
    pub fn is_broken_off(&self) -> bool {
        self.broken
    }

    /// How much it is worth to read for it at once.
    pub fn room(&self) -> usize {
        match &self.to {
            Outgoing::Pipe(pipe) => pipe.room(),
            Outgoing::Plain(_) | Outgoing::Tls(_) => LARGE,
        }
    }

    /// Whether what was written may wait in a buffer until it is flushed.
    pub fn is_buffered(&self) -> bool {
        matches!(self.to, Outgoing::Tls(_))
    }
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(reader) => Pin::new(reader).poll_read(context, room),
            Self::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_read(context, room),
            Self::Pipe(pipe) => pipe.poll_read(context, room),
        }
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let half = self.get_mut();
        let written = match &mut half.to {
            Outgoing::Plain(writer) => Pin::new(writer).poll_write(context, bytes),
            Outgoing::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_write(context, bytes),
            Outgoing::Pipe(pipe) => pipe.poll_write(context, bytes),
        };
        half.begun |= matches!(written, Poll::Ready(Ok(1..)));
        written
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().to {
            Outgoing::Plain(writer) => Pin::new(writer).poll_flush(context),
            Outgoing::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_flush(context),
            Outgoing::Pipe(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().to {
            Outgoing::Plain(writer) => Pin::new(writer).poll_shutdown(context),
            // With an end of TLS's own first, which says that nothing was cut off.
            Outgoing::Tls(stream) => Pin::new(&mut *stream.borrow_mut()).poll_shutdown(context),
            Outgoing::Pipe(pipe) => {
                pipe.end();
                Poll::Ready(Ok(()))
            }
        }
    }
}
