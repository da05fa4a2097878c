//! `riacho generate enrolments`: enrolments by the original's rules.

use std::process::ExitCode;

use riacho::Serde as _;
use riacho::kafka::TopicWriter;
use riacho::ports::ClientError;

use super::{Common, Place, Source, day_of};
use crate::Failure;
use crate::application::App;
use crate::enrolments::config::EnrolmentsConfig;
use crate::enrolments::enrolment::EnrolmentSerde;
use crate::enrolments::generator::Generator;

const EXAMPLES: &str = "\
Examples:
  riacho generate enrolments -b localhost:9092 --rate 20
  riacho generate enrolments -b localhost:9092 --count 100000 --duplicates 0.05 --seed 7

With --seed the records of a day are the same every time.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    common: Common,
    /// Share of records whose enrolment was written before
    #[arg(long, default_value_t = 0.01, value_parser = share)]
    duplicates: f64,
    /// The same seed gives the same records, but for dates, which are of the year before today
    #[arg(long, default_value_t = 42)]
    seed: u64,
}

fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

struct Enrolments {
    generator: Generator,
    value: Vec<u8>,
}

impl Source for Enrolments {
    fn drawn(&self) -> u64 {
        self.generator.drawn()
    }

    fn write(&mut self, place: &Place<'_>, writer: &mut TopicWriter) -> Result<(), ClientError> {
        let enrolment = self.generator.next(day_of(place.now));
        self.value.clear();
        EnrolmentSerde.serialize(enrolment, &mut self.value).expect("an enrolment can be written as JSON");
        place.write(writer, enrolment.id.as_bytes(), &self.value)
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let settings = &args.common.settings;
    let loaded = settings.load_for_tool(App::Enrolments, |_, config| EnrolmentsConfig::of(config))?;
    let generator = Generator::new(args.seed, args.duplicates);
    let mut source = Enrolments { generator, value: Vec::with_capacity(512) };
    args.common.write(&mut source, &loaded, &loaded.app.input_topic)
}
