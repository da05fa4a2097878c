//! A TCP proxy in front of one broker that understands as much of Kafka's protocol as it takes to withhold what a test
//! picks: everything else passes as it came.

use std::collections::HashSet;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// The number by which the protocol knows a kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ApiKey(i16);

impl ApiKey {
    pub(crate) const PRODUCE: ApiKey = ApiKey(0);
    pub(crate) const OFFSET_COMMIT: ApiKey = ApiKey(8);
    pub(crate) const END_TXN: ApiKey = ApiKey(26);
}

/// What does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// The broker does what is asked, and nobody learns of it.
    Answers(ApiKey),
    /// The broker never hears of requests that name this topic.
    Requests(ApiKey, String),
}

impl Rule {
    fn withholds_request(&self, request: &Request<'_>) -> bool {
        let Rule::Requests(key, topic) = self else { return false };
        *key == request.key && request.body.windows(topic.len()).any(|bytes| bytes == topic.as_bytes())
    }

    fn withholds_answer(&self, request: &Request<'_>) -> bool {
        matches!(self, Rule::Answers(key) if *key == request.key)
    }
}

#[derive(Default)]
struct State {
    rule: Option<Rule>,
    withheld: usize,
    connections: Vec<TcpStream>,
}

/// A port whose connections lead to a broker. It lasts as long as the test process.
#[derive(Clone)]
pub(crate) struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Proxy {
    /// A proxy before the broker that listens, or will listen, on `broker` of this machine.
    pub(crate) fn before(broker: u16, port: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port was free a moment ago");
        let proxy = Proxy { port, state: Arc::default() };
        let accepting = proxy.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", broker)) {
                    accepting.join(client, server);
                }
            }
        });
        proxy
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// From now on requests of this kind are done, and their answers are kept from the client.
    pub(crate) fn withhold_answers(&self, key: ApiKey) {
        self.withhold(Some(Rule::Answers(key)));
    }

    /// From now on requests of this kind that name `topic` are kept from the broker.
    pub(crate) fn withhold_requests(&self, key: ApiKey, topic: &str) {
        self.withhold(Some(Rule::Requests(key, topic.to_owned())));
    }

    /// From now on everything passes. What was withheld stays lost.
    pub(crate) fn let_pass(&self) {
        self.withhold(None);
    }

    fn withhold(&self, rule: Option<Rule>) {
        let mut state = self.state();
        state.rule = rule;
        state.withheld = 0;
    }

    /// How much was withheld since the rule was set.
    pub(crate) fn withheld(&self) -> usize {
        self.state().withheld
    }

    /// Breaks every connection, as a network does.
    pub(crate) fn cut(&self) {
        for connection in self.state().connections.drain(..) {
            // The other side may have been faster.
            let _gone = connection.shutdown(Shutdown::Both);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of the lock panics")
    }

    /// Carries frames both ways until one side ends.
    fn join(&self, client: TcpStream, server: TcpStream) {
        let double = |stream: &TcpStream| stream.try_clone().expect("a socket can be doubled");
        self.state().connections.extend([double(&client), double(&server)]);
        let unanswered: Arc<Mutex<HashSet<i32>>> = Arc::default();
        let (asking, withheld) = (self.clone(), Arc::clone(&unanswered));
        let (mut from_client, mut to_server) = (double(&client), double(&server));
        thread::spawn(move || {
            let _ended = carry(&mut from_client, &mut to_server, |frame| asking.passes(frame, &withheld));
        });
        let answering = self.clone();
        let (mut from_server, mut to_client) = (server, client);
        thread::spawn(move || {
            let _ended = carry(&mut from_server, &mut to_client, |frame| {
                let lost =
                    unanswered.lock().expect("no holder of the lock panics").remove(&correlation(frame));
                answering.state().withheld += usize::from(lost);
                !lost
            });
        });
    }

    fn passes(&self, frame: &[u8], unanswered: &Mutex<HashSet<i32>>) -> bool {
        let Some(request) = Request::of(frame) else { return true };
        let mut state = self.state();
        let Some(rule) = state.rule.clone() else { return true };
        if rule.withholds_answer(&request) {
            unanswered.lock().expect("no holder of the lock panics").insert(request.correlation);
        }
        let withheld = rule.withholds_request(&request);
        state.withheld += usize::from(withheld);
        !withheld
    }
}

/// A request as its header tells it.
struct Request<'a> {
    key: ApiKey,
    correlation: i32,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn of(frame: &'a [u8]) -> Option<Request<'a>> {
        let (key, rest) = frame.split_first_chunk()?;
        let (_version, rest) = rest.split_first_chunk::<2>()?;
        let (correlation, body) = rest.split_first_chunk()?;
        let (key, correlation) = (ApiKey(i16::from_be_bytes(*key)), i32::from_be_bytes(*correlation));
        Some(Request { key, correlation, body })
    }
}

/// The number by which an answer names its request.
fn correlation(answer: &[u8]) -> i32 {
    answer.first_chunk().map_or(-1, |bytes| i32::from_be_bytes(*bytes))
}

/// Carries the frames that `passes` lets through until a side ends, and then ends the other.
fn carry(from: &mut TcpStream, to: &mut TcpStream, mut passes: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let mut frame = Vec::new();
    let mut next = || {
        let mut size = [0; 4];
        from.read_exact(&mut size)?;
        frame.resize(usize::try_from(i32::from_be_bytes(size)).unwrap_or_default(), 0);
        from.read_exact(&mut frame)?;
        if passes(&frame) {
            to.write_all(&size)?;
            to.write_all(&frame)?;
        }
        Ok(())
    };
    let ended = loop {
        if let Err(end) = next() {
            break end;
        }
    };
    let _gone = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    Err(ended)
}
