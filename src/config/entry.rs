//! The settings with their effective values, as a person is shown them.

use super::checked::Checked;
use super::key::Value;
use super::raw::{RawConfig, Source};
use super::{HIDDEN, client_keys};

/// A setting with its effective value, as `config show` prints it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// The effective value, masked where it is a secret; `None` when the key has none.
    pub value: Option<String>,
    /// Where the value comes from.
    pub source: Source,
    /// What the key does; empty for properties that pass through to librdkafka.
    pub doc: &'static str,
}

pub(super) fn entries_of(raw: &RawConfig, checked: &Checked) -> Vec<Entry> {
    let settings = raw.keys().map(|spec| {
        let value = checked.values.get(spec.name).map(Value::to_string);
        Entry {
            key: spec.name.to_owned(),
            value: value.map(|value| if spec.allowed.is_secret() { HIDDEN.to_owned() } else { value }),
            source: checked.sources.get(spec.name).cloned().unwrap_or(Source::Default),
            doc: spec.doc,
        }
    });
    let client = raw.client.iter().map(|(key, written)| Entry {
        key: key.clone(),
        value: Some(if client_keys::is_secret(key) { HIDDEN.to_owned() } else { written.text.clone() }),
        source: written.source.clone(),
        doc: "",
    });
    settings.chain(client).collect()
}
