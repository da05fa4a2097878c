//! Divides the memory budget among the parts of the runtime that can grow.

use super::problem::Problem;

/// The parts of the memory budget, in bytes and for the whole process. Their sum is at most `total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// `riacho.memory.max.bytes`: the budget.
    pub total: u64,
    /// `statestore.cache.max.bytes`: decoded state kept at hand.
    pub cache: u64,
    /// `riacho.dirty.max.bytes`: changed state that is not yet committed.
    pub dirty: u64,
    /// `riacho.rocksdb.block.cache.bytes`: RocksDB's shared block cache.
    pub block_cache: u64,
    /// `riacho.rocksdb.write.buffer.bytes`: RocksDB's shared write-buffer manager.
    pub write_buffers: u64,
    /// `riacho.fetch.queue.bytes`: records that consumers fetched ahead.
    pub fetch: u64,
    /// `riacho.send.queue.bytes`: records that producers hold until they are acknowledged.
    pub send: u64,
}

pub(super) const TOTAL: &str = "riacho.memory.max.bytes";
const KIB: u64 = 1024;

/// A part of the budget: its key, its share of what the given parts leave, and what it cannot do without.
struct Part {
    key: &'static str,
    weight: u64,
    at_least: u64,
}

impl Memory {
    /// Gives each part what `given` says, and the parts it says nothing of their shares of the rest.
    ///
    /// # Errors
    /// When a part would have less than it needs, or all together more than there is.
    pub(super) fn plan(
        total: u64,
        threads: u64,
        given: impl Fn(&str) -> Option<u64>,
    ) -> Result<Memory, Problem> {
        let part = |key, weight, at_least| Part { key, weight, at_least };
        let parts = [
            part("statestore.cache.max.bytes", 3, 0),
            part("riacho.dirty.max.bytes", 1, 256 * KIB),
            part("riacho.rocksdb.block.cache.bytes", 1, 1024 * KIB),
            part("riacho.rocksdb.write.buffer.bytes", 1, 1024 * KIB),
            part("riacho.fetch.queue.bytes", 1, 512 * KIB * threads),
            part("riacho.send.queue.bytes", 1, 512 * KIB * threads),
        ];
        let taken: u64 = parts.iter().filter_map(|part| given(part.key)).sum();
        let weights: u64 =
            parts.iter().filter(|part| given(part.key).is_none()).map(|part| part.weight).sum();
        let rest = total.saturating_sub(taken);
        let share = |part: &Part| given(part.key).unwrap_or(rest / weights.max(1) * part.weight);
        let sizes = parts.each_ref().map(share);

        let too_small = parts.iter().zip(sizes).find(|(part, size)| *size < part.at_least);
        if taken > total || too_small.is_some() {
            let listed: Vec<String> = parts
                .iter()
                .zip(sizes)
                .map(|(part, size)| match given(part.key) {
                    Some(_) => format!("{} = {size}", part.key),
                    None => format!("{} = {size} (what is left)", part.key),
                })
                .collect();
            let why = match too_small {
                Some((part, _)) => format!(
                    "{} needs at least {} with num.stream.threads = {threads}",
                    part.key, part.at_least
                ),
                None => format!("the parts given add up to {taken}"),
            };
            let message =
                format!("the parts do not fit: {why}. Raise it, or lower one of: {}", listed.join(", "));
            return Err(Problem::new(TOTAL, total, message));
        }
        let [cache, dirty, block_cache, write_buffers, fetch, send] = sizes;
        Ok(Memory { total, cache, dirty, block_cache, write_buffers, fetch, send })
    }

    /// The sizes with their keys, as `config show` prints them.
    pub(super) fn parts(&self) -> [(&'static str, u64); 6] {
        [
            ("statestore.cache.max.bytes", self.cache),
            ("riacho.dirty.max.bytes", self.dirty),
            ("riacho.rocksdb.block.cache.bytes", self.block_cache),
            ("riacho.rocksdb.write.buffer.bytes", self.write_buffers),
            ("riacho.fetch.queue.bytes", self.fetch),
            ("riacho.send.queue.bytes", self.send),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn plan(total: u64, threads: u64, given: &[(&str, u64)]) -> Result<Memory, Problem> {
        Memory::plan(total, threads, |key| given.iter().find(|(name, _)| *name == key).map(|(_, size)| *size))
    }

    #[test]
    fn the_parts_share_the_budget() {
        let memory = plan(256 * MIB, 2, &[]).unwrap();
        let all = [memory.dirty, memory.block_cache, memory.write_buffers, memory.fetch, memory.send];
        assert_eq!((memory.cache, all), (96 * MIB, [32 * MIB; 5]));
    }

    #[test]
    fn what_is_given_stays_and_the_others_share_the_rest() {
        let memory = plan(256 * MIB, 2, &[("statestore.cache.max.bytes", 156 * MIB)]).unwrap();
        assert_eq!((memory.cache, memory.dirty, memory.send), (156 * MIB, 20 * MIB, 20 * MIB));
    }

    #[test]
    fn parts_that_do_not_fit_are_refused_with_their_keys() {
        type Given = &'static [(&'static str, u64)];
        let cases: &[(u64, u64, Given, &str)] = &[
            (
                16 * MIB,
                1,
                &[("statestore.cache.max.bytes", 17 * MIB)],
                "statestore.cache.max.bytes = 17825792",
            ),
            (
                16 * MIB,
                64,
                &[],
                "riacho.fetch.queue.bytes needs at least 33554432 with num.stream.threads = 64",
            ),
            (64 * MIB, 1, &[("riacho.dirty.max.bytes", 0)], "riacho.dirty.max.bytes needs at least 262144"),
        ];
        for (total, threads, given, expected) in cases {
            let problem = plan(*total, *threads, given).unwrap_err();
            assert_eq!(problem.key, TOTAL);
            assert!(problem.message.contains(expected), "{problem}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_plan_exceeds_its_budget(
            total in 16 * MIB..1 << 40, threads in 1u64..256, cache in proptest::option::of(0u64..1 << 40),
        ) {
            let given: Vec<_> = cache.map(|size| ("statestore.cache.max.bytes", size)).into_iter().collect();
            if let Ok(memory) = plan(total, threads, &given) {
                proptest::prop_assert!(memory.parts().iter().map(|(_, size)| size).sum::<u64>() <= total);
            }
        }
    }
}
