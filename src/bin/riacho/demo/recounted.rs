//! A demo of an application whose page shows figures of a topic: a generator, the application, and a recount of the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use riacho::kafka::TopicReader;
use serde_json::Value;

use super::child::Child;
use super::play::Play;
use super::site::Site;
use super::stage::{Settings, Stage};
use super::verdict::Verdict;
use crate::Failure;
use crate::application::App;

const POLL_WAIT: Duration = Duration::from_millis(50);
const POLL_RECORDS_MAX: usize = 10_000;

/// Where figures come from, as verdicts call it.
pub(super) const COUNTED: &str = "counted again in the topic";
pub(super) const TOLD: &str = "on the page";

/// Counts the records of a topic again, in the simplest way, and knows what the page says of them.
pub(super) trait Recount: Default {
    /// The application, whose page and figures are below its name.
    const APP: App;
    /// The setting that names the topic, and the topic.
    const INPUT: (&'static str, &'static str);
    /// What else the application is told.
    const SETTINGS: &'static [(&'static str, &'static str)];
    /// What its generator is told.
    const GENERATOR: &'static [&'static str];

    /// As [`Play::differences`].
    fn differences() -> String;

    /// Counts a record.
    fn add(&mut self, value: Option<&[u8]>);

    /// One line of figures, with those of the page's summary.
    fn line(&self, summary: &Value) -> String;

    /// Compares with the page, which `ask` asks.
    fn compare(&self, ask: &dyn Fn(&str) -> Value) -> Verdict;
}

/// The demo of the application that `R` counts for.
pub(super) struct Recounted<R> {
    generator: Child,
    application: Child,
    site: Site,
    reader: TopicReader,
    recount: R,
}

impl<R: Recount> Recounted<R> {
    /// Starts generator and application.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn begin(stage: &mut Stage<'_>) -> Result<Recounted<R>, Failure> {
        let app = R::APP.name();
        let (key, topic) = R::INPUT;
        let input = stage.name(topic);
        let (mut settings, site) = stage.settings()?;
        settings.push(("application.id", stage.name(app)));
        settings.push((key, input.clone()));
        settings.extend(R::SETTINGS.iter().map(|&(key, value)| (key, value.to_owned())));
        stage.create_topics_of(R::APP, &settings)?;
        let application = stage.start("application", &["run", app], &settings, &[])?;
        let target: Settings = vec![("bootstrap.servers", stage.bootstrap()), (key, input.clone())];
        let reader = stage.read(&[&input])?;
        let verb = [&["generate", app], R::GENERATOR].concat();
        let generator = stage.start("generator", &verb, &target, &[])?;
        Ok(Recounted { generator, application, site, reader, recount: R::default() })
    }

    fn read(&mut self) -> Result<usize, Failure> {
        let recount = &mut self.recount;
        Ok(self.reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut |_, record| recount.add(record.value))?)
    }
}

impl<R: Recount> Play for Recounted<R> {
    fn differences(&self) -> String {
        R::differences()
    }

    fn page(&self) -> (&Site, &'static str) {
        (&self.site, R::APP.name())
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.generator.check()?;
        self.application.check()?;
        // Beside the application, because the embedded broker does not keep its records for long.
        self.read().map(drop)
    }

    fn figures(&self) -> Option<String> {
        let summary = self.site.figures(&format!("{}/summary", R::APP.name()))?;
        Some(self.recount.line(&summary))
    }

    fn end_input(&mut self) -> Result<(), Failure> {
        self.generator.stop()
    }

    fn compare(&mut self) -> Result<Verdict, Failure> {
        self.application.check()?;
        while self.read()? > 0 {}
        let app = R::APP.name();
        Ok(self.recount.compare(&|name| self.site.figures(&format!("{app}/{name}")).unwrap_or_default()))
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.application.stop()
    }
}

/// Adds a chart to a verdict: how many groups there are, and how many of them the page shows alike.
pub(super) fn claim_groups<G: PartialEq>(
    verdict: &mut Verdict,
    what: &'static str,
    counted: &BTreeMap<String, G>,
    shown: &BTreeMap<String, G>,
) {
    let all: BTreeSet<&String> = counted.keys().chain(shown.keys()).collect();
    let same = all.iter().filter(|name| counted.get(**name) == shown.get(**name)).count();
    verdict.claim(what, (COUNTED, all.len() as u64), ("the same on the page", same as u64));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_is_right_when_every_group_is_on_both_sides_and_alike() {
        let groups = |groups: &[(&str, u64)]| -> BTreeMap<String, u64> {
            groups.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
        };
        let passes = |shown: &[(&str, u64)]| {
            let mut verdict = Verdict::default();
            claim_groups(&mut verdict, "chart", &groups(&[("a", 1), ("b", 2)]), &groups(shown));
            verdict.passed()
        };
        assert!(passes(&[("b", 2), ("a", 1)]));
        for wrong in [&[("a", 1)][..], &[("a", 1), ("b", 3)], &[("a", 1), ("b", 2), ("c", 1)], &[]] {
            assert!(!passes(wrong), "{wrong:?}");
        }
    }
}
