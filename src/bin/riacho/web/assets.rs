//! The files of the pages, as they are in `assets/`: part of the program.

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const DRAWING: &str = "image/svg+xml";
const JSON: &str = "application/json";
const FONT: &str = "font/woff2";
const TEXT: &str = "text/plain; charset=utf-8";

/// The HTML of every page; what stands in double braces is to be replaced.
pub(super) const FRAME: &str = include_str!("assets/frame.html");

/// Path, media type and bytes.
pub(super) static ASSETS: &[(&str, &str, &[u8])] = &[
    ("app.js", SCRIPT, include_bytes!("assets/app.js")),
    ("card.js", SCRIPT, include_bytes!("assets/card.js")),
    ("chart.js", SCRIPT, include_bytes!("assets/chart.js")),
    ("dom.js", SCRIPT, include_bytes!("assets/dom.js")),
    ("format.js", SCRIPT, include_bytes!("assets/format.js")),
    ("icon.svg", DRAWING, include_bytes!("assets/icon.svg")),
    ("links.js", SCRIPT, include_bytes!("assets/links.js")),
    ("live.js", SCRIPT, include_bytes!("assets/live.js")),
    ("map.js", SCRIPT, include_bytes!("assets/map.js")),
    ("palette.js", SCRIPT, include_bytes!("assets/palette.js")),
    ("style.css", STYLE, include_bytes!("assets/style.css")),
    ("table.js", SCRIPT, include_bytes!("assets/table.js")),
    ("texts.js", SCRIPT, include_bytes!("assets/texts.js")),
    ("theme.js", SCRIPT, include_bytes!("assets/theme.js")),
    ("topology.js", SCRIPT, include_bytes!("assets/topology.js")),
    ("pages/enrolments.js", SCRIPT, include_bytes!("assets/pages/enrolments.js")),
    ("pages/extraction.js", SCRIPT, include_bytes!("assets/pages/extraction.js")),
    ("pages/sales.js", SCRIPT, include_bytes!("assets/pages/sales.js")),
    ("pages/start.js", SCRIPT, include_bytes!("assets/pages/start.js")),
    ("pages/transactions.js", SCRIPT, include_bytes!("assets/pages/transactions.js")),
    ("pages/workshop.js", SCRIPT, include_bytes!("assets/pages/workshop.js")),
    ("vendor/README.md", TEXT, include_bytes!("assets/vendor/README.md")),
    ("vendor/echarts/LICENSE", TEXT, include_bytes!("assets/vendor/echarts/LICENSE")),
    ("vendor/echarts/LICENSE-d3", TEXT, include_bytes!("assets/vendor/echarts/LICENSE-d3")),
    ("vendor/echarts/NOTICE", TEXT, include_bytes!("assets/vendor/echarts/NOTICE")),
    ("vendor/echarts/echarts.min.js", SCRIPT, include_bytes!("assets/vendor/echarts/echarts.min.js")),
    ("vendor/figtree/LICENSE", TEXT, include_bytes!("assets/vendor/figtree/LICENSE")),
    ("vendor/figtree/figtree.woff2", FONT, include_bytes!("assets/vendor/figtree/figtree.woff2")),
    ("vendor/world/LICENSE", TEXT, include_bytes!("assets/vendor/world/LICENSE")),
    ("vendor/world/world.json", JSON, include_bytes!("assets/vendor/world/world.json")),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files_in(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { files_in(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn every_file_of_the_folder_is_part_of_the_program() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin/riacho/web/assets");
        let files = files_in(&folder);
        let there: BTreeSet<&str> =
            files.iter().map(|file| file.strip_prefix(&folder).unwrap().to_str().unwrap()).collect();
        let mut known: BTreeSet<&str> = ASSETS.iter().map(|(path, ..)| *path).collect();
        known.insert("frame.html");
        assert_eq!(there, known);
    }
}
