//! The keys of the runtime, spelled and preset as in Kafka Streams where it has them; riacho's own begin with
//! `riacho.`.

use super::key::{Allowed, DefaultValue, KeySpec};

use Allowed::{Checked, Integer, OneOf, Secret, Text, TopicName};
use DefaultValue::{Derived, Required, Unset, Value};

const HANDLERS: Allowed = OneOf(&["fail", "continue", "dlq"]);
/// Kafka's clients keep milliseconds in 32 bits.
const MILLIS_MAX: i64 = i32::MAX as i64;
const MIB: i64 = 1024 * 1024;
const BYTES: Allowed = Integer { min: 0, max: 1 << 50 };

const fn millis(min: i64) -> Allowed {
    Integer { min, max: MILLIS_MAX }
}

const fn key(name: &'static str, default: DefaultValue, allowed: Allowed, doc: &'static str) -> KeySpec {
    KeySpec { name, default, allowed, doc }
}

/// Every key that riacho itself reads, in the order in which it is explained.
pub static RUNTIME_KEYS: &[KeySpec] = &[
    // What it is and where.
    key(
        "application.id",
        Required,
        TopicName,
        "Names the application: its group and the prefix of its topics.",
    ),
    key(
        "bootstrap.servers",
        Required,
        Checked { must_be: "host:port pairs, separated by commas", accepts: are_servers },
        "Brokers to ask first, as host:port,host:port.",
    ),
    key("client.id", Unset, Text, "Prefix of the clients' names in broker logs; without it, application.id."),
    key(
        "state.dir",
        Value("/tmp/riacho"),
        Text,
        "Directory of the state stores; each application has its own below.",
    ),
    key("num.stream.threads", Value("1"), Integer { min: 1, max: 256 }, "Threads that process records."),
    key(
        "group.instance.id",
        Unset,
        TopicName,
        "Makes this instance a static member of the group: a restart within session.timeout.ms causes no rebalance.",
    ),
    key(
        "riacho.static.membership",
        Value("auto"),
        OneOf(&["auto", "off"]),
        "auto: without a group.instance.id, use one that is kept in state.dir. off: always a dynamic member.",
    ),
    // Guarantee and commit.
    key(
        "processing.guarantee",
        Value("exactly_once_v2"),
        OneOf(&["exactly_once_v2", "at_least_once"]),
        "Whether results, state and positions are committed in one transaction.",
    ),
    key(
        "commit.interval.ms",
        Derived("100 with exactly_once_v2, 30000 with at_least_once"),
        millis(1),
        "Time between commits.",
    ),
    key(
        "riacho.commit.interval.idle.ms",
        Derived("half of commit.interval.ms with exactly_once_v2, all of it with at_least_once"),
        millis(1),
        "Time between commits of a thread that has caught up and has little to commit. commit.interval.ms to have none.",
    ),
    key(
        "transaction.timeout.ms",
        Value("10000"),
        millis(1000),
        "After this time the broker aborts the transaction of an instance that died.",
    ),
    key(
        "task.timeout.ms",
        Value("300000"),
        millis(0),
        "How long calls to Kafka that time out are tried again before the application gives up.",
    ),
    // The group.
    key(
        "session.timeout.ms",
        Value("45000"),
        Integer { min: 1, max: 3_600_000 },
        "A member not heard of is dead.",
    ),
    key(
        "heartbeat.interval.ms",
        Value("500"),
        Integer { min: 1, max: 3_600_000 },
        "Time between signs of life. A member learns of a rebalance from the answer, so this is how fast it reacts.",
    ),
    key(
        "max.poll.interval.ms",
        Value("300000"),
        Integer { min: 1, max: 86_400_000 },
        "A member that has not polled for this long gives its tasks up.",
    ),
    key(
        "max.poll.records",
        Value("1000"),
        Integer { min: 1, max: 1_000_000 },
        "How many records a thread processes at most before it looks at the group and at whether a commit is due: few \
         where one record is a lot of work.",
    ),
    key(
        "auto.offset.reset",
        Value("earliest"),
        OneOf(&["earliest", "latest", "none"]),
        "Where to begin in an input partition without a committed position; none: stop and say so.",
    ),
    // Records and their order.
    key(
        "max.task.idle.ms",
        Value("0"),
        Integer { min: -1, max: MILLIS_MAX },
        "How long a task waits for an input that is behind: -1 never, 0 for what the broker already has, else so long.",
    ),
    key(
        "buffered.records.per.partition",
        Value("1000"),
        Integer { min: 1, max: 1_000_000 },
        "Records of a partition that wait in a task before fetching pauses.",
    ),
    key(
        "riacho.timestamp.ahead.max.ms",
        Value("86400000"),
        Integer { min: 0, max: i64::MAX },
        "A record whose event time is further ahead of the clock is bad: it would close every window.",
    ),
    key(
        "riacho.late.topic",
        Unset,
        TopicName,
        "Where records too late for their window go, beside being counted.",
    ),
    // Bad records.
    key(
        "deserialization.exception.handler",
        Value("dlq"),
        HANDLERS,
        "What to do when key or value cannot be read.",
    ),
    key(
        "processing.exception.handler",
        Value("dlq"),
        HANDLERS,
        "What to do when an operator refuses a record.",
    ),
    key(
        "production.exception.handler",
        Value("dlq"),
        HANDLERS,
        "What to do when a result cannot be written.",
    ),
    key(
        "timestamp.exception.handler",
        Value("dlq"),
        HANDLERS,
        "What to do when the event time is missing, negative or too far ahead.",
    ),
    key(
        "errors.dead.letter.queue.topic.name",
        Derived("<application.id>-dead-letter"),
        TopicName,
        "Where bad records go when their handler is dlq.",
    ),
    // State and internal topics.
    key(
        "replication.factor",
        Value("-1"),
        Checked {
            must_be: "-1 (the broker's default) or a number from 1 to 32767",
            accepts: is_replication_factor,
        },
        "Replicas of the internal topics.",
    ),
    key(
        "windowstore.changelog.additional.retention.ms",
        Value("86400000"),
        Integer { min: 0, max: i64::MAX },
        "Added to a window's size and grace for the retention of its changelog.",
    ),
    key(
        "repartition.purge.interval.ms",
        Value("30000"),
        millis(1),
        "Time between deletions of what was read back.",
    ),
    key(
        "state.cleanup.delay.ms",
        Value("600000"),
        Integer { min: 0, max: i64::MAX },
        "State of a task that went elsewhere is deleted after this time.",
    ),
    // Memory.
    key(
        "riacho.memory.max.bytes",
        Value("268435456"),
        Integer { min: 16 * MIB, max: 1 << 50 },
        "The memory budget; what follows must fit into it.",
    ),
    key(
        "statestore.cache.max.bytes",
        Derived("3/8 of riacho.memory.max.bytes"),
        BYTES,
        "Decoded state kept at hand, over all threads.",
    ),
    key(
        "riacho.dirty.max.bytes",
        Derived("1/8 of riacho.memory.max.bytes"),
        BYTES,
        "Changed state not yet committed, over all threads; more of it brings the commit forward.",
    ),
    key(
        "riacho.rocksdb.block.cache.bytes",
        Derived("1/8 of riacho.memory.max.bytes"),
        BYTES,
        "Shared by all stores.",
    ),
    key(
        "riacho.rocksdb.write.buffer.bytes",
        Derived("1/8 of riacho.memory.max.bytes"),
        BYTES,
        "Shared by all stores.",
    ),
    key(
        "riacho.fetch.queue.bytes",
        Derived("1/8 of riacho.memory.max.bytes"),
        BYTES,
        "Records fetched ahead.",
    ),
    key(
        "riacho.send.queue.bytes",
        Derived("1/8 of riacho.memory.max.bytes"),
        BYTES,
        "Records not yet acknowledged.",
    ),
    // Eyes.
    key(
        "riacho.http.address",
        Value("127.0.0.1:9464"),
        Checked { must_be: "host:port (port 0 takes a free one) or none", accepts: is_listen_address },
        "Where /metrics, /health, /ready and /topology are served.",
    ),
    key(
        "riacho.advertised.address",
        Unset,
        Checked { must_be: "host:port", accepts: is_advertised_address },
        "Where other instances reach riacho.http.address; needed when that is a wildcard such as 0.0.0.0.",
    ),
    key(
        "riacho.http.token",
        Unset,
        Secret,
        "Who reads pages and stores must send it, as a bearer token or, in a browser, as the password.",
    ),
    key(
        "metrics.recording.level",
        Value("INFO"),
        OneOf(&["INFO", "DEBUG", "TRACE"]),
        "How much is measured. DEBUG adds what the Kafka clients tell of each broker.",
    ),
    key(
        "riacho.log.format",
        Value("text"),
        OneOf(&["text", "json"]),
        "How log lines are written, to stderr.",
    ),
    key(
        "riacho.log.level",
        Value("info"),
        Text,
        "Which log lines are written, for example info or warn,riacho=debug; RUST_LOG goes before it.",
    ),
];

