//! What an application does beside its topology.

use std::any::Any;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use riacho::observe::http::Objection;
use riacho::observe::metrics::OwnMetrics;

/// What works beside a topology; dropping it ends it.
pub(crate) struct Beside {
    /// What it counts.
    pub(crate) metrics: OwnMetrics,
    /// What keeps it from working.
    pub(crate) objection: Objection,
    _parts: Box<dyn Any>,
}

impl Beside {
    /// Something that counts nothing and that nothing depends on.
    pub(crate) fn of(parts: impl Any) -> Beside {
        let objection: Objection = Arc::new(|| None);
        Beside { metrics: OwnMetrics::default(), objection, _parts: Box::new(parts) }
    }
}

/// Waits as long as it is told, or less when the thread is asked to end, and says whether it is.
pub(crate) type Wait = dyn Fn(Duration) -> bool;

/// A thread that is asked to end, and awaited, when it is dropped.
pub(crate) struct Worker {
    name: &'static str,
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `work`, which has to ask its argument now and then.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        name: &'static str,
        work: impl FnOnce(&Wait) + Send + 'static,
    ) -> std::io::Result<Worker> {
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let stopped = Arc::clone(&stop);
        let wait = move |time: Duration| {
            let (requested, changed) = &*stopped;
            let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = changed.wait_timeout_while(guard, time, |requested| !*requested);
            *waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&wait))?;
        Ok(Worker { name, stop, thread: Some(thread) })
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let (requested, changed) = &*self.stop;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!(thread = self.name, "a thread beside the topology has panicked");
        }
    }
}
