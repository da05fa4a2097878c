//! How the Kafka clients of an application are set up: what riacho owns, what it proposes, what the user changes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};

use super::errors::{fatal, plain};
use super::property::{OWNED, canonical};
use super::role::Role;
use super::statistics::StatisticsWatch;
use crate::ports::ClientError;

const CONFIGURE: &str = "configure the Kafka clients";
const KIB: u64 = 1024;

/// What every topic refuses by default is a request above 1,048,588 bytes; librdkafka's own limit is below.
const MESSAGE_BYTES_MAX: u64 = 1_000_000;
/// Records in the last KiB below the limit pass the library's check and are then neither sent nor refused.
const MESSAGE_BYTES_MARGIN: u64 = KIB;

/// Where to begin in an input partition without a committed position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    /// At the first record that is still there.
    Earliest,
    /// With the records that are yet to come.
    Latest,
    /// Nowhere: fail and say so.
    None,
}

/// Client properties in librdkafka's names that win over what riacho proposes. Those that it owns are refused.
#[derive(Clone, Default)]
pub struct Overrides {
    /// For every client.
    pub common: Vec<(String, String)>,
    /// For the group member.
    pub consumer: Vec<(String, String)>,
    /// For the producer.
    pub producer: Vec<(String, String)>,
    /// For what reads changelogs.
    pub restore: Vec<(String, String)>,
    /// For what creates topics.
    pub admin: Vec<(String, String)>,
}

/// The values may be passwords: only the names are shown.
impl fmt::Debug for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = |list: &[(String, String)]| list.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        f.debug_struct("Overrides")
            .field("common", &names(&self.common))
            .field("consumer", &names(&self.consumer))
            .field("producer", &names(&self.producer))
            .field("restore", &names(&self.restore))
            .field("admin", &names(&self.admin))
            .finish()
    }
}

/// How the Kafka clients of one stream thread, or of one tool, are set up.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// `bootstrap.servers`.
    pub bootstrap_servers: String,
    /// The application id; the group is called after it.
    pub application_id: String,
    /// A topic that is there. New clients ask for it, so that they are connected before they are needed; without it
    /// they connect with their first request.
    pub known_topic: Option<String>,
    /// What the brokers' logs and metrics call the clients; a suffix tells them apart.
    pub client_id: String,
    /// Makes the member static: a restart within the session timeout causes no rebalance.
    pub group_instance_id: Option<String>,
    /// Whether a static member leaves the group when it is closed. A dynamic one always does.
    pub leave_on_close: bool,
    /// With it the producer is transactional: exactly once. Without it, at least once.
    pub transactional_id: Option<String>,
    /// Where to begin without a committed position.
    pub offset_reset: OffsetReset,
    /// A member not heard of for so long is dead.
    pub session_timeout: Duration,
    /// Time between signs of life, and the time in which a member learns of a rebalance.
    pub heartbeat_interval: Duration,
    /// A member that does not poll for so long gives up its partitions.
    pub max_poll_interval: Duration,
    /// The coordinator aborts a transaction that is open for so long.
    pub transaction_timeout: Duration,
    /// How long a call waits for an answer before it says "try again".
    pub request_timeout: Duration,
    /// About how many bytes the group member may hold that it fetched ahead.
    pub fetch_bytes_max: u64,
    /// How long a broker may hold back what the group member asked for until there is much of it.
    pub fetch_wait_max: Duration,
    /// About how many bytes the producer may hold that are not acknowledged.
    pub send_bytes_max: u64,
    /// Whether [`GroupEvent::EndOfPartition`](crate::ports::GroupEvent::EndOfPartition) is reported.
    pub report_end_of_partition: bool,
    /// Who is told how the member and the producer are doing.
    pub statistics: Option<StatisticsWatch>,
    /// What the user wants otherwise.
    pub overrides: Overrides,
}

impl ClientSettings {
    /// The longest that a broker should hold back what the group member asked for: little beside a commit interval.
    pub const FETCH_WAIT_MAX: Duration = Duration::from_millis(20);

    /// Settings with riacho's defaults: at least once, a dynamic member, reset to the earliest record.
    pub fn new(bootstrap_servers: impl Into<String>, application_id: impl Into<String>) -> Self {
        let application_id = application_id.into();
        ClientSettings {
            bootstrap_servers: bootstrap_servers.into(),
            client_id: application_id.clone(),
            application_id,
            known_topic: None,
            group_instance_id: None,
            leave_on_close: false,
            transactional_id: None,
            offset_reset: OffsetReset::Earliest,
            session_timeout: Duration::from_secs(45),
            heartbeat_interval: Duration::from_millis(500),
            max_poll_interval: Duration::from_secs(300),
            transaction_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            fetch_bytes_max: 16 * KIB * KIB,
            fetch_wait_max: Self::FETCH_WAIT_MAX,
            send_bytes_max: 16 * KIB * KIB,
            report_end_of_partition: true,
            statistics: None,
            overrides: Overrides::default(),
        }
    }

