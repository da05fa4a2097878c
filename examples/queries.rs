//! Counts words as `word_count` does, and answers what the counts are while it runs, from any of its instances.
//!
//! ```text
//! cargo run --release --example queries
//! cargo run --release --example queries state.dir=/tmp/second riacho.http.address=127.0.0.1:9465
//!
//! curl 'localhost:9464/stores'                           the stores, and which instance has which partition
//! curl 'localhost:9465/stores/counts/keys/stream'        the count of a word, from either instance
//! curl 'localhost:9464/stores/counts/range?from=a&to=b&limit=10'
//! curl 'localhost:9464/longest'                          a page of our own
//! ```

use std::time::Duration;

use riacho::config::{Config, RawConfig};
use riacho::observe::http::{Page, Pages};
use riacho::query::{KeyValueView, Paging, Queries, QueryError};
use riacho::{BigEndian, Consumed, Grouped, Launch, Materialized, Nullable, StreamsBuilder, Utf8};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let builder = StreamsBuilder::new();
    let _counts = builder
        .stream("lines", Consumed::<Option<String>, String>::with(Nullable(Utf8), Utf8))
        .flat_map_values(|line| line.value.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>())
        .group_by(|word| word.value.clone(), Grouped::with(Utf8, Utf8))
        .count(Materialized::named("counts", BigEndian));

    // The serdes are those of the store; `show` also serves it as JSON.
    let queries = Queries::new();
    let counts = queries.key_value::<String, u64>("counts", Utf8, BigEndian).show();
    let pages =
        Pages::new().with("/longest", "the longest word and its count", move |_| match longest(&counts) {
            Ok(Some((word, count))) => Page::text(200, format!("{word}: {count}\n")),
            Ok(None) => Page::text(404, "no words yet\n"),
            Err(error) => error.page(),
        });

    let config = RawConfig::new(&[])
        .preset("application.id", "queries")
        .preset("bootstrap.servers", "localhost:9092")
        .process_environment()
        .flags(std::env::args().skip(1));
    let streams = Launch::of(builder.build()?, Config::try_from(config)?)
        .with_queries(queries)
        .with_pages(pages)
        .start()?;
    streams.wait_until_running(Duration::from_secs(60));
    if let Some(address) = streams.http_address() {
        println!("http://{address}/stores answers; Enter stops it");
    }
    std::io::stdin().read_line(&mut String::new())?;
    Ok(streams.close()?)
}

/// Reads all counts, of all instances, page by page.
fn longest(counts: &KeyValueView<String, u64>) -> Result<Option<(String, u64)>, QueryError> {
    let (mut longest, mut paging) = (None, Paging::first(Paging::LIMIT_MAX));
    loop {
        let page = counts.all(&paging)?;
        let words = page.entries.into_iter().map(|entry| (entry.key, entry.value));
        longest = longest.into_iter().chain(words).max_by_key(|(word, _)| word.chars().count());
        match page.next {
            Some(next) => paging = paging.after(Some(next)),
            None => return Ok(longest),
        }
    }
}
