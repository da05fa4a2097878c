//! A real, single Apache Kafka in a JVM, for the length of the demo. Its jars come from Maven Central, once.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use riacho::SystemClock;
use riacho::kafka::{ClientSettings, KafkaAdmin};
use riacho::ports::Clock as _;

use super::child::free_port;
use super::leash::leashed;
use super::say;

/// The version that the tests run on too.
const VERSION: &str = "4.1.1";
const POM: &str = include_str!("../../../../tests/support/kafka-jars/pom.xml");
const LOGGING: &str = include_str!("../../../../tests/support/kafka-jars/log4j2.properties");
const START_LIMIT: Duration = Duration::from_secs(90);
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(200);
const REMOVALS_MAX: u32 = 10;
const LOG_LINES: usize = 15;

/// Formats the storage, then becomes the server: `$1` is the class path, `$2` the folder.
const SERVE: &str = r#"
set -- "$2/server.properties" -XX:+UseSerialGC -Djava.awt.headless=true "-Dlog4j2.configurationFile=$2/log4j2.properties" -cp "$1"
properties=$1
shift
java -Xmx128m "$@" kafka.tools.StorageTool format --cluster-id MkU3OEVBNTcwNTJENDM2Qg --config "$properties" || exit
exec java -Xmx400m "$@" kafka.Kafka "$properties"
"#;

/// A server that answers. Dropping it ends it and removes its data.
pub(super) struct JvmKafka {
    bootstrap: String,
    process: Child,
    folder: PathBuf,
}

impl JvmKafka {
    /// Starts a server, after fetching it if that has not been done before.
    ///
    /// # Errors
    /// When Java or Maven is missing, or the server does not start; the message says what to do.
    pub(super) fn start() -> Result<JvmKafka, Box<dyn Error>> {
        if !answers("java", "-version") {
            return Err("--kafka jvm needs Java 17 (Debian: apt-get install default-jdk-headless)".into());
        }
        let jars = jars()?;
        say(&format!("starting Apache Kafka {VERSION} in a JVM (some ten seconds)"))?;
        let folder = env::temp_dir().join(format!("riacho-demo-kafka-{}", uuid::Uuid::new_v4().simple()));
        fs::create_dir_all(&folder)?;
        let bootstrap = format!("127.0.0.1:{}", free_port()?);
        fs::write(folder.join("server.properties"), settings(&bootstrap, free_port()?, &folder))?;
        fs::write(folder.join("log4j2.properties"), LOGGING)?;
        let log = File::create(folder.join("server.log"))?;
        let process = leashed("sh")
            .args(["-c", SERVE, "serve"])
            .arg(format!("{}/*", jars.display()))
            .arg(&folder)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut kafka = JvmKafka { bootstrap, process, folder };
        kafka.await_answer()?;
        Ok(kafka)
    }

    pub(super) fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    fn await_answer(&mut self) -> Result<(), Box<dyn Error>> {
        let clock = SystemClock::new();
        let mut settings = ClientSettings::new(self.bootstrap.as_str(), "riacho-demo");
        settings.request_timeout = ANSWER_LIMIT;
        let admin = KafkaAdmin::new(&settings)?;
        while admin.topics().is_err() {
            let has_ended = self.process.try_wait()?.is_some();
            if has_ended || clock.monotonic() > START_LIMIT {
                return Err(format!("Apache Kafka does not start; its log ends:\n{}", self.log_end()).into());
            }
            thread::park_timeout(STEP);
        }
        Ok(())
    }

    fn log_end(&self) -> String {
        let text = fs::read_to_string(self.folder.join("server.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines.get(lines.len().saturating_sub(LOG_LINES)..).unwrap_or_default().join("\n")
    }
}

impl Drop for JvmKafka {
    fn drop(&mut self) {
        // Closes its input, which ends it.
        if let Err(error) = self.process.wait() {
            tracing::warn!(%error, "Kafka's process cannot be waited for");
        }
        // It may still be at its last write.
        for _ in 0..REMOVALS_MAX {
            if fs::remove_dir_all(&self.folder).is_ok() {
                return;
            }
            thread::park_timeout(STEP);
        }
        tracing::warn!("{} could not be removed", self.folder.display());
    }
}

fn settings(bootstrap: &str, controller: u16, folder: &Path) -> String {
    let data = folder.join("data");
    format!(
        "process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://{bootstrap},CONTROLLER://127.0.0.1:{controller}
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={}
auto.create.topics.enable=false
default.replication.factor=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
",
        data.display()
    )
}

fn answers(program: &str, argument: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(argument).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// The folder with the server's jars, in the cache that the tests use too.
fn jars() -> Result<PathBuf, Box<dyn Error>> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = set("RIACHO_CACHE")
        .or_else(|| Some(set("XDG_CACHE_HOME")?.join("riacho")))
        .or_else(|| Some(set("HOME")?.join(".cache").join("riacho")))
        .ok_or("neither HOME nor RIACHO_CACHE says where to keep Kafka's jars")?;
    let folder = cache.join(format!("kafka-{VERSION}"));
    if !folder.is_dir() {
        fetch(&cache, &folder)?;
    }
    Ok(folder)
}

fn fetch(cache: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
    if !answers("mvn", "--version") {
        return Err("--kafka jvm fetches Apache Kafka with Maven (Debian: apt-get install maven)".into());
    }
    say(&format!("fetching Apache Kafka {VERSION} from Maven Central into {}", folder.display()))?;
    // Renamed only when complete, so that a fetch that was cut short leaves nothing that looks whole.
    let partial = cache.join(format!(".kafka-{}", uuid::Uuid::new_v4().simple()));
    fs::create_dir_all(&partial)?;
    fs::write(partial.join("pom.xml"), POM)?;
    let maven = Command::new("mvn")
        .args(["-q", "-B", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=jars"])
        .current_dir(&partial)
        .stdin(Stdio::null())
        .output();
    let fetched = maven.map_err(Box::<dyn Error>::from).and_then(|maven| {
        if !maven.status.success() {
            let said = [maven.stdout, maven.stderr].concat();
            return Err(format!("Maven could not fetch Kafka:\n{}", String::from_utf8_lossy(&said)).into());
        }
        match fs::rename(partial.join("jars"), folder) {
            // Another fetch was faster.
            Err(_) if folder.is_dir() => Ok(()),
            renamed => Ok(renamed?),
        }
    });
    fs::remove_dir_all(&partial)?;
    fetched
}
