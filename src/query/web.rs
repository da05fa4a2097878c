//! The stores over HTTP: `/stores` for people and programs, `/partitions` for other instances.

use std::sync::Arc;

use riacho_topology::Timestamp;
use riacho_topology::store::StoreKind;
use serde_json::{Value, json};

use super::error::{QueryError, refusal};
use super::merge::Cursor;
use super::read::Read;
use super::shown::{JsonPage, Shown};
use super::site::{PartitionPlace, Site, StoreFacts};
use super::view::Paging;
use super::{Queries, Shared};
use crate::observe::http::{BadEncoding, Page, Pages, Request};

impl Queries {
    /// The pages of these queries.
    pub(crate) fn pages(&self) -> Pages {
        let (list, store, partition) = (self.clone(), self.clone(), self.clone());
        Pages::new()
            .with("/stores", "the stores, and where their partitions are", move |_| stores(&list.0))
            .with_prefix(
                "/stores/",
                "{store}, {store}/keys/{key}, {store}/range?from=&to=&limit=&after=, {store}/windows/{key}?from=&to=",
                move |request| answer(&store.0, request).unwrap_or_else(|refused| refused.page()),
            )
            .with_peers("/partitions/", move |request| {
                partition_page(&partition.0, request).unwrap_or_else(|refused| refused.page())
            })
    }
}

/// Why a request has no answer.
enum Refused {
    Query(QueryError),
    Bad(String),
    Missing(String),
    /// The partition is not here.
    Elsewhere,
}

impl Refused {
    fn page(&self) -> Page {
        match self {
            Refused::Query(error) => error.page(),
            Refused::Bad(reason) => refusal(400, reason),
            Refused::Missing(reason) => refusal(404, reason),
            Refused::Elsewhere => Page::text(503, "the partition is not here"),
        }
    }
}

impl From<QueryError> for Refused {
    fn from(error: QueryError) -> Self {
        Refused::Query(error)
    }
}

impl From<BadEncoding> for Refused {
    fn from(error: BadEncoding) -> Self {
        Refused::Bad(error.to_string())
    }
}

fn no_such_page() -> Refused {
    Refused::Missing(
        "there is no such page: ask /stores, /stores/{store}, /stores/{store}/keys/{key}, /stores/{store}/range or \
         /stores/{store}/windows/{key}"
            .to_owned(),
    )
}

fn stores(shared: &Shared) -> Page {
    let site = match shared.site("stores") {
        Ok(site) => site,
        Err(error) => return error.page(),
    };
    let stores: Vec<Value> = site.stores.values().map(|store| described(shared, site, store)).collect();
    Page::json(
        200,
        &json!({
            "address": site.neighbours.as_ref().map(|neighbours| &neighbours.address),
            "state": site.lifecycle.state().as_str(),
            "stores": stores,
        }),
    )
}

fn described(shared: &Shared, site: &Site, store: &StoreFacts) -> Value {
    let partitions = site.places_of(store).into_iter().map(|PartitionPlace { partition, owner, here }| {
        let state = match (here, &owner) {
            (true, _) => "running",
            (false, Some(_)) => "elsewhere",
            (false, None) => "unavailable",
        };
        json!({ "partition": partition, "owner": owner, "here": here, "state": state })
    });
    let mut described = json!({
        "name": store.spec.name,
        "kind": store.kind(),
        "subtopology": store.subtopology,
        "shown": shared.shown().contains_key(&store.spec.name),
        "partitions": partitions.collect::<Vec<_>>(),
    });
    if let (StoreKind::Window(windows), Some(known)) = (store.spec.kind, described.as_object_mut()) {
        known.insert("window_size_ms".to_owned(), windows.size_ms().into());
        known.insert("window_advance_ms".to_owned(), windows.advance_ms().into());
        known.insert("window_grace_ms".to_owned(), windows.grace_ms().into());
    }
    described
}

fn answer(shared: &Shared, request: &Request) -> Result<Page, Refused> {
    let unreadable = || Refused::Bad("the address cannot be read: percent-encode it as UTF-8".to_owned());
    let segments = request.segments().ok_or_else(unreadable)?;
    let Some((name, what)) = segments.split_first() else { return Err(no_such_page()) };
    let site = shared.site(name)?;
    let store = site.store(name)?;
    if what.is_empty() {
        return Ok(Page::json(200, &described(shared, site, store)));
    }
    let shown = shared.shown().get(name.as_ref()).cloned();
    let shown = shown.ok_or_else(|| Refused::Missing(format!("the store '{name}' is not shown")))?;
    let what: Vec<&str> = what.iter().map(AsRef::as_ref).collect();
    match what.as_slice() {
        ["keys", key] => {
            let entry = shown.get(key)?;
            let entry =
                entry.ok_or_else(|| Refused::Missing(format!("the store '{name}' has no such key")))?;
            Ok(Page::compact_json(200, &entry))
        }
        ["range"] => {
            let query = request.query();
            let (from, to) = (query.get_decoded("from")?, query.get_decoded("to")?);
            Ok(listed(shown.range(from.as_deref(), to.as_deref(), &paging(request)?)?))
        }
        ["windows"] => windows(&shown, None, request),
        ["windows", key] => windows(&shown, Some(key), request),
        _ => Err(no_such_page()),
    }
}

fn windows(shown: &Arc<dyn Shown>, key: Option<&str>, request: &Request) -> Result<Page, Refused> {
    let time = |name, default: Timestamp| request.query().get_parsed(name, default.0).map(Timestamp);
    let (from, to) = (time("from", Timestamp::MIN)?, time("to", Timestamp(i64::MAX))?);
    Ok(listed(shown.windows(key, from, to, &paging(request)?)?))
}

fn paging(request: &Request) -> Result<Paging, Refused> {
    let limit = request.query().get_parsed("limit", 100usize)?;
    if !(1..=Paging::LIMIT_MAX).contains(&limit) {
        return Err(Refused::Bad(format!("limit is from 1 to {}", Paging::LIMIT_MAX)));
    }
    let after = match request.query().get("after").filter(|after| !after.is_empty()) {
        None => None,
        Some(after) => Some(Cursor::parse(after).ok_or(BadEncoding("after"))?),
    };
    Ok(Paging::first(limit).after(after))
}

fn listed((entries, next): JsonPage) -> Page {
    let next = next.map(|next| next.to_string());
    Page::compact_json(200, &json!({ "entries": entries, "next": next }))
}

/// What one partition has, if it is here: the answer to another instance, which knows the way. It asks nobody, so that
/// no question goes round in circles.
fn partition_page(shared: &Shared, request: &Request) -> Result<Page, Refused> {
    let segments = request.segments().unwrap_or_default();
    let [name, partition] = segments.as_slice() else { return Err(no_such_page()) };
    let site = shared.site(name)?;
    let store = site.store(name)?;
    let partition: i32 = partition.parse().map_err(|_| BadEncoding("partition"))?;
    let query = request.query();
    let read = Read::from_query(|name| query.get(name)).ok_or(BadEncoding("of the question"))?;
    let found = site.answer_here(store, partition, &read)?.ok_or(Refused::Elsewhere)?;
    Ok(Page::new(200, "application/octet-stream", found.to_bytes()))
}
