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
pub use super::pages::{Pages, Probe, TopologyFormat};
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
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::time::Instant;

    use super::*;

    const SOON: Duration = Duration::from_millis(300);

    fn server() -> HttpServer {
        server_with(PATIENCE)
    }

    fn server_with(patience: Patience) -> HttpServer {
        let pages = Pages::new().with("/hello", "greets", |request| {
            Page::text(200, format!("hello {}\n", request.query().get("name").unwrap_or("you")))
        });
        let pages = pages
            .with("/bug", "panics", |_| panic!("a bug"))
            .with("/large", "never ends", |_| Page::text(200, "a".repeat(1 << 26)))
            .with("/html", "a page for people", |_| Page::html(200, "<p>"))
            .with("/framed", "sets a header", |_| {
                Page::html(200, "").with_header("X-Frame-Options", "SAMEORIGIN")
            })
            .with("/split", "tries to add a header", |_| {
                Page::text(200, "").with_header("x-a", "b\r\nx-added: d")
            })
            .with_asset("/style.css", Asset::new("text/css", b"a{}"))
            .with_probe("/alive", "a sign of life", |_| Page::text(200, "alive"));
        HttpServer::start_with("127.0.0.1:0", pages, patience).unwrap()
    }

    fn connect(server: &HttpServer) -> TcpStream {
        let stream = TcpStream::connect(server.local_addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }

    /// Sends the text and returns everything up to the end of the connection.
    fn exchange(server: &HttpServer, text: &str) -> String {
        let mut stream = connect(server);
        // The server may close before it has read everything.
        stream.write_all(text.as_bytes()).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8(answer).unwrap()
    }

    fn request(server: &HttpServer, line: &str) -> String {
        exchange(server, &format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    }

    #[test]
    fn pages_are_served_with_headers_that_protect_browsers() {
        let server = server();
        let answer = request(&server, "GET /hello?name=ana");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello ana\n"),
            "{answer}"
        );
        for expected in [
            "content-type: text/plain; charset=utf-8",
            "content-length: 10",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'",
            "x-frame-options: DENY",
            "cache-control: no-store",
        ] {
            assert!(answer.contains(expected), "{answer}");
        }
        assert!(request(&server, "GET /nothing").starts_with("HTTP/1.1 404 "));
        assert!(request(&server, "GET /").contains("<a href=\"/hello\">"));
    }

    #[test]
    fn a_head_request_is_answered_without_a_body() {
        let answer = request(&server(), "HEAD /hello");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("content-length: 10"), "{answer}");
    }

    #[test]
    fn nothing_but_reading_is_allowed() {
        let server = server();
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "NONSENSE"] {
            let answer = request(&server, &format!("{method} /hello"));
            assert!(answer.starts_with("HTTP/1.1 405 ") && answer.contains("allow: GET, HEAD"), "{answer}");
        }
        let with_body = "GET /hello HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\nxxx";
        let answer = exchange(&server, with_body);
        assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close"), "{answer}");
    }

    #[test]
    fn a_connection_serves_one_request_after_another() {
        let server = server();
        let text = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\nGET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        assert_eq!(exchange(&server, text).matches("hello you").count(), 2);
    }

    #[test]
    fn headers_that_are_too_large_are_refused() {
        let server = server();
        let long = "a".repeat(HEADER_BYTES_MAX);
        let answer = exchange(&server, &format!("GET /hello HTTP/1.1\r\nhost: x\r\nx: {long}\r\n\r\n"));
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
        assert!(request(&server, "GET /hello").contains("hello you"));
    }

    #[test]
    fn a_client_that_does_not_finish_its_request_is_cut_off() {
        let server = server_with(Patience { read_header: SOON, ..PATIENCE });
        let start = Instant::now();
        exchange(&server, "GET /hello HTTP/1.1\r\nhost: ");
        assert!(start.elapsed() >= SOON / 2 && start.elapsed() < PATIENCE.connection_age);
    }

    #[test]
    fn a_client_that_does_not_read_its_answer_is_cut_off() {
        let server = server_with(Patience { connection_age: SOON, close: SOON, ..PATIENCE });
        let mut stream = connect(&server);
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        std::thread::sleep(4 * SOON);
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        assert!(answer.len() < 1 << 26, "all was sent");
    }

    #[test]
    fn beyond_the_bound_connections_wait_their_turn() {
        let server = server();
        let idle: Vec<TcpStream> = (0..CONNECTIONS_MAX).map(|_| connect(&server)).collect();
        let mut late = connect(&server);
        late.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        late.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        assert!(late.read(&mut [0]).is_err(), "answered although all places are taken");
        drop(idle);
        late.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = String::new();
        late.read_to_string(&mut answer).unwrap();
        assert!(answer.contains("hello you"), "{answer}");
    }

    #[test]
    fn a_page_that_panics_takes_no_other_with_it() {
        let server = server();
        assert!(request(&server, "GET /bug").starts_with("HTTP/1.1 500 "));
        assert!(request(&server, "GET /hello").contains("hello you"));
    }

    /// A server with a page that waits until the returned end is dropped.
    fn server_that_waits(patience: Patience) -> (HttpServer, std::sync::mpsc::Sender<()>) {
        let (release, released) = std::sync::mpsc::channel();
        let released = std::sync::Mutex::new(released);
        let pages = Pages::new()
            .with_probe("/alive", "", |_| Page::text(200, "alive"))
            .with_peers("/peers/", |_| Page::text(200, "here"))
            .with("/slow", "", move |_| {
                released.lock().unwrap().recv().ok();
                Page::text(200, "at last")
            });
        (HttpServer::start_with("127.0.0.1:0", pages, patience).unwrap(), release)
    }

    fn ask_without_waiting(server: &HttpServer, path: &str) -> TcpStream {
        let mut stream = connect(server);
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        stream
    }

    fn answer(mut stream: TcpStream) -> String {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn pages_that_wait_hold_up_no_sign_of_life_and_no_other_instance() {
        let (server, release) = server_that_waits(PATIENCE);
        let slow: Vec<TcpStream> = (0..WORKERS_MAX).map(|_| ask_without_waiting(&server, "/slow")).collect();
        assert!(request(&server, "GET /alive").ends_with("alive"));
        assert!(request(&server, "GET /peers/1").ends_with("here"), "another instance is put off");
        drop(release);
        for stream in slow {
            assert!(answer(stream).ends_with("at last"));
        }
    }

    #[test]
    fn more_pages_than_workers_are_put_off() {
        let (server, release) = server_that_waits(Patience { worker: SOON, ..PATIENCE });
        let asked: Vec<TcpStream> =
            (0..=WORKERS_MAX).map(|_| ask_without_waiting(&server, "/slow")).collect();
        for stream in &asked {
            stream.set_nonblocking(true).unwrap();
        }
        let mut refused = String::new();
        let start = Instant::now();
        while refused.is_empty() && start.elapsed() < PATIENCE.answer {
            std::thread::sleep(SOON / 10);
            for mut stream in &asked {
                stream.read_to_string(&mut refused).ok();
            }
        }
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("retry-after: 1\r\n"), "{refused}");
        assert_eq!(refused.matches("HTTP/1.1").count(), 1, "{refused}");
        drop(release);
    }

    #[test]
    fn a_page_that_takes_too_long_is_given_up_and_a_stop_does_not_wait_for_it() {
        let (server, release) = server_that_waits(Patience { answer: SOON, ..PATIENCE });
        let refused = request(&server, "GET /slow");
        assert!(refused.starts_with("HTTP/1.1 503 ") && refused.contains("takes too long"), "{refused}");
        server.stop();
        drop(release);
    }

    #[test]
    fn a_file_is_not_sent_to_who_has_it() {
        let server = server();
        let full = request(&server, "GET /style.css");
        let etag = full.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap();
        assert!(full.ends_with("\r\n\r\na{}") && full.contains("cache-control: no-cache"), "{full}");
        let ask = |known: &str| {
            let text = "GET /style.css HTTP/1.1\r\nhost: x\r\nconnection: close\r\nif-none-match:";
            exchange(&server, &format!("{text} {known}\r\n\r\n"))
        };
        for known in [etag, "*", &format!("\"other\", W/{etag}")] {
            let answer = ask(known);
            assert!(answer.starts_with("HTTP/1.1 304 ") && answer.ends_with("\r\n\r\n"), "{answer}");
            assert!(answer.contains(etag), "{answer}");
        }
        assert!(ask("\"other\"").starts_with("HTTP/1.1 200 "));
    }

    #[test]
    fn a_page_for_people_may_load_what_comes_from_here_and_nothing_else() {
        let server = server();
        let html = request(&server, "GET /html");
        assert!(html.contains("content-security-policy: default-src 'self'; "), "{html}");
        let framed = request(&server, "GET /framed");
        assert!(framed.contains("x-frame-options: SAMEORIGIN") && !framed.contains("DENY"), "{framed}");
        assert!(!request(&server, "GET /split").contains("x-added"));
    }

    #[test]
    fn a_stopped_server_frees_its_port_and_cuts_idle_connections() {
        let server = server();
        let address = server.local_addr();
        let mut idle = connect(&server);
        idle.write_all(b"GET /hello HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
        assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
        let start = Instant::now();
        server.stop();
        assert!(start.elapsed() < PATIENCE.read_header);
        assert_eq!(idle.read(&mut [0; 1024]).unwrap(), 0);
        HttpServer::start(&address.to_string(), Pages::new()).unwrap();
    }

    #[test]
    fn a_port_in_use_is_an_error_that_names_the_key() {
        let server = server();
        let error =
            HttpServer::start(&server.local_addr().to_string(), Pages::new()).unwrap_err().to_string();
        assert!(
            error.contains(&server.local_addr().to_string()) && error.contains("riacho.http.address"),
            "{error}"
        );
        assert!(HttpServer::start("no such host:1", Pages::new()).is_err());
    }
}
