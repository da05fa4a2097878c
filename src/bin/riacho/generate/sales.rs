//! `riacho generate sales`: sales of three products, on five continents, within the last year.

use std::process::ExitCode;

use riacho::kafka::TopicWriter;
use riacho::ports::ClientError;

use super::{Common, Place, Source, day_of};
use crate::Failure;
use crate::application::App;
use crate::sales::config::SalesConfig;
use crate::sales::generator::SaleGenerator;

const EXAMPLES: &str = "\
Examples:
  riacho generate sales -b localhost:9092 --rate 20
  riacho generate sales -b localhost:9092 --count 200000 --seed 7

With --seed the records of a day are the same every time.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// The number of the first sale; those that follow count up
    #[arg(long, default_value_t = 1)]
    first_id: i64,
    /// The same seed gives the same records, but for dates, which are of the year before today
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

struct Sales {
    generator: SaleGenerator,
    value: Vec<u8>,
}

impl Source for Sales {
    fn drawn(&self) -> u64 {
        self.generator.drawn()
    }

    fn write(&mut self, place: &Place<'_>, writer: &mut TopicWriter) -> Result<(), ClientError> {
        let sale = self.generator.next(day_of(place.now));
        self.value.clear();
        serde_json::to_writer(&mut self.value, &sale).expect("a sale can be written as JSON");
        place.write(writer, sale.sale_id.to_string().as_bytes(), &self.value)
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let settings = &args.common.settings;
    let loaded = settings.load_for_tool(App::Sales, |_, config| SalesConfig::of(config))?;
    let generator = SaleGenerator::new(args.seed, args.first_id);
    let mut source = Sales { generator, value: Vec::with_capacity(256) };
    args.common.write(&mut source, &loaded, &loaded.app.input_topic)
}
