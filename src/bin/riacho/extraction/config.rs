//! The settings of the application `extraction`: their names, defaults and bounds, and the type that cannot be wrong.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec, Problem};
use riacho::connect::http_api::{ApiSettings, Paging, Patience, Token};
use riacho::{Topology, TopologyError};

use super::api::{self, ApiOptions};
use super::columns::Declared;
use super::extractor::FileLimits;
use super::folders::{Folders, is_source};
use super::kind::Kind;
use super::normaliser::{Normaliser, Rules};
use super::topology::topology;

use Allowed::{Boolean, Checked, Decimal, Integer, OneOf, Secret, Text, TopicName};
use DefaultValue::{Derived, Unset, Value};

const DIR: &str = "extraction.dir";
const FILES_TOPIC: &str = "extraction.files.topic";
const NORMALISED_TOPIC: &str = "extraction.normalised.topic";
const SOURCE: &str = "extraction.source";
const POLL_INTERVAL: &str = "extraction.poll.interval.ms";
const FILE_ROWS: &str = "extraction.file.rows.max";
const FILE_TIME: &str = "extraction.file.time.max.ms";
const URL: &str = "extraction.api.url";
const TOKEN: &str = "extraction.api.token";
const TOKEN_HEADER: &str = "extraction.api.token.header";
const ROWS_PATH: &str = "extraction.api.rows.path";
const PAGING: &str = "extraction.api.paging";
const PARAMETER: &str = "extraction.api.paging.parameter";
const FIRST_PAGE: &str = "extraction.api.paging.first";
const SIZE_PARAMETER: &str = "extraction.api.size.parameter";
const SIZE: &str = "extraction.api.size";
const NEXT_PATH: &str = "extraction.api.next.path";
const TIMEOUT: &str = "extraction.api.timeout.ms";
const ATTEMPTS: &str = "extraction.api.attempts.max";
const PAUSE_FIRST: &str = "extraction.api.pause.first.ms";
const PAUSE_MAX: &str = "extraction.api.pause.max.ms";
const REQUESTS_PER_SECOND: &str = "extraction.api.requests.per.second";
const RESPONSE_BYTES: &str = "extraction.api.response.bytes.max";
const ID_FIELDS: &str = "extraction.id.fields";
const COLUMNS: &str = "extraction.columns";
const CSV: &str = "extraction.csv";
const REPEATED_ROWS: &str = "extraction.repeated.rows.max";
const EMBEDDED_SEED: &str = "extraction.embedded.seed";
const EMBEDDED_ROWS: &str = "extraction.embedded.rows";
const EMBEDDED_RATE: &str = "extraction.embedded.rows.per.second";
const EMBEDDED_FAILURES: &str = "extraction.embedded.failures";

const HOUR_MS: i64 = 3_600_000;
const MIB: i64 = 1024 * 1024;
/// What the embedded API's rows are.
pub(crate) const EMBEDDED_COLUMNS: &str =
    "id:integer,valorTotal:decimal(2),criadoEm:timestamp,nascimento:date";

