//! `riacho csv`: a Parquet file of an extraction as CSV.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use riacho::connect::files::{AtomicFile, ParquetSource};

use crate::Failure;
use crate::extraction::csv_file::CsvWriter;

const EXAMPLES: &str = "\
Examples:
  riacho csv output/normalised/api-00000001.parquet | head
  riacho csv output/normalised/api-00000001.parquet --output rows.csv

RFC 4180 with a line of names; null is an empty field. Columns of types that riacho does not write are not \
spelled out.";

const BATCH_ROWS_MAX: usize = 8 * 1024;

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The Parquet file
    file: PathBuf,
    /// Where to write to: the file appears when it is whole [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let source = ParquetSource::open(&args.file)?;
    match &args.output {
        Some(output) => {
            let file =
                AtomicFile::create(output).map_err(|error| format!("{}: {error}", output.display()))?;
            write(&source, file)?.publish()?;
        }
        None => write(&source, BufWriter::new(io::stdout()))?.flush()?,
    }
    Ok(ExitCode::SUCCESS)
}

fn write<W: Write>(source: &ParquetSource, out: W) -> Result<W, Failure> {
    let mut csv = CsvWriter::new(out);
    for batch in source.batches(BATCH_ROWS_MAX, None) {
        csv.write(&batch?).map_err(plain)?;
    }
    Ok(csv.finish()?)
}

/// Whoever reads the output may have seen enough: that is told from other failures by its kind.
fn plain(error: ::csv::Error) -> Failure {
    match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error.into(),
        other => format!("{other:?}").into(),
    }
}
