//! In which language the pages speak.

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec};

const LANGUAGE: &str = "pages.language";

/// The settings of the pages.
pub(crate) static KEYS: &[KeySpec] = &[KeySpec {
    name: LANGUAGE,
    default: DefaultValue::Value("pt-BR"),
    allowed: Allowed::OneOf(&["pt-BR", "en"]),
    doc: "The language of the pages.",
}];

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Language {
    #[default]
    Portuguese,
    English,
}

impl Language {
    /// The language that is configured.
    ///
    /// # Errors
    /// When the configuration was made without [`KEYS`].
    pub(crate) fn of(config: &Config) -> Result<Language, ConfigErrors> {
        Ok(match config.get::<String>(LANGUAGE)?.as_str() {
            "en" => Language::English,
            _ => Language::Portuguese,
        })
    }

    /// Its tag, for HTML.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Language::Portuguese => "pt-BR",
            Language::English => "en",
        }
    }
}
