//! The HTTP server: read-only, bounded. Signs of life come from its own thread; all other pages from a few workers, so
//! that one that waits, for a database or for another instance, makes nobody else wait.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread::JoinHandle;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{self, HeaderName, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tracing::{debug, info, warn};

pub use super::page::{Asset, Page};
use super::pages::{Handler, Manner};
pub use super::pages::{Objection, Pages, Probe, TopologyFormat};
pub use super::request::{BadEncoding, Query, Request, percent_decoded, percent_encoded};

/// Request line and headers together.
const HEADER_BYTES_MAX: usize = 16 * 1024;
/// How long clients may take.
#[derive(Clone, Copy)]
struct Patience {
    /// For request line and headers; also how long a connection may be idle.
    read_header: Duration,
    /// After this time a connection is closed behind the answer under way: nobody holds one for ever by reading slowly.
    connection_age: Duration,
    /// How long a closing connection may still take.
    close: Duration,
    /// How long a page waits for a worker, and then for its answer, before the client is told to come back later.
    worker: Duration,
    answer: Duration,
}

const PATIENCE: Patience = Patience {
    read_header: Duration::from_secs(5),
    connection_age: Duration::from_secs(60),
    close: Duration::from_secs(5),
    worker: Duration::from_secs(2),
    answer: Duration::from_secs(20),
};
/// Pages that are made at the same time.
const WORKERS_MAX: usize = 16;
/// Answers to other instances that are made at the same time.
const PEERS_MAX: usize = 4;
/// Further connections wait until one of these is closed.
const CONNECTIONS_MAX: usize = 64;
/// After an accept that failed, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The server cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The address cannot be listened at.
    #[error(
        "cannot serve HTTP at {address}: {source}. Set riacho.http.address to another host:port, or to none"
    )]
    Address {
        /// The address as configured.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no thread or no event loop.
    #[error("cannot start the HTTP server: {0}")]
    Start(#[source] std::io::Error),
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct HttpServer {
    local_addr: SocketAddr,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl HttpServer {
    /// Listens at `address`, a host:port whose port may be 0 for a free one, and answers with `pages` from then on.
    ///
    /// # Errors
    /// When the address cannot be listened at, for example because another process does.
    pub fn start(address: &str, pages: Pages) -> Result<HttpServer, HttpError> {
        Self::start_with(address, pages, PATIENCE)
    }

    fn start_with(address: &str, pages: Pages, patience: Patience) -> Result<HttpServer, HttpError> {
        let refused = |source| HttpError::Address { address: address.to_owned(), source };
        let addresses: Vec<SocketAddr> = address.to_socket_addrs().map_err(refused)?.collect();
        let listener = TcpListener::bind(addresses.as_slice()).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let local_addr = listener.local_addr().map_err(refused)?;

        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .max_blocking_threads(WORKERS_MAX + PEERS_MAX)
            .thread_name("riacho-http-worker")
            .build()
            .map_err(HttpError::Start)?;
        let (stop, stopped) = watch::channel(false);
        let places = |max| Arc::new(Semaphore::new(max));
        let site =
            Site { pages: Arc::new(pages), workers: places(WORKERS_MAX), peers: places(PEERS_MAX), patience };
        let serve = move || {
            runtime.block_on(serve(listener, site, stopped));
            // A page that still waits for something cannot be stopped, and must not hold up the stop either.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("riacho-http".to_owned()).spawn(serve);
        let thread = Some(thread.map_err(HttpError::Start)?);
        info!(address = %local_addr, "HTTP server listens");
        Ok(HttpServer { local_addr, stop, thread })
    }

    /// The address that is listened at, with the port that was chosen where 0 was asked for.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Takes no more requests, finishes the answers under way, and returns when the server has ended.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            warn!("the HTTP server has panicked");
        }
    }
}

/// What all connections share.
#[derive(Clone)]
struct Site {
    pages: Arc<Pages>,
    workers: Arc<Semaphore>,
    peers: Arc<Semaphore>,
    patience: Patience,
}

async fn serve(listener: TcpListener, site: Site, mut stopped: watch::Receiver<bool>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            warn!(%error, "HTTP server cannot listen");
            return;
        }
    };
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let next = async {
            // The permit comes first: what cannot be served is not accepted.
            let permit = Arc::clone(&connections).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let First::Left((Ok(permit), accepted)) = first(next, stop(&mut stopped)).await else { break };
        match accepted {
            Ok((stream, _)) => {
                let (site, stopped) = (site.clone(), stopped.clone());
                tokio::spawn(async move {
                    connection(stream, site, stopped).await;
                    drop(permit);
                });
            }
            Err(error) => {
                warn!(%error, "HTTP connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Each connection ends within its own time limit.
    tokio::time::timeout(site.patience.close, connections.acquire_many(all)).await.ok();
}

/// Serves one connection until its end, its age or the server's stop, whichever is first.
async fn connection(stream: TcpStream, site: Site, mut stopped: watch::Receiver<bool>) {
    let patience = site.patience;
    let service = service_fn(move |request| {
        let site = site.clone();
        async move { Ok::<_, Infallible>(respond(request, &site).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience.read_header)
        .max_buf_size(HEADER_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection);
    let time_is_up = tokio::time::timeout(patience.connection_age, stop(&mut stopped));
    let ended = match first(connection.as_mut(), time_is_up).await {
        First::Left(ended) => ended,
        First::Right(_) => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(patience.close, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "HTTP connection ended");
    }
}

/// Waits until the server is to stop.
async fn stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the handle is gone, which is a stop too.
    stopped.wait_for(|stopped| *stopped).await.ok();
}

/// Which of two futures was ready first.
enum First<L, R> {
    Left(L),
    Right(R),
}

/// Waits for the first of two; the left one where both are ready. The other is dropped.
async fn first<L: Future, R: Future>(left: L, right: R) -> First<L::Output, R::Output> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    poll_fn(|context| {
        if let Poll::Ready(output) = left.as_mut().poll(context) {
            return Poll::Ready(First::Left(output));
        }
        right.as_mut().poll(context).map(First::Right)
    })
    .await
}

async fn respond(request: hyper::Request<Incoming>, site: &Site) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let has_body = !request.body().is_end_stream();
    let (parts, _) = request.into_parts();
    let request = Request::new(parts.uri, parts.headers);
    let page = if !is_read {
        Page::text(405, "only GET and HEAD\n").with_header("allow", "GET, HEAD")
    } else if has_body {
        // What the client goes on to send is not read.
        Page::text(413, "a request has no body here\n").with_header("connection", "close")
    } else {
        match site.pages.find(&request) {
            Ok((Manner::Probe, request, handler)) => handler(&request),
            Ok((Manner::Worker, request, handler)) => site.work(&site.workers, request, handler).await,
            Ok((Manner::Peer, request, handler)) => site.work(&site.peers, request, handler).await,
            Err(page) => page,
        }
    };
    if page.status() == 200 && is_known(&request, &page) {
        return response(Page::new(304, page.content_type().to_owned(), Bytes::new()).with_headers_of(&page));
    }
    response(page)
}

impl Site {
    /// Lets a worker make the page, when there is a place.
    async fn work(&self, places: &Arc<Semaphore>, request: Request, handler: Handler) -> Page {
        let busy = |what: &str| Page::text(503, format!("{what}\n")).with_retry_after(self.patience.worker);
        let permit = Arc::clone(places).acquire_owned();
        let Ok(Ok(permit)) = tokio::time::timeout(self.patience.worker, permit).await else {
            return busy("too many pages are being made; try again soon");
        };
        let made = tokio::task::spawn_blocking(move || {
            let page = handler(&request);
            drop(permit);
            page
        });
        match tokio::time::timeout(self.patience.answer, made).await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                warn!(%error, "a page has panicked");
                Page::text(500, "This page has failed: see the log.\n")
            }
            Err(_) => busy("this page takes too long; try again later"),
        }
    }
}

/// Whether the client says that it has this version of the page.
fn is_known(request: &Request, page: &Page) -> bool {
    let (Some(known), Some(etag)) = (request.header("if-none-match"), page.header("etag")) else {
        return false;
    };
    known.split(',').map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::new()));
    *response.status_mut() = StatusCode::from_u16(page.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    let policy = if page.content_type().starts_with("text/html") {
        "default-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'; object-src 'none'"
    } else {
        "default-src 'none'; base-uri 'none'; frame-ancestors 'none'"
    };
    let fixed = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CONTENT_SECURITY_POLICY, policy),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let own = page.headers().chain([("content-type", page.content_type())]);
    for (name, value) in own {
        match (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            (Ok(name), Ok(value)) => drop(headers.insert(name, value)),
            _ => warn!(name, value, "not a header that can be sent"),
        }
    }
    *response.body_mut() = Full::new(page.into_body());
    response
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the limits are in the time of real clients")]
mod tests;
