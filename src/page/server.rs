//! The connections: so many, so large, so long.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Press;
use super::answer::Desk;

/// How many connections there are at a time; the next one waits.
const CONNECTIONS: usize = 32;

/// How long a browser may take to say what it wants.
const HEAD: Duration = Duration::from_secs(10);

/// How long a connection lasts. A browser that watches for changes makes another.
const LIFE: Duration = Duration::from_secs(300);

/// How large the head of a request may be, in bytes and in lines.
const HEAD_BYTES: usize = 16 * 1024;
const HEAD_LINES: usize = 64;

pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(16)
}

pub(super) async fn serve<E: From<Press> + Send + 'static>(listener: TcpListener, desk: Desk<E>) {
    let desk = Arc::new(desk);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Ends them all when the page ends.
    let mut connections = JoinSet::new();
    // It is never closed.
    while let Ok(place) = Arc::clone(&room).acquire_owned().await {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let desk = Arc::clone(&desk);
                connections.spawn(async move {
                    // However it ended concerns the browser alone.
                    let _ = timeout(LIFE, talk(stream, desk)).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::debug!(%error, "the page takes no connection now");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn talk<E: From<Press> + Send + 'static>(stream: TcpStream, desk: Arc<Desk<E>>) -> hyper::Result<()> {
    let service = service_fn(move |request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(desk.answer(request).await) }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .max_headers(HEAD_LINES)
        .serve_connection(TokioIo::new(stream), service)
        .await
}
