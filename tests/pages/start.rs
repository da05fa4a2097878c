//! The start page, and what all pages have in common.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::scene::Scene;
use crate::support::{Browser, Key};

const RECORDS: usize = 500;

#[test]
fn the_start_page_shows_what_runs_and_asks_nobody_else() {
    let mut scene = Scene::set("start-page", &[]);
    scene.feed(RECORDS);
    let browser = Browser::start();
    browser.open(&scene.origin());
    // Each transaction is processed twice: before and after its repartition topic.
    let processed = |count: usize| {
        browser.await_true(&format!(
            "document.querySelector('[data-figure=\"start.records\"]').dataset.value === '{}'",
            2 * count
        ));
    };
    processed(RECORDS);
    assert_eq!(browser.figure("start.tasks").as_deref(), Some("6"));
    assert_eq!(browser.text("h1").as_deref(), Some("Tudo o que flui, ao vivo"));
    assert_eq!(browser.text(".pulse strong").as_deref(), Some("Ao vivo"));
    let count = "document.querySelectorAll('.tasks [data-task]').length";
    assert_eq!(browser.run(&format!("return {count}")), json!(6));
    browser.await_true("document.querySelector('[data-task=\"1_2\"]').dataset.state === 'running'");
    // Once the ends are known, the marker of the last transaction in each partition in between counts as lag: a task is
    // behind its last record, and not behind what follows it.
    browser.await_true(
        "['0', '3'].includes(document.querySelector('[data-figure=\"start.lag\"]').dataset.value)",
    );

    // Drawn, and as a table: the same nodes as `riacho topology describe` has.
    let (_, described) = scene.process.get("/topology?format=json").expect("the program answers");
    let described: Value = serde_json::from_str(&described).expect("it is JSON");
    let subtopologies = described["subtopologies"].as_array().expect("there are some");
    let names = subtopologies.iter().flat_map(|one| one["nodes"].as_array().expect("each has nodes"));
    let names: BTreeSet<String> = names.filter_map(|node| node["name"].as_str().map(str::to_owned)).collect();
    let drawn = browser
        .run("return [...document.querySelectorAll('.topology .node title')].map((t) => t.textContent)");
    let drawn: BTreeSet<String> = serde_json::from_value(drawn).expect("a list of texts");
    let listed: BTreeSet<String> = browser.rows("topology").into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(drawn, names);
    assert_eq!(listed, names);
    let stores = browser
        .run("return [...document.querySelectorAll('.topology .store title')].map((t) => t.textContent)");
    assert_eq!(stores, json!(["totals-by-vendor", "vendor-profiles"]));

    // Without a reload: new records arrive by themselves.
    browser.run("window.notReloaded = true");
    scene.feed(100);
    processed(RECORDS + 100);
    assert!(browser.is("window.notReloaded"));

    let policy = browser.run("return (await fetch('/')).headers.get('content-security-policy')");
    let policy = policy.as_str().expect("there is one");
    assert!(policy.starts_with("default-src 'self';") && !policy.contains("unsafe"), "{policy}");
    browser.assert_quiet(&scene.origin());
}

#[test]
fn every_page_stands_alone_and_says_what_is_not_there() {
    let scene = Scene::set("frames", &[]);
    let browser = Browser::start();
    for (page, title) in [
        ("transactions", "Transações por vendedor"),
        ("sales", "Dashboard de Vendas"),
        ("enrolments", "Dashboard de Matrículas"),
        ("extraction", "Extração de Dados via API"),
        ("workshop", "Workshop Kafka"),
    ] {
        browser.open(&format!("{}/{page}", scene.origin()));
        browser.await_true(&format!("document.querySelector('h1')?.textContent === '{title}'"));
        let marked = |mark: &str| {
            browser.run(&format!(
                "return [...document.querySelectorAll('.nav .{mark}')].map((entry) => entry.pathname)"
            ))
        };
        assert_eq!(marked("here"), json!(["/transactions"]), "the menu of {page}");
        assert_eq!(
            marked("not-here"),
            json!(["/sales", "/enrolments", "/extraction", "/workshop"]),
            "{page}"
        );
        let expected = "Esta aplicação não está em execução neste servidor.";
        if page != "transactions" {
            browser.await_true("document.body.dataset.state === 'error'");
            assert_eq!(browser.text("#reason").as_deref(), Some(expected), "{page}");
        }
        if page == "sales" {
            assert_eq!(browser.chart("sales-months"), Value::Null, "nothing is drawn without figures");
        }
        let elsewhere: Vec<String> = browser
            .requests()
            .into_iter()
            .filter(|address| !address.starts_with(&scene.origin()) && !address.starts_with("data:"))
            .collect();
        assert!(elsewhere.is_empty(), "{page} asked {elsewhere:?}");
        for width in [360, 1280] {
            browser.widen(width);
            let room = "document.documentElement.scrollWidth - document.documentElement.clientWidth";
            browser.await_true(&format!("{room} <= 0"));
        }
    }
}

