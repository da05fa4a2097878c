//! What files there are, by what is told of them on Kafka: any instance knows of all, also right after its start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use riacho::connect::files::Checksum;
use riacho::kafka::{ClientSettings, Isolation, StartAt, TopicReader};
use riacho::ports::ClientError;

use super::announcement::{Announcement, Output};
use super::folders::Stage;
use super::reference::Reference;

/// Older files are counted, and not listed any more.
const ENTRIES_MAX: usize = 20_000;
/// How long an interval of the throughput is.
pub(crate) const INTERVAL_MS: i64 = 5_000;
/// How many of them are kept.
pub(crate) const INTERVALS: usize = 60;

/// A file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) stage: Stage,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    /// When it was told of, in epoch milliseconds.
    pub(crate) created_at: i64,
    pub(crate) checksum: Checksum,
    pub(crate) schema_version: Option<u32>,
}

/// Files and rows of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sum {
    pub(crate) files: u64,
    pub(crate) rows: u64,
}

/// What was normalised in an interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) rejected: u64,
}

/// The files that were told of.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// In the order in which they appeared.
    entries: BTreeMap<(i64, u64), Entry>,
    told: u64,
    sums: BTreeMap<Stage, Sum>,
    bytes: u64,
    /// The last reference of each source: the same one may come twice.
    last: BTreeMap<String, u64>,
    references: u64,
    announcements: u64,
    points: BTreeMap<i64, Point>,
    /// Whether everything that was there at the start is read.
    pub(crate) is_read: bool,
}

impl Ledger {
    /// A raw file was told of.
    pub(crate) fn reference(&mut self, reference: &Reference, at: i64) {
        let last = self.last.entry(reference.source.clone()).or_default();
        if reference.sequence <= *last {
            return;
        }
        *last = reference.sequence;
        self.references += 1;
        self.add(Entry {
            name: reference.path.clone(),
            stage: Stage::Raw,
            rows: reference.rows,
            bytes: reference.bytes,
            created_at: at,
            checksum: reference.checksum,
            schema_version: Some(reference.schema_version),
        });
    }

    /// Files of a raw file were told of.
    pub(crate) fn announcement(&mut self, announcement: &Announcement, at: i64) {
        self.announcements += 1;
        let Announcement { schema_version, parquet, csv, rejected, .. } = announcement;
        let point = self.points.entry(at.div_euclid(INTERVAL_MS)).or_default();
        if let Some(parquet) = parquet {
            point.rows += parquet.rows;
            point.bytes += parquet.bytes;
        }
        point.rejected += rejected.as_ref().map_or(0, |rejected| rejected.rows);
        while self.points.len() > INTERVALS {
            self.points.pop_first();
        }
        let made = [
            (Stage::Normalised, parquet, Some(*schema_version)),
            (Stage::Csv, csv, Some(*schema_version)),
            (Stage::Rejected, rejected, None),
        ];
        for (stage, output, schema_version) in made {
            let Some(Output { path, rows, bytes, checksum }) = output else { continue };
            self.add(Entry {
                name: path.clone(),
                stage,
                rows: *rows,
                bytes: *bytes,
                created_at: at,
                checksum: *checksum,
                schema_version,
            });
        }
    }

    fn add(&mut self, entry: Entry) {
        let sum = self.sums.entry(entry.stage).or_default();
        sum.files += 1;
        sum.rows += entry.rows;
        self.bytes += entry.bytes;
        self.told += 1;
        self.entries.insert((entry.created_at, self.told), entry);
        if self.entries.len() > ENTRIES_MAX {
            self.entries.pop_first();
        }
    }

    pub(crate) fn sum(&self, stage: Stage) -> Sum {
        self.sums.get(&stage).copied().unwrap_or_default()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// References whose files were not told of: they wait, or went to the dead letters.
    pub(crate) fn waiting(&self) -> u64 {
        self.references.saturating_sub(self.announcements)
    }

    /// How many files are listed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The files, the newest first.
    pub(crate) fn newest(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values().rev()
    }

    /// The file of this name, if it was told of.
    pub(crate) fn find(&self, name: &str) -> Option<&Entry> {
        self.newest().find(|entry| entry.name == name)
    }

    /// The intervals up to `now`, the oldest first, without a hole; each with its beginning. None before the first file.
    pub(crate) fn points(&self, now: i64) -> Vec<(i64, Point)> {
        let Some((first, _)) = self.points.first_key_value() else { return Vec::new() };
        let last = now.div_euclid(INTERVAL_MS);
        let first = (*first).max(last + 1 - INTERVALS as i64);
        let point = |at: i64| (at * INTERVAL_MS, self.points.get(&at).copied().unwrap_or_default());
        (first..=last).map(point).collect()
    }
}

/// A ledger that is kept up to date by a thread. Dropping it ends the thread.
pub(crate) struct FollowedLedger {
    ledger: Arc<Mutex<Ledger>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where it is told of files.
#[derive(Clone)]
pub(crate) struct ToldOn {
    pub(crate) settings: ClientSettings,
    pub(crate) files: String,
    pub(crate) normalised: String,
}

impl FollowedLedger {
    const WAIT: Duration = Duration::from_millis(200);
    /// After Kafka was not well.
    const PAUSE: Duration = Duration::from_secs(2);
    const RECORDS_MAX: usize = 1000;

