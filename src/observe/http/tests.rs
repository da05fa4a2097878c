//! The server, asked by real clients over sockets.

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
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nhello ana\n"), "{answer}");
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
    let text =
        "GET /hello HTTP/1.1\r\nhost: x\r\n\r\nGET /hello HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
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
    let asked: Vec<TcpStream> = (0..=WORKERS_MAX).map(|_| ask_without_waiting(&server, "/slow")).collect();
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
    let error = HttpServer::start(&server.local_addr().to_string(), Pages::new()).unwrap_err().to_string();
    assert!(
        error.contains(&server.local_addr().to_string()) && error.contains("riacho.http.address"),
        "{error}"
    );
    assert!(HttpServer::start("no such host:1", Pages::new()).is_err());
}
