//! The client against a server that answers from a script.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;

use super::*;
use crate::clock::SystemClock;

/// Answers each connection with the next of these texts; tells the request lines and headers that came.
fn scripted(answers: Vec<String>) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> =
                lines.by_ref().map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
            tell.send(head.join("\n")).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, told)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

fn rows(body: &str) -> String {
    answer("200 OK", "", body)
}

fn pages() -> Paging {
    Paging::Page { parameter: "page".to_owned(), first: 1, size: ("size".to_owned(), 2) }
}

fn api(address: SocketAddr, paging: Paging, patience: Patience) -> HttpApi {
    let settings = ApiSettings::new(&format!("http://{address}/itens"), paging).unwrap().patience(patience);
    let settings = settings.token(Token::new("Authorization", "Bearer segredo").unwrap());
    HttpApi::new(settings, Arc::new(SystemClock::new()), 7)
}

/// Does not wait, and keeps what would have been waited for.
fn noting(pauses: &mut Vec<Duration>) -> impl FnMut(Duration) -> bool {
    |pause| {
        pauses.extend(Some(pause).filter(|pause| !pause.is_zero()));
        false
    }
}

#[test]
fn pages_are_asked_one_after_the_other_with_the_token() {
    let (address, told) = scripted(vec![rows("[1,2]"), rows("[3]"), rows("[3]"), rows("[]")]);
    let mut api = api(address, pages(), Patience::default());
    let mut position = api.start();
    let mut found = Vec::new();
    loop {
        let taken = api.next_rows(&position, &mut |_| false).unwrap();
        if taken.is_end {
            break;
        }
        found.extend(taken.rows);
        position = taken.then;
    }
    assert_eq!(found, ["1", "2", "3"]);
    let requests: Vec<String> = told.iter().collect();
    let asked =
        |number: usize, path: &str| requests[number].starts_with(&format!("GET /itens?{path} HTTP/1.1"));
    assert!(
        asked(0, "page=1&size=2") && asked(1, "page=2&size=2") && asked(3, "page=3&size=2"),
        "{requests:?}"
    );
    assert!(requests[0].to_lowercase().contains("authorization: bearer segredo"), "{requests:?}");
    assert_eq!(api.counts().requests, 4);
}

#[test]
fn a_page_that_is_short_by_the_apis_own_limit_is_not_the_end() {
    let (address, _told) = scripted(vec![rows("[1]"), rows("[1]"), rows("[2]")]);
    let mut api = api(address, pages(), Patience::default());
    let first = api.next_rows(&api.start(), &mut |_| false).unwrap();
    let second = api.next_rows(&first.then, &mut |_| false).unwrap();
    assert_eq!(second.rows, ["2"]);
    assert_eq!(second.then, Position { place: Place::Page(2), taken: 1 });
}

#[test]
fn failures_are_repeated_with_pauses_and_the_api_is_left_alone_for_as_long_as_it_asks() {
    let (address, _told) = scripted(vec![
        answer("500 Oops", "", ""),
        answer("429 Slow down", "retry-after: 5\r\n", ""),
        rows("{\"not\":\"rows\"}"),
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\nconnection: close\r\n\r\n[1".to_owned(),
        rows("[1]"),
    ]);
    let mut api = api(address, pages(), Patience::default());
    let mut pauses = Vec::new();
    let taken = api.next_rows(&api.start(), &mut noting(&mut pauses)).unwrap();
    assert_eq!(taken.rows, ["1"]);
    assert_eq!(pauses.len(), 4);
    let within = |pause: Duration, ms: u128| (ms / 2..=ms).contains(&pause.as_millis());
    assert!(within(pauses[0], 250) && within(pauses[2], 1000) && within(pauses[3], 2000), "{pauses:?}");
    assert_eq!(pauses[1], Duration::from_secs(5));
    assert_eq!(api.counts().failures, 4);
}

#[test]
fn it_gives_up_after_the_last_attempt_and_says_why() {
    let (address, _told) = scripted(vec![answer("503 Away", "", ""); 2]);
    let patience = Patience { attempts_max: 2.try_into().unwrap(), ..Patience::default() };
    let mut api = api(address, pages(), patience);
    let error = api.next_rows(&api.start(), &mut |_| false).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("http://{address}/itens has not answered in 2 attempts, the last time: status 503")
    );
}

