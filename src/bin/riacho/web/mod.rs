//! The pages people look at: one frame, a page per application, everything it needs from this server alone.
//!
//! The files in `assets/` are part of the program. Applications answer below `/api/<application>/`, in the envelope of
//! [`answer`]; `/api/start` tells what runs here.

pub(crate) mod answer;
mod assets;
mod board;
pub(crate) mod enrolments;
pub(crate) mod extraction;
mod kept;
mod rates;
pub(crate) mod sales;
mod settings;
mod start;
pub(crate) mod transactions;

use riacho::observe::http::{Asset, Page, Pages};

pub(crate) use board::{Board, Facts};
pub(crate) use settings::{KEYS, PageSettings};

/// The addresses of the pages; the script that each of them loads finds out which one it is.
const FRAMES: [(&str, &str); 6] = [
    ("/", "what runs here"),
    ("/transactions", "transactions by vendor"),
    ("/sales", "sales"),
    ("/enrolments", "enrolments"),
    ("/extraction", "extraction"),
    ("/workshop", "workshop"),
];

/// All pages, their assets and `/api/start`, for the process in which the application `here` runs. What it answers is its
/// own to add.
pub(crate) fn pages(settings: &PageSettings, board: &Board, here: &str) -> Pages {
    let frame = settings.frame(assets::FRAME, here);
    let served = assets::ASSETS.iter().fold(Pages::new(), |pages, (path, content_type, bytes)| {
        pages.with_asset(format!("/assets/{path}"), Asset::new(content_type, bytes))
    });
    let served = FRAMES.into_iter().fold(served, |pages, (path, about)| {
        let frame = frame.clone();
        pages.with(path, about, move |_| {
            Page::html(200, frame.clone()).with_header("cache-control", "no-cache")
        })
    });
    let board = board.clone();
    let absent = board.clone();
    served.with("/api/start", "the applications here, as JSON", move |_| start::answer(&board)).with_prefix(
        "/api/",
        "",
        move |_| answer::not_found(absent.now()),
    )
}

#[cfg(test)]
mod tests {
    use riacho::observe::http::Request;

    use super::*;

    fn get(pages: &Pages, path: &str) -> Page {
        pages.answer(&Request::to(path).unwrap())
    }

    #[test]
    fn every_page_is_the_frame_with_the_settings_filled_in() {
        let pages = pages(&PageSettings::default(), &Board::new(), "sales");
        for (path, _) in FRAMES {
            let page = get(&pages, path);
            assert_eq!((page.status(), page.content_type()), (200, "text/html; charset=utf-8"), "{path}");
            let text = page.body_text();
            assert!(
                text.contains("<html lang=\"pt-BR\" data-here=\"sales\"") && !text.contains("{{"),
                "{path}: {text}"
            );
        }
    }

    #[test]
    fn whatever_a_file_asks_for_is_served() {
        let pages = pages(&PageSettings::default(), &Board::new(), "sales");
        let mut seen = 0;
        let texts = assets::ASSETS.iter().filter(|(path, ..)| {
            !path.starts_with("vendor/") && (path.ends_with(".js") || path.ends_with(".css"))
        });
        let texts = texts.map(|(path, _, bytes)| (*path, String::from_utf8_lossy(bytes)));
        for (path, text) in texts.chain([("frame.html", assets::FRAME.into())]) {
            for quoted in text.split('"').skip(1).step_by(2).filter(|quoted| !quoted.contains('$')) {
                let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                let address = match quoted {
                    absolute if absolute.starts_with("/assets/") => absolute.to_owned(),
                    beside if beside.starts_with("./") => format!("/assets/{folder}/{}", &beside[2..]),
                    above if above.starts_with("../") => format!("/assets/{}", &above[3..]),
                    vendored if vendored.starts_with("vendor/") => format!("/assets/{vendored}"),
                    _ => continue,
                };
                let address = address.replace("//", "/");
                assert_eq!(get(&pages, &address).status(), 200, "{path} asks for {quoted}");
                seen += 1;
            }
        }
        assert!(seen > 30, "only {seen} references were found: is this test still looking?");
    }

    #[test]
    fn no_file_of_ours_names_another_host() {
        let own = assets::ASSETS.iter().filter(|(path, ..)| !path.starts_with("vendor/"));
        for (path, _, bytes) in own {
            let text = String::from_utf8_lossy(bytes).replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{path}");
        }
    }
}