    /// Checks names and values of every client's properties without connecting to anything.
    ///
    /// # Errors
    /// When a property is unknown, has a value out of range, or belongs to riacho; the message names it.
    pub fn check(&self) -> Result<(), ClientError> {
        for role in [Role::Member, Role::Producer, Role::Restore, Role::Watermarks, Role::Admin] {
            self.config(role)?;
        }
        Ok(())
    }

    /// The most bytes that a record's key, value and headers may have together.
    pub(super) fn record_bytes_max(&self) -> usize {
        let given = self.overrides.common.iter().chain(&self.overrides.producer);
        let limit = given
            .filter(|(name, _)| name == "message.max.bytes")
            .filter_map(|(_, value)| value.parse::<u64>().ok())
            .next_back()
            .unwrap_or(MESSAGE_BYTES_MAX);
        usize::try_from(limit.saturating_sub(MESSAGE_BYTES_MARGIN)).unwrap_or(usize::MAX)
    }

    /// The librdkafka configuration of a client, checked.
    pub(super) fn config(&self, role: Role) -> Result<ClientConfig, ClientError> {
        let mut properties: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in self.proposed(role) {
            properties.insert(name.to_owned(), value);
        }
        for (name, value) in self.overrides.common.iter().chain(self.overrides.of(role)) {
            let name = canonical(name);
            if let Some((_, instead)) = OWNED.iter().find(|(owned, _)| *owned == name) {
                return Err(fatal(CONFIGURE, format!("'{name}' cannot be overridden: {instead}")));
            }
            properties.insert(name.to_owned(), value.clone());
        }
        let listened = self.listens_to(role);
        let verbose = listened.is_some() || properties.contains_key("debug");
        if let Some(listened) = listened {
            let debug = properties.entry("debug".to_owned()).or_default();
            *debug = if debug.is_empty() { listened.to_owned() } else { format!("{debug},{listened}") };
        }
        for (name, value) in self.owned(role) {
            properties.insert(name.to_owned(), value);
        }
        let mut config: ClientConfig = properties.into_iter().collect();
        config.set_log_level(match role {
            _ if verbose => RDKafkaLogLevel::Debug,
            // Nobody empties the queue of rdkafka's admin client.
            Role::Admin => RDKafkaLogLevel::Critical,
            _ => RDKafkaLogLevel::Info,
        });
        config.create_native_config().map_err(|failure| plain(CONFIGURE, &failure))?;
        Ok(config)
    }

