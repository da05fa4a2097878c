//! The client properties that pass through to librdkafka, those that riacho sets itself, and what to write in place
//! of names that only the Java clients know.

use super::ClientRole;

/// Which clients a property concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Every,
    Consumers,
    Producers,
}

impl Scope {
    pub(super) fn includes(self, role: ClientRole) -> bool {
        match self {
            Scope::Every => true,
            Scope::Consumers => matches!(role, ClientRole::MainConsumer | ClientRole::RestoreConsumer),
            Scope::Producers => role == ClientRole::Producer,
        }
    }
}

/// What riacho makes of a client property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Property {
    /// librdkafka knows it.
    Passes(Scope),
    /// It may not be set; the text says why, or what to set instead.
    Refused(&'static str),
}

/// Looks a property up by its name without prefix.
pub(super) fn property(name: &str) -> Option<Property> {
    let refused = |table: &[(&str, &'static str)]| {
        table.iter().find(|(known, _)| *known == name).map(|(_, hint)| Property::Refused(hint))
    };
    let passes = |names: &[&str], scope| names.contains(&name).then_some(Property::Passes(scope));
    refused(SET_BY_RIACHO)
        .or_else(|| refused(JAVA_CLIENTS))
        .or_else(|| passes(EVERY_CLIENT, Scope::Every))
        .or_else(|| passes(CONSUMERS, Scope::Consumers))
        .or_else(|| passes(PRODUCERS, Scope::Producers))
}

/// The names of everything that passes to clients of `scope`.
pub(super) fn names(scope: Scope) -> impl Iterator<Item = &'static str> {
    let own: &[&str] = match scope {
        Scope::Every => &[],
        Scope::Consumers => CONSUMERS,
        Scope::Producers => PRODUCERS,
    };
    EVERY_CLIENT.iter().chain(own).copied()
}

/// Whether the value of a client property is never to be shown.
pub(super) fn is_secret(name: &str) -> bool {
    const ENDINGS: [&str; 6] =
        ["password", "secret", "passphrase", "key.pem", "jaas.config", "oauthbearer.config"];
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Java's name of a Kafka Streams setting that riacho does not have, the value at which both behave the same (it may
/// be given), and what to do otherwise.
pub(super) struct JavaSetting {
    pub(super) name: &'static str,
    pub(super) same_when: Option<&'static str>,
    pub(super) hint: &'static str,
}

/// Looks up a setting of Kafka Streams that riacho does not have.
pub(super) fn java_setting(name: &str) -> Option<&'static JavaSetting> {
    JAVA_STREAMS.iter().find(|setting| setting.name == name)
}

const NO_STANDBYS: &str =
    "riacho keeps no standby tasks; local state is reused after a restart: remove the key";
const IN_CODE: &str = "serdes are chosen in the topology, per stream and store: remove the key";
const TIME_IN_CODE: &str = "event time is chosen in the topology, per source (EventTime): remove the key";
const ROCKSDB: &str = "RocksDB's memory comes from riacho.memory.max.bytes: remove the key";
const PROMETHEUS: &str = "metrics are served to Prometheus at riacho.http.address: remove the key";
const OWN_HANDLER: &str = "write the key without the prefix 'default.', as Kafka 4 does";
const NO_OPTIMISATION: &str = "the topology is built as it is written: remove the key";
const NO_STREAMS_PROTOCOL: &str = "librdkafka has only the classic group protocol for this: remove the key";
const NOT_HERE: &str = "this belongs to Kafka Streams and has no counterpart in riacho: remove the key";

const fn java(name: &'static str, same_when: Option<&'static str>, hint: &'static str) -> JavaSetting {
    JavaSetting { name, same_when, hint }
}

