use std::io::Write as _;

use super::*;

const NEEDED: [(&str, &str); 2] = [("application.id", "app"), ("bootstrap.servers", "localhost:9092")];

static APPLICATION: &[KeySpec] = &[
    KeySpec {
        name: "sales.window.size.ms",
        default: DefaultValue::Value("60000"),
        allowed: Allowed::Integer { min: 1, max: 86_400_000 },
        doc: "Length of a window.",
    },
    KeySpec {
        name: "sales.api.token",
        default: DefaultValue::Unset,
        allowed: Allowed::Secret,
        doc: "Token of the API.",
    },
    KeySpec {
        name: "sales.threshold",
        default: DefaultValue::Value("3.5"),
        allowed: Allowed::Decimal { min: 0.0, max: 10.0 },
        doc: "Distance from the mean.",
    },
];

fn needed() -> RawConfig {
    NEEDED.iter().fold(RawConfig::new(&[APPLICATION]), |raw, (key, value)| raw.preset(key, value))
}

fn config(flags: &[&str]) -> Config {
    Config::try_from(needed().flags(flags)).unwrap()
}

fn problems(raw: RawConfig) -> Vec<String> {
    Config::try_from(raw).unwrap_err().problems().iter().map(ToString::to_string).collect()
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn source(config: &Config, key: &str) -> String {
    config.entries().iter().find(|entry| entry.key == key).unwrap().source.to_string()
}

#[test]
fn what_is_not_given_is_as_in_kafka_streams() {
    let config = config(&[]);
    assert_eq!(config.guarantee(), Guarantee::ExactlyOnce);
    assert_eq!(config.commit_interval(), Duration::from_millis(100));
    assert_eq!(config.stream_threads().get(), 1);
    assert_eq!(config.client_id(), "app");
    assert_eq!(config.application_dir(), Path::new("/tmp/riacho/app"));
    assert_eq!(config.offset_reset(), OffsetReset::Earliest);
    assert_eq!(config.task_idle(), TaskIdle::UntilFetched);
    assert_eq!(config.session_timeout(), Duration::from_secs(45));
    assert_eq!(config.poll_interval_max(), Duration::from_secs(300));
    assert_eq!(config.poll_records_max().get(), 1000);
    assert_eq!(config.transaction_timeout(), Duration::from_secs(10));
    assert_eq!(config.replication_factor(), None);
    assert_eq!(config.dead_letter_topic(), "app-dead-letter");
    assert!(BadRecord::ALL.into_iter().all(|kind| config.on_bad_record(kind) == OnBadRecord::DeadLetter));
    assert_eq!((config.late_topic(), config.group_instance_id()), (None, None));
    assert_eq!(config.http_address(), Some("127.0.0.1:9464"));
    assert_eq!(config.memory().total, 256 << 20);
}

#[test]
fn settings_reach_their_types() {
    assert_eq!(config(&["processing.guarantee=at_least_once"]).commit_interval(), Duration::from_secs(30));
    assert_eq!(config(&["max.task.idle.ms=-1"]).task_idle(), TaskIdle::Never);
    assert_eq!(config(&["max.task.idle.ms=5"]).task_idle(), TaskIdle::AtMost(Duration::from_millis(5)));
    assert_eq!(config(&["replication.factor=3"]).replication_factor(), NonZeroU32::new(3));
    assert_eq!(config(&["riacho.http.address=none"]).http_address(), None);
    assert_eq!(config(&["auto.offset.reset=None"]).offset_reset(), OffsetReset::None);
    assert_eq!(config(&["metrics.recording.level=debug"]).recording_level(), RecordingLevel::Debug);
    assert_eq!(config(&["errors.dead.letter.queue.topic.name=bad"]).dead_letter_topic(), "bad");
    let kinds = config(&["timestamp.exception.handler=fail", "production.exception.handler=continue"]);
    assert_eq!(
        BadRecord::ALL.map(|kind| kinds.on_bad_record(kind)),
        [OnBadRecord::DeadLetter, OnBadRecord::Fail, OnBadRecord::DeadLetter, OnBadRecord::Continue]
    );
}

#[test]
fn flags_go_before_environment_before_file_before_preset_before_default() {
    let file = file("commit.interval.ms=1\nnum.stream.threads=2\nstate.dir=/file\n");
    let raw = needed()
        // The order of the calls does not matter.
        .flags(["state.dir=/flag"])
        .environment([("RIACHO_STATE_DIR", "/environment"), ("RIACHO_NUM_STREAM_THREADS", "3")])
        .file(file.path())
        .preset("commit.interval.ms", "9")
        .preset("riacho.log.level", "debug");
    let config = Config::try_from(raw).unwrap();
    assert_eq!(config.state_dir(), Path::new("/flag"));
    assert_eq!(config.stream_threads().get(), 3);
    assert_eq!(config.commit_interval().as_millis(), 1);
    assert_eq!(config.log_level(), "debug");
    assert_eq!(source(&config, "state.dir"), "flag");
    assert_eq!(source(&config, "num.stream.threads"), "RIACHO_NUM_STREAM_THREADS");
    assert_eq!(source(&config, "commit.interval.ms"), format!("{}:1", file.path().display()));
    assert_eq!(source(&config, "riacho.log.level"), "application");
    assert_eq!(source(&config, "auto.offset.reset"), "default");
    assert_eq!(source(&config, "statestore.cache.max.bytes"), "default, derived");
}

#[test]
fn every_problem_is_told_with_key_value_place_and_remedy() {
    let file = file("comit.interval.ms=5\nnum.stream.threads = zero\nbroken=\\u00\n");
    let raw = RawConfig::new(&[])
        .file(file.path())
        .environment([("RIACHO_SESSION_TIMEOUT_MS", "-1"), ("RIACHO_COMMIT_INTERVALL_MS", "5")])
        .flags(["commit.interval.ms=0", "application.id=a/b", "threads"]);
    let path = file.path().display().to_string();
    let mut expected = vec![
        "application.id = a/b (flag): must be 1 to 249 of the characters a-z A-Z 0-9 . _ - (and neither . nor ..)"
            .to_owned(),
        "bootstrap.servers: must be given: in the file, as RIACHO_BOOTSTRAP_SERVERS, or with a flag. Brokers to ask \
         first, as host:port,host:port."
            .to_owned(),
        format!("comit.interval.ms ({path}:1): unknown key; did you mean commit.interval.ms?"),
        "commit.interval.ms = 0 (flag): must be a whole number from 1 to 2147483647".to_owned(),
        "commit.intervall.ms (RIACHO_COMMIT_INTERVALL_MS): unknown key; did you mean commit.interval.ms?".to_owned(),
        format!("num.stream.threads = zero ({path}:2): must be a whole number from 1 to 256"),
        "session.timeout.ms = -1 (RIACHO_SESSION_TIMEOUT_MS): must be a whole number from 1 to 3600000".to_owned(),
        "threads (flag): write key=value".to_owned(),
        format!("{path}:3: \\u must be followed by four hexadecimal digits that make a character"),
    ];
    let mut told = problems(raw.clone());
    expected.sort();
    told.sort();
    assert_eq!(told, expected);
    let text = Config::try_from(raw).unwrap_err().to_string();
    assert!(text.starts_with("the configuration has 9 problems:\n  "), "{text}");
}

#[test]
fn names_of_other_clients_are_answered_with_what_to_write_instead() {
    let cases = [
        ("consumer.max.poll.records=5", "without a prefix"),
        ("producer.max.request.size=5", "message.max.bytes"),
        ("producer.buffer.memory=5", "riacho.send.queue.bytes"),
        ("key.serializer=a.b.C", "serdes belong to the topology"),
        ("default.key.serde=a.b.C", "serdes are chosen in the topology"),
        ("default.deserialization.exception.handler=x", "without the prefix 'default.'"),
        ("num.standby.replicas=1", "no standby tasks"),
        ("cache.max.bytes.buffering=1", "statestore.cache.max.bytes"),
        ("ssl.truststore.location=/x", "ssl.ca.location"),
        ("consumer.enable.auto.commit=true", "commits positions itself"),
        ("producer.transactional.id=x", "processing.guarantee"),
        ("isolation.level=read_uncommitted", "processing.guarantee"),
        ("producer.partitioner=random", "where Java's clients put them"),
        ("group.id=x", "application.id"),
        ("restore.consumer.session.timeout.ms=1", "without a prefix"),
        ("consumer.queued.max.messages.kbytes=1", "riacho.fetch.queue.bytes"),
        ("producer.fetch.min.bytes=1", "only consumers have it"),
        ("consumer.linger.ms=1", "only producers have it"),
        ("admin.linger.ms=1", "only producers have it"),
        ("consumer.fetch.min.byte=1", "did you mean consumer.fetch.min.bytes?"),
        ("sales.window.size=1", "did you mean sales.window.size.ms?"),
        ("linger=1", "unknown key"),
    ];
    for (flag, expected) in cases {
        let told = problems(needed().flags([flag]));
        assert!(told.len() == 1 && told.iter().all(|problem| problem.contains(expected)), "{flag}: {told:?}");
    }
}

#[test]
fn a_java_setting_at_the_value_where_nothing_differs_is_only_a_warning() {
    let config = config(&["num.standby.replicas=0"]);
    assert!(
        config
            .warnings()
            .iter()
            .any(|warning| warning.starts_with("num.standby.replicas (flag) has no effect"))
    );
}

#[test]
fn settings_that_do_not_fit_together_are_refused() {
    let cases: &[(&[&str], &str)] = &[
        (
            &["session.timeout.ms=500"],
            "heartbeat.interval.ms = 500 (default): must be less than session.timeout.ms, which is 500",
        ),
        (
            &["max.poll.interval.ms=44999"],
            "max.poll.interval.ms = 44999 (flag): must be at least session.timeout.ms, which is 45000",
        ),
        (
            &["commit.interval.ms=10001"],
            "commit.interval.ms = 10001 (flag): must be at most transaction.timeout.ms, which is 10000",
        ),
        (
            &["group.instance.id=a", "riacho.static.membership=off"],
            "riacho.static.membership = off (flag): must not be off beside group.instance.id, which is a",
        ),
        (
            &["riacho.memory.max.bytes=16777216", "statestore.cache.max.bytes=16777216"],
            "riacho.memory.max.bytes = 16777216 (flag): the parts do not fit: riacho.dirty.max.bytes needs at least \
             262144 with num.stream.threads = 1. Raise it, or lower one of: statestore.cache.max.bytes = 16777216, \
             riacho.dirty.max.bytes = 0 (what is left), riacho.rocksdb.block.cache.bytes = 0 (what is left), \
             riacho.rocksdb.write.buffer.bytes = 0 (what is left), riacho.fetch.queue.bytes = 0 (what is left), \
             riacho.send.queue.bytes = 0 (what is left)",
        ),
    ];
    for (flags, expected) in cases {
        assert_eq!(problems(needed().flags(*flags)), [*expected]);
    }
    config(&["commit.interval.ms=10001", "processing.guarantee=at_least_once"]);
}

#[test]
fn a_key_that_is_wrong_itself_causes_no_second_problem() {
    assert_eq!(problems(needed().flags(["session.timeout.ms=x"])).len(), 1);
    assert_eq!(problems(needed().flags(["riacho.memory.max.bytes=1"])).len(), 1);
}

#[test]
fn secrets_come_from_files_and_are_never_shown() {
    let secret = file("hunter2\n");
    let raw = needed().environment([
        ("RIACHO_SASL_PASSWORD_FILE", secret.path().to_str().unwrap()),
        ("RIACHO_SALES_API_TOKEN", "hunter2"),
        ("RIACHO_SECURITY_PROTOCOL", "SASL_SSL"),
    ]);
    let config = Config::try_from(raw).unwrap();
    let producer = config.client_properties(ClientRole::Producer);
    assert_eq!(producer.get("sasl.password"), Some("hunter2"));
    assert_eq!(config.get::<String>("sales.api.token").unwrap(), "hunter2");
    let shown = format!("{config} {config:?} {:?} {producer:?}", config.entries());
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("# RIACHO_SASL_PASSWORD_FILE\nsasl.password=[hidden]"), "{shown}");
}

