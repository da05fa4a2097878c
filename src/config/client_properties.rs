//! The properties that pass through to librdkafka.

use std::collections::BTreeMap;
use std::fmt;

use super::client_keys::Property;
use super::prefix::split_prefix;
use super::{ClientRole, HIDDEN, client_keys};

/// Properties for one librdkafka client. They may hold secrets: `Debug` masks them.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientProperties(BTreeMap<String, String>);

impl ClientProperties {
    /// Those of `written`, by their keys with prefix, that concern a client. Later layers are laid over earlier ones.
    pub(super) fn of(written: &BTreeMap<String, String>, role: ClientRole) -> ClientProperties {
        let mut properties = BTreeMap::new();
        let mut layers: Vec<(usize, &str, &str)> = written
            .iter()
            .filter_map(|(key, value)| {
                let (prefix, name) = split_prefix(key);
                let Some(Property::Passes(scope)) = client_keys::property(name) else { return None };
                let concerns = prefix.map_or_else(|| scope.includes(role), |prefix| prefix.includes(role));
                // The longer the prefix, the narrower what it is for.
                concerns.then_some((key.len() - name.len(), name, value.as_str()))
            })
            .collect();
        layers.sort_by_key(|(prefix, _, _)| *prefix);
        for (_, name, value) in layers {
            properties.insert(name.to_owned(), value.to_owned());
        }
        ClientProperties(properties)
    }

    /// The properties in the order of their names, secrets in the clear.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

impl fmt::Debug for ClientProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(name, value)| if client_keys::is_secret(name) { (name, HIDDEN) } else { (name, value) };
        f.debug_map().entries(self.iter().map(shown)).finish()
    }
}
