//! Serdes, names and times that go with a step.

use std::sync::Arc;

use crate::serde::{Serde, SharedSerde};
use crate::time::EventTime;

/// How a topic is read.
///
/// ```
/// use riacho_topology::{Consumed, EventTime, Timestamp, Utf8};
/// let of_the_record = Consumed::<String, String>::with(Utf8, Utf8);
/// let of_a_field = Consumed::<String, String>::with(Utf8, Utf8)
///     .event_time(EventTime::<String, String>::field(|view| view.value.parse().ok().map(Timestamp)))
///     .named("views-source");
/// # let _ = (of_the_record, of_a_field);
/// ```
pub struct Consumed<K, V> {
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
    pub(crate) event_time: EventTime<K, V>,
    pub(crate) name: Option<String>,
}

impl<K, V> Consumed<K, V> {
    /// Read with these serdes; event time is the record's own timestamp.
    pub fn with(key_serde: impl Serde<K> + 'static, value_serde: impl Serde<V> + 'static) -> Self {
        Consumed {
            key_serde: Arc::new(key_serde),
            value_serde: Arc::new(value_serde),
            event_time: EventTime::record_time(),
            name: None,
        }
    }

    /// Takes event time from elsewhere.
    #[must_use]
    pub fn event_time(mut self, event_time: EventTime<K, V>) -> Self {
        self.event_time = event_time;
        self
    }

    /// Names the node.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// How a topic is written: `stream.to("counts", Produced::with(Utf8, BigEndian))`.
pub struct Produced<K, V> {
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
    pub(crate) name: Option<String>,
}

impl<K, V> Produced<K, V> {
    /// Write with these serdes.
    pub fn with(key_serde: impl Serde<K> + 'static, value_serde: impl Serde<V> + 'static) -> Self {
        Produced { key_serde: Arc::new(key_serde), value_serde: Arc::new(value_serde), name: None }
    }

    /// Names the node.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// How records are grouped: serdes for the repartition topic, where one is needed, and for the keys of stores.
pub struct Grouped<K, V> {
    pub(crate) key_serde: SharedSerde<K>,
    pub(crate) value_serde: SharedSerde<V>,
    pub(crate) name: Option<String>,
}

impl<K, V> Clone for Grouped<K, V> {
    fn clone(&self) -> Self {
        Grouped {
            key_serde: Arc::clone(&self.key_serde),
            value_serde: Arc::clone(&self.value_serde),
            name: self.name.clone(),
        }
    }
}

impl<K, V> Grouped<K, V> {
    /// Group with these serdes.
    pub fn with(key_serde: impl Serde<K> + 'static, value_serde: impl Serde<V> + 'static) -> Self {
        Grouped { key_serde: Arc::new(key_serde), value_serde: Arc::new(value_serde), name: None }
    }

    /// Names the repartition topic `<name>-repartition`; all aggregations of the group then share it.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}

/// How an aggregate is kept: `count(Materialized::named("counts", BigEndian))`.
pub struct Materialized<A> {
    pub(crate) store: Option<String>,
    pub(crate) value_serde: SharedSerde<A>,
    pub(crate) name: Option<String>,
}

impl<A> Materialized<A> {
    /// Keep aggregates with this serde in a store with a generated name. Generated names move when operators are
    /// added before them, and then the state is lost: name what you keep.
    pub fn with(value_serde: impl Serde<A> + 'static) -> Self {
        Materialized { store: None, value_serde: Arc::new(value_serde), name: None }
    }

    /// Keep aggregates with this serde in the store `store`.
    pub fn named(store: impl Into<String>, value_serde: impl Serde<A> + 'static) -> Self {
        Materialized { store: Some(store.into()), ..Self::with(value_serde) }
    }

    /// Names the node.
    #[must_use]
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }
}