#[test]
fn secrets_are_refused_on_the_command_line_and_not_repeated() {
    for flag in ["sasl.password=hunter2", "consumer.ssl.key.password=hunter2", "sales.api.token=hunter2"] {
        let told = problems(needed().flags([flag])).concat();
        assert!(told.contains("does not belong on the command line") && !told.contains("hunter2"), "{told}");
    }
    // A mistyped key may have been meant as a secret.
    let told = problems(needed().flags(["sasl.pasword=hunter2"])).concat();
    assert!(told.contains("did you mean sasl.password?") && !told.contains("hunter2"), "{told}");
}

#[test]
fn files_that_cannot_be_read_are_problems() {
    let both = [("RIACHO_SASL_PASSWORD_FILE", "/nonexistent"), ("RIACHO_SASL_PASSWORD", "x")];
    assert_eq!(
        problems(needed().environment(both)),
        ["RIACHO_SASL_PASSWORD_FILE: RIACHO_SASL_PASSWORD is set too: remove one of them"]
    );
    let told = problems(needed().environment([("RIACHO_SASL_PASSWORD_FILE", "/nonexistent")])).concat();
    assert!(told.starts_with("RIACHO_SASL_PASSWORD_FILE: the file /nonexistent cannot be read: "), "{told}");
    let told = problems(needed().file(Path::new("/nonexistent"))).concat();
    assert!(told.starts_with("/nonexistent: the file cannot be read: "), "{told}");
}

