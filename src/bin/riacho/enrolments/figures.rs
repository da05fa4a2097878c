//! What the counts say: groups, modes, totals.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Display;

use compact_str::{CompactString, format_compact};

use super::enrolment::Enrolment;

/// The key of the count of enrolments that came again.
pub(crate) const DUPLICATES: &str = "duplicates";

/// What enrolments are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Field {
    Sex,
    Age,
    Shift,
    Payer,
    Payment,
    Course,
}

impl Field {
    pub(crate) const ALL: [Field; 6] =
        [Field::Sex, Field::Age, Field::Shift, Field::Payer, Field::Payment, Field::Course];

    /// Its name in the record, which is part of the counts' keys.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Field::Sex => "ds_aluno_sexo",
            Field::Age => "ds_aluno_idade",
            Field::Shift => "ds_curso_turno",
            Field::Payer => "ds_aluno_responsavel_financeiro",
            Field::Payment => "ds_matricula_pagamento",
            Field::Course => "ds_curso_nome",
        }
    }

    /// The key of the count that an enrolment belongs to.
    pub(crate) fn key(self, enrolment: &Enrolment) -> CompactString {
        let value: &dyn Display = match self {
            Field::Sex => &enrolment.sex,
            Field::Age => &enrolment.age,
            Field::Shift => &enrolment.shift,
            Field::Payer => &enrolment.payer,
            Field::Payment => &enrolment.payment,
            Field::Course => &enrolment.course,
        };
        format_compact!("{}={value}", self.name())
    }
}

/// All counts at one time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    counts: BTreeMap<Field, Vec<(String, u64)>>,
    /// How many enrolments came again, each time.
    pub(crate) duplicates: u64,
}

impl Figures {
    /// Adds a count as it is stored. A key is added once.
    pub(crate) fn add(&mut self, key: &str, count: u64) {
        match key.split_once('=') {
            None => self.duplicates += count,
            Some((name, value)) => {
                if let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) {
                    self.counts.entry(field).or_default().push((value.to_owned(), count));
                }
            }
        }
    }

    fn of(&self, field: Field) -> &[(String, u64)] {
        self.counts.get(&field).map_or(&[], Vec::as_slice)
    }

    /// How many distinct enrolments there are: each has one shift.
    pub(crate) fn total(&self) -> u64 {
        self.sum(Field::Shift)
    }

    /// How many distinct enrolments were counted by a field. Fields are counted apart: one of them may be ahead.
    pub(crate) fn sum(&self, field: Field) -> u64 {
        self.of(field).iter().map(|(_, count)| count).sum()
    }

    /// The values of a field with their counts, the most frequent first, at most `groups_max`; and the count of the rest.
    pub(crate) fn groups(&self, field: Field, groups_max: usize) -> (Vec<(&str, u64)>, u64) {
        let mut all: Vec<(&str, u64)> =
            self.of(field).iter().map(|(value, count)| (value.as_str(), *count)).collect();
        all.sort_by_key(|(value, count)| (Reverse(*count), *value));
        let rest = all.iter().skip(groups_max).map(|(_, count)| count).sum();
        all.truncate(groups_max);
        (all, rest)
    }

    /// The most frequent value of a field; the smallest of those that are equally frequent.
    pub(crate) fn mode(&self, field: Field) -> Option<(&str, u64)> {
        // Numbers by their size: 9 is less than 10.
        let first = self
            .of(field)
            .iter()
            .min_by_key(|(value, count)| (Reverse(*count), value.parse::<u64>().ok(), value.as_str()));
        first.map(|(value, count)| (value.as_str(), *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(counts: &[(&str, u64)]) -> Figures {
        let mut figures = Figures::default();
        counts.iter().for_each(|(key, count)| figures.add(key, *count));
        figures
    }

    #[test]
    fn of_equally_frequent_values_the_smallest_is_the_mode() {
        let figures = figures(&[
            ("ds_aluno_idade=10", 2),
            ("ds_aluno_idade=9", 2),
            ("ds_aluno_idade=8", 1),
            ("ds_aluno_sexo=M", 3),
            ("ds_aluno_sexo=F", 3),
        ]);
        assert_eq!(figures.mode(Field::Age), Some(("9", 2)));
        assert_eq!(figures.mode(Field::Sex), Some(("F", 3)));
        assert_eq!(figures.mode(Field::Course), None);
    }

    #[test]
    fn the_rest_of_many_groups_is_summed() {
        let figures = figures(&[
            ("ds_curso_nome=a=b", 1),
            ("ds_curso_nome=c", 5),
            ("ds_curso_nome=d", 1),
            ("duplicates", 7),
        ]);
        assert_eq!(figures.groups(Field::Course, 2), (vec![("c", 5), ("a=b", 1)], 1));
        assert_eq!(figures.groups(Field::Course, 3).1, 0);
        assert_eq!((figures.duplicates, figures.total()), (7, 0));
    }
}
