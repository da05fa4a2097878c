//! How the pages speak, and where those are that another server has.

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec};

const LANGUAGE: &str = "pages.language";
const LINKS: &str = "pages.links";

/// The settings of the pages.
pub(crate) static KEYS: &[KeySpec] = &[
    KeySpec {
        name: LANGUAGE,
        default: DefaultValue::Value("pt-BR"),
        allowed: Allowed::OneOf(&["pt-BR", "en"]),
        doc: "The language of the pages.",
    },
    KeySpec {
        name: LINKS,
        default: DefaultValue::Unset,
        allowed: Allowed::Checked {
            must_be: "pairs like sales=http://host:8501, with commas",
            accepts: are_links,
        },
        doc: "Where the pages of the applications are that run in other processes, for the menu.",
    },
];

fn are_links(text: &str) -> bool {
    // They become part of a page as they are.
    let is_plain = |symbol: char| symbol.is_ascii_alphanumeric() || ":/._-[]".contains(symbol);
    text.split(',').all(|pair| {
        pair.split_once('=').is_some_and(|(page, address)| {
            let address_is_one = address.starts_with("http://") || address.starts_with("https://");
            !page.is_empty() && address_is_one && page.chars().chain(address.chars()).all(is_plain)
        })
    })
}

/// How the pages are served.
#[derive(Clone, Debug, Default)]
pub(crate) struct PageSettings {
    is_english: bool,
    links: String,
}

impl PageSettings {
    /// What is configured.
    ///
    /// # Errors
    /// When the configuration was made without [`KEYS`].
    pub(crate) fn of(config: &Config) -> Result<PageSettings, ConfigErrors> {
        Ok(PageSettings {
            is_english: config.get::<String>(LANGUAGE)? == "en",
            links: config.get::<Option<String>>(LINKS)?.unwrap_or_default(),
        })
    }

    /// Fills in the HTML of every page of a process in which the application `here` runs.
    pub(super) fn frame(&self, html: &str, here: &str) -> String {
        let tag = if self.is_english { "en" } else { "pt-BR" };
        html.replace("{{language}}", tag).replace("{{here}}", here).replace("{{links}}", &self.links)
    }
}

#[cfg(test)]
mod tests {
    use riacho::config::RawConfig;

    use super::*;

    fn configured(pairs: &[(&str, &str)]) -> Result<PageSettings, ConfigErrors> {
        let raw = RawConfig::new(&[KEYS]).preset("application.id", "a").preset("bootstrap.servers", "a:1");
        let raw = pairs.iter().fold(raw, |raw, (key, value)| raw.preset(key, value));
        PageSettings::of(&Config::try_from(raw)?)
    }

    #[test]
    fn the_pages_speak_portuguese_unless_told_otherwise() {
        let html = "<html lang=\"{{language}}\" data-here=\"{{here}}\" data-links=\"{{links}}\">";
        let expected = "<html lang=\"pt-BR\" data-here=\"sales\" data-links=\"\">";
        assert_eq!(configured(&[]).unwrap().frame(html, "sales"), expected);
        let settings = configured(&[(LANGUAGE, "en"), (LINKS, "sales=http://a:8501,workshop=https://b/w")]);
        let expected =
            "<html lang=\"en\" data-here=\"\" data-links=\"sales=http://a:8501,workshop=https://b/w\">";
        assert_eq!(settings.unwrap().frame(html, ""), expected);
    }

    #[test]
    fn a_link_cannot_be_anything_but_an_address() {
        for bad in
            ["sales", "sales=javascript:alert(1)", "sales=http://a\"><b", "=http://a", "sales=http://a,"]
        {
            assert!(configured(&[(LINKS, bad)]).is_err(), "{bad}");
        }
    }
}
