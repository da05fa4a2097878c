//! The page of the main job.

use std::collections::BTreeSet;

use super::scene::{Scene, VENDORS};
use crate::support::Browser;

#[test]
fn the_open_windows_are_what_was_sent_page_by_page() {
    let mut scene = Scene::set("vendors-page", &[("transactions.window.size.ms", "604800000")]);
    scene.feed(400);
    let browser = Browser::start();
    browser.open(&format!("{}/transactions", scene.origin()));
    let total = "document.querySelector('[data-pager=transactions-vendors]').textContent";
    browser.await_true(&format!("{total}.includes('1 a 15 de {VENDORS}')"));
    // The windows that are open hold every transaction, whichever page they are on.
    let mut seen = BTreeSet::new();
    let mut counted = 0;
    for page in 1..=2 {
        browser.await_true(&format!("{total}.includes('Página {page} de 2')"));
        for row in browser.rows("transactions-vendors") {
            counted += row[3].parse::<u32>().expect("a count");
            seen.insert(row[0].clone());
        }
        let lines = "const text = document.createRange(); text.selectNodeContents(cell.firstChild); return text.getClientRects().length";
        let cells = "[...document.querySelectorAll('#rows-transactions-vendors td:first-child')]";
        assert!(browser.is(&format!("{cells}.every((cell) => {{ {lines} === 1 }})")), "an id is broken");
        browser.click("[data-pager=transactions-vendors] [data-go=next]");
    }
    assert_eq!((seen.len(), counted), (VENDORS as usize, 400));
    browser.assert_quiet(&scene.origin());
}

#[test]
fn a_hostile_vendor_is_shown_as_text_and_breaks_nothing() {
    let scene = Scene::set("hostile-page", &[("transactions.window.size.ms", "604800000")]);
    let hostile = [
        "<img src=x onerror=\"window.owned=1\">",
        "'; DROP TABLE sales; --",
        "</script><script>window.owned=1</script>",
        "um\nde\u{202e}sárt\u{200f}{a|b}",
    ];
    for vendor in hostile {
        scene.feed_one_of(vendor);
    }
    let browser = Browser::start();
    browser.open(&format!("{}/transactions", scene.origin()));
    browser.await_true("document.querySelectorAll('#rows-transactions-vendors tr').length === 4");
    let shown: BTreeSet<String> =
        browser.rows("transactions-vendors").into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(shown, hostile.map(str::to_owned).into());
    assert!(browser.is("window.owned === undefined && document.querySelector('main img') === null"));
    let labels = "const { label } = await import('/assets/format.js'); return ['a\\n\\u202eb', '{x|y}', ' ', ''].map((text) => label(text))";
    assert_eq!(browser.run(labels), serde_json::json!(["a b", "¦x¦y¦", "–", "–"]), "names in charts");
    // Nothing around the text is turned around.
    assert!(browser.is("[...document.querySelectorAll('#rows-transactions-vendors td:first-child')].every((cell) => getComputedStyle(cell).unicodeBidi === 'isolate')"));
    browser.assert_quiet(&scene.origin());
}
