//! Views without their types: text goes in, JSON comes out.

use std::str::FromStr;

use riacho_topology::{SerdeError, Timestamp, Windowed};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::QueryError;
use super::merge::Cursor;
use super::site::{KEY_VALUE, WINDOW};
use super::view::{Entry, KeyValueView, Paging, WindowView};

/// How keys are read from an address, and keys and values become JSON.
pub(super) struct Form<K, V> {
    parse: Box<Parse<K>>,
    key: Box<ToJson<K>>,
    value: Box<ToJson<V>>,
}

type Parse<T> = dyn Fn(&str) -> Option<T> + Send + Sync;
type ToJson<T> = dyn Fn(&T) -> Value + Send + Sync;

impl<K, V> Form<K, V> {
    pub(super) fn new(
        parse: impl Fn(&str) -> Option<K> + Send + Sync + 'static,
        key: impl Fn(&K) -> Value + Send + Sync + 'static,
        value: impl Fn(&V) -> Value + Send + Sync + 'static,
    ) -> Self {
        Form { parse: Box::new(parse), key: Box::new(key), value: Box::new(value) }
    }

    /// Keys as they are parsed, keys and values as they are serialised.
    pub(super) fn of_serde() -> Self
    where
        K: FromStr + Serialize,
        V: Serialize,
    {
        Form::new(|text| text.parse().ok(), |key| json!(key), |value| json!(value))
    }

    fn key(&self, text: &str) -> Result<K, QueryError> {
        (self.parse)(text).ok_or_else(|| {
            QueryError::BadKey(SerdeError::new("it does not have the form of this store's keys"))
        })
    }

    fn entry(&self, Entry { key, value, time }: &Entry<K, V>) -> Value {
        json!({ "key": (self.key)(key), "value": (self.value)(value), "time": time.0 })
    }

    fn window(&self, Entry { key, value, time }: &Entry<Windowed<K>, V>) -> Value {
        let Windowed { key, window, .. } = key;
        json!({
            "key": (self.key)(key),
            "start": window.start.0,
            "end": window.end.0,
            "value": (self.value)(value),
            "time": time.0,
        })
    }
}

/// A page of JSON.
pub(super) type JsonPage = (Vec<Value>, Option<Cursor>);

/// A view without its types.
pub(super) trait Shown: Send + Sync {
    fn get(&self, key: &str) -> Result<Option<Value>, QueryError>;

    fn range(&self, from: Option<&str>, to: Option<&str>, paging: &Paging) -> Result<JsonPage, QueryError>;

    /// Of one key, or of all.
    fn windows(
        &self,
        key: Option<&str>,
        from: Timestamp,
        to: Timestamp,
        paging: &Paging,
    ) -> Result<JsonPage, QueryError>;
}

impl<K, V> Shown for (KeyValueView<K, V>, Form<K, V>) {
    fn get(&self, key: &str) -> Result<Option<Value>, QueryError> {
        let (view, form) = self;
        Ok(view.get(&form.key(key)?)?.map(|entry| form.entry(&entry)))
    }

    fn range(&self, from: Option<&str>, to: Option<&str>, paging: &Paging) -> Result<JsonPage, QueryError> {
        let (view, form) = self;
        let bound = |text: Option<&str>| text.map(|text| form.key(text)).transpose();
        let listing = view.range(bound(from)?.as_ref(), bound(to)?.as_ref(), paging)?;
        Ok((listing.entries.iter().map(|entry| form.entry(entry)).collect(), listing.next))
    }

    fn windows(
        &self,
        _: Option<&str>,
        _: Timestamp,
        _: Timestamp,
        _: &Paging,
    ) -> Result<JsonPage, QueryError> {
        Err(QueryError::OtherKind { store: self.0.store().to_owned(), kind: KEY_VALUE })
    }
}

impl<K, V> Shown for (WindowView<K, V>, Form<K, V>) {
    fn get(&self, _: &str) -> Result<Option<Value>, QueryError> {
        Err(QueryError::OtherKind { store: self.0.store().to_owned(), kind: WINDOW })
    }

    fn range(&self, _: Option<&str>, _: Option<&str>, _: &Paging) -> Result<JsonPage, QueryError> {
        Err(QueryError::OtherKind { store: self.0.store().to_owned(), kind: WINDOW })
    }

    fn windows(
        &self,
        key: Option<&str>,
        from: Timestamp,
        to: Timestamp,
        paging: &Paging,
    ) -> Result<JsonPage, QueryError> {
        let (view, form) = self;
        let listing = match key {
            Some(key) => view.fetch(&form.key(key)?, from, to, paging)?,
            None => view.all(from, to, paging)?,
        };
        Ok((listing.entries.iter().map(|entry| form.window(entry)).collect(), listing.next))
    }
}
