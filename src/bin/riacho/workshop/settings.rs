//! The settings that the original has as constants.

use std::time::Duration;

use riacho::config::{Allowed, Config, ConfigErrors, DefaultValue, KeySpec};

const INTERVAL: &str = "workshop.interval.ms";

pub(super) static KEYS: &[KeySpec] = &[KeySpec {
    name: INTERVAL,
    default: DefaultValue::Value("1000"),
    allowed: Allowed::Integer { min: 1, max: 3_600_000 },
    doc: "How long the producer rests between two messages, in milliseconds.",
}];

/// How long the producer rests between two messages.
pub(super) fn interval(config: &Config) -> Result<Duration, ConfigErrors> {
    Ok(Duration::from_millis(config.get::<u64>(INTERVAL)?))
}
