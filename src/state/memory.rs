//! Divides the memory given to local state between its uses.

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// How much memory all databases of the process may use together.
///
/// The total is the capacity of one block cache. Write buffers are charged to it, and so are index and filter blocks:
/// what they take is not left for data blocks. Beside the budget a database costs about half a megabyte for open
/// files, its log and its version set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryBudget {
    total_bytes: usize,
}

impl MemoryBudget {
    /// A budget of `total_bytes`.
    #[must_use]
    pub fn of_bytes(total_bytes: usize) -> Self {
        MemoryBudget { total_bytes }
    }

    /// The capacity of the block cache, write buffers included.
    #[must_use]
    pub fn total_bytes(self) -> usize {
        self.total_bytes
    }

    /// How much of it write buffers may take before the largest is flushed. They can be a quarter over it for as long
    /// as that takes.
    #[must_use]
    pub fn write_buffers_bytes(self) -> usize {
        self.total_bytes / 5 * 2
    }

    /// The size at which a single database flushes its write buffer, whatever the others do.
    ///
    /// Large enough that a restore does not drown in small files, small enough that a few busy tasks do not make all
    /// the others flush early.
    #[must_use]
    pub fn write_buffer_bytes(self) -> usize {
        (self.total_bytes / 8).clamp(64 * KIB, 8 * MIB)
    }

    /// The step in which a write buffer grows. An idle database holds one step, so it must be small against the
    /// budget over the number of tasks.
    #[must_use]
    pub fn arena_block_bytes(self) -> usize {
        (self.write_buffer_bytes() / 64).clamp(4 * KIB, 64 * KIB)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hundred_idle_tasks_fit_into_the_write_buffers_of_64_mib() {
        let budget = MemoryBudget::of_bytes(64 * MIB);
        assert!(100 * budget.arena_block_bytes() * 2 < budget.write_buffers_bytes());
        assert!(2 * budget.write_buffer_bytes() <= budget.write_buffers_bytes());
    }

    #[test]
    fn a_tiny_budget_still_gives_what_rocksdb_accepts() {
        let budget = MemoryBudget::of_bytes(0);
        assert_eq!((budget.write_buffer_bytes(), budget.arena_block_bytes()), (64 * KIB, 4 * KIB));
    }
}
