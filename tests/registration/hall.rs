//! The real program with its enrolments, records in its input, and a naive recount of them.

#![expect(clippy::indexing_slicing, reason = "what is missing in JSON is null, and fails the test")]

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use riacho::Serde as _;
use serde_json::{Value, json};

use crate::enrolments::enrolment::EnrolmentSerde;
use crate::enrolments::generator::Generator;
use crate::support::{App, Client, Isolation, Kafka, Process, TestRecord, unique};

pub(crate) const PARTITIONS: i32 = 4;

/// An input topic, and the application that reads it.
pub(crate) struct Hall {
    client: Client,
    pub(crate) app: App,
    input: String,
    generator: Generator,
}

impl Hall {
    pub(crate) fn open(name: &str) -> Hall {
        let client = Kafka::shared().client().clone();
        let input = unique(&format!("{name}-in"));
        client.create_topic(&input, PARTITIONS);
        let app = App::on(&client, name).with("enrolments.input.topic", &input);
        Hall { client, app, input, generator: Generator::new(5, 0.1) }
    }

    /// Feeds enrolments, every tenth of them a duplicate.
    pub(crate) fn feed(&mut self, count: usize) {
        let today = NaiveDate::from_ymd_opt(2026, 11, 21).expect("a day");
        let draw = |_| {
            let enrolment = self.generator.next(today);
            let mut value = Vec::new();
            EnrolmentSerde.serialize(enrolment, &mut value).expect("it is JSON");
            TestRecord::new(enrolment.id.as_str(), value)
        };
        let records: Vec<TestRecord> = (0..count).map(draw).collect();
        self.client.produce(&self.input, &records);
    }

    /// Feeds an enrolment of the latest day in which these fields are as given.
    pub(crate) fn feed_one(&self, id: &str, fields: &[(&str, &str)]) {
        let mut record = json!({
            "id_matricula": id, "ds_curso_nome": "Edificações", "ds_curso_turno": "Tarde", "ds_curso_duracao": 4,
            "ds_curso_inicio": "2027-01-01", "ds_aluno_idade": 20, "ds_aluno_sexo": "F",
            "ds_aluno_responsavel_financeiro": "Não", "ds_matricula_pagamento": "Pix", "dt_matricula": "2026-12-01",
        });
        for (field, value) in fields {
            record[*field] = json!(value);
        }
        self.client.produce(&self.input, &[TestRecord::new(id, record.to_string())]);
    }

    /// Starts an instance; others are started with a sibling of the application.
    pub(crate) fn start(app: &App) -> Process {
        let mut process = app.spawn_line(&["run", "enrolments"]);
        process.await_that("it is ready", |process| {
            process.get("/ready").is_some_and(|(status, _)| status == 200)
        });
        process
    }

    pub(crate) fn recount(&self) -> Recount {
        let (mut first, mut records) = (BTreeMap::new(), 0);
        for record in self.client.read_all(&self.input, Isolation::ReadCommitted) {
            let value: Value = serde_json::from_slice(&record.value.expect("a value")).expect("JSON");
            let id = value["id_matricula"].as_str().expect("an id").to_owned();
            first.entry(id).or_insert(value);
            records += 1;
        }
        Recount { first, records }
    }
}

/// The enrolments of a topic, each as it came first.
pub(crate) struct Recount {
    pub(crate) first: BTreeMap<String, Value>,
    records: usize,
}

impl Recount {
    pub(crate) fn duplicates(&self) -> usize {
        self.records - self.first.len()
    }

    /// How often each value of a field occurs.
    pub(crate) fn groups(&self, field: &str) -> BTreeMap<String, u64> {
        let mut groups = BTreeMap::new();
        for value in self.first.values() {
            *groups.entry(value[field].as_str().expect("a text").to_owned()).or_default() += 1;
        }
        groups
    }

    /// The most frequent value of a field with its count and that of all; the smallest of equals.
    pub(crate) fn mode(&self, field: &str) -> Value {
        let mut counts: Vec<(Value, u64)> = Vec::new();
        for value in self.first.values() {
            match counts.iter_mut().find(|(known, _)| *known == value[field]) {
                Some((_, count)) => *count += 1,
                None => counts.push((value[field].clone(), 1)),
            }
        }
        let rank = |value: &Value| (value.as_u64(), value.as_str().map(str::to_owned));
        counts.sort_by_key(|(value, count)| (std::cmp::Reverse(*count), rank(value)));
        let (value, quantity) = counts.first().expect("there are enrolments");
        json!({ "value": value, "quantity": quantity, "of": self.first.len() })
    }

    /// The ids in the order of the table: the latest day first, then by id.
    pub(crate) fn newest_first(&self) -> Vec<String> {
        let mut all: Vec<_> = self.first.iter().collect();
        let day = |value: &Value| value["dt_matricula"].as_str().expect("a date").to_owned();
        all.sort_by_key(|(id, value)| (std::cmp::Reverse(day(value)), (*id).clone()));
        all.into_iter().map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn days(&self) -> BTreeSet<String> {
        self.first.values().map(|value| value["dt_matricula"].as_str().expect("a date").to_owned()).collect()
    }
}
