//! Names of librdkafka's properties: which are riacho's, which mean the same, which are secret.

const FROM_SETTINGS: &str = "it has a setting of its own";
const PROMISE: &str = "the processing guarantee rests on it";

/// Properties that riacho sets itself, and why they are not the user's.
pub(super) const OWNED: &[(&str, &str)] = &[
    ("bootstrap.servers", FROM_SETTINGS),
    ("client.id", FROM_SETTINGS),
    ("group.id", "the group is called like the application id"),
    ("group.instance.id", FROM_SETTINGS),
    ("group.protocol", PROMISE),
    ("partition.assignment.strategy", PROMISE),
    ("auto.offset.reset", FROM_SETTINGS),
    ("transactional.id", PROMISE),
    ("enable.idempotence", PROMISE),
    ("enable.gapless.guarantee", PROMISE),
    ("request.required.acks", PROMISE),
    ("partitioner", "keys must land where Java's clients put them"),
    ("isolation.level", PROMISE),
    ("enable.auto.commit", PROMISE),
    ("enable.auto.offset.store", PROMISE),
    ("enable.partition.eof", FROM_SETTINGS),
    ("statistics.interval.ms", FROM_SETTINGS),
    ("allow.auto.create.topics", "topics are created on purpose or not at all"),
    ("delivery.report.only.error", PROMISE),
    ("plugin.library.paths", "it would load code"),
];

/// Two names of one property would race: only this one of them is used.
pub(super) fn canonical(name: &str) -> &str {
    match name {
        "metadata.broker.list" => "bootstrap.servers",
        "max.in.flight" => "max.in.flight.requests.per.connection",
        "sasl.mechanism" => "sasl.mechanisms",
        "max.partition.fetch.bytes" => "fetch.message.max.bytes",
        "linger.ms" => "queue.buffering.max.ms",
        "retries" => "message.send.max.retries",
        "compression.type" => "compression.codec",
        "acks" => "request.required.acks",
        "delivery.timeout.ms" => "message.timeout.ms",
        "auto.commit.enable" => "enable.auto.commit",
        other => other,
    }
}

/// Whether the value of a property is never to be shown.
pub(super) fn is_secret(name: &str) -> bool {
    ["password", "secret", "passphrase", "key.pem", "jaas.config", "oauthbearer.config"]
        .iter()
        .any(|ending| name.ends_with(ending))
}
