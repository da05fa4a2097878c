//! What is wrong with a configuration, told all at once.

use std::fmt;

/// One thing that is wrong: which setting, where it was made, what it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting's key, or the file or variable that could not be read.
    pub key: String,
    /// The value as given, masked where it is a secret; `None` where there is none.
    pub value: Option<String>,
    /// Where it was given, for example `app.properties:12`; `None` when it was not given at all.
    pub place: Option<String>,
    /// What is wrong and what to do about it.
    pub message: String,
}

impl Problem {
    /// A setting that an application refuses after [`Config`](super::Config) has accepted it, typically because two of
    /// its own keys do not fit together.
    pub fn new(key: impl Into<String>, value: impl fmt::Display, message: impl Into<String>) -> Self {
        Problem { key: key.into(), value: Some(value.to_string()), place: None, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value}")?;
        }
        if let Some(place) = &self.place {
            write!(f, " ({place})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// The configuration cannot be used. Holds every problem that was found, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        ConfigErrors { problems }
    }

    /// Every problem, in the order of their keys.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl From<Problem> for ConfigErrors {
    fn from(problem: Problem) -> Self {
        ConfigErrors { problems: vec![problem] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "configuration: {only}"),
            many => {
                write!(f, "the configuration has {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
            }
        }
    }
}

impl std::error::Error for ConfigErrors {}
