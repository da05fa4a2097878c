//! Counts words: reads lines from the topic `lines` and keeps a count per word in `word-counts`, exactly once.

use std::time::Duration;

use riacho::config::{Config, RawConfig};
use riacho::{BigEndian, Consumed, Grouped, Materialized, Nullable, Produced, Streams, StreamsBuilder, Utf8};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = StreamsBuilder::new();
    builder
        // The types say that a key may be null here and a value may not.
        .stream("lines", Consumed::<Option<String>, String>::with(Nullable(Utf8), Utf8))
        .flat_map_values(|line| line.value.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|word| word.value.clone(), Grouped::with(Utf8, Utf8))
        .count(Materialized::named("counts", BigEndian))
        .to_stream()
        .to("word-counts", Produced::with(Utf8, BigEndian));
    let topology = builder.build()?;
    print!("{}", topology.describe());

    let config = RawConfig::new(&[])
        .preset("application.id", "word-count")
        .preset("bootstrap.servers", "localhost:9092")
        .process_environment() // RIACHO_BOOTSTRAP_SERVERS, RIACHO_STATE_DIR, ...
        .flags(std::env::args().skip(1)); // num.stream.threads=2 ...
    let streams = Streams::start(topology, Config::try_from(config)?)?;
    streams.wait_until_running(Duration::from_secs(60));
    println!("{}: Enter stops it", streams.state());
    std::io::stdin().read_line(&mut String::new())?;
    Ok(streams.close()?)
}