/// All settings, in the order in which they are shown.
pub(crate) static KEYS: &[KeySpec] = &[
    key(
        DIR,
        Value("output"),
        Text,
        "Where the files are: the folders raw, normalised, csv and rejected in it.",
    ),
    key(FILES_TOPIC, Value("extraction_files"), TopicName, "The topic of references to raw files."),
    key(
        NORMALISED_TOPIC,
        Value("extraction_normalised"),
        TopicName,
        "The topic that tells of normalised files.",
    ),
    key(
        SOURCE,
        Value("api"),
        Checked { must_be: "1 to 32 of the characters a-z 0-9 -", accepts: is_source },
        "What the files and references of this API are called. Another API or another paging needs another name.",
    ),
    key(
        POLL_INTERVAL,
        Value("5000"),
        Integer { min: 10, max: HOUR_MS },
        "How long to wait before an API without new rows is asked again.",
    ),
    key(
        FILE_ROWS,
        Value("100000"),
        Integer { min: 1, max: 10_000_000 },
        "A raw file is closed at so many rows, with the answer in which they are reached.",
    ),
    key(
        FILE_TIME,
        Value("10000"),
        Integer { min: 10, max: HOUR_MS },
        "A raw file with rows is closed after this time.",
    ),
    key(URL, Unset, Text, "The address of the API. Needed by what extracts, but with --embedded."),
    key(TOKEN, Unset, Secret, "What is sent to say who asks, for example Bearer and a key."),
    key(TOKEN_HEADER, Value("Authorization"), Text, "The header in which it is sent."),
    key(
        ROWS_PATH,
        Unset,
        Text,
        "The names that lead to the array of rows in an answer, joined by dots; unset: the answer is the array.",
    ),
    key(
        PAGING,
        Value("page"),
        OneOf(&["page", "offset", "cursor", "link", "none"]),
        "How the API gives more rows: pages with numbers, rows with numbers, a token or an address for the next answer.",
    ),
    key(
        PARAMETER,
        Derived("page, offset or cursor, as the paging"),
        Text,
        "The parameter with the number or the token.",
    ),
    key(FIRST_PAGE, Value("1"), Integer { min: 0, max: 1 }, "The number of the first page."),
    key(SIZE_PARAMETER, Value("size"), Text, "The parameter with the number of rows to answer with."),
    key(SIZE, Value("1000"), Integer { min: 1, max: 1_000_000 }, "How many rows to ask for at a time."),
    key(
        NEXT_PATH,
        Derived("next for a cursor; the header Link for link"),
        Text,
        "The names that lead to the token or address of the next answer, joined by dots.",
    ),
    key(TIMEOUT, Value("30000"), Integer { min: 10, max: HOUR_MS }, "For one request with its answer."),
    key(ATTEMPTS, Value("8"), Integer { min: 1, max: 1000 }, "How often the same is asked before giving up."),
    key(
        PAUSE_FIRST,
        Value("250"),
        Integer { min: 1, max: HOUR_MS },
        "The pause after a failure; it doubles with each further one. Retry-After goes before it.",
    ),
    key(PAUSE_MAX, Value("30000"), Integer { min: 1, max: HOUR_MS }, "The longest pause."),
    key(
        REQUESTS_PER_SECOND,
        Unset,
        Decimal { min: 0.001, max: 100_000.0 },
        "No more requests than this are sent; unset: no limit.",
    ),
    key(
        RESPONSE_BYTES,
        Value("67108864"),
        Integer { min: 1024, max: 1024 * MIB },
        "The most bytes of an answer; it is held in memory.",
    ),
    key(
        ID_FIELDS,
        Unset,
        Text,
        "The paths, separated by commas, that tell a row from others: each must have a value, and a row that comes again \
         is rejected.",
    ),
    key(
        COLUMNS,
        Unset,
        Checked { must_be: COLUMNS_MUST_BE, accepts: |text| columns_of(text).is_some() },
        "Types of columns by path; a row with a value of another type is rejected. Others are found out.",
    ),
    key(CSV, Value("false"), Boolean, "Whether to write normalised rows as CSV too."),
    key(
        REPEATED_ROWS,
        Value("1000000"),
        Integer { min: 0, max: 100_000_000 },
        "In how many of the newest rows of earlier files ids are looked for; each takes some 40 bytes.",
    ),
    key(
        EMBEDDED_SEED,
        Value("1"),
        Integer { min: 0, max: i64::MAX },
        "The same seed gives the same made-up rows.",
    ),
    key(
        EMBEDDED_ROWS,
        Value("1000000000"),
        Integer { min: 0, max: i64::MAX },
        "How many rows the embedded API has in the end.",
    ),
    key(
        EMBEDDED_RATE,
        Value("500"),
        Integer { min: 0, max: 10_000_000 },
        "How many of them appear per second; 0 for all at once.",
    ),
    key(
        EMBEDDED_FAILURES,
        Value("0.02"),
        Decimal { min: 0.0, max: 0.9 },
        "The share of requests that the embedded API answers 429 or 500.",
    ),
];

