//! The program on a listener that encrypts and asks who is there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{App, Cluster, Door, LIMIT, free_port, unique};

const USER: &str = "riacho";
const PASSWORD: &str = "the right one";
const WRONG_PASSWORD: &str = "not the right one";
const STORE_PASSWORD: &str = "of the key store";

fn keytool(arguments: &[&str]) {
    let mut command = Command::new("keytool");
    command.args(arguments).args(["-alias", "broker", "-storepass", STORE_PASSWORD]).stdin(Stdio::null());
    let done = command.output().expect("keytool comes with Java");
    assert!(done.status.success(), "keytool {arguments:?}: {}", String::from_utf8_lossy(&done.stdout));
}

/// The files of a broker with a key of its own and of those who trust it.
struct Files {
    key_store: PathBuf,
    certificate: PathBuf,
    password: PathBuf,
    wrong_password: PathBuf,
}

impl Files {
    fn make(dir: &Path) -> Files {
        let files = Files {
            key_store: dir.join("broker.p12"),
            certificate: dir.join("broker.pem"),
            password: dir.join("password"),
            wrong_password: dir.join("wrong-password"),
        };
        let store = text(&files.key_store);
        let name = ["-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1", "-ext", "bc=ca:true"];
        let key = ["-genkeypair", "-keyalg", "RSA", "-validity", "30", "-keystore", &store];
        keytool(&[key.as_slice(), name.as_slice()].concat());
        keytool(&["-exportcert", "-rfc", "-keystore", &store, "-file", &text(&files.certificate)]);
        for (file, password) in [(&files.password, PASSWORD), (&files.wrong_password, WRONG_PASSWORD)] {
            // As an editor leaves it.
            fs::write(file, format!("{password}\n")).expect("the folder for temporary files is writable");
        }
        files
    }

    fn door(&self) -> Door {
        let port = free_port();
        let login = format!(
            "org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}=\"{PASSWORD}\";"
        );
        let settings = vec![
            ("listener.name.door.ssl.keystore.type", "PKCS12".to_owned()),
            ("listener.name.door.ssl.keystore.location", text(&self.key_store)),
            ("listener.name.door.ssl.keystore.password", STORE_PASSWORD.to_owned()),
            ("listener.name.door.sasl.enabled.mechanisms", "PLAIN".to_owned()),
            ("listener.name.door.plain.sasl.jaas.config", login),
        ];
        Door { protocol: "SASL_SSL", port, advertised: port, settings }
    }
}

fn text(path: &Path) -> String {
    path.to_str().expect("the folder for temporary files has a readable name").to_owned()
}

#[test]
fn tls_and_a_password_from_a_file_let_the_program_in_and_a_wrong_one_is_told() {
    let dir = tempfile::tempdir().expect("the folder for temporary files is writable");
    let files = Files::make(dir.path());
    let door = files.door();
    let cluster = Cluster::start_with_door(dir.path(), &door);
    let client = cluster.client();
    let names = ["input", "output", "anomalies"].map(|what| (what, unique(what)));
    let app = names.iter().fold(App::on(&client, "secured"), |app, (what, name)| {
        client.create_topic(name, 2);
        app.with(&format!("transactions.{what}.topic"), name)
    });
    let app = app
        .with("bootstrap.servers", &format!("127.0.0.1:{}", door.port))
        .with("security.protocol", "SASL_SSL")
        .with("sasl.mechanism", "PLAIN")
        .with("sasl.username", USER);
    let trusting = app.clone().with("ssl.ca.location", &text(&files.certificate));
    let secret = |app: &App, file: &Path| app.clone().with_variable("RIACHO_SASL_PASSWORD_FILE", &text(file));

    let secured = secret(&trusting, &files.password);
    let made = ["--count", "3000", "--simulated", "25", "--vendors", "20", "--seed", "5"];
    for (verb, arguments) in
        [("generate", made.as_slice()), ("run", &["--until-caught-up"]), ("verify", &["--open", "compare"])]
    {
        let mut process = secured.spawn_verb(verb, arguments);
        let end = process.await_end(LIMIT);
        assert!(end.success(), "{verb}: {}", process.log_end());
        assert!(verb != "verify" || process.log().contains("PASS: "), "{}", process.log());
    }

    // It gives up as soon as it may, where it would otherwise wait for a password that is being changed.
    let wrong = secret(&trusting, &files.wrong_password).sibling().with("task.timeout.ms", "1000");
    let untrusting = secret(&app, &files.password).sibling().with("task.timeout.ms", "1000");
    let refused = [
        ("run", wrong.spawn(), "check the user name, the password and sasl.mechanisms"),
        (
            "generate",
            wrong.spawn_verb("generate", &made),
            "check the user name, the password and sasl.mechanisms",
        ),
        ("verify", untrusting.spawn_verb("verify", &[]), "check ssl.ca.location"),
    ];
    for (verb, mut process, advice) in refused {
        let end = process.await_end(LIMIT);
        let log = process.log();
        assert!(!end.success() && log.contains(advice), "{verb} ended ({end}):\n{log}");
        let last = log.lines().last().unwrap_or_default();
        assert!(last.starts_with("riacho: ") && last.contains(advice), "{verb} says last: {last}");
        assert!(
            !log.contains(WRONG_PASSWORD) && !log.contains(PASSWORD),
            "{verb} tells the password:\n{log}"
        );
    }
}