#[test]
fn a_laptop_shows_the_topology_of_the_main_job_from_end_to_end() {
    let scene = Scene::set("drawing", &[("transactions.input.keyed.by.vendor", "true")]);
    let browser = Browser::start();
    browser.widen(1280);
    browser.open(&scene.origin());
    browser.await_true("document.querySelectorAll('.topology .node').length === 11");
    let hidden = "const { scrollWidth, clientWidth } = document.querySelector('.topology'); return scrollWidth - clientWidth";
    assert_eq!(browser.run(hidden), json!(0));
}

#[test]
fn a_page_whose_server_is_gone_keeps_its_figures_and_says_from_when_they_are() {
    let mut scene = Scene::set("gone", &[]);
    let browser = Browser::start();
    browser.open(&scene.origin());
    browser.await_refresh();
    browser.await_true("document.querySelector('[data-figure=\"start.tasks\"]').dataset.value === '6'");
    scene.process.kill();
    browser.await_true("document.body.dataset.state === 'stale'");
    let time = browser.await_value("document.querySelector('#updated').getAttribute('datetime')");
    browser.await_round();
    assert_eq!(browser.await_value("document.querySelector('#updated').getAttribute('datetime')"), time);
    assert_eq!(browser.figure("start.tasks").as_deref(), Some("6"));
    assert_eq!(browser.text("#reason").as_deref(), Some("O servidor não responde; nova tentativa em 2 s."));
}

#[test]
fn everything_can_be_reached_and_done_with_the_keyboard() {
    let scene = Scene::set("keyboard", &[]);
    let browser = Browser::start();
    browser.open(&scene.origin());
    browser.await_refresh();
    let mut reached = Vec::new();
    let focused = "const at = document.activeElement; return at.getAttribute('aria-label') ?? at.textContent";
    for _ in 0..11 {
        browser.press(Key::Tab);
        reached.push(browser.run(focused).as_str().unwrap_or_default().to_owned());
        assert!(
            browser.is("document.activeElement.matches(':focus-visible') && getComputedStyle(document.activeElement).outlineStyle !== 'none'"),
            "{reached:?}: the focus cannot be seen"
        );
    }
    assert_eq!(
        reached,
        [
            "Ir para o conteúdo",
            "riacho: Início",
            "Início",
            "Transações",
            "Vendas (não está aqui)",
            "Matrículas (não está aqui)",
            "Extração (não está aqui)",
            "Workshop (não está aqui)",
            "Usar o tema escuro",
            "Atualizar agora",
            "Pausar a atualização",
        ]
    );
    browser.press(Key::Space);
    assert_eq!(browser.text(".pulse strong").as_deref(), Some("Pausado"));
    browser.press(Key::Enter);
    assert_eq!(browser.text(".pulse strong").as_deref(), Some("Ao vivo"));
    // The drawing as a table.
    browser.press(Key::Tab);
    browser.press(Key::Enter);
    assert!(browser.is("!document.querySelector('#table-topology').closest('.scroll').hidden"));
    // Whatever can be pressed has a name, and the page its landmarks.
    let nameless = "[...document.querySelectorAll('button, a')].filter((one) => !(one.getAttribute('aria-label') || one.textContent.trim())).length";
    assert_eq!(browser.run(&format!("return {nameless}")), json!(0));
    for landmark in ["header", "nav[aria-label]", "main#main", "footer", "[aria-live]"] {
        assert!(browser.is(&format!("document.querySelector('{landmark}')")), "{landmark}");
    }
}

#[test]
fn the_theme_is_the_systems_until_somebody_chooses() {
    let scene = Scene::set("theme", &[]);
    let browser = Browser::start();
    let theme = || browser.run("return document.documentElement.dataset.theme");
    browser.prefer("dark");
    browser.open(&scene.origin());
    assert_eq!(theme(), json!("dark"));
    browser.prefer("light");
    browser.await_true("document.documentElement.dataset.theme === 'light'");
    browser.await_refresh();
    browser.click("#theme");
    assert_eq!(theme(), json!("dark"));
    browser.open(&format!("{}/sales", scene.origin()));
    assert_eq!(theme(), json!("dark"), "the choice is kept");
}

#[test]
fn english_is_a_setting_and_has_every_text() {
    let scene = Scene::set("english", &[("pages.language", "en")]);
    let browser = Browser::start();
    browser.open(&scene.origin());
    browser.await_refresh();
    assert_eq!(browser.text("h1").as_deref(), Some("All that flows, live"));
    assert_eq!(browser.run("return document.documentElement.lang"), json!("en"));
    // The same names, and functions where the other has functions.
    let differences = "
        const { languages } = await import('/assets/texts.js');
        const shape = (node, path) => node !== null && typeof node === 'object'
            ? Object.keys(node).sort().flatMap((key) => shape(node[key], `${path}.${key}`))
            : [`${path}: ${typeof node}`];
        const [one, other] = Object.values(languages).map((texts) => new Set(shape(texts, '')));
        return [...one].filter((text) => !other.has(text)).concat([...other].filter((text) => !one.has(text)));";
    assert_eq!(browser.run(differences), json!([]));
    browser.assert_quiet(&scene.origin());
}
