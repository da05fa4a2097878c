//! What the HTTP server has to say, page by page. Nothing here knows of sockets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::metrics::Metrics;
use super::page::{Asset, Page};
use super::request::Request;
use super::token::Token;
use crate::lifecycle::{Lifecycle, Verdict};

/// What makes the page that a request asks for.
pub(super) type Handler = Arc<dyn Fn(&Request) -> Page + Send + Sync>;

/// How a route is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// On the server's own thread, and for everybody: signs of life must come whatever else goes on.
    Probe,
    /// On a worker thread, for those who know the token.
    Worker,
    /// As a worker's page, but on threads of their own: workers of other instances wait for these, and must not wait
    /// for workers here that wait for them.
    Peer,
}

struct Route {
    path: String,
    is_prefix: bool,
    about: &'static str,
    manner: Manner,
    handler: Handler,
}

/// The pages of a server, and an index of them at `/`.
///
/// ```
/// use riacho::observe::http::{Page, Pages, Request};
///
/// let pages = Pages::new()
///     .with("/hello", "greets", |request| {
///         let name = request.query().get_decoded("name").ok().flatten();
///         Page::text(200, format!("hello {}\n", name.as_deref().unwrap_or("you")))
///     })
///     .with_prefix("/double/", "/double/{number}", |request| match request.rest().parse::<i64>() {
///         Ok(number) => Page::text(200, (2 * number).to_string()),
///         Err(_) => Page::text(404, "that is no number\n"),
///     });
/// let answer = |address| pages.answer(&Request::to(address).unwrap());
/// assert_eq!(answer("/hello?name=Jo%C3%A3o").body_text(), "hello João\n");
/// assert_eq!(answer("/double/21").body_text(), "42");
/// assert_eq!(answer("/double/x").status(), 404);
/// ```
#[derive(Default)]
pub struct Pages {
    routes: Vec<Route>,
    token: Option<Token>,
}

impl Pages {
    /// No pages but the index.
    pub fn new() -> Pages {
        Pages::default()
    }

    /// Adds a page; `about` stands in the index. It takes the place of one with this path.
    ///
    /// The handler may wait for others: it runs on one of a bounded number of threads. What takes too long is answered
    /// with 503, but goes on until it is done.
    #[must_use]
    pub fn with(
        self,
        path: impl Into<String>,
        about: &'static str,
        handler: impl Fn(&Request) -> Page + Send + Sync + 'static,
    ) -> Pages {
        self.and(path.into(), false, about, Manner::Worker, Arc::new(handler))
    }

    /// Adds all pages whose path begins with `prefix`, which ends in a slash; the handler finds what follows in
    /// [`Request::rest`]. Pages with a path of their own come first, then the longest prefix. In all else
    /// as [`with`](Self::with).
    #[must_use]
    pub fn with_prefix(
        self,
        prefix: impl Into<String>,
        about: &'static str,
        handler: impl Fn(&Request) -> Page + Send + Sync + 'static,
    ) -> Pages {
        let mut prefix = prefix.into();
        if !prefix.ends_with('/') {
            prefix.push('/');
        }
        self.and(prefix, true, about, Manner::Worker, Arc::new(handler))
    }

    /// Adds a file that is part of the program.
    #[must_use]
    pub fn with_asset(self, path: impl Into<String>, asset: Asset) -> Pages {
        self.and(path.into(), false, "", Manner::Worker, Arc::new(move |_| asset.page()))
    }

    /// Adds pages that other instances ask for. The handler waits for nobody. They are not in the index.
    #[must_use]
    pub(crate) fn with_peers(
        self,
        prefix: &str,
        handler: impl Fn(&Request) -> Page + Send + Sync + 'static,
    ) -> Pages {
        self.and(prefix.to_owned(), true, "", Manner::Peer, Arc::new(handler))
    }

    /// Adds a page that everybody may read, and whose handler answers at once: it runs on the server's own thread.
    #[must_use]
    pub(super) fn with_probe(
        self,
        path: &str,
        about: &'static str,
        handler: impl Fn(&Request) -> Page + Send + Sync + 'static,
    ) -> Pages {
        self.and(path.to_owned(), false, about, Manner::Probe, Arc::new(handler))
    }