const JAVA_STREAMS: &[JavaSetting] = &[
    java("num.standby.replicas", Some("0"), NO_STANDBYS),
    java("acceptable.recovery.lag", None, NO_STANDBYS),
    java("max.warmup.replicas", None, NO_STANDBYS),
    java("probing.rebalance.interval.ms", None, NO_STANDBYS),
    java("rack.aware.assignment.tags", None, NO_STANDBYS),
    java("rack.aware.assignment.strategy", Some("none"), NO_STANDBYS),
    java("task.assignor.class", None, NOT_HERE),
    java("topology.optimization", Some("none"), NO_OPTIMISATION),
    java("group.protocol", Some("classic"), NO_STREAMS_PROTOCOL),
    java("default.key.serde", None, IN_CODE),
    java("default.value.serde", None, IN_CODE),
    java("windowed.inner.class.serde", None, IN_CODE),
    java("default.timestamp.extractor", None, TIME_IN_CODE),
    java("default.deserialization.exception.handler", None, OWN_HANDLER),
    java("default.production.exception.handler", None, OWN_HANDLER),
    java("rocksdb.config.setter", None, ROCKSDB),
    java("default.dsl.store", Some("rocksDB"), NOT_HERE),
    java("dsl.store.suppliers.class", None, NOT_HERE),
    java("cache.max.bytes.buffering", None, "set statestore.cache.max.bytes"),
    java("poll.ms", None, NOT_HERE),
    java("upgrade.from", None, NOT_HERE),
    java("window.size.ms", None, "window sizes belong to the topology: remove the key"),
    java("application.server", None, NOT_HERE),
    java("built.in.metrics.version", Some("latest"), NOT_HERE),
    java("metric.reporters", None, PROMETHEUS),
    java("metrics.num.samples", None, PROMETHEUS),
    java("metrics.sample.window.ms", None, PROMETHEUS),
    java("processor.wrapper.class", None, NOT_HERE),
    java("log.summary.interval.ms", None, NOT_HERE),
    java("ensure.explicit.internal.resource.naming", Some("false"), NOT_HERE),
];

const COMMITS: &str = "riacho commits positions itself, with the results they belong to: remove the key";
const GUARANTEE: &str = "follows from processing.guarantee: remove the key";
const FOR_JAVA_KEYS: &str = "keys must land where Java's clients put them: remove the key";
const ASSIGNMENT: &str =
    "the assignment of tasks rests on the group protocol that riacho chooses: remove the key";
const FETCH_MEMORY: &str = "part of the memory budget: set riacho.fetch.queue.bytes";
const SEND_MEMORY: &str = "part of the memory budget: set riacho.send.queue.bytes";
const OWN_USE: &str = "riacho needs it for its own work: remove the key";
const DANGEROUS: &str = "loads code or skips checks: riacho does not offer it";

/// Properties that riacho sets, because a promise depends on them.
const SET_BY_RIACHO: &[(&str, &str)] = &[
    ("bootstrap.servers", "all clients talk to one cluster: set bootstrap.servers without a prefix"),
    ("metadata.broker.list", "set bootstrap.servers"),
    ("client.id", "riacho numbers its clients: set client.id without a prefix"),
    ("group.id", "the group is called after the application: set application.id"),
    ("group.protocol", ASSIGNMENT),
    ("group.protocol.type", ASSIGNMENT),
    ("group.remote.assignor", ASSIGNMENT),
    ("partition.assignment.strategy", ASSIGNMENT),
    ("group.instance.id", "set group.instance.id without a prefix, or with consumer."),
    ("session.timeout.ms", "only the main consumer is in the group: set it without a prefix"),
    ("heartbeat.interval.ms", "only the main consumer is in the group: set it without a prefix"),
    ("max.poll.interval.ms", "only the main consumer is in the group: set it without a prefix"),
    ("auto.offset.reset", "only the main consumer has a reset policy: set it without a prefix"),
    ("transaction.timeout.ms", "only the producer has transactions: set it without a prefix"),
    ("enable.auto.commit", COMMITS),
    ("auto.commit.enable", COMMITS),
    ("auto.commit.interval.ms", COMMITS),
    ("enable.auto.offset.store", COMMITS),
    ("offset.store.method", COMMITS),
    ("offset.store.path", COMMITS),
    ("offset.store.sync.interval.ms", COMMITS),
    ("isolation.level", GUARANTEE),
    ("enable.idempotence", GUARANTEE),
    ("enable.gapless.guarantee", GUARANTEE),
    ("transactional.id", GUARANTEE),
    ("acks", "every write waits for all in-sync replicas: remove the key"),
    ("request.required.acks", "every write waits for all in-sync replicas: remove the key"),
    ("partitioner", FOR_JAVA_KEYS),
    ("queuing.strategy", GUARANTEE),
    ("queued.max.messages.kbytes", FETCH_MEMORY),
    ("queue.buffering.max.kbytes", SEND_MEMORY),
    ("queue.buffering.max.messages", SEND_MEMORY),
    ("enable.partition.eof", OWN_USE),
    ("statistics.interval.ms", OWN_USE),
    ("allow.auto.create.topics", "internal topics are created on purpose, others never: remove the key"),
    ("delivery.report.only.error", OWN_USE),
    ("log.queue", OWN_USE),
    ("enabled_events", OWN_USE),
    ("plugin.library.paths", DANGEROUS),
    ("ssl.engine.location", DANGEROUS),
    ("enable.sasl.oauthbearer.unsecure.jwt", DANGEROUS),
];

