//! The server settings under which Kafka is tested: real ones, with waits and internal topics cut to size.

/// How many partitions, and so coordinators, the groups are spread over.
pub(crate) const OFFSETS_PARTITIONS: i32 = 4;

/// The settings common to every node, whatever it runs in; `replicas` is the number of brokers.
///
/// Clients and brokers have a listener each, CLIENT and INTERNAL: a broker in a container is not found by itself
/// (as it must be, to verify transactions) under the address that its clients use.
pub(crate) fn settings(replicas: usize) -> Vec<(&'static str, String)> {
    let in_sync = replicas.div_ceil(2).to_string();
    let replicas = replicas.to_string();
    let fixed = [
        ("controller.listener.names", "CONTROLLER"),
        ("inter.broker.listener.name", "INTERNAL"),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,INTERNAL:PLAINTEXT,CLIENT:PLAINTEXT"),
        ("auto.create.topics.enable", "false"),
        // Tests write event times of any year: nothing may be deleted for its age.
        ("log.retention.ms", "-1"),
        ("log.retention.check.interval.ms", "86400000"),
        ("log.index.size.max.bytes", "1048576"),
        ("transaction.state.log.num.partitions", "4"),
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        // A dead broker is replaced after this time, and comes back only after it: 4 s instead of 9.
        ("broker.session.timeout.ms", "4000"),
        ("broker.heartbeat.interval.ms", "500"),
        ("num.network.threads", "2"),
        ("num.io.threads", "4"),
    ];
    let offsets_partitions = OFFSETS_PARTITIONS.to_string();
    let sized = [
        ("offsets.topic.num.partitions", &offsets_partitions),
        ("default.replication.factor", &replicas),
        ("min.insync.replicas", &in_sync),
        ("offsets.topic.replication.factor", &replicas),
        ("transaction.state.log.replication.factor", &replicas),
        ("transaction.state.log.min.isr", &in_sync),
        ("share.coordinator.state.topic.replication.factor", &replicas),
        ("share.coordinator.state.topic.min.isr", &in_sync),
    ];
    let fixed = fixed.into_iter().map(|(name, value)| (name, value.to_owned()));
    fixed.chain(sized.into_iter().map(|(name, value)| (name, value.clone()))).collect()
}