    /// Adds all pages of `others`, which take the place of those with the same path.
    #[must_use]
    pub fn merge(self, others: Pages) -> Pages {
        let token = others.token.or(self.token);
        let own = Pages { routes: self.routes, token };
        others.routes.into_iter().fold(own, |pages, Route { path, is_prefix, about, manner, handler }| {
            pages.and(path, is_prefix, about, manner, handler)
        })
    }

    /// Lets only those read who know the token, as `Authorization: Bearer ...` or as the password of
    /// `Authorization: Basic ...`, which is what browsers ask for. `/health`, `/ready` and `/metrics` stay open.
    #[must_use]
    pub fn with_token(self, token: Option<String>) -> Pages {
        Pages { token: token.map(Token::new), ..self }
    }

    fn and(
        mut self,
        path: String,
        is_prefix: bool,
        about: &'static str,
        manner: Manner,
        handler: Handler,
    ) -> Pages {
        self.routes.retain(|route| route.path != path || route.is_prefix != is_prefix);
        self.routes.push(Route { path, is_prefix, about, manner, handler });
        self
    }

    /// The answer to a request, made here and now.
    pub fn answer(&self, request: &Request) -> Page {
        match self.find(request) {
            Ok((_, request, handler)) => handler(&request),
            Err(page) => page,
        }
    }

    /// Who answers the request, and how; or the answer, where it needs nobody.
    pub(super) fn find(&self, request: &Request) -> Result<(Manner, Request, Handler), Page> {
        let path = request.path();
        let exact = self.routes.iter().find(|route| !route.is_prefix && route.path == path);
        let prefixes = self.routes.iter().filter(|route| route.is_prefix && path.starts_with(&route.path));
        let route = exact.or_else(|| prefixes.max_by_key(|route| route.path.len()));
        let is_open = route.is_some_and(|route| route.manner == Manner::Probe);
        if !is_open && self.token.as_ref().is_some_and(|token| !token.admits(request.authorization())) {
            let page =
                Page::text(401, "Send the token of riacho.http.token as `Authorization: Bearer ...`.\n");
            return Err(
                page.with_header("www-authenticate", "Basic realm=\"riacho\", Bearer realm=\"riacho\"")
            );
        }
        match route {
            Some(Route { is_prefix, path, manner, handler, .. }) => {
                let request = request.clone();
                let request = if *is_prefix { request.beyond(path) } else { request };
                Ok((*manner, request, Arc::clone(handler)))
            }
            None if path == "/" => Err(self.index()),
            None => Err(Page::text(404, "There is no such page; / lists those there are.\n")),
        }
    }

    fn index(&self) -> Page {
        let item = |route: &Route| match route.is_prefix {
            false => format!("<li><a href=\"{0}\">{0}</a> {1}</li>\n", route.path, route.about),
            true => format!("<li>{}... {}</li>\n", route.path, route.about),
        };
        let items: String = self.routes.iter().filter(|route| !route.about.is_empty()).map(item).collect();
        let head =
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>riacho</title></head>";
        Page::html(200, format!("{head}\n<body><h1>riacho</h1>\n<ul>\n{items}</ul></body></html>\n"))
    }
}

/// In which form a topology is described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopologyFormat {
    /// Kafka Streams' text.
    Text,
    /// Graphviz.
    Dot,
    /// JSON.
    Json,
}

impl TopologyFormat {
    fn content_type(self) -> &'static str {
        match self {
            TopologyFormat::Text => "text/plain; charset=utf-8",
            TopologyFormat::Dot => "text/vnd.graphviz; charset=utf-8",
            TopologyFormat::Json => "application/json",
        }
    }
}

/// What the standard pages look at.
#[derive(Clone)]
pub struct Probe {
    /// The states and signs of life.
    pub lifecycle: Arc<Lifecycle>,
    /// The metrics.
    pub metrics: Metrics,
    /// The monotonic clock by which the lifecycle's times were taken.
    pub now: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// What else speaks against being ready.
    pub objection: Objection,
}