const BY_TYPES: &str = "records are bytes to the clients, serdes belong to the topology: remove the key";
const PEM_STORE: &str = "librdkafka reads PEM files: set ssl.ca.location";
const JAAS: &str = "set sasl.username and sasl.password (better as RIACHO_SASL_PASSWORD_FILE)";
const NO_CLASSES: &str = "Java classes cannot be loaded: remove the key";

/// Names of the Java clients that librdkafka does not know.
const JAVA_CLIENTS: &[(&str, &str)] = &[
    ("key.serializer", BY_TYPES),
    ("value.serializer", BY_TYPES),
    ("key.deserializer", BY_TYPES),
    ("value.deserializer", BY_TYPES),
    ("max.poll.records", "it is riacho's own: write it without a prefix"),
    ("fetch.max.wait.ms", "librdkafka calls it fetch.wait.max.ms"),
    ("receive.buffer.bytes", "librdkafka calls it socket.receive.buffer.bytes"),
    ("send.buffer.bytes", "librdkafka calls it socket.send.buffer.bytes"),
    ("max.request.size", "librdkafka calls it message.max.bytes"),
    ("buffer.memory", SEND_MEMORY),
    ("max.block.ms", "set task.timeout.ms"),
    ("default.api.timeout.ms", "set task.timeout.ms"),
    ("partitioner.class", FOR_JAVA_KEYS),
    ("partitioner.ignore.keys", FOR_JAVA_KEYS),
    ("partitioner.adaptive.partitioning.enable", FOR_JAVA_KEYS),
    ("interceptor.classes", NO_CLASSES),
    ("config.providers", NO_CLASSES),
    ("security.providers", NO_CLASSES),
    ("exclude.internal.topics", "topics are subscribed by name: remove the key"),
    ("auto.include.jmx.reporter", PROMETHEUS),
    ("ssl.truststore.location", PEM_STORE),
    ("ssl.truststore.certificates", "librdkafka calls it ssl.ca.pem"),
    ("ssl.truststore.password", PEM_STORE),
    ("ssl.truststore.type", PEM_STORE),
    ("ssl.keystore.type", "ssl.keystore.location is PKCS#12: remove the key"),
    ("ssl.keystore.key", "librdkafka calls it ssl.key.pem"),
    ("ssl.keystore.certificate.chain", "librdkafka calls it ssl.certificate.pem"),
    ("ssl.protocol", "librdkafka negotiates the newest TLS version: remove the key"),
    ("ssl.enabled.protocols", "librdkafka negotiates the newest TLS version: remove the key"),
    ("ssl.provider", NO_CLASSES),
    ("ssl.engine.factory.class", NO_CLASSES),
    ("ssl.keymanager.algorithm", NO_CLASSES),
    ("ssl.trustmanager.algorithm", NO_CLASSES),
    ("ssl.secure.random.implementation", NO_CLASSES),
    ("sasl.jaas.config", JAAS),
    ("sasl.login.class", NO_CLASSES),
    ("sasl.login.callback.handler.class", NO_CLASSES),
    ("sasl.client.callback.handler.class", NO_CLASSES),
    ("sasl.oauthbearer.jwks.endpoint.url", "only brokers check tokens: remove the key"),
];

