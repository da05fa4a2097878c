//! How long to wait for a client, and how to wait for a future without a runtime.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;
use std::time::{Duration, Instant};

/// What the clock says. The simulator has clients of its own: these here always wait in real time.
#[expect(clippy::disallowed_methods, reason = "waiting for a real broker is the edge")]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// A moment after which a call gives up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Instant);

impl Deadline {
    pub(super) fn after(wait: Duration) -> Self {
        Deadline(now() + wait)
    }

    pub(super) fn is_over(self) -> bool {
        now() >= self.0
    }

    /// What is left, but at most `slice`, and never zero: librdkafka takes zero for "do not even try".
    pub(super) fn slice(self, slice: Duration) -> Duration {
        self.0.saturating_duration_since(now()).min(slice).max(Duration::from_millis(1))
    }
}

/// Wakes the thread that waits for a future.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for `future` on this thread; `None` when the deadline comes first.
pub(super) fn block_on<F: Future>(future: F, deadline: Deadline) -> Option<F::Output> {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    while !deadline.is_over() {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return Some(output),
            Poll::Pending => std::thread::park_timeout(deadline.slice(Duration::from_secs(1))),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_for_a_future_ends_with_its_answer_or_its_deadline() {
        let soon = Deadline::after(Duration::from_millis(5));
        assert_eq!(block_on(std::future::ready(7), Deadline::after(Duration::from_secs(1))), Some(7));
        assert_eq!(block_on(std::future::pending::<()>(), soon), None);
    }
}
