//! Tells the other instances which tasks run here.

use std::sync::Arc;
use std::time::Duration;

use super::site::Site;

/// Told again so often: what a slow predecessor wrote over it comes right, and nothing expires.
const AGAIN: Duration = Duration::from_secs(30);
/// After a try that failed.
const RETRY: Duration = Duration::from_secs(1);

/// A thread that announces the tasks of this instance. Dropping it lets the thread end, without waiting: it may just be
/// waiting for Kafka.
pub(crate) struct Announcer {
    site: Arc<Site>,
}

impl Announcer {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub(crate) fn start(site: Arc<Site>) -> std::io::Result<Announcer> {
        let own = Arc::clone(&site);
        std::thread::Builder::new().name("riacho-announce".to_owned()).spawn(move || {
            let (mut seen, mut wait) = (0, AGAIN);
            while let Some(opened) = own.readers.wait(seen, wait) {
                wait = match own.announce() {
                    Ok(()) => AGAIN,
                    Err(error) => {
                        tracing::warn!(%error, "cannot tell the other instances which partitions are here");
                        RETRY
                    }
                };
                seen = opened;
            }
        })?;
        Ok(Announcer { site })
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.site.readers.end();
    }
}
