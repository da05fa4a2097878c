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
    // In 10 s every record is to be seen: one that just misses a round has the next one.
    let interval = browser.run("return (await import('/assets/pages/enrolments.js')).interval");
    assert!(interval.as_u64().is_some_and(|millis| millis <= 5000), "{interval}");
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
    let hostile = [
        "<img src=x onerror=\"window.owned=1\">",
        "'; DROP TABLE matriculas; --",
        "</script><script>window.owned=1</script>",
        "um\nde\u{202e}sárt\u{200f}{a|b}",
        "__proto__",
    ];
    for text in hostile {
        hall.feed_one(text, &[("ds_curso_nome", text), ("ds_curso_turno", text), ("ds_aluno_sexo", text)]);
    }
    // About as long as a record can be without a broker being told to take longer ones.
    hall.feed_one("long", &[("ds_matricula_pagamento", &"x".repeat(990_000))]);
    let process = Hall::start(&hall.app);
    let origin = format!("http://127.0.0.1:{}", process.port);
    let browser = Browser::start();
    browser.open(&format!("{origin}/enrolments"));
    await_figure(&browser, "total", hostile.len() + 1);
    browser.await_refresh();
    let (rows, courses) = (browser.rows("enrolments"), browser.rows("enrolments-courses"));
    for text in hostile {
        assert!(rows.iter().any(|row| row[..3] == [text; 3]), "{text} is not in {rows:?}");
        assert!(courses.iter().any(|row| row[0] == text), "{text} is not in {courses:?}");
    }
    assert!(rows.iter().any(|row| row[0] == "long" && row[8] == "x".repeat(256)), "{rows:?}");
    assert!(browser.is("window.owned === undefined && document.querySelector('main img') === null"));
    // Nothing around a text is turned around, and none widens the page, on a phone either.
    assert!(browser.is("[...document.querySelectorAll('#rows-enrolments td:nth-child(2) span')].every((text) => getComputedStyle(text).unicodeBidi === 'isolate')"));
    for width in [1280, 360] {
        browser.widen(width);
        browser.await_true("document.documentElement.scrollWidth <= document.documentElement.clientWidth");
    }
    browser.assert_quiet(&origin);
}
