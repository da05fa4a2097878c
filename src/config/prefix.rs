//! The prefixes that say which clients a property is for.

use super::ClientRole;
use super::client_keys::Scope;

/// A prefix that says which clients a property is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Prefix {
    Consumer,
    MainConsumer,
    RestoreConsumer,
    Producer,
    Admin,
}

impl Prefix {
    const ALL: [Prefix; 5] =
        [Prefix::Consumer, Prefix::MainConsumer, Prefix::RestoreConsumer, Prefix::Producer, Prefix::Admin];

    pub(super) fn text(self) -> &'static str {
        match self {
            Prefix::Consumer => "consumer.",
            Prefix::MainConsumer => "main.consumer.",
            Prefix::RestoreConsumer => "restore.consumer.",
            Prefix::Producer => "producer.",
            Prefix::Admin => "admin.",
        }
    }

    pub(super) fn includes(self, role: ClientRole) -> bool {
        match self {
            Prefix::Consumer => matches!(role, ClientRole::MainConsumer | ClientRole::RestoreConsumer),
            Prefix::MainConsumer => role == ClientRole::MainConsumer,
            Prefix::RestoreConsumer => role == ClientRole::RestoreConsumer,
            Prefix::Producer => role == ClientRole::Producer,
            Prefix::Admin => role == ClientRole::Admin,
        }
    }

    pub(super) fn scope(self) -> Scope {
        match self {
            Prefix::Consumer | Prefix::MainConsumer | Prefix::RestoreConsumer => Scope::Consumers,
            Prefix::Producer => Scope::Producers,
            Prefix::Admin => Scope::Every,
        }
    }

    pub(super) fn accepts(self, scope: Scope) -> bool {
        scope == Scope::Every || scope == self.scope()
    }
}

/// Splits a key into the clients it is for and the property's own name.
pub(super) fn split_prefix(key: &str) -> (Option<Prefix>, &str) {
    Prefix::ALL
        .into_iter()
        .find_map(|prefix| Some((Some(prefix), key.strip_prefix(prefix.text())?)))
        .unwrap_or((None, key))
}

/// The settings that may also be written with the prefix of the only client they concern.
pub(super) fn alias_of(prefix: Option<Prefix>, name: &str) -> Option<&str> {
    const OF_THE_MAIN_CONSUMER: [&str; 5] = [
        "session.timeout.ms",
        "heartbeat.interval.ms",
        "max.poll.interval.ms",
        "auto.offset.reset",
        "group.instance.id",
    ];
    let known = match prefix? {
        Prefix::Consumer | Prefix::MainConsumer => OF_THE_MAIN_CONSUMER.contains(&name),
        Prefix::Producer => name == "transaction.timeout.ms",
        Prefix::RestoreConsumer | Prefix::Admin => false,
    };
    known.then_some(name)
}
