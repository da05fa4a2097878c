//! The application `workshop`: a producer of simulated transactions and a consumer that logs them.
//!
//! It has no topology: each half is a plain client, told apart by the environment that the original has. The consumer
//! commits a message after it has logged it: after a crash some are logged twice, none is left out.

mod brokers;
mod consumer;
mod environment;
mod journal;
mod lookout;
mod message;
mod pages;
mod producer;
mod settings;

use std::process::ExitCode;

use riacho::observe::HttpServer;
use riacho::observe::log::{self, LogSettings};
use riacho::{SystemClock, client_settings};

use crate::Failure;
use crate::settings::Settings;
use crate::signals::Signals;
use crate::web::{self, Board, Facts, PageSettings};

use brokers::Brokers;
pub(crate) use environment::BadEnvironment;
use environment::{Action, Environment};
use journal::Journal;

const NAME: &str = "workshop";

/// Runs one half until it is told to stop.
pub(crate) fn run(settings: &Settings) -> Result<ExitCode, Failure> {
    let signals = Signals::listen()?;
    let environment = Environment::of(|name| std::env::var(name).ok())?;
    let config = settings.load_plain(settings::KEYS, &environment.presets())?;
    log::init(&LogSettings::of(&config))?;
    let interval = settings::interval(&config)?;
    let journal = Journal::new(SystemClock::new());
    let board = Board::new();
    board.announce(NAME, Facts::of(&config));
    let told = pages::pages(&environment, &journal);
    let pages = web::pages(&PageSettings::of(&config)?, &board, NAME).merge(told);
    let pages = pages.with_token(config.http_token().map(str::to_owned));
    let server = config.http_address().map(|address| HttpServer::start(address, pages)).transpose()?;
    let brokers = Brokers {
        clients: client_settings(&config),
        replication_factor: config.replication_factor().and_then(|factor| i32::try_from(factor.get()).ok()),
        topic: environment.topic,
        journal,
        signals,
    };
    brokers.journal.waits(brokers::WAITING);
    lookout::start(&brokers.clients.bootstrap_servers, &brokers.journal, &brokers.signals)?;
    match environment.action {
        Action::Producer => producer::run(&brokers, interval)?,
        Action::Consumer => consumer::run(&brokers)?,
    }
    drop(server);
    Ok(ExitCode::SUCCESS)
}
