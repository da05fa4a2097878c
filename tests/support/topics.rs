//! The topics of an application `transactions` under test.

use super::app::App;
use super::client::{Client, unique};

/// Names that no other test has.
pub(crate) struct Topics {
    pub(crate) input: String,
    pub(crate) output: String,
    pub(crate) anomalies: String,
    /// Made by the application.
    pub(crate) late: String,
}

impl Topics {
    pub(crate) fn create(client: &Client, name: &str, partitions: i32) -> Topics {
        let topic = |what: &str| unique(&format!("{name}-{what}"));
        let (input, output, anomalies, late) = (topic("in"), topic("out"), topic("anomalies"), topic("late"));
        for topic in [&input, &output, &anomalies] {
            client.create_topic(topic, partitions);
        }
        Topics { input, output, anomalies, late }
    }

    /// An application that reads and writes them.
    pub(crate) fn application(&self, client: &Client, name: &str) -> App {
        App::on(client, name)
            .with("transactions.input.topic", &self.input)
            .with("transactions.output.topic", &self.output)
            .with("transactions.anomalies.topic", &self.anomalies)
            .with("riacho.late.topic", &self.late)
    }
}