fn are_servers(text: &str) -> bool {
    text.split(',').all(|server| {
        // librdkafka also takes PROTOCOL://host:port.
        let address = server.trim().split_once("://").map_or(server.trim(), |(_, address)| address);
        host_and_port(address).is_some_and(|(_, port)| port != 0)
    })
}

fn is_listen_address(text: &str) -> bool {
    text == "none" || host_and_port(text).is_some()
}

fn is_advertised_address(text: &str) -> bool {
    host_and_port(text).is_some_and(|(_, port)| port != 0)
}

/// Splits `host:port`; an IPv6 host stands in brackets.
fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sound = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
        }
    };
    Some((host, port.parse().ok().filter(|_| sound && port.bytes().all(|byte| byte.is_ascii_digit()))?))
}

fn is_replication_factor(text: &str) -> bool {
    text.parse::<i16>().is_ok_and(|replicas| replicas == -1 || replicas > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_its_key_allows() {
        for spec in RUNTIME_KEYS {
            if let Value(text) = spec.default {
                let read = spec.allowed.read(text).map(|value| value.to_string());
                assert_eq!(read.as_deref(), Some(text), "{}", spec.name);
            }
            assert!(spec.doc.ends_with('.'), "{}", spec.name);
        }
    }

    #[test]
    fn servers_are_hosts_with_ports() {
        let good = [
            "localhost:9092",
            "a:1,b:2",
            "a:1, b:2",
            "[::1]:9092",
            "SASL_SSL://kafka.example.com:9093",
            "k_1:9",
        ];
        let bad = ["", "localhost", "a:0", "a:99999", "a:1,", "::1:9092", "a b:1", "a:+1", ":9092"];
        assert!(good.into_iter().all(are_servers));
        assert_eq!(bad.into_iter().find(|text| are_servers(text)), None);
    }

    #[test]
    fn addresses_may_leave_the_port_open() {
        assert!(
            ["none", "127.0.0.1:0", "0.0.0.0:9464", "[::]:80", "localhost:1"]
                .into_iter()
                .all(is_listen_address)
        );
        assert!(!["", "9464", ":9464", "127.0.0.1", "None"].into_iter().any(is_listen_address));
    }
}