const COLUMNS_MUST_BE: &str = "path:type separated by commas, with the types boolean, integer, float, decimal(PLACES), date, \
                               timestamp, text";

const fn key(name: &'static str, default: DefaultValue, allowed: Allowed, doc: &'static str) -> KeySpec {
    KeySpec { name, default, allowed, doc }
}

/// What this application sets lower than any user: a reference is minutes of work at worst, so each is a transaction of
/// its own, and the group waits for it.
pub(crate) const PRESETS: &[(&str, &str)] =
    &[("application.id", "extraction"), ("max.poll.records", "1"), ("commit.interval.ms", "1")];

/// The settings of the application `extraction`, all of them valid and fitting together.
#[derive(Clone, Debug)]
pub(crate) struct ExtractionConfig {
    pub(crate) dir: PathBuf,
    pub(crate) files_topic: String,
    pub(crate) normalised_topic: String,
    pub(crate) source: String,
    pub(crate) poll_interval: Duration,
    pub(crate) limits: FileLimits,
    pub(crate) rules: Rules,
    pub(crate) embedded: ApiOptions,
    /// The API, if one is configured.
    pub(crate) api: Option<ApiSettings>,
    patience: Patience,
    /// Whether rows are those of the embedded API unless something else is said.
    says_nothing_of_rows: bool,
}

impl ExtractionConfig {
    /// The settings of a configuration that knows [`KEYS`].
    ///
    /// # Errors
    /// When settings do not fit together.
    pub(crate) fn of(config: &Config) -> Result<Self, ConfigErrors> {
        let (files_topic, normalised_topic): (String, String) =
            (config.get(FILES_TOPIC)?, config.get(NORMALISED_TOPIC)?);
        if files_topic == normalised_topic {
            let message = format!("must be another topic than that of {FILES_TOPIC}");
            return Err(Problem::new(NORMALISED_TOPIC, normalised_topic, message).into());
        }
        let patience = patience(config)?;
        let columns: Option<String> = config.get(COLUMNS)?;
        let id: Option<String> = config.get(ID_FIELDS)?;
        let says_nothing_of_rows = columns.is_none() && id.is_none();
        let declared = declared(columns.as_deref().unwrap_or_default(), id.as_deref().unwrap_or_default())?;
        Ok(ExtractionConfig {
            dir: config.get::<String>(DIR)?.into(),
            files_topic,
            normalised_topic,
            source: config.get(SOURCE)?,
            poll_interval: config.get(POLL_INTERVAL)?,
            limits: FileLimits { rows_max: config.get(FILE_ROWS)?, time_max: config.get(FILE_TIME)? },
            rules: Rules { declared, csv: config.get(CSV)?, repeated_rows_max: config.get(REPEATED_ROWS)? },
            embedded: ApiOptions {
                seed: config.get(EMBEDDED_SEED)?,
                rows: config.get(EMBEDDED_ROWS)?,
                rows_per_second: config.get(EMBEDDED_RATE)?,
                failures: config.get(EMBEDDED_FAILURES)?,
            },
            api: api(config, &patience)?,
            patience,
            says_nothing_of_rows,
        })
    }

    /// What it computes.
    ///
    /// # Errors
    /// When topics are given names that Kafka refuses.
    pub(crate) fn topology(&self) -> Result<Topology, TopologyError> {
        let normaliser = Arc::new(Normaliser::new(self.folders(), self.rules.clone()));
        topology(&self.files_topic, &self.normalised_topic, normaliser)
    }

    pub(crate) fn folders(&self) -> Folders {
        Folders::below(&self.dir)
    }

    /// The address of the API as it may be shown.
    pub(crate) fn shown_url(&self) -> Option<String> {
        self.api.as_ref().map(ApiSettings::shown_url)
    }