/// Says what is missing beside the topology; nothing while all is well. It answers at once.
pub type Objection = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Probe {
    /// `/metrics`, `/health`, `/ready`, `/topology` and `/info`. `describe` gives the topology in the asked format, or
    /// none if it cannot; `facts` are added to what `/info` tells.
    pub fn pages(
        self,
        describe: impl Fn(TopologyFormat) -> Option<String> + Send + Sync + 'static,
        facts: Map<String, Value>,
    ) -> Pages {
        let (metrics, health, ready, info) = (self.clone(), self.clone(), self.clone(), self);
        Pages::new()
            .with_probe("/metrics", "metrics for Prometheus", move |_| metrics.metrics())
            .with_probe("/health", "200 while the process is alive", move |_| {
                verdict("healthy", &health.lifecycle.health((health.now)()))
            })
            .with_probe("/ready", "200 while records are processed", move |_| {
                let mut readiness = ready.lifecycle.readiness((ready.now)());
                readiness.objections.extend((ready.objection)());
                verdict("ready", &readiness)
            })
            .with("/topology", "what is computed; also ?format=dot and ?format=json", move |request| {
                topology(request, &describe)
            })
            .with("/info", "version, state and threads", move |_| info.info(&facts))
    }

    fn metrics(&self) -> Page {
        match self.metrics.render(&self.lifecycle, (self.now)()) {
            Ok(body) => Page::new(200, "text/plain; version=0.0.4; charset=utf-8", body),
            Err(error) => Page::text(500, format!("{error}\n")),
        }
    }

    fn info(&self, facts: &Map<String, Value>) -> Page {
        let thread = |thread: crate::lifecycle::ThreadFacts| {
            json!({
                "thread": thread.number,
                "state": thread.state.as_str(),
                "tasks": thread.tasks,
                "restoring_tasks": thread.restoring_tasks,
                "restore_remaining_records": thread.restore_remaining_records,
                "last_poll_ms_ago": u64::try_from(thread.poll_age.as_millis()).unwrap_or(u64::MAX),
                "last_commit_ms_ago": u64::try_from(thread.commit_age.as_millis()).unwrap_or(u64::MAX),
            })
        };
        let threads: Vec<Value> = self.lifecycle.threads((self.now)()).into_iter().map(thread).collect();
        let mut info = json!({
            "application_id": self.metrics.application_id(),
            "instance": self.metrics.instance(),
            "version": env!("CARGO_PKG_VERSION"),
            "state": self.lifecycle.state().as_str(),
            "failure": self.lifecycle.failure(),
            "threads": threads,
        });
        if let Some(known) = info.as_object_mut() {
            known.extend(facts.clone());
        }
        Page::json(200, &info)
    }
}

fn verdict(well: &str, verdict: &Verdict) -> Page {
    if verdict.is_well() {
        return Page::text(200, format!("{well}\n"));
    }
    Page::text(503, format!("not {well}\n{}\n", verdict.objections.join("\n")))
}

