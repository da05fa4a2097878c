//! `/api/start`: the applications of this process, their topologies, tasks, rates and lags.

use std::collections::BTreeMap;
use std::time::Duration;

use riacho::observe::http::Page;
use riacho::ports::Clock as _;
use riacho::{Overview, Snapshot, TaskId, TopicPartition};
use serde_json::{Value, json};

use super::answer;
use super::board::{Board, Shown};
use super::rates::Pace;

/// Every application that has a page, in the order of the menu.
const APPLICATIONS: [&str; 5] = ["transactions", "sales", "enrolments", "extraction", "workshop"];
/// More would make the page and the answer long, and nobody wiser.
const TASKS_MAX: usize = 256;

/// What runs here now.
pub(super) fn answer(board: &Board) -> Page {
    let now = board.clock().monotonic();
    let mut shown = board.lock();
    let kafka = shown.first().map(|app| app.facts.kafka.clone());
    let instance =
        shown.iter().find_map(|app| app.overview.as_ref()).map(|overview| overview.instance().to_owned());
    let applications: Vec<Value> = APPLICATIONS
        .into_iter()
        .map(|id| match shown.iter_mut().find(|app| app.id == id) {
            Some(app) => application(app, now),
            None => json!({ "id": id, "running": false, "href": format!("/{id}") }),
        })
        .collect();
    answer::ready(
        board.now(),
        json!({
            "version": env!("CARGO_PKG_VERSION"), "instance": instance, "kafka": kafka,
            "applications": applications,
        }),
    )
}

fn application(app: &mut Shown, now: Duration) -> Value {
    let mut told = json!({
        "id": app.id, "running": true, "href": format!("/{}", app.id), "state": null, "reason": null,
        "application_id": app.facts.application_id, "guarantee": app.facts.guarantee,
        "threads": app.facts.threads, "started_at": app.since,
    });
    if let Some(overview) = &app.overview {
        let snapshot = overview.progress();
        let pace = app.rates.look(now, &snapshot);
        if let (Some(known), Value::Object(more)) =
            (told.as_object_mut(), figures(overview, &snapshot, &pace))
        {
            known.extend(more);
        }
    }
    told
}

fn figures(overview: &Overview, snapshot: &Snapshot, pace: &Pace<'_>) -> Value {
    let mut tasks: BTreeMap<usize, Vec<(TaskId, Vec<TopicPartition>)>> = BTreeMap::new();
    for (task, partitions) in overview.tasks() {
        tasks.entry(task.subtopology).or_default().push((task, partitions));
    }
    let bytes = overview.store_bytes();
    let nodes = overview.topology().to_json();
    let subtopologies: Vec<Value> = overview
        .topology()
        .subtopologies()
        .iter()
        .enumerate()
        .map(|(id, subtopology)| {
            let all = tasks.remove(&id).unwrap_or_default();
            let told: Vec<Task> =
                all.iter().map(|(id, partitions)| Task::of(*id, partitions, snapshot, pace)).collect();
            let stores = subtopology.stores.iter().map(|store| {
                let bytes = bytes.get(&store.name);
                json!({ "name": store.name, "bytes": bytes })
            });
            json!({
                "id": id,
                "records_per_second": sum(told.iter().map(|task| task.rate)),
                "lag": told.iter().filter_map(|task| task.lag).sum::<i64>(),
                "nodes": nodes.pointer(&format!("/subtopologies/{id}/nodes")),
                "stores": stores.collect::<Vec<_>>(),
                "tasks_total": told.len(),
                "tasks": told.iter().take(TASKS_MAX).map(Task::told).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({
        "state": overview.state().as_str(), "reason": overview.failure(),
        "records": snapshot.records, "records_per_second": pace.records(snapshot), "sent": snapshot.sent,
        "commits": snapshot.commits, "last_commit_ms": snapshot.last_commit.as_millis() as u64,
        "lag": snapshot.lag(), "late": snapshot.late, "dead_letters": snapshot.dead_letters,
        "skipped": snapshot.skipped, "windows_open": snapshot.windows_open,
        "windows_closed": snapshot.windows_closed, "cached_bytes": snapshot.cached_bytes,
        "restored": snapshot.restored, "subtopologies": subtopologies,
    })
}

/// The sum of what is known; none if nothing is.
fn sum(rates: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    rates.flatten().fold(None, |sum, rate| Some(sum.unwrap_or(0.0) + rate))
}

/// What is told of a task. Positions and lags of its partitions are added up.
struct Task {
    id: TaskId,
    state: &'static str,
    position: Option<i64>,
    end: Option<i64>,
    lag: Option<i64>,
    rate: Option<f64>,
}

impl Task {
    fn of(id: TaskId, partitions: &[TopicPartition], snapshot: &Snapshot, pace: &Pace<'_>) -> Task {
        let is_here = snapshot.active.contains(&id);
        let known: Vec<_> = partitions
            .iter()
            .filter(|_| is_here)
            .filter_map(|partition| Some((partition, *snapshot.positions.get(partition)?)))
            .collect();
        if known.is_empty() {
            let state = if is_here { "restoring" } else { "elsewhere" };
            return Task { id, state, position: None, end: None, lag: None, rate: None };
        }
        let ends: Option<Vec<(i64, i64)>> = known
            .iter()
            .map(|(partition, position)| Some((*snapshot.ends.get(partition)?, *position)))
            .collect();
        Task {
            id,
            state: "running",
            position: Some(known.iter().map(|(_, position)| position).sum()),
            end: ends.as_ref().map(|ends| ends.iter().map(|(end, _)| end).sum()),
            lag: ends.map(|ends| ends.iter().map(|(end, position)| (end - position).max(0)).sum()),
            rate: sum(known.iter().map(|(partition, _)| pace.partition(snapshot, partition))),
        }
    }

    fn told(&self) -> Value {
        json!({
            "id": self.id.to_string(), "state": self.state, "position": self.position, "end": self.end,
            "lag": self.lag, "records_per_second": self.rate,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::rates::Rates;
    use super::*;

    #[test]
    fn a_board_without_applications_names_those_it_could_have() {
        let body: Value = serde_json::from_slice(answer(&Board::new()).body()).unwrap();
        let applications = body["data"]["applications"].as_array().unwrap();
        assert_eq!(applications.len(), APPLICATIONS.len());
        assert!(applications.iter().all(|app| app["running"] == json!(false)));
    }

    #[test]
    fn a_task_is_where_its_positions_are() {
        let partitions = |partition| [TopicPartition::new("in", partition)];
        let id = |partition| TaskId { subtopology: 0, partition };
        let at = |position| Snapshot {
            active: BTreeSet::from([id(0), id(1)]),
            positions: BTreeMap::from([(TopicPartition::new("in", 0), position)]),
            ends: BTreeMap::from([(TopicPartition::new("in", 0), 25)]),
            ..Snapshot::default()
        };
        let mut rates = Rates::default();
        rates.look(Duration::ZERO, &at(10));
        let now = at(20);
        let pace = rates.look(Duration::from_secs(1), &now);
        let task = |partition| Task::of(id(partition), &partitions(partition), &now, &pace).told();
        assert_eq!(
            task(0),
            json!({ "id": "0_0", "state": "running", "position": 20, "end": 25, "lag": 5, "records_per_second": 10.0 })
        );
        assert_eq!([&task(1)["state"], &task(2)["state"]], [&json!("restoring"), &json!("elsewhere")]);
    }
}
