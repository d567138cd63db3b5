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
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::domain::client_address::{client_address, client_network};

/// The longest time that a browser may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// The largest head of a request, in bytes and in lines. A code in an address may be long.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

/// The longest time that the body of a request, such as a form, may take, and the largest body in bytes.
const BODY_TIME: Duration = Duration::from_secs(10);
const BODY_BYTES: usize = 8 * 1024;

/// The number of connections that may wait to be accepted.
const BACKLOG: u32 = 128;

/// The bounds that differ from one server to another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// The number of connections at a time.
    pub connections: usize,
    /// The longest life of a connection.
    pub life: Duration,
    /// True if a connection serves more than one request.
    pub keep_alive: bool,
    /// True if a proxy passes the requests of all clients on, so that their addresses are not seen.
    pub behind_proxy: bool,
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
pub(crate) type RequestHandler = Arc<dyn Fn(Request<Bytes>) -> ResponseFuture + Send + Sync>;

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
/// Where all places are taken, a new connection gets that of the one which has waited longest for a request to be complete:
/// whoever holds connections in silence, or with half a request, keeps nobody out. One address gets a quarter of the places at
/// most, and one IPv6 network half of them, so a client that makes connections without end displaces only its own. A proxy, and
/// this device itself, may have all places.
pub(crate) async fn serve(listener: TcpListener, bounds: Bounds, answering: RequestHandler) {
    let mut connections: VecDeque<BrowserConnection> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                connections.retain(|connection| !connection.task.is_finished());
                // Where everybody is being answered, whoever came last waits for nothing.
                if !make_place(&mut connections, from.ip(), bounds) {
                    continue;
                }
                let is_busy = Arc::new(AtomicBool::new(false));
                let conversation =
                    talk(stream, from.ip(), bounds.keep_alive, Arc::clone(&answering), Arc::clone(&is_busy));
                // A browser that goes away, or stays too long, is nobody's loss.
                let task = tokio::spawn(async move { drop(timeout(bounds.life, conversation).await) }).abort_handle();
                connections.push_back(BrowserConnection { from: from.ip(), task, is_busy });
            }
            // Out of descriptors: there may be some again in a moment.
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// A connection, and whether a request on it is being answered.
struct BrowserConnection {
    from: IpAddr,
    task: AbortHandle,
    is_busy: Arc<AtomicBool>,
}

/// Gives up connections for one from `from`, as far as that is needed; `false` if there is no place for it.
fn make_place(connections: &mut VecDeque<BrowserConnection>, from: IpAddr, bounds: Bounds) -> bool {
    let (address, network) = (client_address(from), client_network(from));
    // From a proxy or the end of a tunnel there are many clients.
    let is_one_client = !bounds.behind_proxy && !address.is_loopback();
    let quarter = |other| is_one_client && client_address(other) == address;
    let half = |other| is_one_client && client_network(other) == network;
    let shares: [(usize, &dyn Fn(IpAddr) -> bool); 3] =
        [(bounds.connections / 4, &quarter), (bounds.connections / 2, &half), (bounds.connections, &|_| true)];
    shares.into_iter().all(|(most, is_of_share)| {
        if connections.iter().filter(|connection| is_of_share(connection.from)).count() < most {
            return true;
        }
        let is_silent = |it: &BrowserConnection| is_of_share(it.from) && !it.is_busy.load(Ordering::Relaxed);
        let silent = connections.iter().position(is_silent).and_then(|at| connections.remove(at));
        silent.inspect(|connection| connection.task.abort()).is_some()
    })
}

async fn talk(
    stream: TcpStream,
    from: IpAddr,
    keep_alive: bool,
    answering: RequestHandler,
    is_busy: Arc<AtomicBool>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let (answering, is_busy) = (Arc::clone(&answering), Arc::clone(&is_busy));
        async move {
            let mut request = match whole(request).await {
                Ok(request) => request,
                Err(status) => return Ok(refusal(status)),
            };
            is_busy.store(true, Ordering::Relaxed);
            request.extensions_mut().insert(Peer(from));
            let answer = answering(request).await;
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

/// A request with all of its body.
async fn whole(request: Request<Incoming>) -> Result<Request<Bytes>, StatusCode> {
    let (head, body) = request.into_parts();
    match timeout(BODY_TIME, Limited::new(body, BODY_BYTES).collect()).await {
        Ok(Ok(body)) => Ok(Request::from_parts(head, body.to_bytes())),
        Ok(Err(_)) => Err(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

fn refusal(status: StatusCode) -> Response<ResponseBody> {
    let mut response = Response::new(ResponseBody::Whole(Full::default()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds =
        Bounds { connections: 8, life: Duration::from_secs(60), keep_alive: true, behind_proxy: false };

    fn connect(connections: &mut VecDeque<BrowserConnection>, from: &str, is_busy: bool, bounds: Bounds) -> bool {
        let from = from.parse().unwrap();
        let has_place = make_place(connections, from, bounds);
        if has_place {
            let task = tokio::spawn(std::future::pending::<()>()).abort_handle();
            connections.push_back(BrowserConnection { from, task, is_busy: Arc::new(AtomicBool::new(is_busy)) });
        }
        has_place
    }

    fn from(connections: &VecDeque<BrowserConnection>, address: &str) -> usize {
        let address: IpAddr = address.parse().unwrap();
        connections.iter().filter(|connection| connection.from == address).count()
    }

    #[tokio::test]
    async fn whoever_makes_connections_without_end_displaces_only_his_own() {
        let mut connections = VecDeque::new();
        assert!(connect(&mut connections, "192.0.2.1", false, BOUNDS));
        for _ in 0..100 {
            assert!(connect(&mut connections, "192.0.2.2", false, BOUNDS));
        }
        for number in 1..100 {
            assert!(connect(&mut connections, &format!("2001:db8::{number}"), false, BOUNDS));
        }
        assert_eq!((from(&connections, "192.0.2.1"), from(&connections, "192.0.2.2"), connections.len()), (1, 2, 7));
    }

    #[tokio::test]
    async fn a_client_whose_share_is_being_answered_waits_and_nobody_else() {
        let mut connections = VecDeque::new();
        let taken = (0..10).filter(|_| connect(&mut connections, "192.0.2.2", true, BOUNDS)).count();
        assert_eq!(taken, 2);
        assert!(connect(&mut connections, "192.0.2.1", true, BOUNDS));
    }

    #[tokio::test]
    async fn the_address_of_a_proxy_or_tunnel_stands_for_many_clients() {
        let proxied = Bounds { behind_proxy: true, ..BOUNDS };
        for (address, bounds) in [("127.0.0.1", BOUNDS), ("::1", BOUNDS), ("192.0.2.1", proxied)] {
            let mut connections = VecDeque::new();
            let taken = (0..10).filter(|_| connect(&mut connections, address, true, bounds)).count();
            assert_eq!(taken, 8, "{address}");
        }
    }
}
