//! An HTTP server for browsers, with bounds on connections, sizes and times. The caller answers the requests.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

/// The longest time that a browser may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes and in lines. A code in an address may be long.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 16;

/// The bounds that differ from one server to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The number of connections at a time.
    pub connections: usize,
    /// The longest life of a connection.
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

/// The address that a request came from, among its extensions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub IpAddr);

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
///
/// Where all places are taken, a new connection gets that of the one which has waited longest for a request to come: whoever
/// holds connections in silence keeps nobody out.
pub(crate) async fn serve(listener: TcpListener, bounds: Bounds, answering: Handler) {
    let mut connections: VecDeque<Connection> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                connections.retain(|connection| !connection.task.is_finished());
                if connections.len() >= bounds.connections {
                    let silent = connections.iter().position(|connection| !connection.is_busy.load(Ordering::Relaxed));
                    // Where everybody is being answered, whoever came last waits for nothing.
                    let Some(silent) = silent.and_then(|at| connections.remove(at)) else { continue };
                    silent.task.abort();
                }
                let is_busy = Arc::new(AtomicBool::new(false));
                let conversation =
                    talk(stream, from.ip(), bounds.keep_alive, Arc::clone(&answering), Arc::clone(&is_busy));
                // A browser that goes away, or stays too long, is nobody's loss.
                let task = tokio::spawn(async move { drop(timeout(bounds.life, conversation).await) }).abort_handle();
                connections.push_back(Connection { task, is_busy });
            }
            // Out of descriptors: there may be some again in a moment.
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// A connection, and whether a request on it is being answered.
struct Connection {
    task: AbortHandle,
    is_busy: Arc<AtomicBool>,
}

async fn talk(
    stream: TcpStream,
    from: IpAddr,
    keep_alive: bool,
    answering: Handler,
    is_busy: Arc<AtomicBool>,
) -> hyper::Result<()> {
    let service = service_fn(move |mut request| {
        is_busy.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(Peer(from));
        let (answer, is_busy) = (answering(request), Arc::clone(&is_busy));
        async move {
            let answer = answer.await;
            // A stream goes on, and keeps its place.
            is_busy.store(matches!(answer.body(), ResponseBody::Stream(_)), Ordering::Relaxed);
            Ok::<_, Infallible>(answer)
        }
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
