//! The page of the enrolments.

#![expect(clippy::indexing_slicing, reason = "what is missing in JSON is null, and fails the test")]

use std::collections::BTreeMap;

use serde_json::Value;

use crate::registration::Hall;
use crate::support::Browser;

/// What a chart draws, by label.
fn drawn(browser: &Browser, chart: &str) -> BTreeMap<String, u64> {
    let drawn: Value = browser.chart(chart);
    let labels = drawn["labels"].as_array().expect("labels").iter();
    let labels = labels.map(|label| label.as_str().expect("a text").to_owned());
    let values = drawn["series"][0]["values"].as_array().expect("values").iter();
    labels.zip(values.map(|value| value.as_u64().expect("a count"))).collect()
}

fn await_figure(browser: &Browser, name: &str, value: usize) {
    browser.await_true(&format!(
        "document.querySelector('[data-figure=\"enrolments.{name}\"]').dataset.value === '{value}'"
    ));
}

#[test]
fn the_page_shows_what_a_recount_of_the_topic_says() {
    let mut hall = Hall::open("enrolments-page");
    hall.feed(800);
    let process = Hall::start(&hall.app);
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/enrolments"));
    let mut expected = hall.recount();
    for fed in [0, 200] {
        // Without a reload: new records arrive by themselves.
        hall.feed(fed);
        expected = hall.recount();
        await_figure(&browser, "total", expected.first.len());
        await_figure(&browser, "duplicates", expected.duplicates());
    }
    browser.await_refresh();
    for (chart, field) in [
        ("enrolments-courses", "ds_curso_nome"),
        ("enrolments-payments", "ds_matricula_pagamento"),
        ("enrolments-shifts", "ds_curso_turno"),
    ] {
        assert_eq!(drawn(&browser, chart), expected.groups(field), "{chart}");
    }
    let age = browser.figure("enrolments.profile.ds_aluno_idade");
    assert_eq!(age, Some(expected.mode("ds_aluno_idade")["value"].to_string()));

    let ids = expected.newest_first();
    let shown = |page: usize| {
        let first = &ids[(page - 1) * browser.rows("enrolments").len().max(1)..];
        browser.await_true(&format!(
            "document.querySelector('#rows-enrolments tr').cells[0].textContent === '{}'",
            first[0]
        ));
    };
    shown(1);
    browser.click("[data-pager=enrolments] [data-go=next]");
    shown(2);
    browser.assert_quiet(&origin);
}

#[test]
fn hostile_texts_of_an_enrolment_are_shown_as_text_and_break_nothing() {
    let hall = Hall::open("enrolments-hostile");
    let hostile = "<img src=x onerror=\"window.owned=1\">\n'; DROP TABLE x; --\u{202e}";
    hall.feed_one("hostile", &[("ds_curso_nome", hostile), ("ds_matricula_pagamento", &"x".repeat(1 << 19))]);
    let process = Hall::start(&hall.app);
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/enrolments"));
    await_figure(&browser, "total", 1);
    browser.await_refresh();
    assert_eq!(browser.rows("enrolments")[0][1], hostile);
    assert!(browser.is("window.owned === undefined && document.querySelector('main img') === null"));
    browser.assert_quiet(&origin);
}