    /// The debug lines of librdkafka that a client of ours needs, because nothing else tells it the same: the producer,
    /// that a connection broke under a transaction; the member, that its leaving is through. They are few.
    fn listens_to(&self, role: Role) -> Option<&'static str> {
        match role {
            Role::Member => Some("cgrp"),
            Role::Producer if self.transactional_id.is_some() => Some("broker"),
            _ => None,
        }
    }

    /// What no override may change, because a promise rests on it.
    fn owned(&self, role: Role) -> Vec<(&'static str, String)> {
        let text = str::to_owned;
        let mut owned = vec![
            ("bootstrap.servers", self.bootstrap_servers.clone()),
            ("client.id", format!("{}{}", self.client_id, role.suffix())),
            // For a producer librdkafka's default is otherwise, and a question about a topic would create it.
            ("allow.auto.create.topics", text("false")),
        ];
        if role.consumes() {
            owned.extend([
                ("enable.auto.commit", text("false")),
                ("enable.auto.offset.store", text("false")),
                ("isolation.level", text(role.isolation())),
            ]);
        }
        if role.fetches() {
            // librdkafka needs a group for an assignment too, though such a reader never joins it.
            owned.push(("group.id", self.application_id.clone()));
        }
        if matches!(role, Role::Member | Role::Producer) && self.statistics.is_some() {
            owned.push(("statistics.interval.ms", text(STATISTICS_INTERVAL_MS)));
        }
        match role {
            Role::Member => {
                owned.extend([
                    ("group.protocol", text("classic")),
                    ("partition.assignment.strategy", text("cooperative-sticky")),
                    ("auto.offset.reset", text(self.offset_reset.as_str())),
                    ("enable.partition.eof", self.report_end_of_partition.to_string()),
                ]);
                owned.extend(self.group_instance_id.iter().map(|id| ("group.instance.id", id.clone())));
            }
            Role::Restore | Role::Reader(_) => owned.push(("auto.offset.reset", text("error"))),
            Role::Producer | Role::Writer => {
                owned.extend([
                    ("acks", text("all")),
                    ("enable.idempotence", text("true")),
                    // Java's partitioner: the default would put the same key on another partition.
                    ("partitioner", text("murmur2_random")),
                ]);
                if role == Role::Producer {
                    owned.extend(self.transactional_id.iter().map(|id| ("transactional.id", id.clone())));
                }
            }
            Role::Watermarks | Role::Admin => {}
        }
        owned
    }

    /// What is right for most, and the user may change.
    fn proposed(&self, role: Role) -> Vec<(&'static str, String)> {
        let text = str::to_owned;
        let mut proposed = vec![
            ("topic.metadata.refresh.interval.ms", text("30000")),
            ("socket.keepalive.enable", text("true")),
            // A broker is back within seconds; ten more of back-off would be felt.
            ("reconnect.backoff.max.ms", text("2000")),
            // Java's. librdkafka also waits half of it before a new client opens its second connection.
            ("reconnect.backoff.ms", text("50")),
            ("enable.metrics.push", text("false")),
        ];
        if role.fetches() {
            let budget = match role {
                Role::Member => self.fetch_bytes_max,
                _ => RESTORE_BYTES_MAX,
            };
            proposed.extend(fetch_limits(budget));
        }
        match role {
            Role::Member => proposed.extend([
                ("fetch.min.bytes", FETCH_BYTES_MUCH.to_string()),
                ("fetch.wait.max.ms", millis(self.fetch_wait_max)),
                ("session.timeout.ms", millis(self.session_timeout)),
                ("heartbeat.interval.ms", millis(self.heartbeat_interval)),
                ("max.poll.interval.ms", millis(self.max_poll_interval)),
            ]),
            // A changelog's end is looked at first, and a fetch that waits there holds up what is read next.
            Role::Restore => proposed.push(("fetch.wait.max.ms", millis(Self::FETCH_WAIT_MAX))),
            Role::Producer => {
                proposed.extend([
                    ("linger.ms", text(LINGER_MS)),
                    ("max.in.flight.requests.per.connection", text(IN_FLIGHT_MAX)),
                    ("retry.backoff.ms", text(RETRY_BACKOFF_MS)),
                    // Below the life of a transaction, so that a missing topic is called missing and not slow.
                    ("topic.metadata.propagation.max.ms", text("5000")),
                    ("queue.buffering.max.kbytes", (self.send_bytes_max / KIB).max(1).to_string()),
                ]);
                if self.transactional_id.is_some() {
                    proposed.push(("transaction.timeout.ms", millis(self.transaction_timeout)));
                    proposed.push(("connections.max.idle.ms", text(IDLE_MS)));
                } else {
                    proposed.push(("message.timeout.ms", text("120000")));
                }
            }
            Role::Writer => proposed.extend([
                ("linger.ms", text("5")),
                ("queue.buffering.max.kbytes", (self.send_bytes_max / KIB).max(1).to_string()),
                ("queue.buffering.max.messages", text("500000")),
            ]),
            _ => {}
        }
        proposed.into_iter().map(|(name, value)| (canonical(name), value)).collect()
    }
}

/// A broker answers at once where there is so much. With the library's default, a byte, every small batch that somebody
/// writes is fetched by itself: measured with a writer of 5,000 records/s, ten times the requests.
const FETCH_BYTES_MUCH: u64 = 64 * KIB;
const RESTORE_BYTES_MAX: u64 = 16 * KIB * KIB;
/// Measured: 1 costs no throughput, and 5, the library's default, adds its 5 ms to every commit.
const LINGER_MS: &str = "1";
/// A broker serves the requests of one connection one by one anyway. And while librdkafka may send another request, it
/// asks without a pause for records whose partition must wait for an answer first: with the library's default, 5, a
/// broker that stood still cost a core.
const IN_FLIGHT_MAX: &str = "1";
/// The first wait before a request is repeated; it doubles from there. A coordinator that is still writing the markers of
/// the last transaction refuses the offsets of the next, and is through within milliseconds: with the library's default,
/// 100, one commit in fifty took ten times as long.
const RETRY_BACKOFF_MS: &str = "10";
/// What ends a stall of librdkafka: where the group's coordinator dies and leaves the cluster's metadata,
/// `rd_kafka_send_offsets_to_transaction` waits, whatever its timeout, for the next connection that comes or goes
/// (<https://github.com/confluentinc/librdkafka/issues/5511>, 5456). During the stall all of them are silent.
const IDLE_MS: &str = "10000";
const STATISTICS_INTERVAL_MS: &str = "5000";

