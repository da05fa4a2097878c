//! What a misspelt key was meant to be.

/// The candidate that differs least from `text`, if any is near enough to be what was meant.
pub(super) fn nearest(text: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let tolerated = (text.len() / 5).clamp(1, 4);
    candidates
        .map(|candidate| (differences(text, &candidate), candidate))
        .filter(|(count, _)| *count <= tolerated)
        .min_by_key(|(count, _)| *count)
        .map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove, replace or swap with their neighbour until `a` is `b`.
fn differences(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let cell = |row: &[usize], at: usize| row.get(at).copied().unwrap_or(usize::MAX);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, to) in b.iter().enumerate() {
            let replaced = cell(&last, j) + usize::from(from != to);
            let inserted = cell(&row, j) + 1;
            let removed = cell(&last, j + 1) + 1;
            let is_swap = i > 0 && j > 0 && a.get(i - 1) == Some(to) && b.get(j - 1) == Some(from);
            let swapped = if is_swap { cell(&before_last, j - 1) + 1 } else { usize::MAX };
            row.push(replaced.min(inserted).min(removed).min(swapped));
        }
        before_last = std::mem::replace(&mut last, row);
    }
    cell(&last, b.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_counted_in_letters() {
        let cases = [
            ("", "", 0),
            ("a", "", 1),
            ("abc", "abd", 1),
            ("ab", "ba", 1),
            ("comit", "commit", 1),
            ("x", "yz", 2),
        ];
        for (a, b, expected) in cases {
            assert_eq!((differences(a, b), differences(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
