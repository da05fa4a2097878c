//! The demo of `enrolments`: what a naive recount of the topic is compared with.

use std::collections::BTreeMap;

use indicatif::HumanCount;
use serde_json::Value;

use super::recounted::{COUNTED, Recount, TOLD, claim_groups};
use super::site::number;
use super::verdict::Verdict;
use crate::application::App;

const RATE: &str = "200";

/// The charts of the page, each with the field of the record that it is of.
const CHARTS: [(&str, &str, &str); 3] = [
    ("courses, by how many enrolments", "courses", "ds_curso_nome"),
    ("payments, by how many enrolments", "payments", "ds_matricula_pagamento"),
    ("shifts, by how many enrolments", "shifts", "ds_curso_turno"),
];

/// The groups of a chart with their quantities.
fn groups_of(chart: &Value) -> BTreeMap<String, u64> {
    let groups = chart.get("groups").and_then(Value::as_array).into_iter().flatten();
    let named = groups.filter_map(|group| Some((group.get("name")?.as_str()?, number(group, "quantity"))));
    named.map(|(name, quantity)| (name.to_owned(), quantity)).collect()
}

/// The records of the topic, each enrolment as it came first.
#[derive(Debug, Default)]
pub(super) struct Enrolments {
    records: u64,
    first: BTreeMap<String, Value>,
}

impl Recount for Enrolments {
    const APP: App = App::Enrolments;
    const INPUT: (&'static str, &'static str) = ("enrolments.input.topic", "registration_topic");
    const SETTINGS: &'static [(&'static str, &'static str)] = &[];
    const GENERATOR: &'static [&'static str] = &["--rate", RATE, "--duplicates", "0.05"];

    fn differences() -> String {
        format!("the enrolments are made up: {RATE} per second, and one of 20 is a duplicate")
    }

    fn add(&mut self, value: Option<&[u8]>) {
        let record = value.and_then(|value| serde_json::from_slice::<Value>(value).ok()).unwrap_or_default();
        let id = record.get("id_matricula").and_then(Value::as_str).unwrap_or_default().to_owned();
        self.records += 1;
        self.first.entry(id).or_insert(record);
    }

    fn line(&self, summary: &Value) -> String {
        format!(
            "{} enrolments and {} duplicates on the page, {} records in the topic",
            HumanCount(number(summary, "total")),
            HumanCount(number(summary, "duplicates")),
            HumanCount(self.records),
        )
    }

    fn compare(&self, ask: &dyn Fn(&str) -> Value) -> Verdict {
        let summary = ask("summary");
        let mut verdict = Verdict::default();
        let distinct = self.first.len() as u64;
        verdict.claim("distinct enrolments", (COUNTED, distinct), (TOLD, number(&summary, "total")));
        let duplicates = self.records - distinct;
        verdict.claim("duplicates", (COUNTED, duplicates), (TOLD, number(&summary, "duplicates")));
        for (what, chart, field) in CHARTS {
            claim_groups(&mut verdict, what, &self.groups(field), &groups_of(&ask(chart)));
        }
        verdict
    }
}

impl Enrolments {
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
        let mut recount = Enrolments::default();
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
