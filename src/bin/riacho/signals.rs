//! SIGINT and SIGTERM: the first asks to stop, the second ends the process at once.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

const INTERRUPTED: i32 = 130;
const TERMINATED: i32 = 143;

/// Listens for signals from its making to the end of the process.
#[derive(Clone)]
pub(crate) struct Signals(Arc<(Mutex<bool>, Condvar)>);

impl Signals {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the system gives no thread or no signals.
    pub(crate) fn listen() -> io::Result<Signals> {
        let signals = Signals(Arc::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (mut interrupts, mut terminations) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        let listener = signals.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut next = || {
                runtime.block_on(std::future::poll_fn(|context| {
                    match (interrupts.poll_recv(context), terminations.poll_recv(context)) {
                        (Poll::Ready(_), _) => Poll::Ready(INTERRUPTED),
                        (_, Poll::Ready(_)) => Poll::Ready(TERMINATED),
                        _ => Poll::Pending,
                    }
                }))
            };
            next();
            listener.request();
            std::process::exit(next());
        })?;
        Ok(signals)
    }

    fn request(&self) {
        let (requested, changed) = &*self.0;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether somebody wants the program to stop.
    pub(crate) fn requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time`, or less if somebody wants the program to stop; tells whether that is so.
    pub(crate) fn wait(&self, time: Duration) -> bool {
        let (requested, changed) = &*self.0;
        let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(guard, time, |requested| !*requested);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