#[test]
fn what_will_not_change_is_not_repeated() {
    for (status, headers, part) in
        [("401 No", "", "check the token"), ("302 There", "location: http://127.0.0.1:1/\r\n", "redirects")]
    {
        let (address, _told) = scripted(vec![answer(status, headers, "")]);
        let mut api = api(address, pages(), Patience::default());
        let error = api.next_rows(&api.start(), &mut |_| false).unwrap_err();
        assert!(matches!(error, ApiError::Refused { .. }) && error.to_string().contains(part), "{error}");
        assert_eq!(api.counts().requests, 1);
    }
}

#[test]
fn an_answer_beyond_the_bound_is_refused_and_one_that_just_fits_is_not() {
    let (address, _told) = scripted(vec![rows("[1, 2]"), rows("[1, 22]")]);
    let mut api = api(address, pages(), Patience { response_bytes_max: 6, ..Patience::default() });
    assert_eq!(api.next_rows(&api.start(), &mut |_| false).unwrap().rows.len(), 2);
    let error = api.next_rows(&api.start(), &mut |_| false).unwrap_err();
    assert!(matches!(error, ApiError::TooLarge { bytes_max: 6, .. }), "{error}");
}

#[test]
fn an_api_that_does_not_answer_is_not_waited_for_longer_than_allowed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let patience = Patience {
        request_timeout: Duration::from_millis(200),
        attempts_max: 2.try_into().unwrap(),
        ..Patience::default()
    };
    let mut api = api(address, pages(), patience);
    let error = api.next_rows(&api.start(), &mut |_| false).unwrap_err();
    assert!(matches!(error, ApiError::GaveUp { attempts: 2, .. }), "{error}");
}

#[test]
fn requests_keep_their_distance() {
    let (address, _told) = scripted(vec![rows("[1,2]"); 3]);
    let interval = Duration::from_secs(10);
    let mut api = api(address, pages(), Patience { request_interval: interval, ..Patience::default() });
    let mut pauses = Vec::new();
    for _ in 0..3 {
        api.next_rows(&api.start(), &mut noting(&mut pauses)).unwrap();
    }
    assert_eq!(pauses.len(), 2, "the first is sent at once");
    assert!(pauses[0] > Duration::from_secs(5) && pauses[1] > Duration::from_secs(15), "{pauses:?}");
}

#[test]
fn a_caller_that_is_to_stop_does_not_wait() {
    let (address, _told) = scripted(vec![answer("503 Away", "", "")]);
    let mut api = api(address, pages(), Patience::default());
    let error = api.next_rows(&api.start(), &mut |pause| !pause.is_zero()).unwrap_err();
    assert!(matches!(error, ApiError::Stopped), "{error}");
}

#[test]
fn links_are_followed_from_the_header_but_not_to_others() {
    let (address, told) = scripted(vec![
        answer("200 OK", "link: </>; rel=\"first\"\r\nlink: </itens?depois=1>; rel=\"next\"\r\n", "[1]"),
        answer("200 OK", "link: <http://127.0.0.1:1/>; rel=\"next\"\r\n", "[2]"),
    ]);
    let patience = Patience { attempts_max: 1.try_into().unwrap(), ..Patience::default() };
    let mut api = api(address, Paging::Link { path: Vec::new() }, patience);
    let first = api.next_rows(&api.start(), &mut |_| false).unwrap();
    let error = api.next_rows(&first.then, &mut |_| false).unwrap_err().to_string();
    assert!(error.contains("leads away"), "{error}");
    assert!(told.iter().nth(1).unwrap().starts_with("GET /itens?depois=1 "));
}
