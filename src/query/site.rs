//! Finds who has a partition and asks there: this instance's own state, or another instance over HTTP.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use riacho_topology::store::{StoreKind, StoreSpec};
use riacho_topology::{StoreIndex, TaskId, TopicPartition, Topology, partition_of};

use super::error::QueryError;
use super::read::{Found, Read};
use super::readers::Readers;
use crate::lifecycle::{ClientState, Lifecycle};
use crate::observe::http::percent_encoded;
use crate::observe::peer::{PeerAnswer, PeerRequest, ask_all};
use crate::ports::{ClientError, Clock, OwnerDirectory, ReadError};
use crate::rebalance::TaskLayout;

/// How long it is believed who has a partition.
const OWNERS_AGE_MAX: Duration = Duration::from_secs(2);

/// A store of the topology, and where its partitions lie.
#[derive(Clone, Debug)]
pub(crate) struct StoreFacts {
    pub(crate) spec: StoreSpec,
    pub(crate) index: StoreIndex,
    pub(crate) subtopology: usize,
    /// The topic whose partitions the group assigns for these tasks.
    pub(crate) lead: String,
    pub(crate) partitions: i32,
}

impl StoreFacts {
    /// The stores of a topology, by name.
    pub(crate) fn all(topology: &Topology, layout: &TaskLayout) -> BTreeMap<String, StoreFacts> {
        let mut facts = BTreeMap::new();
        for (subtopology, part) in topology.subtopologies().iter().enumerate() {
            let Some((lead, partitions)) = layout.lead(subtopology) else { continue };
            for (index, spec) in (0..).zip(&part.stores) {
                let (spec, lead) = (spec.clone(), lead.to_owned());
                let name = spec.name.clone();
                let index = StoreIndex(index);
                facts.insert(name, StoreFacts { spec, index, subtopology, lead, partitions });
            }
        }
        facts
    }

    pub(super) fn task(&self, partition: i32) -> TaskId {
        TaskId { subtopology: self.subtopology, partition }
    }

    fn lead_partition(&self, partition: i32) -> TopicPartition {
        TopicPartition::new(self.lead.clone(), partition)
    }

    pub(super) fn all_partitions(&self) -> Vec<i32> {
        (0..self.partitions).collect()
    }

    /// The partition whose task keeps a key.
    pub(super) fn partition_of(&self, key: &[u8]) -> i32 {
        let partitions = u32::try_from(self.partitions).ok().and_then(NonZeroU32::new);
        partition_of(key, partitions.unwrap_or(NonZeroU32::MIN))
    }

    pub(super) fn kind(&self) -> &'static str {
        kind_name(&self.spec.kind)
    }
}

pub(super) const KEY_VALUE: &str = "key-value";
pub(super) const WINDOW: &str = "window";

pub(super) fn kind_name(kind: &StoreKind) -> &'static str {
    match kind {
        StoreKind::KeyValue => KEY_VALUE,
        StoreKind::Window(_) => WINDOW,
    }
}

/// Where a partition of a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPlace {
    /// Its number.
    pub partition: i32,
    /// The host:port of the instance that has it; none while it is restored or moves, and where instances do not reach
    /// each other.
    pub owner: Option<String>,
    /// Whether it can be read in this process.
    pub here: bool,
}

/// Other instances, and how to reach them.
pub(crate) struct Neighbours {
    /// Who has which partition.
    pub(crate) directory: Box<dyn OwnerDirectory>,
    /// Under which address the others reach this instance.
    pub(crate) address: String,
    /// What this instance's requests carry.
    pub(crate) token: Option<String>,
}

/// What a started application knows of its stores.
pub(crate) struct Site {
    pub(crate) stores: BTreeMap<String, StoreFacts>,
    pub(crate) readers: Arc<Readers>,
    /// None where this instance cannot be reached, and so does not ask others either.
    pub(crate) neighbours: Option<Neighbours>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) clock: Arc<dyn Clock>,
    owners: Mutex<BTreeMap<String, Known>>,
}

/// The owners of a store's partitions, and when they were asked for.
#[derive(Clone)]
struct Known {
    owners: Vec<Option<String>>,
    at: Duration,
}

