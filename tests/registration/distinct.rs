//! What the topology holds of which input.

use chrono::NaiveDate;
use compact_str::CompactString;
use riacho::{BadRecordPolicy, BigEndian, State, Utf8};
use riacho_topology::TestDriver;

use crate::enrolments::config::EnrolmentsConfig;
use crate::enrolments::enrolment::{Enrolment, EnrolmentSerde};
use crate::enrolments::figures::{Field, Figures};
use crate::enrolments::topology::{BY_ID, COUNTS, NEWEST, topology};

const TOPIC: &str = "registration_topic";

fn driver() -> TestDriver {
    let config = EnrolmentsConfig { input_topic: TOPIC.to_owned(), table_rows_max: 100 };
    TestDriver::of(topology(&config).expect("the topology is sound"))
}

fn enrolment(id: &str, age: u8, course: &str, day: u32) -> Enrolment {
    let date = NaiveDate::from_ymd_opt(2026, 1, day).expect("a day of January");
    Enrolment {
        id: id.to_owned(),
        course: course.to_owned(),
        shift: "Noite".to_owned(),
        duration: 4,
        begins: date,
        age,
        sex: if age.is_multiple_of(2) { "F" } else { "M" }.to_owned(),
        payer: "Sim".to_owned(),
        payment: "Pix".to_owned(),
        date,
    }
}

fn send(run: &mut TestDriver, enrolment: Enrolment) {
    let input = run.input::<CompactString, Enrolment>(TOPIC, Utf8, EnrolmentSerde);
    let _input = input.send(enrolment.id.clone(), enrolment);
}

fn figures(run: &mut TestDriver) -> Figures {
    let mut figures = Figures::default();
    for count in run.store::<CompactString, u64>(COUNTS, Utf8, BigEndian) {
        figures.add(&count.key, count.value);
    }
    figures
}

fn ids(run: &mut TestDriver, store: &str) -> Vec<String> {
    let kept = run.store::<CompactString, Enrolment>(store, Utf8, State::<Enrolment>::new());
    kept.into_iter().map(|entry| entry.value.id).collect()
}

#[test]
fn the_first_of_an_id_counts_and_the_others_are_duplicates() {
    let mut run = driver();
    send(&mut run, enrolment("a", 20, "Edificações", 5));
    send(&mut run, enrolment("b", 21, "Administração", 7));
    send(&mut run, enrolment("a", 20, "Edificações", 5));
    // Also when it says something else, and also after a restart.
    run.restart();
    send(&mut run, enrolment("a", 30, "Refrigeração", 9));
    let figures = figures(&mut run);
    assert_eq!((figures.total(), figures.duplicates), (2, 2));
    assert_eq!(figures.groups(Field::Course, 9).0, [("Administração", 1), ("Edificações", 1)]);
    assert_eq!(ids(&mut run, BY_ID), ["a", "b"]);
    assert_eq!(ids(&mut run, NEWEST), ["b", "a"]);
}

#[test]
fn the_most_common_profile_is_of_each_field_and_ties_go_to_the_smallest() {
    let mut run = driver();
    for (number, age) in [9, 10, 10, 9, 30].into_iter().enumerate() {
        let course = if number < 2 { "Edificações" } else { "Administração" };
        send(&mut run, enrolment(&format!("m-{number}"), age, course, 1));
    }
    let figures = figures(&mut run);
    let mode = |field| figures.mode(field).map(|(value, count)| (value.to_owned(), count));
    let expected = |value: &str, count| Some((value.to_owned(), count));
    assert_eq!(mode(Field::Age), expected("9", 2));
    assert_eq!(mode(Field::Sex), expected("F", 3));
    assert_eq!(mode(Field::Course), expected("Administração", 3));
    assert_eq!(mode(Field::Payer), expected("Sim", 5));
}

#[test]
fn a_record_under_another_key_is_refused() {
    let mut run = driver().bad_records(BadRecordPolicy::Fail);
    let mut input = run.input::<CompactString, Enrolment>(TOPIC, Utf8, EnrolmentSerde);
    let refused = input.try_send("b", enrolment("a", 20, "Edificações", 5));
    assert!(refused.is_err_and(|error| error.to_string().contains("id_matricula")), "it must say why");
}
