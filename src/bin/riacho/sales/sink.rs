//! The table of sales, and the thread that fills it beside the topology.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use riacho::connect::postgres::{BadRow, CopyRows, PostgresSink, SinkPlan};
use riacho::{RawRecord, client_settings};

use super::config::SalesConfig;
use super::sale::Sale;

/// Where each sale came from is kept with it: nobody needs it, until somebody asks where a row is from.
const MIGRATIONS: &[&str] = &["
CREATE TABLE sales (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    sale_id bigint NOT NULL,
    product text NOT NULL,
    amount numeric(14, 2) NOT NULL,
    latitude double precision NOT NULL,
    longitude double precision NOT NULL,
    sale_date date NOT NULL,
    source_partition integer NOT NULL,
    source_offset bigint NOT NULL
)"];

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

/// The sink on a thread of its own; dropping it ends it, after the transaction that it is in.
pub(crate) struct RunningSink {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl RunningSink {
    /// Starts to write. When the database refuses for good, the process ends: an application without its sink is none.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(app: &SalesConfig, config: &riacho::config::Config) -> std::io::Result<RunningSink> {
        let sink = PostgresSink::of(
            PLAN,
            &app.sink,
            &app.input_topic,
            client_settings(config),
            app.database.clone(),
        );
        let stop: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let stopped = Arc::clone(&stop);
        let wait = move |time: Duration| {
            let (requested, changed) = &*stopped;
            let guard = requested.lock().unwrap_or_else(PoisonError::into_inner);
            let waited = changed.wait_timeout_while(guard, time, |requested| !*requested);
            *waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let write = move || {
            if let Err(error) = sink.run(&wait) {
                tracing::error!(%error, "the sink has failed, and the application ends");
                // Whatever was not committed is read again by the next start.
                std::process::exit(1);
            }
        };
        let thread = std::thread::Builder::new().name("postgres-sink".to_owned()).spawn(write)?;
        Ok(RunningSink { stop, thread: Some(thread) })
    }
}

impl Drop for RunningSink {
    fn drop(&mut self) {
        let (requested, changed) = &*self.stop;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the sink has panicked");
        }
    }
}
