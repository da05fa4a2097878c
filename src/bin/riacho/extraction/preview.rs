//! The first rows of a file as text.

use std::fs::File;
use std::path::Path;

use riacho::connect::files::ParquetSource;

use super::text::write_text;

/// What is shown of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Preview {
    /// Names and types.
    pub(crate) columns: Vec<(String, String)>,
    pub(crate) columns_total: usize,
    pub(crate) rows: Vec<Vec<Option<String>>>,
    /// None if that cannot be told without reading everything.
    pub(crate) rows_total: Option<u64>,
}

/// How much is shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PreviewLimits {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

impl Preview {
    /// Reads the beginning of a Parquet or CSV file.
    ///
    /// # Errors
    /// When it is not there or not readable.
    pub(crate) fn of(path: &Path, limits: PreviewLimits) -> Result<Preview, String> {
        match path.extension().is_some_and(|extension| extension == "csv") {
            true => Preview::of_csv(path, limits).map_err(|error| format!("{}: {error}", path.display())),
            false => Preview::of_parquet(path, limits).map_err(|error| error.to_string()),
        }
    }

    fn of_parquet(
        path: &Path,
        limits: PreviewLimits,
    ) -> Result<Preview, riacho::connect::files::ParquetError> {
        let source = ParquetSource::open(path)?;
        let fields = source.schema().fields();
        let shown: Vec<usize> = (0..fields.len().min(limits.columns)).collect();
        let columns = fields.iter().take(limits.columns);
        let columns = columns.map(|field| (field.name().clone(), field.data_type().to_string())).collect();
        let mut rows = Vec::new();
        if let Some(batch) = source.batches(limits.rows, Some(&shown)).next() {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let cell = |column| {
                    let mut text = String::new();
                    write_text(&mut text, column, row).then_some(text)
                };
                rows.push(batch.columns().iter().map(cell).collect());
            }
        }
        Ok(Preview { columns, columns_total: fields.len(), rows, rows_total: Some(source.rows()) })
    }

    fn of_csv(path: &Path, limits: PreviewLimits) -> csv::Result<Preview> {
        let mut reader = csv::Reader::from_reader(File::open(path)?);
        let names = reader.headers()?;
        let columns_total = names.len();
        let columns =
            names.iter().take(limits.columns).map(|name| (name.to_owned(), "text".to_owned())).collect();
        let mut rows = Vec::new();
        for record in reader.records().take(limits.rows) {
            rows.push(record?.iter().take(limits.columns).map(|text| Some(text.to_owned())).collect());
        }
        Ok(Preview { columns, columns_total, rows, rows_total: None })
    }
}
