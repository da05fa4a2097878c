//! What is shown while the demo runs: the figures of a moment, and the rates between moments.

use std::collections::VecDeque;
use std::time::Duration;

use riacho::lifecycle::ClientState;
use riacho::ports::Clock as _;
use riacho::{Snapshot, Streams, SystemClock};

use super::board::{Board, Standing};
use super::proof::Proof;
use super::source::Sent;

/// Rates are taken over so long: shorter ones flicker, longer ones lag.
const RATE_SPAN: Duration = Duration::from_secs(2);
/// Time between two bars of the sparkline.
const BAR_SPAN: Duration = Duration::from_millis(500);
const BARS_MAX: usize = 600;
const TOP_MAX: usize = 40;

/// What the demo is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The application joins its group.
    Starting,
    /// Transactions flow.
    Running,
    /// The last windows are closed and read.
    Closing,
}

/// The figures of a moment.
#[derive(Clone, Debug)]
pub(super) struct Figures {
    pub(super) title: String,
    pub(super) stage: Stage,
    pub(super) state: ClientState,
    pub(super) page_url: Option<String>,
    pub(super) topology: String,
    /// Since transactions flow.
    pub(super) lasted: Duration,
    /// When it ends by itself.
    pub(super) duration: Option<Duration>,
    pub(super) progress: Snapshot,
    pub(super) sent: u64,
    /// Whether the generator waited for the application lately.
    pub(super) held: bool,
    pub(super) records_per_s: f64,
    pub(super) commits_per_s: f64,
    /// Records per second, oldest first.
    pub(super) bars: Vec<u64>,
    pub(super) board: Standing,
    /// How many vendor windows were compared, and how many of them are wrong.
    pub(super) compared: (u64, u64),
}

impl Figures {
    /// Windows that are open. The application counts a window in every task that has it.
    pub(super) fn windows_open(&self) -> usize {
        self.progress.windows_open.div_ceil(self.progress.tasks.max(1))
    }

    /// Records that are sent and not committed.
    pub(super) fn lag(&self) -> u64 {
        self.sent.saturating_sub(self.progress.records)
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    records: u64,
    commits: u64,
    held: u64,
}

/// Takes figures and remembers what rates need.
pub(super) struct Meter {
    title: String,
    duration: Option<Duration>,
    began: Option<Duration>,
    ended: Option<Duration>,
    samples: VecDeque<Sample>,
    bars: VecDeque<u64>,
    bar_from: Option<Sample>,
}

impl Meter {
    pub(super) fn new(title: &str, duration: Option<Duration>) -> Meter {
        Meter {
            title: title.to_owned(),
            duration,
            began: None,
            ended: None,
            samples: VecDeque::new(),
            bars: VecDeque::new(),
            bar_from: None,
        }
    }

    /// Transactions flow from now on.
    pub(super) fn begin(&mut self, clock: &SystemClock) {
        self.began = Some(clock.monotonic());
    }

    /// They do not any more.
    pub(super) fn end(&mut self, clock: &SystemClock) {
        self.ended = Some(clock.monotonic());
    }

    /// Whether they have flown as long as they should.
    pub(super) fn is_over(&self, clock: &SystemClock) -> bool {
        let ran = self.began.map_or(Duration::ZERO, |began| clock.monotonic() - began);
        self.duration.is_some_and(|duration| ran >= duration)
    }

    /// How long they flowed.
    pub(super) fn lasted(&self) -> Duration {
        let (Some(began), Some(ended)) = (self.began, self.ended) else { return Duration::ZERO };
        ended.saturating_sub(began)
    }

    /// Takes the figures of now.
    pub(super) fn measure(
        &mut self,
        clock: &SystemClock,
        stage: Stage,
        sent: &Sent,
        streams: &Streams,
        board: &Board,
        proof: &Proof,
    ) -> Figures {
        let now = clock.monotonic();
        // Before the progress, so that the lag is not negative.
        let progress = streams.progress();
        let total = sent.total();
        let sample =
            Sample { at: now, records: progress.records, commits: progress.commits, held: sent.times_held() };
        if stage == Stage::Running {
            self.draw_bar(sample);
        }
        self.samples.push_back(sample);
        while self.samples.len() > 2 && self.samples.get(1).is_some_and(|next| now - next.at >= RATE_SPAN) {
            self.samples.pop_front();
        }
        let first = self.samples.front().copied().unwrap_or(sample);
        let span = (now - first.at).as_secs_f64();
        let rate = |count: u64| if span > 0.0 { count as f64 / span } else { 0.0 };
        let until = self.ended.unwrap_or(now);
        Figures {
            title: self.title.clone(),
            stage,
            state: streams.state(),
            page_url: streams.http_address().map(|address| format!("http://{address}/")),
            topology: outline(streams),
            lasted: self.began.map_or(Duration::ZERO, |began| until.saturating_sub(began)),
            duration: self.duration,
            sent: total,
            held: sample.held > first.held,
            records_per_s: rate(progress.records - first.records),
            commits_per_s: rate(progress.commits - first.commits),
            progress,
            bars: self.bars.iter().copied().collect(),
            board: board.standing(TOP_MAX),
            compared: proof.so_far(),
        }
    }

    fn draw_bar(&mut self, sample: Sample) {
        let from = *self.bar_from.get_or_insert(sample);
        let span = sample.at - from.at;
        if span >= BAR_SPAN {
            self.bar_from = Some(sample);
            self.bars.push_back(((sample.records - from.records) as f64 / span.as_secs_f64()) as u64);
            if self.bars.len() > BARS_MAX {
                self.bars.pop_front();
            }
        }
    }
}

/// The topology in a line.
fn outline(streams: &Streams) -> String {
    let topology = streams.topology();
    let list = |names: Vec<&str>| names.join(", ");
    let stores =
        topology.subtopologies().iter().flat_map(|part| part.stores.iter().map(|store| store.name.as_str()));
    format!(
        "{} → {} → {}",
        list(topology.external_sources().into_iter().collect()),
        list(stores.collect()),
        list(topology.external_sinks().into_iter().collect()),
    )
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345, "12,345"), (1_234_567, "1,234,567")];
        for (number, text) in cases {
            assert_eq!(grouped(number), text);
        }
    }
}