/// Partitions that have not answered yet, each with its place in the answer and the reason.
type Missing = Vec<(usize, i32, String)>;

impl Site {
    pub(crate) fn new(
        stores: BTreeMap<String, StoreFacts>,
        readers: Arc<Readers>,
        neighbours: Option<Neighbours>,
        lifecycle: Arc<Lifecycle>,
        clock: Arc<dyn Clock>,
    ) -> Site {
        Site { stores, readers, neighbours, lifecycle, clock, owners: Mutex::default() }
    }

    pub(super) fn store(&self, name: &str) -> Result<&StoreFacts, QueryError> {
        self.stores.get(name).ok_or_else(|| QueryError::UnknownStore {
            store: name.to_owned(),
            known: match self.stores.is_empty() {
                true => "none".to_owned(),
                false => self.stores.keys().cloned().collect::<Vec<_>>().join(", "),
            },
        })
    }

    /// What the partitions of a store answer, in the order of `partitions`.
    pub(super) fn ask(
        &self,
        store: &StoreFacts,
        partitions: &[i32],
        read: &Read,
    ) -> Result<Vec<Found>, QueryError> {
        let mut found = vec![Found::default(); partitions.len()];
        let mut missing: Missing = partitions
            .iter()
            .enumerate()
            .map(|(place, &partition)| (place, partition, String::new()))
            .collect();
        // What has just moved is found with the second look at who has it.
        for age_max in [OWNERS_AGE_MAX, Duration::ZERO] {
            missing = self.ask_here(store, missing, read, &mut found)?;
            if missing.is_empty() {
                return Ok(found);
            }
            missing = self.ask_neighbours(store, missing, read, &mut found, age_max);
            if missing.is_empty() {
                return Ok(found);
            }
        }
        let reason = missing.into_iter().next().map(|(_, _, reason)| reason).unwrap_or_default();
        Err(QueryError::Unavailable { store: store.spec.name.clone(), reason })
    }

    /// The answer of a partition that is here; none if it is not.
    pub(super) fn answer_here(
        &self,
        store: &StoreFacts,
        partition: i32,
        read: &Read,
    ) -> Result<Option<Found>, QueryError> {
        let Some(reader) = self.readers.of(store.task(partition)) else { return Ok(None) };
        match read.answer(reader.as_ref(), store.index) {
            Ok(found) => Ok(Some(found)),
            Err(ReadError::Closed) => Ok(None),
            Err(ReadError::State(error)) => Err(error.into()),
        }
    }

    fn ask_here(
        &self,
        store: &StoreFacts,
        asked: Missing,
        read: &Read,
        found: &mut [Found],
    ) -> Result<Missing, QueryError> {
        let mut missing = Vec::new();
        for (place, partition, reason) in asked {
            match (self.answer_here(store, partition, read)?, found.get_mut(place)) {
                (Some(answer), Some(slot)) => *slot = answer,
                _ => missing.push((place, partition, reason)),
            }
        }
        Ok(missing)
    }

    fn ask_neighbours(
        &self,
        store: &StoreFacts,
        asked: Missing,
        read: &Read,
        found: &mut [Found],
        age_max: Duration,
    ) -> Missing {
        let Some(neighbours) = &self.neighbours else {
            let reason = |partition| self.why_not_here(partition, "and other instances cannot be asked");
            return asked
                .into_iter()
                .map(|(place, partition, _)| (place, partition, reason(partition)))
                .collect();
        };
        let owners = match self.owners(store, neighbours, age_max) {
            Ok(owners) => owners,
            Err(error) => {
                let reason = format!("nobody tells who has its partitions: {error}");
                return asked.into_iter().map(|(place, of, _)| (place, of, reason.clone())).collect();
            }
        };
        let (mut missing, mut there, mut requests) = (Vec::new(), Vec::new(), Vec::new());
        for (place, partition, _) in asked {
            let owner =
                usize::try_from(partition).ok().and_then(|at| owners.get(at)).and_then(Option::as_ref);
            match owner {
                None => {
                    missing.push((
                        place,
                        partition,
                        self.why_not_here(partition, "and no instance has it yet"),
                    ));
                }
                Some(owner) if *owner == neighbours.address => {
                    missing.push((place, partition, self.why_not_here(partition, "and is about to be here")));
                }
                Some(owner) => {
                    there.push((place, partition));
                    requests.push(PeerRequest {
                        address: owner.clone(),
                        path: raw_path(&store.spec.name, partition, read),
                        token: neighbours.token.clone(),
                    });
                }
            }
        }
        for (((place, partition), request), answer) in
            there.into_iter().zip(&requests).zip(ask_all(&requests))
        {
            match (answer.map_err(|error| error.to_string()).and_then(understood), found.get_mut(place)) {
                (Ok(answer), Some(slot)) => *slot = answer,
                (Err(reason), _) => {
                    let reason = format!("partition {partition} is at {}: {reason}", request.address);
                    missing.push((place, partition, reason));
                }
                (Ok(_), None) => {}
            }
        }
        missing
    }

