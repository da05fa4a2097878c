//! The demo of `enrolments`: a generator, the application, and a naive recount of the topic.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use indicatif::HumanCount;
use riacho::kafka::TopicReader;
use serde_json::Value;

use super::child::Child;
use super::play::Play;
use super::site::{Site, number};
use super::stage::Stage;
use super::verdict::Verdict;
use crate::Failure;
use crate::application::App;

const RATE: &str = "200";
const SHARE_DUPLICATES: &str = "0.05";
const POLL_WAIT: Duration = Duration::from_millis(50);
const POLL_RECORDS_MAX: usize = 10_000;

/// The charts of the page, each with the field of the record that it is of.
const CHARTS: [(&str, &str, &str); 3] = [
    ("courses, by how many enrolments", "courses", "ds_curso_nome"),
    ("payments, by how many enrolments", "payments", "ds_matricula_pagamento"),
    ("shifts, by how many enrolments", "shifts", "ds_curso_turno"),
];

pub(super) struct Enrolments {
    generator: Child,
    application: Child,
    site: Site,
    reader: TopicReader,
    recount: Recount,
}

impl Enrolments {
    /// Starts generator and application.
    ///
    /// # Errors
    /// When they cannot be started.
    pub(super) fn begin(stage: &mut Stage<'_>) -> Result<Enrolments, Failure> {
        let input = stage.name("registration_topic");
        let (mut settings, site) = stage.settings()?;
        settings.push(("application.id", stage.name("enrolments")));
        settings.push(("enrolments.input.topic", input.clone()));
        stage.create_topics_of(App::Enrolments, &settings)?;
        let application = stage.start("application", &["run", "enrolments"], &settings, &[])?;
        let verb = ["generate", "enrolments", "--rate", RATE, "--duplicates", SHARE_DUPLICATES];
        let target =
            vec![("bootstrap.servers", stage.bootstrap()), ("enrolments.input.topic", input.clone())];
        let reader = stage.read(&[&input])?;
        Ok(Enrolments {
            generator: stage.start("generator", &verb, &target, &[])?,
            application,
            site,
            reader,
            recount: Recount::default(),
        })
    }

    fn read(&mut self) -> Result<usize, Failure> {
        let recount = &mut self.recount;
        let read =
            self.reader.poll(POLL_WAIT, POLL_RECORDS_MAX, &mut |_, record| recount.add(record.value))?;
        Ok(read)
    }
}

impl Play for Enrolments {
    fn differences(&self) -> String {
        format!("the enrolments are made up: {RATE} per second, and one of 20 is a duplicate")
    }

    fn page(&self) -> (&Site, &'static str) {
        (&self.site, "enrolments")
    }

    fn go_on(&mut self) -> Result<(), Failure> {
        self.generator.check()?;
        self.application.check()?;
        // Beside the application, because the embedded broker does not keep its records for long.
        self.read().map(drop)
    }

    fn figures(&self) -> Option<String> {
        let summary = self.site.figures("enrolments/summary")?;
        Some(format!(
            "{} enrolments and {} duplicates on the page, {} records in the topic",
            HumanCount(number(&summary, "total")),
            HumanCount(number(&summary, "duplicates")),
            HumanCount(self.recount.records),
        ))
    }

    fn end_input(&mut self) -> Result<(), Failure> {
        self.generator.stop()
    }

    fn compare(&mut self) -> Result<Verdict, Failure> {
        self.application.check()?;
        while self.read()? > 0 {}
        let ask = |name: &str| self.site.figures(&format!("enrolments/{name}")).unwrap_or_default();
        let summary = ask("summary");
        let mut verdict = Verdict::default();
        let recount = &self.recount;
        let (counted, told) = ("counted again in the topic", "on the page");
        let distinct = recount.first.len() as u64;
        verdict.claim("distinct enrolments", (counted, distinct), (told, number(&summary, "total")));
        let duplicates = recount.records - distinct;
        verdict.claim("duplicates", (counted, duplicates), (told, number(&summary, "duplicates")));
        for (what, chart, field) in CHARTS {
            let (groups, shown) = (recount.groups(field), groups_of(&ask(chart)));
            let all: BTreeSet<&String> = groups.keys().chain(shown.keys()).collect();
            let same = all.iter().filter(|name| groups.get(**name) == shown.get(**name)).count();
            verdict.claim(what, (counted, all.len() as u64), ("the same on the page", same as u64));
        }
        Ok(verdict)
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.application.stop()
    }
}

/// The groups of a chart with their quantities.
fn groups_of(chart: &Value) -> BTreeMap<String, u64> {
    let groups = chart.get("groups").and_then(Value::as_array).into_iter().flatten();
    let named = groups.filter_map(|group| Some((group.get("name")?.as_str()?, number(group, "quantity"))));
    named.map(|(name, quantity)| (name.to_owned(), quantity)).collect()
}

/// The records of the topic, each enrolment as it came first.
#[derive(Debug, Default)]
struct Recount {
    records: u64,
    first: BTreeMap<String, Value>,
}

impl Recount {
    fn add(&mut self, value: Option<&[u8]>) {
        let record = value.and_then(|value| serde_json::from_slice::<Value>(value).ok()).unwrap_or_default();
        let id = record.get("id_matricula").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.records += 1;
        self.first.entry(id).or_insert(record);
    }

    /// How many enrolments have each value of a field.
    fn groups(&self, field: &str) -> BTreeMap<String, u64> {
        let mut groups = BTreeMap::new();
        for record in self.first.values() {
            let value = record.get(field).and_then(Value::as_str).unwrap_or_default();
            *groups.entry(value.to_owned()).or_default() += 1;
        }
        groups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enrolment_that_comes_again_is_counted_once_and_as_it_came_first() {
        let mut recount = Recount::default();
        for (id, course) in [("a", "Edificações"), ("b", "Mecânica"), ("a", "Mecânica"), ("c", "Mecânica")]
        {
            let record = serde_json::json!({ "id_matricula": id, "ds_curso_nome": course }).to_string();
            recount.add(Some(record.as_bytes()));
        }
        assert_eq!((recount.records, recount.first.len()), (4, 3));
        let expected = [("Edificações".to_owned(), 1), ("Mecânica".to_owned(), 2)];
        assert_eq!(recount.groups("ds_curso_nome"), expected.into());
    }
}
