//! The verdict on a demo: what the application says, beside what somebody counted who does not know it.

use std::fmt;

use indicatif::HumanCount;

/// The same thing, counted on two ways.
#[derive(Clone, Debug)]
struct Claim {
    what: &'static str,
    /// Who counted independently, and how many.
    counted: (&'static str, u64),
    /// Where the application says how many.
    told: (&'static str, u64),
}

impl Claim {
    fn holds(&self) -> bool {
        self.counted.1 == self.told.1
    }
}

/// Several counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Verdict {
    claims: Vec<Claim>,
}

impl Verdict {
    /// Adds something that was counted on two ways, each with where.
    pub(super) fn claim(
        &mut self,
        what: &'static str,
        counted: (&'static str, u64),
        told: (&'static str, u64),
    ) {
        self.claims.push(Claim { what, counted, told });
    }

    /// Whether the first thing was there at all, and every count is the same on both ways.
    pub(super) fn passed(&self) -> bool {
        self.is_of_something() && self.claims.iter().all(Claim::holds)
    }

    fn is_of_something(&self) -> bool {
        self.claims.first().is_some_and(|claim| claim.counted.1 > 0)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = self.claims.iter().filter(|claim| !claim.holds()).count();
        let verdict = if self.passed() { "PASS" } else { "FAIL" };
        write!(f, "{verdict}: {} figures counted independently, {wrong} wrong", self.claims.len())?;
        for claim in &self.claims {
            let Claim { what, counted: (counter, counted), told: (teller, told) } = claim;
            let remark = if claim.holds() { "" } else { "  WRONG" };
            let (counted, told) = (HumanCount(*counted), HumanCount(*told));
            write!(f, "\n      {what}: {counted} {counter}, {told} {teller}{remark}")?;
        }
        if !self.is_of_something() {
            write!(f, "\n      there was nothing to count, so that nothing is proved: run longer")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(counted: u64, told: u64) -> Verdict {
        let mut verdict = Verdict::default();
        verdict.claim("distinct enrolments", ("counted", 5_700), ("on the page", 5_700));
        verdict.claim("duplicates", ("counted", counted), ("on the page", told));
        verdict
    }

    #[test]
    fn equal_figures_pass_and_one_that_differs_fails() {
        let right = verdict(300, 300);
        assert!(right.passed());
        assert!(right.to_string().starts_with("PASS: 2 figures counted independently, 0 wrong"), "{right}");
        for told in [299, 301, 0] {
            let wrong = verdict(300, told);
            assert!(!wrong.passed());
            let text = wrong.to_string();
            assert!(text.starts_with("FAIL: 2 figures counted independently, 1 wrong"), "{text}");
            assert!(text.contains(&format!("duplicates: 300 counted, {told} on the page  WRONG")), "{text}");
        }
    }

    #[test]
    fn nothing_counted_never_passes() {
        let mut nothing = Verdict::default();
        assert!(!nothing.passed());
        nothing.claim("messages", ("sent", 0), ("logged", 0));
        assert!(!nothing.passed());
        assert!(nothing.to_string().contains("nothing is proved"), "{nothing}");
    }
}