    fn why_not_here(&self, partition: i32, beside: &str) -> String {
        match self.lifecycle.state() {
            ClientState::Running => format!("partition {partition} does not run here {beside}"),
            state => format!("partition {partition} does not run here {beside}; this instance is {state}"),
        }
    }

    fn cache(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of those who have the store's partitions, as known for no longer than `age_max`.
    fn owners(
        &self,
        store: &StoreFacts,
        neighbours: &Neighbours,
        age_max: Duration,
    ) -> Result<Vec<Option<String>>, ClientError> {
        let now = self.clock.monotonic();
        let known = self.cache().get(&store.lead).cloned();
        if let Some(known) = known.filter(|known| now.saturating_sub(known.at) < age_max) {
            return Ok(known.owners);
        }
        let partitions: Vec<_> =
            store.all_partitions().into_iter().map(|partition| store.lead_partition(partition)).collect();
        let owners = neighbours.directory.owners(&partitions)?;
        self.cache().insert(store.lead.clone(), Known { owners: owners.clone(), at: now });
        Ok(owners)
    }

    /// Where the store's partitions are, as far as it is known; which are here is certain.
    pub(super) fn places_of(&self, store: &StoreFacts) -> Vec<PartitionPlace> {
        let told = self.neighbours.as_ref().and_then(|neighbours| {
            self.owners(store, neighbours, OWNERS_AGE_MAX).map_err(|error| tracing::debug!(%error)).ok()
        });
        let told = told.unwrap_or_default();
        let own = self.neighbours.as_ref().map(|neighbours| &neighbours.address);
        let told = told.into_iter().map(|told| told.filter(|told| Some(told) != own));
        let places = store.all_partitions().into_iter().zip(told.chain(std::iter::repeat(None)));
        let place = |(partition, told): (i32, Option<String>)| {
            let here = self.readers.of(store.task(partition)).is_some();
            PartitionPlace { partition, owner: if here { own.cloned() } else { told }, here }
        };
        places.map(place).collect()
    }

    /// Tells the others which partitions are here.
    pub(super) fn announce(&self) -> Result<(), ClientError> {
        let Some(neighbours) = &self.neighbours else { return Ok(()) };
        let leads: BTreeMap<usize, &StoreFacts> =
            self.stores.values().map(|store| (store.subtopology, store)).collect();
        let tasks = self.readers.tasks();
        let lead = |task: &TaskId| Some(leads.get(&task.subtopology)?.lead_partition(task.partition));
        let partitions: Vec<_> = tasks.iter().filter_map(lead).collect();
        neighbours.directory.claim(&partitions, &neighbours.address)
    }
}

/// Where a neighbour answers for one partition; it never asks others itself.
fn raw_path(store: &str, partition: i32, read: &Read) -> String {
    format!("/partitions/{}/{partition}?{}", percent_encoded(store), read.to_query())
}

fn understood(answer: PeerAnswer) -> Result<Found, String> {
    match answer.status {
        200 => Found::from_bytes(&answer.body).ok_or_else(|| "its answer is not one of riacho".to_owned()),
        401 => Err("it does not take our token: give all instances the same riacho.http.token".to_owned()),
        status => Err(format!("it answers {status}: {}", String::from_utf8_lossy(&answer.body).trim())),
    }
}
