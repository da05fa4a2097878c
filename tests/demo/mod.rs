//! `riacho demo APP` as a user starts it: its verdict, and what it leaves behind.

mod stage;

use stage::Demo;

/// Runs a demo for a few seconds; it proves what it says, and leaves nothing behind.
fn proves(app: &str, proved: &[&str]) {
    let mut demo = Demo::start(&[app, "--seconds", "5"]);
    assert_eq!(demo.await_end().code(), Some(0), "{}", demo.output());
    let output = demo.output();
    let verdict = output.lines().find(|line| line.starts_with("PASS: "));
    assert!(verdict.is_some_and(|verdict| verdict.ends_with(", 0 wrong")), "{output}");
    assert!(proved.iter().all(|text| output.contains(text)), "{output}");
    assert_eq!(demo.left(), Vec::<String>::new());
}

#[test]
fn the_demo_without_an_application_proves_the_windows_of_the_main_job() {
    proves("transactions", &["pages at http://127.0.0.1:", "closed windows compared with the source"]);
}

#[test]
fn the_demo_of_enrolments_proves_its_page_by_a_recount_of_the_topic() {
    proves(
        "enrolments",
        &["/enrolments\n", "distinct enrolments: ", "duplicates: ", "no real transactions", "made up"],
    );
}

#[test]
fn the_demo_of_extraction_proves_that_every_row_is_in_a_file() {
    proves("extraction", &["/extraction\n", "references: ", "told of and normalised once", "made-up rows"]);
}

#[test]
fn the_demo_of_sales_proves_its_page_by_a_recount_of_the_topic_without_a_database() {
    proves(
        "sales",
        &[
            "/sales\n",
            "without PostgreSQL",
            "their total, in hundredths: ",
            "sales on the map: ",
            "by quantity and amount",
        ],
    );
}

#[test]
fn the_demo_of_the_workshop_proves_that_every_message_arrives() {
    proves("workshop", &["/workshop\n", "of them logged by the consumer"]);
}

#[test]
fn a_demo_that_is_told_to_stop_proves_what_it_has_done_so_far() {
    let mut demo = Demo::start(&["workshop", "--seconds", "3600"]);
    demo.await_page();
    demo.await_output("messages sent");
    demo.signal("TERM");
    assert_eq!(demo.await_end().code(), Some(0), "{}", demo.output());
    assert!(demo.output().contains("\nPASS: "), "{}", demo.output());
    assert_eq!(demo.left(), Vec::<String>::new());
}

#[test]
fn a_demo_that_is_killed_leaves_no_process() {
    let mut demo = Demo::start(&["workshop", "--seconds", "3600"]);
    let page = demo.await_page();
    let processes = demo.processes();
    assert!(processes.len() >= 2, "producer and consumer: {processes:?}");
    demo.signal("KILL");
    assert_eq!(demo.await_end().code(), None);
    demo.await_gone(&processes);
    assert!(std::net::TcpStream::connect(page).is_err(), "its page is still served");
}

#[test]
fn what_only_the_main_job_knows_is_refused_by_the_others() {
    let mut demo = Demo::start(&["extraction", "--rate", "5"]);
    assert_eq!(demo.await_end().code(), Some(2), "{}", demo.output());
    assert!(demo.output().contains("--rate is for `riacho demo transactions`"), "{}", demo.output());
}
