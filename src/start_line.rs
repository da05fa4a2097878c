//! Where the threads of an instance wait for one another before they join the group.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Members that join at the same moment are one rebalance. One that joins a little later is a second one, and those
/// before it learn of that only with their next heartbeat.
#[derive(Debug)]
pub(crate) struct StartLine {
    missing: Mutex<usize>,
    all_there: Condvar,
}

impl StartLine {
    /// For so many threads.
    pub(crate) fn new(threads: usize) -> Self {
        StartLine { missing: Mutex::new(threads), all_there: Condvar::new() }
    }

    /// Waits until all threads have come here once, at most `patience`: one may have failed on its way.
    pub(crate) fn wait(&self, patience: Duration) {
        let mut missing = self.missing.lock().unwrap_or_else(PoisonError::into_inner);
        *missing = missing.saturating_sub(1);
        if *missing == 0 {
            self.all_there.notify_all();
            return;
        }
        let waited = self.all_there.wait_timeout_while(missing, patience, |missing| *missing > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn nobody_passes_before_all_are_there_and_nobody_waits_afterwards() {
        const THREADS: usize = 4;
        let (line, come) = (Arc::new(StartLine::new(THREADS)), Arc::new(AtomicUsize::new(0)));
        let threads = (0..THREADS).map(|_| {
            let (line, come) = (Arc::clone(&line), Arc::clone(&come));
            std::thread::spawn(move || {
                come.fetch_add(1, Ordering::SeqCst);
                line.wait(Duration::from_secs(60));
                come.load(Ordering::SeqCst)
            })
        });
        let threads: Vec<_> = threads.collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), THREADS);
        }
        line.wait(Duration::from_secs(60));
    }

    #[test]
    fn one_that_never_comes_holds_nobody_up_for_ever() {
        StartLine::new(2).wait(Duration::from_millis(1));
    }
}
