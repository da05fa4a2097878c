//! The program `riacho`: ready applications on the library's public API.

mod application;
mod beside;
mod cli;
mod completions;
mod config_verbs;
mod csv;
mod demo;
mod enrolments;
mod extract;
mod extraction;
mod gauge;
mod generate;
mod goal;
mod process;
mod replay;
mod report;
mod reset;
mod run;
mod sales;
mod settings;
mod signals;
mod topics;
mod topology_verbs;
mod transactions;
mod verify;
mod web;
mod workshop;

use std::error::Error;
use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

use clap::Parser as _;
use riacho::config::ConfigErrors;

use crate::transactions::generator::BadGeneratorOption;
use crate::workshop::BadEnvironment;

/// Why a verb gives up: told to the user as it stands.
pub(crate) type Failure = Box<dyn Error>;

/// What is asked for does not go together.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct WrongUse(pub(crate) String);

/// As for flags that do not exist.
const WRONG_USE: u8 = 2;

fn main() -> ExitCode {
    match cli::Cli::parse().run() {
        Ok(code) => code,
        // Whoever reads the output has seen enough.
        Err(failure) if is_broken_pipe(failure.as_ref()) => ExitCode::SUCCESS,
        Err(failure) => {
            // There is nobody left to tell if stderr is gone too.
            let _ignored = writeln!(io::stderr(), "riacho: {}", told(failure.as_ref()));
            if is_wrong_use(failure.as_ref()) { ExitCode::from(WRONG_USE) } else { ExitCode::FAILURE }
        }
    }
}

fn is_broken_pipe(failure: &(dyn Error + 'static)) -> bool {
    failure.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

fn is_wrong_use(failure: &(dyn Error + 'static)) -> bool {
    failure.is::<WrongUse>()
        || failure.is::<ConfigErrors>()
        || failure.is::<BadGeneratorOption>()
        || failure.is::<BadEnvironment>()
}

/// The failure and what is behind it, as far as that is not in its own words.
fn told(failure: &dyn Error) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: io::Error,
    }

    #[test]
    fn what_does_not_go_together_is_wrong_use_and_so_is_its_exit_code() {
        for line in ["run workshop --embedded", "run workshop --until-caught-up", "verify extraction"] {
            let words = std::iter::once("riacho").chain(line.split(' '));
            let failure = cli::Cli::try_parse_from(words).unwrap().run().unwrap_err();
            assert!(is_wrong_use(failure.as_ref()), "{line}: {failure}");
        }
    }

    #[test]
    fn a_failure_is_told_with_its_source_once() {
        let source = || io::Error::new(ErrorKind::NotFound, "no such file");
        assert_eq!(
            told(&Layer { text: "cannot read a.json", source: source() }),
            "cannot read a.json: no such file"
        );
        assert_eq!(told(&Layer { text: "a.json: no such file", source: source() }), "a.json: no such file");
    }
}
