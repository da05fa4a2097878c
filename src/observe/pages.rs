//! What the HTTP server has to say, page by page. Nothing here knows of sockets.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::metrics::Metrics;
use crate::lifecycle::{Lifecycle, Verdict};

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// The media type.
    pub content_type: &'static str,
    /// The text.
    pub body: String,
}

impl Page {
    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Page {
        Page { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Page {
        Page { status, content_type: "application/json", body: format!("{body:#}\n") }
    }
}

/// The part of an address after the question mark, as it came.
#[derive(Clone, Copy, Debug, Default)]
pub struct Query<'a>(pub(super) &'a str);

impl<'a> Query<'a> {
    /// The value of a parameter: the first one of this name, without decoding.
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.0.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key == name).then_some(value)
        })
    }
}

type Handler = Box<dyn Fn(Query<'_>) -> Page + Send + Sync>;

struct Route {
    path: &'static str,
    about: &'static str,
    handler: Handler,
}

/// The pages of a server, and an index of them at `/`.
#[derive(Default)]
pub struct Pages {
    routes: Vec<Route>,
}

impl Pages {
    /// No pages but the index.
    pub fn new() -> Pages {
        Pages::default()
    }

    /// Adds a page; `about` stands in the index. The handler must answer quickly: all requests share one thread.
    #[must_use]
    pub fn with(
        mut self,
        path: &'static str,
        about: &'static str,
        handler: impl Fn(Query<'_>) -> Page + Send + Sync + 'static,
    ) -> Pages {
        self.routes.retain(|route| route.path != path);
        self.routes.push(Route { path, about, handler: Box::new(handler) });
        self
    }

    /// The answer to a request for `path`.
    pub(super) fn answer(&self, path: &str, query: Query<'_>) -> Page {
        if path == "/" {
            return self.index();
        }
        match self.routes.iter().find(|route| route.path == path) {
            Some(route) => (route.handler)(query),
            None => Page::text(404, "There is no such page; / lists those there are.\n"),
        }
    }

    fn index(&self) -> Page {
        let item = |route: &Route| format!("<li><a href=\"{0}\">{0}</a> {1}</li>\n", route.path, route.about);
        let items: String = self.routes.iter().map(item).collect();
        let head =
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>riacho</title></head>";
        let body = format!("{head}\n<body><h1>riacho</h1>\n<ul>\n{items}</ul></body></html>\n");
        Page { status: 200, content_type: "text/html; charset=utf-8", body }
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
}

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
            .with("/metrics", "metrics for Prometheus", move |_| metrics.metrics())
            .with("/health", "200 while the process is alive", move |_| {
                verdict("healthy", &health.lifecycle.health((health.now)()))
            })
            .with("/ready", "200 while records are processed", move |_| {
                verdict("ready", &ready.lifecycle.readiness((ready.now)()))
            })
            .with("/topology", "what is computed; also ?format=dot and ?format=json", move |query| {
                topology(query, &describe)
            })
            .with("/info", "version, state and threads", move |_| info.info(&facts))
    }

    fn metrics(&self) -> Page {
        match self.metrics.render(&self.lifecycle, (self.now)()) {
            Ok(body) => Page { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body },
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

fn topology(query: Query<'_>, describe: &dyn Fn(TopologyFormat) -> Option<String>) -> Page {
    let format = match query.get("format") {
        None | Some("text") => TopologyFormat::Text,
        Some("dot") => TopologyFormat::Dot,
        Some("json") => TopologyFormat::Json,
        Some(_) => return Page::text(400, "format must be text, dot or json\n"),
    };
    match describe(format) {
        Some(body) => Page { status: 200, content_type: format.content_type(), body },
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
        }
    }

    fn pages(probe: &Probe) -> Pages {
        let describe = |format| (format != TopologyFormat::Json).then(|| format!("{format:?}"));
        probe.clone().pages(describe, Map::from_iter([("guarantee".to_owned(), json!("exactly_once_v2"))]))
    }

    fn get(pages: &Pages, path: &str) -> (u16, String) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let page = pages.answer(path, Query(query));
        (page.status, page.body)
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
}
