//! Which partition a key belongs to, as the Java client decides it: the same key always meets the same task, whoever
//! wrote the record.

use std::num::NonZeroU32;

/// The partition of `key` in a topic of `partitions`: Java's `toPositive(murmur2(key)) % partitions`.
///
/// ```
/// use std::num::NonZeroU32;
/// let twelve = NonZeroU32::new(12).ok_or("no partitions")?;
/// assert_eq!(riacho_topology::partition_of(b"vendor-1", twelve), 0);
/// # Ok::<(), &str>(())
/// ```
#[must_use]
pub fn partition_of(key: &[u8], partitions: NonZeroU32) -> i32 {
    // `toPositive` clears the sign, so the remainder has at most 31 bits.
    let positive = murmur2(key).cast_unsigned() & 0x7fff_ffff;
    (positive % partitions).cast_signed()
}

/// The hash that the Java client takes of a key: A. Appleby's MurmurHash2 with the seed 0x9747b28c, as a signed number.
#[must_use]
pub fn murmur2(key: &[u8]) -> i32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Java's arrays have at most 2^31 - 1 bytes, and so have Kafka's keys.
    let mut hash = SEED ^ key.len() as u32;
    let (words, rest) = key.as_chunks();
    for word in words {
        let mixed = u32::from_le_bytes(*word).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (mixed ^ (mixed >> 24)).wrapping_mul(M);
    }
    if !rest.is_empty() {
        let tail = rest.iter().rev().fold(0, |tail, &byte| (tail << 8) | u32::from(byte));
        hash = (hash ^ tail).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    (hash ^ (hash >> 15)).cast_signed()
}
