//! The table of sales, and the thread that fills it beside the topology.

use std::sync::{Arc, Mutex, PoisonError};

use riacho::config::Config;
use riacho::connect::postgres::{BadRow, CopyRows, PostgresSink, SinkEvent, SinkPlan};
use riacho::observe::http::Objection;
use riacho::{RawRecord, client_settings};

use super::config::SalesConfig;
use super::metrics::SinkMetrics;
use super::sale::Sale;
use crate::beside::{Beside, Worker};

/// Where each sale came from is kept with it: nobody needs it, until somebody asks where a row is from.
///
/// What the page asks every few seconds is added up by the database as rows come, in their transaction: counting a table of
/// millions again and again would take all of its time. A long product is cut there, because an index takes no more.
const MIGRATIONS: &[&str] = &["
CREATE TABLE sales (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sale_id bigint NOT NULL,
    product text NOT NULL,
    amount numeric(16, 2) NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    sale_date date NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL
);
CREATE TABLE sales_by_day (
    product text NOT NULL,
    sale_date date NOT NULL,
    quantity bigint NOT NULL,
    amount numeric(30, 2) NOT NULL,
    PRIMARY KEY (product, sale_date)
);
CREATE FUNCTION add_sales_by_day() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sales_by_day AS known (product, sale_date, quantity, amount)
    SELECT left(product, 257), sale_date, count(*), sum(amount) FROM added GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (product, sale_date) DO UPDATE
    SET quantity = known.quantity + excluded.quantity, amount = known.amount + excluded.amount;
    RETURN NULL;
END $$;
CREATE TRIGGER add_sales_by_day AFTER INSERT ON sales REFERENCING NEW TABLE AS added
    FOR EACH STATEMENT EXECUTE FUNCTION add_sales_by_day();"];

const PLAN: SinkPlan = SinkPlan {
    schema: "sales",
    migrations: MIGRATIONS,
    target: "sales (sale_id, product, amount, latitude, longitude, sale_date, source_partition, source_offset)",
    columns: 8,
    write,
};

fn write(record: &RawRecord<'_>, row: &mut CopyRows) -> Result<(), BadRow> {
    let value = record.value.ok_or_else(|| BadRow("the record has no value".to_owned()))?;
    let sale = Sale::parse(value).map_err(BadRow)?;
    let days = sale.days().map_err(BadRow)?;
    row.bigint(sale.sale_id);
    row.text(&sale.product);
    row.hundredths(sale.amount.0);
    row.double(sale.latitude);
    row.double(sale.longitude);
    row.date(days);
    row.integer(record.partition);
    row.bigint(record.offset);
    Ok(())
}

/// Why the sink does not write now.
#[derive(Clone, Default)]
struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn starting() -> Trouble {
        let trouble = Trouble::default();
        trouble.set(Some("the sink connects to PostgreSQL".to_owned()));
        trouble
    }

    fn set(&self, reason: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts to write, on a thread of its own. When the database refuses for good, the process ends: an application without
/// its sink is none.
///
/// # Errors
/// When the system gives no thread.
pub(crate) fn start(app: &SalesConfig, config: &Config) -> std::io::Result<Beside> {
    let sink =
        PostgresSink::of(PLAN, &app.sink, &app.input_topic, client_settings(config), app.database.clone());
    let (metrics, own_metrics) = SinkMetrics::new();
    let trouble = Trouble::starting();
    let told = trouble.clone();
    let worker = Worker::start("postgres-sink", move |wait| {
        let tell = |event: SinkEvent<'_>| {
            metrics.count(&event);
            match event {
                SinkEvent::Running => told.set(None),
                SinkEvent::Waiting { error, pause } => {
                    let pause = pause.as_millis();
                    tracing::warn!(%error, "the sink connects again in {pause} ms [settings: sales.postgres.*]");
                    told.set(Some(format!("{error} [settings: sales.postgres.*]")));
                }
                SinkEvent::Committed { .. } => {}
            }
        };
        if let Err(error) = sink.run(wait, &tell) {
            tracing::error!(%error, "the sink has failed, and the application ends [settings: sales.postgres.*]");
            // Whatever was not committed is read again by the next start.
            std::process::exit(1);
        }
    })?;
    let objection: Objection = Arc::new(move || trouble.get());
    let mut beside = Beside::of(worker);
    (beside.metrics, beside.objection) = (own_metrics, objection);
    Ok(beside)
}
