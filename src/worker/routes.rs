//! Which task takes the records of a partition.

use crate::task::Task;

/// A task and one of its inputs, by their places.
type Place = (usize, usize);

/// Which task takes the records of a partition.
#[derive(Default)]
pub(super) struct Routes {
    topics: Vec<(String, Vec<Option<Place>>)>,
}

impl Routes {
    pub(super) fn of(tasks: &[Task]) -> Self {
        let mut routes = Routes::default();
        for (task, place) in tasks.iter().enumerate().flat_map(|(at, task)| {
            task.partitions().enumerate().map(move |(input, partition)| (partition, (at, input)))
        }) {
            let known = routes.topics.iter().position(|(topic, _)| *topic == task.topic);
            let known = known.unwrap_or_else(|| {
                routes.topics.push((task.topic.clone(), Vec::new()));
                routes.topics.len() - 1
            });
            let (Some((_, slots)), Ok(partition)) =
                (routes.topics.get_mut(known), usize::try_from(task.partition))
            else {
                continue;
            };
            if slots.len() <= partition {
                slots.resize(partition + 1, None);
            }
            if let Some(slot) = slots.get_mut(partition) {
                *slot = Some(place);
            }
        }
        routes
    }

    pub(super) fn find(&self, topic: &str, partition: i32) -> Option<(usize, usize)> {
        let (_, slots) = self.topics.iter().find(|(name, _)| name == topic)?;
        *slots.get(usize::try_from(partition).ok()?)?
    }
}
