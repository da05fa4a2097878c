//! The environment of the original: which half runs, on which topic, in which group, at which brokers.

/// Which half of the workshop runs in this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Producer,
    Consumer,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Action::Producer => "producer",
            Action::Consumer => "consumer",
        }
    }
}

/// A variable has a value that the workshop cannot work with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} must be {must_be}")]
pub(crate) struct BadEnvironment {
    variable: &'static str,
    must_be: &'static str,
}

/// What the variables say. An empty one is as good as none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Environment {
    pub(super) action: Action,
    pub(super) topic: String,
    pub(super) group: String,
    bootstrap_servers: Option<String>,
}

impl Environment {
    /// Reads the variables through `variable`.
    ///
    /// # Errors
    /// When `ACTION` is neither of the two, or `TOPIC` or `CONSUMER_GROUP` is no name that Kafka takes.
    pub(super) fn of(variable: impl Fn(&str) -> Option<String>) -> Result<Environment, BadEnvironment> {
        let given =
            |name| variable(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let action = match given("ACTION").as_deref() {
            Some("producer") => Action::Producer,
            Some("consumer") => Action::Consumer,
            _ => return Err(BadEnvironment { variable: "ACTION", must_be: "producer or consumer" }),
        };
        let named = |variable: &'static str, default: &str| {
            let name = given(variable).unwrap_or_else(|| default.to_owned());
            let must_be = "1 to 249 of A-Z, a-z, 0-9, '.', '_' and '-', and neither '.' nor '..'";
            if is_name(&name) { Ok(name) } else { Err(BadEnvironment { variable, must_be }) }
        };
        Ok(Environment {
            action,
            topic: named("TOPIC", "my-topic")?,
            group: named("CONSUMER_GROUP", "workshop")?,
            bootstrap_servers: given("BOOTSTRAP_SERVERS"),
        })
    }

    /// The settings that follow, below those that are given as settings.
    pub(super) fn presets(&self) -> Vec<(&'static str, &str)> {
        // A stop during an outage waits for the last commit as long as a session lasts.
        let mut presets = vec![
            ("application.id", self.group.as_str()),
            ("processing.guarantee", "at_least_once"),
            ("session.timeout.ms", "10000"),
        ];
        presets.extend(self.bootstrap_servers.iter().map(|servers| ("bootstrap.servers", servers.as_str())));
        // Both halves are run side by side on one machine, and one of them can have the usual address.
        if self.action == Action::Producer {
            presets.push(("riacho.http.address", "none"));
        }
        presets
    }
}

fn is_name(name: &str) -> bool {
    const LENGTH_MAX: usize = 249;
    let is_plain = |symbol: char| symbol.is_ascii_alphanumeric() || "._-".contains(symbol);
    (1..=LENGTH_MAX).contains(&name.len()) && name.chars().all(is_plain) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Result<Environment, BadEnvironment> {
        Environment::of(|name| {
            pairs.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_variables_of_the_original_are_read() {
        let found = environment(&[
            ("ACTION", "consumer"),
            ("TOPIC", "t"),
            ("CONSUMER_GROUP", "g"),
            ("BOOTSTRAP_SERVERS", "a:1,b:2"),
        ])
        .unwrap();
        assert_eq!((found.action, found.topic.as_str()), (Action::Consumer, "t"));
        let presets = found.presets();
        assert!(presets.contains(&("application.id", "g")));
        assert!(presets.contains(&("bootstrap.servers", "a:1,b:2")));
    }

    #[test]
    fn what_is_not_given_is_as_in_the_original() {
        let found =
            environment(&[("ACTION", "producer"), ("TOPIC", ""), ("BOOTSTRAP_SERVERS", " ")]).unwrap();
        assert_eq!((found.topic.as_str(), found.group.as_str()), ("my-topic", "workshop"));
        assert!(found.presets().iter().all(|(key, _)| *key != "bootstrap.servers"));
    }

    #[test]
    fn a_wrong_variable_is_named() {
        for (pairs, variable) in [
            (vec![], "ACTION"),
            (vec![("ACTION", "both")], "ACTION"),
            (vec![("ACTION", "producer"), ("TOPIC", "a b")], "TOPIC"),
            (vec![("ACTION", "producer"), ("TOPIC", "..")], "TOPIC"),
            (vec![("ACTION", "consumer"), ("CONSUMER_GROUP", "a\nb")], "CONSUMER_GROUP"),
        ] {
            let error = environment(&pairs).unwrap_err();
            assert!(error.to_string().starts_with(variable), "{pairs:?}: {error}");
        }
    }
}