#[test]
fn variables_that_are_no_settings_are_left_alone() {
    let raw = needed().environment([
        ("PATH", "/bin"),
        ("RIACHO_CONFIG", "x"),
        ("RIACHO_TEST_KAFKA", "jvm"),
        ("RIACHO_PORT", "tcp://10.0.0.1:80"),
        ("RIACHO_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("RIACHO_SERVICE_HOST", "10.0.0.1"),
        ("RIACHO_COMMIT_INTERVAL_MS", ""),
    ]);
    assert_eq!(Config::try_from(raw).unwrap().commit_interval().as_millis(), 100);
    assert_eq!(
        problems(needed().environment([("RIACHO_NONSENSE", "1")])),
        ["nonsense (RIACHO_NONSENSE): unknown key"]
    );
}

#[test]
fn client_properties_go_to_the_clients_they_are_for() {
    let config = config(&[
        "main.consumer.fetch.min.bytes=3",
        "consumer.fetch.min.bytes=2",
        "fetch.min.bytes=1",
        "client.rack=a",
        "restore.consumer.client.rack=b",
        "linger.ms=7",
        "producer.compression.type=zstd",
        "consumer.session.timeout.ms=20000",
        "session.timeout.ms=10000",
        "producer.transaction.timeout.ms=5000",
        "auto.offset.reset=none",
    ]);
    let of = |role, name: &str| config.client_properties(role).get(name).map(str::to_owned);
    use ClientRole::{Admin, MainConsumer, Producer, RestoreConsumer};
    let roles = [MainConsumer, RestoreConsumer, Producer, Admin];
    let everywhere = |name: &str| roles.map(|role| of(role, name).unwrap_or_default());
    assert_eq!(everywhere("fetch.min.bytes"), ["3", "2", "", ""]);
    assert_eq!(everywhere("client.rack"), ["a", "b", "a", "a"]);
    assert_eq!(everywhere("linger.ms"), ["", "", "7", ""]);
    assert_eq!(everywhere("compression.type"), ["", "", "zstd", ""]);
    // The prefixed spelling goes before the plain one, and what is a setting is no property any more.
    assert_eq!(
        (config.session_timeout().as_millis(), everywhere("session.timeout.ms")),
        (20_000, [""; 4].map(str::to_owned))
    );
    assert_eq!((config.transaction_timeout().as_millis(), config.offset_reset()), (5000, OffsetReset::None));
}

#[test]
fn applications_read_their_own_keys_as_types() {
    let config = config(&["sales.window.size.ms=5000"]);
    assert_eq!(config.get::<Duration>("sales.window.size.ms").unwrap(), Duration::from_secs(5));
    assert_eq!(config.get::<u32>("sales.window.size.ms").unwrap(), 5000);
    assert_eq!(config.get::<f64>("sales.threshold").unwrap(), 3.5);
    assert_eq!(config.get::<Option<String>>("sales.api.token").unwrap(), None);
    assert_eq!(config.get::<Option<i64>>("sales.window.size.ms").unwrap(), Some(5000));
    let refused = |error: ConfigErrors| error.to_string();
    let wrong_type = config.get::<bool>("sales.window.size.ms").map_err(refused).unwrap_err();
    let unset = config.get::<String>("sales.api.token").map_err(refused).unwrap_err();
    let unknown = config.get::<String>("sales.nothing").map_err(refused).unwrap_err();
    assert!(
        wrong_type.contains("another type")
            && unset.contains("no value")
            && unknown.contains("none of its tables")
    );
    assert_eq!(
        problems(needed().flags(["sales.window.size.ms=0"])),
        ["sales.window.size.ms = 0 (flag): must be a whole number from 1 to 86400000"]
    );
}

#[test]
fn what_is_printed_reads_back_as_the_same_configuration() {
    let first = config(&["riacho.late.topic=late", "ssl.ca.pem= a\\b\n#c", "state.dir= /data\\x = ção"]);
    let printed = file(&first.to_string());
    let second = Config::try_from(RawConfig::new(&[APPLICATION]).file(printed.path())).unwrap();
    let values = |config: &Config| {
        config.entries().iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<Vec<_>>()
    };
    assert_eq!(values(&first), values(&second));
}

#[cfg(unix)]
#[test]
fn a_file_with_secrets_that_all_can_read_and_doubled_keys_are_warned_of() {
    use std::os::unix::fs::PermissionsExt as _;
    let file =
        file("sasl.password=x\nsecurity.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.password=y\n");
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = Config::try_from(needed().file(file.path())).unwrap().warnings().join("\n");
    for expected in
        ["every user can read it", "already given in line 1", "password in the clear", "set state.dir"]
    {
        assert!(warnings.contains(expected), "{warnings}");
    }
}