fn topology(request: &Request, describe: &dyn Fn(TopologyFormat) -> Option<String>) -> Page {
    let format = match request.query().get("format") {
        None | Some("text") => TopologyFormat::Text,
        Some("dot") => TopologyFormat::Dot,
        Some("json") => TopologyFormat::Json,
        Some(_) => return Page::text(400, "format must be text, dot or json\n"),
    };
    match describe(format) {
        Some(body) => Page::new(200, format.content_type(), body),
        None => Page::text(404, "this topology is not described in this format\n"),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;
    use crate::config::RecordingLevel;
    use crate::lifecycle::{Limits, ThreadState};

    fn probe() -> Probe {
        let limit = Duration::from_secs(10);
        let limits = Limits { poll_age_max: limit, commit_age_max: limit };
        Probe {
            lifecycle: Lifecycle::new("app-1", NonZeroUsize::MIN, limits),
            metrics: Metrics::new("app", "host-1", RecordingLevel::Info).unwrap(),
            now: Arc::new(|| Duration::from_secs(11)),
            objection: Arc::new(|| None),
        }
    }

    fn pages(probe: &Probe) -> Pages {
        let describe = |format| (format != TopologyFormat::Json).then(|| format!("{format:?}"));
        probe.clone().pages(describe, Map::from_iter([("guarantee".to_owned(), json!("exactly_once_v2"))]))
    }

    fn get(pages: &Pages, path: &str) -> (u16, String) {
        let page = pages.answer(&Request::to(path).unwrap());
        (page.status(), page.body_text().into_owned())
    }

    #[test]
    fn health_and_readiness_say_what_is_wrong() {
        let probe = probe();
        let pages = pages(&probe);
        let thread = probe.lifecycle.thread(1);
        probe.lifecycle.start().unwrap();
        let _ = thread.enter(ThreadState::Starting, Duration::ZERO).unwrap();
        let silent = "not healthy\nthread 1 has not polled for 11 s (max.poll.interval.ms allows 10 s)\n";
        assert_eq!(get(&pages, "/health"), (503, silent.to_owned()));
        assert_eq!(get(&pages, "/ready"), (503, "not ready\nthe state is REBALANCING\n".to_owned()));
        for state in [ThreadState::PartitionsAssigned, ThreadState::Running] {
            let _ = thread.enter(state, Duration::from_secs(5)).unwrap();
        }
        assert_eq!(get(&pages, "/health"), (200, "healthy\n".to_owned()));
        assert_eq!(get(&pages, "/ready"), (200, "ready\n".to_owned()));
    }

    #[test]
    fn a_topology_is_described_in_the_asked_format() {
        let pages = pages(&probe());
        assert_eq!(get(&pages, "/topology"), (200, "Text".to_owned()));
        assert_eq!(get(&pages, "/topology?a=b&format=dot"), (200, "Dot".to_owned()));
        assert_eq!(get(&pages, "/topology?format=json").0, 404);
        assert_eq!(get(&pages, "/topology?format=svg").0, 400);
    }

    #[test]
    fn info_is_json_with_the_facts_of_the_application() {
        let (status, body) = get(&pages(&probe()), "/info");
        let info: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 200);
        assert_eq!((&info["state"], &info["guarantee"]), (&json!("CREATED"), &json!("exactly_once_v2")));
        assert_eq!(info["threads"][0]["state"], "CREATED");
    }

    #[test]
    fn the_index_lists_every_page() {
        let pages = pages(&probe()).with("/explain", "why a window is open", |_| Page::text(200, ""));
        let (_, index) = get(&pages, "/");
        let links: Vec<&str> =
            index.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(links, ["/metrics", "/health", "/ready", "/topology", "/info", "/explain"]);
        assert_eq!(get(&pages, "/nothing").0, 404);
    }

    #[test]
    fn the_most_exact_route_answers() {
        let told = |what: &'static str| {
            move |request: &Request| Page::text(200, format!("{what}:{}", request.rest()))
        };
        let pages = Pages::new()
            .with_prefix("/a/", "", told("short"))
            .with_prefix("/a/b", "", told("long"))
            .with("/a/b/c", "", told("exact"));
        for (path, answer) in [
            ("/a/", "short:"),
            ("/a/x%2Fy/z", "short:x%2Fy/z"),
            ("/a/b", "short:b"),
            ("/a/b/", "long:"),
            ("/a/b/c", "exact:"),
            ("/a/b/c/", "long:c/"),
        ] {
            assert_eq!(get(&pages, path), (200, answer.to_owned()), "{path}");
        }
        assert_eq!(get(&pages, "/a").0, 404);
        let pages = pages.merge(Pages::new().with("/", "", told("start")).with("/a/b/c", "", told("new")));
        assert_eq!(get(&pages, "/").1, "start:");
        assert_eq!(get(&pages, "/a/b/c").1, "new:");
    }

    #[test]
    fn with_a_token_only_signs_of_life_are_for_everybody() {
        let pages = pages(&probe()).with("/page", "", |_| Page::text(200, "page"));
        let pages = pages.with_token(Some("secret".to_owned()));
        for path in ["/", "/page", "/info", "/topology", "/nothing"] {
            let page = pages.answer(&Request::to(path).unwrap());
            assert_eq!(page.status(), 401, "{path}");
            assert!(page.header("www-authenticate").is_some());
        }
        assert_eq!(get(&pages, "/metrics").0, 200);
        let request = Request::to("/page").unwrap();
        assert_eq!(pages.answer(&request.clone().with("authorization", "Bearer secret")).status(), 200);
        assert_eq!(pages.answer(&request.with("authorization", "Bearer secrets")).status(), 401);
    }
}