    /// The API to extract from.
    ///
    /// # Errors
    /// When none is configured.
    pub(crate) fn needed_api(&self) -> Result<ApiSettings, ConfigErrors> {
        self.api.clone().ok_or_else(|| {
            Problem::new(
                URL,
                "",
                "must be the address of an API; or say --embedded for one with made-up rows",
            )
            .into()
        })
    }

    /// Takes the embedded API, served at `address`, with what is known of its rows unless something is said of rows.
    pub(crate) fn use_embedded(&mut self, address: SocketAddr) {
        self.api = Some(self.embedded_api(address));
        if self.says_nothing_of_rows {
            self.rules.declared = declared(EMBEDDED_COLUMNS, "id").expect("as a user would write it");
        }
    }

    fn embedded_api(&self, address: SocketAddr) -> ApiSettings {
        let size = ("size".to_owned(), 1000);
        let paging = Paging::Page { parameter: "page".to_owned(), first: 1, size };
        let settings = ApiSettings::new(&format!("http://{address}{}", api::PATH), paging);
        settings.expect("the address of a server is one").rows_at(["items"]).patience(self.patience.clone())
    }
}

fn patience(config: &Config) -> Result<Patience, ConfigErrors> {
    let per_second: Option<f64> = config.get(REQUESTS_PER_SECOND)?;
    let attempts: u32 = config.get(ATTEMPTS)?;
    Ok(Patience {
        request_timeout: config.get(TIMEOUT)?,
        attempts_max: NonZeroU32::new(attempts).unwrap_or(NonZeroU32::MIN),
        pause_first: config.get(PAUSE_FIRST)?,
        pause_max: config.get(PAUSE_MAX)?,
        request_interval: per_second.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(1.0 / rate)),
        response_bytes_max: config.get(RESPONSE_BYTES)?,
    })
}

fn api(config: &Config, patience: &Patience) -> Result<Option<ApiSettings>, ConfigErrors> {
    let Some(url) = config.get::<Option<String>>(URL)? else { return Ok(None) };
    let refused = |key: &'static str, value: &str, message: String| {
        ConfigErrors::from(Problem::new(key, value, message))
    };
    let names = |path: Option<String>| -> Vec<String> {
        path.into_iter().flat_map(|path| path.split('.').map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let settings = ApiSettings::new(&url, paging(config, names)?);
    // The address may hold a key: the message says what of it can be said.
    let mut settings = settings.map_err(|error| refused(URL, "[address]", error.to_string()))?;
    settings = settings.rows_at(names(config.get(ROWS_PATH)?)).patience(patience.clone());
    if let Some(token) = config.get::<Option<String>>(TOKEN)? {
        let header: String = config.get(TOKEN_HEADER)?;
        let token = Token::new(&header, token.trim_end());
        settings = settings.token(token.map_err(|error| refused(TOKEN_HEADER, &header, error.to_string()))?);
    }
    Ok(Some(settings))
}

fn paging(config: &Config, names: impl Fn(Option<String>) -> Vec<String>) -> Result<Paging, ConfigErrors> {
    let kind: String = config.get(PAGING)?;
    let parameter = config.get::<Option<String>>(PARAMETER)?.unwrap_or_else(|| kind.clone());
    let size = (config.get(SIZE_PARAMETER)?, config.get(SIZE)?);
    let next: Option<String> = config.get(NEXT_PATH)?;
    Ok(match kind.as_str() {
        "page" => Paging::Page { parameter, first: config.get(FIRST_PAGE)?, size },
        "offset" => Paging::Offset { parameter, size },
        "cursor" => {
            let path = names(Some(next.unwrap_or_else(|| "next".to_owned())));
            Paging::Cursor { parameter, size: Some(size), path }
        }
        "link" => Paging::Link { path: names(next) },
        _ => Paging::Single,
    })
}

fn declared(columns: &str, id: &str) -> Result<Declared, ConfigErrors> {
    let kinds = columns_of(columns).unwrap_or_default();
    let id: Vec<String> =
        id.split(',').map(str::trim).filter(|path| !path.is_empty()).map(str::to_owned).collect();
    let declared = Declared { kinds, id };
    for path in &declared.id {
        match declared.kind_of(path) {
            None | Some(Kind::Integer | Kind::WideInteger | Kind::Text) => {}
            Some(kind) => {
                let message = format!("'{path}' is {kind} by {COLUMNS}: an id is integer or text");
                return Err(Problem::new(ID_FIELDS, path, message).into());
            }
        }
    }
    Ok(declared)
}

/// `path:type,path:type`; a path may hold colons and commas escaped by none, so a type is what follows the last colon.
fn columns_of(text: &str) -> Option<Vec<(String, Kind)>> {
    let mut kinds: Vec<(String, Kind)> = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (path, kind) = part.rsplit_once(':')?;
        let (path, kind) = (path.trim(), kind.trim().parse().ok()?);
        if path.is_empty() || kinds.iter().any(|(known, _)| known == path) {
            return None;
        }
        kinds.push((path.to_owned(), kind));
    }
    Some(kinds)
}