    /// Begins to read.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(on: ToldOn) -> std::io::Result<FollowedLedger> {
        let ledger = Arc::new(Mutex::new(Ledger::default()));
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (kept, stopped) = (Arc::clone(&ledger), Arc::clone(&stop));
        let is_stopped = move || stopped.load(std::sync::atomic::Ordering::Relaxed);
        let follow = move || {
            while !is_stopped() {
                if let Err(error) = Self::follow(&on, &kept, &is_stopped) {
                    tracing::warn!(%error, "what is told of files cannot be read; trying again");
                    std::thread::park_timeout(Self::PAUSE);
                }
            }
        };
        let thread = std::thread::Builder::new().name("extraction-ledger".to_owned()).spawn(follow)?;
        Ok(FollowedLedger { ledger, stop, thread: Some(thread) })
    }

    /// Reads everything from the beginning and goes on.
    fn follow(on: &ToldOn, kept: &Mutex<Ledger>, is_stopped: &impl Fn() -> bool) -> Result<(), ClientError> {
        let topics = [on.files.as_str(), on.normalised.as_str()];
        let mut reader =
            TopicReader::open(&on.settings, &topics, &StartAt::Beginning, Isolation::ReadCommitted)?;
        let mut ledger = Ledger::default();
        // Until all is read the old figures are better than half of the new ones.
        while !reader.is_at_end()? && !is_stopped() {
            reader.poll(Self::WAIT, Self::RECORDS_MAX, &mut |place, record| {
                tell(&mut ledger, on, &place.topic, record.value, record.timestamp.as_millis());
            })?;
        }
        ledger.is_read = true;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = ledger;
        while !is_stopped() {
            reader.poll(Self::WAIT, Self::RECORDS_MAX, &mut |place, record| {
                let mut ledger = kept.lock().unwrap_or_else(PoisonError::into_inner);
                tell(&mut ledger, on, &place.topic, record.value, record.timestamp.as_millis());
            })?;
        }
        Ok(())
    }

    /// The ledger as it is now.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(ledger: &mut Ledger, on: &ToldOn, topic: &str, value: Option<&[u8]>, at: i64) {
    // What cannot be read is told of elsewhere: it is a dead letter.
    let Some(value) = value else { return };
    if topic == on.files {
        serde_json::from_slice(value).iter().for_each(|reference| ledger.reference(reference, at));
    } else {
        serde_json::from_slice(value).iter().for_each(|announcement| ledger.announcement(announcement, at));
    }
}

impl Drop for FollowedLedger {
    fn drop(&mut self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::warn!("the thread that follows the files has panicked");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use riacho::connect::http_api::{Place, Position};

    use super::*;

    fn reference(sequence: u64) -> Reference {
        Reference {
            source: "a".to_owned(),
            sequence,
            path: format!("a-{sequence}.raw.parquet"),
            rows: 10,
            bytes: 100,
            checksum: Checksum::of_bytes(b""),
            schema_version: 1,
            first_row: 0,
            next: Position { place: Place::Single, taken: 0 },
        }
    }

    fn announcement(sequence: u64) -> Announcement {
        let output = |name: &str, rows| {
            Some(Output {
                path: format!("a-{sequence}{name}"),
                rows,
                bytes: 50,
                checksum: Checksum::of_bytes(b""),
            })
        };
        Announcement {
            source: "a".to_owned(),
            sequence,
            raw: format!("a-{sequence}.raw.parquet"),
            schema_version: 2,
            columns: Vec::new(),
            rows_read: 10,
            rows_repeated: 1,
            parquet: output(".parquet", 8),
            csv: None,
            rejected: output(".rejected.parquet", 2),
        }
    }

    #[test]
    fn files_are_counted_once_and_the_newest_comes_first() {
        let mut ledger = Ledger::default();
        [1, 2, 2, 1, 3].iter().for_each(|sequence| ledger.reference(&reference(*sequence), 1000));
        ledger.announcement(&announcement(1), 2000);
        assert_eq!(ledger.sum(Stage::Raw), Sum { files: 3, rows: 30 });
        assert_eq!(ledger.sum(Stage::Normalised), Sum { files: 1, rows: 8 });
        assert_eq!(ledger.sum(Stage::Rejected), Sum { files: 1, rows: 2 });
        assert_eq!((ledger.waiting(), ledger.bytes(), ledger.len()), (2, 400, 5));
        let names: Vec<_> = ledger.newest().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names[0], "a-1.rejected.parquet");
        assert_eq!(ledger.find("a-1.parquet").map(|entry| entry.schema_version), Some(Some(2)));
        assert_eq!(ledger.find("a-9.parquet"), None);
    }

    #[test]
    fn intervals_are_without_holes_and_bounded() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.points(1_000_000), []);
        ledger.announcement(&announcement(1), 10_000);
        ledger.announcement(&announcement(2), 21_000);
        let points = ledger.points(26_000);
        assert_eq!(
            points.iter().map(|(at, point)| (*at, point.rows)).collect::<Vec<_>>(),
            [(10_000, 8), (15_000, 0), (20_000, 8), (25_000, 0)]
        );
        assert_eq!(ledger.points(100_000_000).len(), INTERVALS);
        (0..1000).for_each(|at| ledger.announcement(&announcement(at), at as i64 * INTERVAL_MS));
        assert_eq!(ledger.points(1000 * INTERVAL_MS).len(), INTERVALS);
    }
}
