//! Draws enrolments by the original's rules, the same ones for the same seed and day.

use std::collections::VecDeque;

use chrono::{Days, NaiveDate};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{Rng, RngExt as _, SeedableRng as _};

use super::enrolment::Enrolment;

pub(crate) const COURSES: [&str; 5] =
    ["Mecânica Industrial", "Informática para Web", "Edificações", "Refrigeração", "Administração"];
pub(crate) const SHIFTS: [&str; 3] = ["Manhã", "Tarde", NIGHT];
const NIGHT: &str = "Noite";
pub(crate) const PAYMENTS: [&str; 7] =
    ["Crédito", "Débito", "Dinheiro", "Pix", "Boleto à Vista", "Boleto Carnê", "Outros"];

/// A duplicate is of one of so many that were drawn last.
const RECENT_MAX: usize = 1000;
/// In so many days before a course begins most of its students enrol.
const RUSH_DAYS: u64 = 30;
const EARLY_DAYS_MAX: u64 = 180;

/// Draws enrolments.
pub(crate) struct Generator {
    rng: Xoshiro256PlusPlus,
    share_duplicates: f64,
    recent: VecDeque<Enrolment>,
    drawn: u64,
}

impl Generator {
    /// A generator at its first enrolment; of all that it draws, a share from 0 to 1 was drawn before.
    pub(crate) fn new(seed: u64, share_duplicates: f64) -> Generator {
        let rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Generator { rng, share_duplicates, recent: VecDeque::with_capacity(RECENT_MAX), drawn: 0 }
    }

    /// How many were drawn, duplicates included.
    pub(crate) fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Draws the next enrolment. None is of a later day than `today`.
    pub(crate) fn next(&mut self, today: NaiveDate) -> &Enrolment {
        self.drawn += 1;
        let place = if !self.recent.is_empty() && self.rng.random::<f64>() < self.share_duplicates {
            self.rng.random_range(0..self.recent.len())
        } else {
            let enrolment = self.draw(today);
            if self.recent.len() == RECENT_MAX {
                self.recent.pop_front();
            }
            self.recent.push_back(enrolment);
            self.recent.len() - 1
        };
        self.recent.get(place).expect("the place is of one that was drawn")
    }

    fn draw(&mut self, today: NaiveDate) -> Enrolment {
        let rng = &mut self.rng;
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let (course, shift) = (*pick(rng, &COURSES), *pick(rng, &SHIFTS));
        let age = if rng.random_range(0..10u32) < 7 { draw_in(rng, 18, 25) } else { draw_in(rng, 14, 99) };
        let (begins, date) = draw_dates(rng, today);
        Enrolment {
            id: uuid::Builder::from_random_bytes(id).into_uuid().to_string(),
            course: course.to_owned(),
            shift: shift.to_owned(),
            duration: years(course, shift),
            begins,
            age,
            sex: (*pick(rng, &["F", "M"])).to_owned(),
            payer: if age > 21 { "Sim" } else { "Não" }.to_owned(),
            payment: (*pick(rng, &PAYMENTS)).to_owned(),
            date,
        }
    }
}

/// How long a course takes: a year more for the technical ones, and a year more at night.
fn years(course: &str, shift: &str) -> u8 {
    let by_day = match course {
        "Mecânica Industrial" | "Edificações" | "Refrigeração" => 4,
        _ => 3,
    };
    by_day + u8::from(shift == NIGHT)
}

/// When the course begins and when the student enrols.
fn draw_dates(rng: &mut impl Rng, today: NaiveDate) -> (NaiveDate, NaiveDate) {
    let before = if rng.random_range(0..10u32) < 8 {
        rng.random_range(0..=RUSH_DAYS)
    } else {
        rng.random_range(RUSH_DAYS + 1..=EARLY_DAYS_MAX)
    };
    // The course may begin later than today, but nobody enrols tomorrow.
    let date = today - Days::new(rng.random_range(0..=365));
    (date + Days::new(before), date)
}

fn draw_in(rng: &mut impl Rng, from: u8, to: u8) -> u8 {
    rng.random_range(from..=to)
}

fn pick<'a, T>(rng: &mut impl Rng, pool: &'a [T]) -> &'a T {
    pool.get(rng.random_range(0..pool.len())).expect("the range ends at the pool's length")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn today() -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 11, 21).unwrap()
    }

    fn drawn(seed: u64, share_duplicates: f64, count: usize) -> Vec<Enrolment> {
        let mut generator = Generator::new(seed, share_duplicates);
        (0..count).map(|_| generator.next(today()).clone()).collect()
    }

    fn share(all: &[Enrolment], holds: impl Fn(&Enrolment) -> bool) -> f64 {
        all.iter().filter(|enrolment| holds(enrolment)).count() as f64 / all.len() as f64
    }

    #[test]
    fn the_same_seed_draws_the_same_enrolments() {
        assert_eq!(drawn(7, 0.1, 500), drawn(7, 0.1, 500));
        assert_ne!(drawn(7, 0.1, 5), drawn(8, 0.1, 5));
    }

    #[test]
    fn the_originals_rules_hold() {
        let all = drawn(42, 0.0, 20_000);
        for enrolment in &all {
            let Enrolment { course, shift, age, .. } = enrolment;
            let long = ["Mecânica Industrial", "Edificações", "Refrigeração"].contains(&course.as_str());
            let expected = if long { 4 } else { 3 } + u8::from(shift == "Noite");
            assert_eq!(enrolment.duration, expected, "{enrolment:?}");
            assert!((14..=99).contains(age));
            assert_eq!(enrolment.payer, if *age > 21 { "Sim" } else { "Não" });
            assert!(enrolment.date <= today() && enrolment.date <= enrolment.begins);
        }
        // 70 %, and of the others the 8 of 86 ages that lie there too.
        let young = share(&all, |enrolment| (18..=25).contains(&enrolment.age));
        assert!((young - 0.728).abs() < 0.02, "{young}");
        let rush = share(&all, |enrolment| (enrolment.begins - enrolment.date).num_days() <= 30);
        assert!((rush - 0.8).abs() < 0.02, "{rush}");
        let seen = |of: fn(&Enrolment) -> &str| all.iter().map(of).collect::<BTreeSet<_>>();
        assert_eq!(seen(|enrolment| &enrolment.course), BTreeSet::from(COURSES));
        assert_eq!(seen(|enrolment| &enrolment.shift), BTreeSet::from(SHIFTS));
        assert_eq!(seen(|enrolment| &enrolment.payment), BTreeSet::from(PAYMENTS));
    }

    #[test]
    fn the_share_of_duplicates_is_kept_and_they_are_equal_to_the_first() {
        let all = drawn(1, 0.2, 20_000);
        let ids: BTreeSet<_> = all.iter().map(|enrolment| &enrolment.id).collect();
        let duplicates = 1.0 - ids.len() as f64 / all.len() as f64;
        assert!((duplicates - 0.2).abs() < 0.02, "{duplicates}");
        let whole: BTreeSet<_> = all.iter().map(|enrolment| format!("{enrolment:?}")).collect();
        assert_eq!(whole.len(), ids.len());
        assert_eq!(drawn(1, 0.0, 5000).iter().map(|one| one.id.clone()).collect::<BTreeSet<_>>().len(), 5000);
    }
}