const EVERY_CLIENT: &[&str] = &[
    "api.version.fallback.ms",
    "api.version.request",
    "api.version.request.timeout.ms",
    "broker.address.family",
    "broker.address.ttl",
    "broker.version.fallback",
    "client.dns.lookup",
    "client.rack",
    "connections.max.idle.ms",
    "debug",
    "enable.metrics.push",
    "enable.random.seed",
    "enable.ssl.certificate.verification",
    "https.ca.location",
    "https.ca.pem",
    "internal.termination.signal",
    "log.connection.close",
    "log.thread.name",
    "log_level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.copy.max.bytes",
    "message.max.bytes",
    "metadata.max.age.ms",
    "metadata.recovery.rebootstrap.trigger.ms",
    "metadata.recovery.strategy",
    "receive.message.max.bytes",
    "reconnect.backoff.jitter.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.kinit.cmd",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.assertion.algorithm",
    "sasl.oauthbearer.assertion.claim.aud",
    "sasl.oauthbearer.assertion.claim.exp.seconds",
    "sasl.oauthbearer.assertion.claim.iss",
    "sasl.oauthbearer.assertion.claim.jti.include",
    "sasl.oauthbearer.assertion.claim.nbf.seconds",
    "sasl.oauthbearer.assertion.claim.sub",
    "sasl.oauthbearer.assertion.file",
    "sasl.oauthbearer.assertion.jwt.template.file",
    "sasl.oauthbearer.assertion.private.key.file",
    "sasl.oauthbearer.assertion.private.key.passphrase",
    "sasl.oauthbearer.assertion.private.key.pem",
    "sasl.oauthbearer.client.credentials.client.id",
    "sasl.oauthbearer.client.credentials.client.secret",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.grant.type",
    "sasl.oauthbearer.metadata.authentication.type",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.blocking.max.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.certificate.stores",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.engine.id",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.providers",
    "ssl.sigalgs.list",
    "topic.blacklist",
    "topic.metadata.propagation.max.ms",
    "topic.metadata.refresh.fast.cnt",
    "topic.metadata.refresh.fast.interval.ms",
    "topic.metadata.refresh.interval.ms",
    "topic.metadata.refresh.sparse",
];

const CONSUMERS: &[&str] = &[
    "check.crcs",
    "consume.callback.max.messages",
    "coordinator.query.interval.ms",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "max.partition.fetch.bytes",
    "queued.min.messages",
];

const PRODUCERS: &[&str] = &[
    "batch.num.messages",
    "batch.size",
    "compression.codec",
    "compression.level",
    "compression.type",
    "delivery.timeout.ms",
    "linger.ms",
    "message.send.max.retries",
    "message.timeout.ms",
    "produce.offset.report",
    "queue.buffering.backpressure.threshold",
    "queue.buffering.max.ms",
    "request.timeout.ms",
    "retries",
    "sticky.partitioning.linger.ms",
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_has_one_meaning() {
        let all: Vec<&str> = [EVERY_CLIENT, CONSUMERS, PRODUCERS]
            .concat()
            .into_iter()
            .chain(SET_BY_RIACHO.iter().map(|(name, _)| *name))
            .chain(JAVA_CLIENTS.iter().map(|(name, _)| *name))
            .collect();
        let distinct: HashSet<&str> = all.iter().copied().collect();
        assert_eq!(all.len(), distinct.len());
    }

    #[test]
    fn secrets_are_known_by_their_names() {
        let secret = [
            "sasl.password",
            "ssl.key.password",
            "ssl.key.pem",
            "ssl.keystore.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.client.credentials.client.secret",
            "sasl.oauthbearer.assertion.private.key.pem",
            "sasl.oauthbearer.assertion.private.key.passphrase",
            "sasl.oauthbearer.config",
            "sasl.jaas.config",
        ];
        let shown =
            ["sasl.username", "ssl.key.location", "ssl.ca.pem", "ssl.certificate.pem", "security.protocol"];
        assert!(secret.into_iter().all(is_secret));
        assert!(!shown.into_iter().any(is_secret));
    }

    #[test]
    fn scopes_reach_the_right_clients() {
        use ClientRole::{Admin, MainConsumer, Producer, RestoreConsumer};
        let of =
            |scope: Scope| [MainConsumer, RestoreConsumer, Producer, Admin].map(|role| scope.includes(role));
        assert_eq!(of(Scope::Every), [true; 4]);
        assert_eq!(of(Scope::Consumers), [true, true, false, false]);
        assert_eq!(of(Scope::Producers), [false, false, true, false]);
    }
}
