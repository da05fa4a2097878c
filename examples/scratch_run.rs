//! The program `riacho`: ready applications on the library's public API.

#[path = "/work/main/src/bin/riacho/transactions/mod.rs"] mod transactions;

use riacho::config::{Config, RawConfig, KeySpec, DefaultValue, Allowed};
use std::sync::LazyLock;
use std::time::Duration;

static KEYS: LazyLock<Vec<KeySpec>> = LazyLock::new(|| {
    transactions::config::SETTINGS.iter().map(|s| KeySpec { name: s.name, default: DefaultValue::Value(s.default), allowed: Allowed::Text, doc: s.doc }).collect()
});

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let raw = RawConfig::new(&[&KEYS]).process_environment().flags(std::env::args().skip(1));
    let config = Config::try_from(raw)?;
    riacho::observe::log::init(&riacho::observe::log::LogSettings::of(&config))?;
    let pairs: Vec<_> = config.entries().iter().filter(|e| e.key.starts_with("transactions.") && !matches!(e.source, riacho::config::Source::Default)).filter_map(|e| Some((e.key.clone(), e.value.clone()?))).collect();
    let app = transactions::config::TransactionsConfig::parse(pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())))?;
    let topology = transactions::topology::topology(&app)?;
    println!("{}", topology.describe());
    let streams = riacho::Streams::start(topology, config)?;
    println!("running {}", streams.wait_until_running(Duration::from_secs(60)));
    let mut last = 0;
    for _ in 0..60 {
        if streams.wait_until_ended(Duration::from_millis(500)) { break; }
        let p = streams.progress();
        println!("{} records ({}/s) commits {} aborts {} last commit {:?} late {} open {} cached {} lag {} dlq {}", p.records, (p.records - last) * 2, p.commits, p.aborts, p.last_commit, p.late, p.windows_open, p.cached_bytes, p.lag(), p.dead_letters);
        last = p.records;
    }
    streams.close()?;
    Ok(())
}