#[cfg(test)]
mod tests {
    use riacho::config::RawConfig;

    use super::*;

    fn parse(pairs: &[(&str, &str)]) -> Result<ExtractionConfig, ConfigErrors> {
        let required = RawConfig::new(&[KEYS]).preset("bootstrap.servers", "a:1");
        let raw = PRESETS.iter().chain(pairs).fold(required, |raw, (key, value)| raw.preset(key, value));
        ExtractionConfig::of(&Config::try_from(raw)?)
    }

    #[test]
    fn with_nothing_said_everything_but_the_address_is_there() {
        let config = parse(&[]).unwrap();
        assert!(config.api.is_none());
        assert!(config.needed_api().unwrap_err().to_string().contains("extraction.api.url"));
        assert_eq!(config.rules.declared, Declared::default());
        let mut embedded = config;
        embedded.use_embedded("127.0.0.1:7".parse().unwrap());
        assert_eq!(embedded.shown_url().as_deref(), Some("http://127.0.0.1:7/items"));
        assert_eq!(embedded.rules.declared.id, ["id"]);
        assert_eq!(embedded.rules.declared.kind_of("valorTotal"), Some(Kind::Decimal(2)));
    }

    #[test]
    fn what_is_set_is_read() {
        let config = parse(&[
            ("extraction.api.url", "https://a/itens"),
            ("extraction.api.paging", "cursor"),
            ("extraction.api.token", "Bearer segredo\n"),
            ("extraction.columns", "preço:decimal(2), contato.desde : date"),
            ("extraction.id.fields", "loja, numero"),
        ])
        .unwrap();
        assert!(!format!("{config:?}").contains("segredo"));
        assert_eq!(config.rules.declared.id, ["loja", "numero"]);
        assert_eq!(config.rules.declared.kind_of("contato.desde"), Some(Kind::Date));
        let mut embedded = config;
        embedded.use_embedded("127.0.0.1:7".parse().unwrap());
        assert!(embedded.rules.declared.id.len() == 2, "what is said stays");
    }

    #[test]
    fn a_bad_value_is_refused_with_its_name_and_what_is_allowed() {
        for (name, value, part) in [
            ("extraction.source", "Vendas/2", "1 to 32 of the characters"),
            ("extraction.api.url", "ftp://a", "begins with http"),
            ("extraction.api.url", "https://ana:segredo@a", "use a token"),
            ("extraction.columns", "a:int", "path:type"),
            ("extraction.columns", "a:text,a:date", "path:type"),
            ("extraction.normalised.topic", "extraction_files", "another topic"),
            ("extraction.file.rows.max", "0", "1 to 10000000"),
        ] {
            let error = parse(&[(name, value)]).unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(name) && !error.contains("segredo"), "{error}");
        }
        let id = parse(&[("extraction.columns", "a:date"), ("extraction.id.fields", "a")]).unwrap_err();
        assert!(id.to_string().contains("an id is integer or text"), "{id}");
    }
}
