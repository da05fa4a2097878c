//! The answers of one instance and of two, held against a naive recount of the topic.

#![expect(clippy::indexing_slicing, reason = "what is missing in JSON is null, and fails the test")]

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::hall::{Hall, PARTITIONS, Recount};
use crate::support::{LIMIT, Process, await_until};

const FIELDS: [&str; 6] = [
    "ds_aluno_sexo",
    "ds_aluno_idade",
    "ds_curso_turno",
    "ds_aluno_responsavel_financeiro",
    "ds_matricula_pagamento",
    "ds_curso_nome",
];

/// An answer, if it is one of now.
fn ask(process: &Process, question: &str) -> Option<Value> {
    let (status, body) = process.get(&format!("/api/enrolments/{question}"))?;
    let answer: Value = serde_json::from_str(&body).expect("every answer is JSON");
    assert_eq!(status, 200, "{answer}");
    (answer["state"] == "ready").then(|| answer["data"].clone())
}

/// Awaits that an instance counts everything, with so many instances at work, and holds all its answers against the
/// recount. Never may it count more than there is.
fn agree(process: &Process, expected: &Recount, instances: usize) {
    let total = expected.first.len();
    await_until(LIMIT, "all enrolments are counted", || {
        let Some(summary) = ask(process, "summary") else { return false };
        let counted =
            [&summary["total"], &summary["duplicates"]].map(|count| count.as_u64().expect("a count"));
        let right = [total, expected.duplicates()].map(|count| count as u64);
        assert!(counted[0] <= right[0] && counted[1] <= right[1], "more than there is: {summary}");
        counted == right && summary["instances"] == instances
    });
    // The stores are of different tasks: one of them may be a commit ahead of the others.
    await_until(LIMIT, "the last enrolment is the recount's, and all partitions are somebody's", || {
        ask(process, "summary").is_some_and(|summary| {
            summary["last_enrolment"].as_str() == expected.days().last().map(String::as_str)
                && summary["partitions_assigned"] == PARTITIONS
        })
    });
    for (question, field) in [("courses", FIELDS[5]), ("payments", FIELDS[4]), ("shifts", FIELDS[2])] {
        await_until(LIMIT, &format!("{question} are those of the recount"), || {
            groups(process, question).is_some_and(|found| found == expected.groups(field))
        });
    }
    let profile: Value = FIELDS.map(|field| (field.to_owned(), expected.mode(field))).into_iter().collect();
    await_until(LIMIT, "the profile is that of the recount", || {
        ask(process, "profile").is_some_and(|found| found == profile)
    });
    await_until(LIMIT, "the table's pages are the recount's, newest first", || {
        table(process).is_some_and(|ids| ids == expected.newest_first())
    });
}

fn groups(process: &Process, question: &str) -> Option<BTreeMap<String, u64>> {
    let data = ask(process, question)?;
    let groups = data["groups"].as_array().expect("a list").clone();
    let quantities: Vec<u64> = groups.iter().filter_map(|group| group["quantity"].as_u64()).collect();
    assert!(quantities.is_sorted_by(|one, next| one >= next), "the largest first: {quantities:?}");
    assert!(groups.iter().all(|group| group["other"] == json!(false)));
    let name = |group: &Value| group["name"].as_str().expect("a name").to_owned();
    Some(groups.iter().map(name).zip(quantities).collect())
}

/// The ids of all pages, if nothing came while they were turned.
fn table(process: &Process) -> Option<Vec<String>> {
    let (mut ids, mut page) = (Vec::new(), 1);
    loop {
        let data = ask(process, &format!("table?page={page}&size=100"))?;
        let rows = data["rows"].as_array().expect("rows");
        ids.extend(rows.iter().map(|row| row["id_matricula"].as_str().expect("an id").to_owned()));
        if rows.is_empty() {
            return (data["total"] == ids.len()).then_some(ids);
        }
        page += 1;
    }
}

#[test]
fn either_of_two_instances_tells_what_a_recount_says_also_after_a_rebalance() {
    let mut hall = Hall::open("registration");
    hall.feed(1500);
    let one = Hall::start(&hall.app);
    let first = hall.recount();
    assert!(first.duplicates() > 50, "the generator makes duplicates");
    agree(&one, &first, 1);

    // Another comes: the state of its partitions moves there, and both see all of it.
    let mut two = Hall::start(&hall.app.sibling());
    hall.feed(700);
    let second = hall.recount();
    for instance in [&one, &two] {
        agree(instance, &second, 2);
    }

    // It dies: what it had counted is neither lost nor counted again.
    two.kill();
    hall.feed(300);
    agree(&one, &hall.recount(), 1);
}

#[test]
fn a_wrong_question_is_answered_as_one() {
    let hall = Hall::open("registration-wrong");
    let process = Hall::start(&hall.app);
    for (question, status) in [("table?page=0", 400), ("table?size=101", 400), ("nothing", 404)] {
        let (found, body) = process.get(&format!("/api/enrolments/{question}")).expect("an answer");
        assert_eq!(found, status, "{body}");
    }
    await_until(LIMIT, "an empty topic has figures", || {
        let modes = ask(&process, "profile");
        modes.is_some_and(|modes| FIELDS.iter().all(|field| modes[*field] == Value::Null))
    });
    let summary = ask(&process, "summary").expect("it is ready");
    assert_eq!((&summary["total"], &summary["last_enrolment"]), (&json!(0), &Value::Null));
}
