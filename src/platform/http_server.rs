//! HTTP for browsers, within bounds: so many connections, so large, so long. What is answered is the caller's.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// The time for a browser to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes and in lines. A code in an address may be long.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

/// The most connections that wait to be accepted.
const BACKLOG: u32 = 16;

/// The bounds that differ from one server to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The most connections at a time; the next one waits.
    pub connections: usize,
    /// The time for which a connection lasts.
    pub life: Duration,
    /// True if a connection serves more than one request.
    pub keep_alive: bool,
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum ResponseBody {
    /// All of it at once.
    Whole(Full<Bytes>),
    /// Piece by piece, as it comes.
    Stream(mpsc::Receiver<Bytes>),
}

/// Answers one request after another.
pub(crate) type Handler = Arc<dyn Fn(Request<Incoming>) -> ResponseFuture + Send + Sync>;

/// An answer to come.
pub(crate) type ResponseFuture = Pin<Box<dyn Future<Output = Response<ResponseBody>> + Send>>;

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx),
            Self::Stream(pieces) => pieces.poll_recv(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Stream(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

/// Listens on `address`.
///
/// # Errors
/// When the address is taken or not to be had.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Takes connections for ever. Those that are taken go on when this is dropped.
pub(crate) async fn serve(listener: TcpListener, bounds: Bounds, answering: Handler) {
    let room = Arc::new(Semaphore::new(bounds.connections));
    // It is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let answering = Arc::clone(&answering);
                tokio::spawn(async move {
                    // A browser that goes away, or stays too long, is nobody's loss.
                    let _ = timeout(bounds.life, talk(stream, bounds.keep_alive, answering)).await;
                    drop(place);
                });
            }
            // Out of descriptors: there may be some again in a moment.
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

async fn talk(stream: TcpStream, keep_alive: bool, answering: Handler) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let answer = answering(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .keep_alive(keep_alive)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
