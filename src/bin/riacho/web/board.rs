//! Which applications run in this process, and what the start page may see of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use riacho::config::{Config, Guarantee};
use riacho::ports::Clock;
use riacho::{Overview, SystemClock};

use super::rates::Rates;

/// What the configuration says of an application that pages tell.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) application_id: String,
    pub(crate) kafka: String,
    pub(crate) guarantee: &'static str,
    pub(crate) threads: usize,
}

impl Facts {
    pub(crate) fn of(config: &Config) -> Facts {
        Facts {
            application_id: config.application_id().to_owned(),
            kafka: config.bootstrap_servers().to_owned(),
            guarantee: match config.guarantee() {
                Guarantee::ExactlyOnce => "exactly_once_v2",
                Guarantee::AtLeastOnce => "at_least_once",
            },
            threads: config.stream_threads().get(),
        }
    }
}

/// An application of this process.
pub(super) struct Shown {
    pub(super) id: &'static str,
    pub(super) facts: Facts,
    /// None where there is no topology.
    pub(super) overview: Option<Overview>,
    pub(super) since: i64,
    pub(super) rates: Rates,
}

/// The applications of this process. Clones are the same board.
///
/// Pages are handed over before an application starts, so they are given the board, and the application is put on it
/// once it runs.
#[derive(Clone)]
pub(crate) struct Board {
    clock: SystemClock,
    shown: Arc<Mutex<Vec<Shown>>>,
}

impl Board {
    /// A board without applications.
    pub(crate) fn new() -> Board {
        Board { clock: SystemClock::new(), shown: Arc::default() }
    }

    /// Shows a stream application under the name of its page.
    pub(crate) fn show(&self, id: &'static str, facts: Facts, overview: Overview) {
        self.put(id, facts, Some(overview));
    }

    /// Shows an application that has no topology.
    pub(crate) fn announce(&self, id: &'static str, facts: Facts) {
        self.put(id, facts, None);
    }

    fn put(&self, id: &'static str, facts: Facts, overview: Option<Overview>) {
        let since = self.now();
        let mut shown = self.lock();
        shown.retain(|known| known.id != id);
        shown.push(Shown { id, facts, overview, since, rates: Rates::default() });
    }

    /// Epoch milliseconds.
    pub(crate) fn now(&self) -> i64 {
        self.clock.now().0
    }

    pub(super) fn clock(&self) -> SystemClock {
        self.clock
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Vec<Shown>> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