/// Bounds what a consumer holds: in bytes, and in records, since each costs some 600 bytes beside its own.
fn fetch_limits(budget: u64) -> [(&'static str, String); 5] {
    let queued = (budget / 4).max(256 * KIB);
    [
        ("queued.min.messages", (budget / KIB).max(1_000).to_string()),
        ("queued.max.messages.kbytes", (queued / KIB).to_string()),
        ("fetch.max.bytes", (budget / 8).max(MESSAGE_BYTES_MAX).to_string()),
        ("fetch.message.max.bytes", (budget / 16).max(256 * KIB).to_string()),
        // A full queue is empty again within milliseconds; the default would leave the thread idle for a second.
        ("fetch.queue.backoff.ms", "2".to_owned()),
    ]
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

impl OffsetReset {
    fn as_str(self) -> &'static str {
        match self {
            OffsetReset::Earliest => "earliest",
            OffsetReset::Latest => "latest",
            OffsetReset::None => "error",
        }
    }
}

impl Overrides {
    fn of(&self, role: Role) -> &[(String, String)] {
        match role {
            Role::Member => &self.consumer,
            Role::Producer | Role::Writer => &self.producer,
            Role::Restore | Role::Watermarks | Role::Reader(_) => &self.restore,
            Role::Admin => &self.admin,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Overrides)) -> ClientSettings {
        let mut settings = ClientSettings::new("localhost:9092", "shop");
        settings.transactional_id = Some("shop-1-0".to_owned());
        change(&mut settings.overrides);
        settings
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn the_proposed_settings_are_accepted_by_librdkafka() {
        with(|_| {}).check().unwrap();
        ClientSettings::new("localhost:9092", "shop").check().unwrap();
    }

    #[test]
    fn an_override_wins_under_either_of_its_names() {
        let settings = with(|overrides| {
            overrides.common.push(pair("linger.ms", "50"));
            overrides.producer.push(pair("queue.buffering.max.ms", "7"));
        });
        let config = settings.config(Role::Producer).unwrap();
        assert_eq!((config.get("queue.buffering.max.ms"), config.get("linger.ms")), (Some("7"), None));
    }

    #[test]
    fn fetches_are_filled_requests_go_one_by_one_and_refusals_are_soon_repeated_unless_the_user_says_otherwise()
     {
        let mut settings = with(|_| {});
        settings.fetch_wait_max = Duration::from_millis(7);
        let member = settings.config(Role::Member).unwrap();
        assert_eq!(
            (member.get("fetch.min.bytes"), member.get("fetch.wait.max.ms")),
            (Some("65536"), Some("7"))
        );
        let producer = settings.config(Role::Producer).unwrap();
        let in_flight = producer.get("max.in.flight.requests.per.connection");
        assert_eq!((producer.get("retry.backoff.ms"), in_flight), (Some("10"), Some("1")));
        settings.overrides.consumer.push(pair("fetch.min.bytes", "1"));
        assert_eq!(settings.config(Role::Member).unwrap().get("fetch.min.bytes"), Some("1"));
    }

    #[test]
    fn what_riacho_owns_cannot_be_overridden() {
        for name in
            ["group.id", "acks", "auto.commit.enable", "partitioner", "isolation.level", "transactional.id"]
        {
            let error = with(|overrides| overrides.common.push(pair(name, "x"))).check().unwrap_err();
            assert!(error.to_string().contains("cannot be overridden"), "{error}");
        }
    }

    #[test]
    fn a_wrong_name_and_a_wrong_value_are_named() {
        let unknown =
            with(|overrides| overrides.consumer.push(pair("fetch.min.byte", "1"))).check().unwrap_err();
        assert!(unknown.to_string().contains("'fetch.min.byte'"), "{unknown}");
        let wrong =
            with(|overrides| overrides.consumer.push(pair("fetch.min.bytes", "many"))).check().unwrap_err();
        assert!(wrong.to_string().contains("'fetch.min.bytes'"), "{wrong}");
    }

    #[test]
    fn secrets_are_in_no_debug_text() {
        let settings = with(|overrides| overrides.common.push(pair("sasl.password", "hunter2")));
        let text = format!("{settings:?}");
        assert!(text.contains("sasl.password") && !text.contains("hunter2"), "{text}");
    }

    #[test]
    fn the_record_limit_follows_the_message_limit() {
        assert_eq!(with(|_| {}).record_bytes_max(), 998_976);
        let larger = with(|overrides| overrides.producer.push(pair("message.max.bytes", "2000000")));
        assert_eq!(larger.record_bytes_max(), 1_998_976);
    }
}
