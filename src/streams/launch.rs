//! What an application is started with.

use std::sync::Arc;

use riacho_topology::Topology;

use super::Streams;
use crate::config::Config;
use crate::error::Error;
use crate::observe::http::{Objection, Pages};
use crate::query::Queries;

/// An application that is about to start: a computation, a configuration, and what it shows.
///
/// ```no_run
/// use riacho::config::Config;
/// use riacho::observe::http::{Page, Pages};
/// use riacho::{Launch, StreamsBuilder};
///
/// let topology = StreamsBuilder::new().build()?;
/// let config = Config::of([("application.id", "shop"), ("bootstrap.servers", "localhost:9092")])?;
/// let pages = Pages::new().with("/hello", "greets", |_| Page::text(200, "hello"));
/// let streams = Launch::of(topology, config).with_pages(pages).start()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Launch {
    pub(super) topology: Topology,
    pub(super) config: Config,
    pub(super) pages: Pages,
    pub(super) queries: Queries,
    pub(super) objection: Objection,
}

impl Launch {
    /// An application that shows the standard pages only.
    pub fn of(topology: Topology, config: Config) -> Launch {
        Launch {
            topology,
            config,
            pages: Pages::new(),
            queries: Queries::new(),
            objection: Arc::new(|| None),
        }
    }

    /// Serves these pages too, at `riacho.http.address`. They may take the place of standard ones; `/` is the index
    /// unless there is a page for it.
    #[must_use]
    pub fn with_pages(mut self, pages: Pages) -> Launch {
        self.pages = self.pages.merge(pages);
        self
    }

    /// Answers these queries, and serves the stores that they show at `/stores`.
    #[must_use]
    pub fn with_queries(self, queries: Queries) -> Launch {
        Launch { queries, ..self }
    }

    /// Answers `/ready` with 503 while `objection` says what is missing, although the topology runs.
    #[must_use]
    pub fn ready_unless(self, objection: Objection) -> Launch {
        Launch { objection, ..self }
    }

    /// Starts the application.
    ///
    /// # Errors
    /// As [`Streams::start`]; also when there is no store that a query wants.
    pub fn start(self) -> Result<Streams, Error> {
        self.start_unless(&|| false)
    }

    /// Starts the application, giving up with [`Error::Stopped`] as soon as `stop` says so.
    ///
    /// # Errors
    /// As [`Streams::start`].
    pub fn start_unless(self, stop: &dyn Fn() -> bool) -> Result<Streams, Error> {
        Streams::launch(self, stop)
    }
}
