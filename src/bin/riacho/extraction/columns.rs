//! The columns of a source: one per path that was ever seen, with a name of its own and a type that only widens.

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use super::announcement::ColumnFacts;
use super::kind::Kind;
use super::snake_case::snake_case;

/// More paths than this a source cannot have: rows with further ones are refused.
pub(crate) const COLUMNS_MAX: usize = 1000;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Column {
    /// Where in a row its values stand.
    pub(crate) path: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

/// The columns as they are kept between files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KnownColumns {
    /// Counts up with every change that a reader of the files sees.
    pub(crate) version: u32,
    pub(crate) columns: Vec<Column>,
}

/// What the configuration says of columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Declared {
    /// Types by path: a value that is of another one makes its row a bad one.
    pub(crate) kinds: Vec<(String, Kind)>,
    /// The paths that tell a row from others. Each must have a value.
    pub(crate) id: Vec<String>,
}

impl Declared {
    pub(crate) fn kind_of(&self, path: &str) -> Option<Kind> {
        self.kinds.iter().find(|(declared, _)| declared == path).map(|(_, kind)| *kind)
    }

    pub(crate) fn id_index(&self, path: &str) -> Option<usize> {
        self.id.iter().position(|id| id == path)
    }
}

/// The columns of a source while a file of it is read.
#[derive(Debug)]
pub(crate) struct Columns {
    version: u32,
    columns: Vec<Column>,
    /// There are never many, so nobody can make its entries collide to harm.
    by_path: FxHashMap<String, usize>,
    names: FxHashSet<String>,
    /// Which of the columns are declared.
    declared: FxHashSet<usize>,
    seen_before: Vec<ColumnFacts>,
}

impl Columns {
    /// Goes on with the columns of the files before. What is declared stands first, and goes before what was found.
    pub(crate) fn of(known: &KnownColumns, declared: &Declared) -> Columns {
        let mut columns = Columns {
            version: known.version,
            columns: Vec::new(),
            by_path: FxHashMap::default(),
            names: FxHashSet::default(),
            declared: FxHashSet::default(),
            seen_before: Vec::new(),
        };
        for column in &known.columns {
            columns.by_path.insert(column.path.clone(), columns.columns.len());
            columns.names.insert(column.name.clone());
            columns.columns.push(column.clone());
        }
        columns.seen_before = columns.facts();
        for (path, kind) in &declared.kinds {
            let at = columns.add(path);
            columns.declared.insert(at);
            if let Some(column) = columns.columns.get_mut(at) {
                column.kind = *kind;
            }
        }
        columns
    }

    pub(crate) fn find(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// The type of a declared column; each is a column from the beginning.
    pub(crate) fn declared_kind(&self, at: usize) -> Option<Kind> {
        self.columns.get(at).filter(|_| self.declared.contains(&at)).map(|column| column.kind)
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.len()
    }

    pub(crate) fn all(&self) -> &[Column] {
        &self.columns
    }

    /// The place of a path, which becomes a column if it is none yet.
    pub(crate) fn add(&mut self, path: &str) -> usize {
        if let Some(at) = self.find(path) {
            return at;
        }
        let name = self.free_name(&snake_case(path));
        let at = self.columns.len();
        self.names.insert(name.clone());
        self.by_path.insert(path.to_owned(), at);
        self.columns.push(Column { path: path.to_owned(), name, kind: Kind::Null });
        at
    }

    /// Different paths may have the same name in snake case: the first one keeps it.
    fn free_name(&self, name: &str) -> String {
        if !self.names.contains(name) {
            return name.to_owned();
        }
        (2..)
            .map(|number| format!("{name}_{number}"))
            .find(|name| !self.names.contains(name))
            .unwrap_or_default()
    }

    pub(crate) fn widen(&mut self, at: usize, kind: Kind) {
        if let Some(column) = self.columns.get_mut(at) {
            column.kind = column.kind.and(kind);
        }
    }

    /// What readers of the files see: columns without a value yet are none.
    pub(crate) fn facts(&self) -> Vec<ColumnFacts> {
        let seen = self.columns.iter().filter(|column| column.kind != Kind::Null);
        seen.map(|column| ColumnFacts { name: column.name.clone(), kind: column.kind.to_string() }).collect()
    }

    /// What is kept for the next file.
    pub(crate) fn known(&self) -> KnownColumns {
        let changed = self.facts() != self.seen_before;
        KnownColumns { version: self.version + u32::from(changed), columns: self.columns.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_the_same_name_get_columns_of_their_own_for_ever() {
        let mut columns = Columns::of(&KnownColumns::default(), &Declared::default());
        for path in ["userName", "user_name", "a.b", "a~1b", "user_name_2"] {
            columns.add(path);
        }
        let names: Vec<_> = columns.all().iter().map(|column| column.name.as_str()).collect();
        assert_eq!(names, ["user_name", "user_name_2", "a_b", "a_1b", "user_name_2_2"]);
        let again = Columns::of(&columns.known(), &Declared::default());
        assert_eq!(again.find("user_name"), Some(1));
    }

    #[test]
    fn the_version_counts_what_readers_see() {
        let known = KnownColumns::default();
        let mut columns = Columns::of(&known, &Declared::default());
        let at = columns.add("a");
        assert_eq!(columns.known().version, 0, "nothing but null");
        columns.widen(at, Kind::Integer);
        let first = columns.known();
        assert_eq!(first.version, 1);
        let mut columns = Columns::of(&first, &Declared::default());
        columns.widen(at, Kind::WideInteger);
        assert_eq!(columns.known().version, 1, "an integer is an integer");
        columns.widen(at, Kind::Text);
        assert_eq!(columns.known().version, 2);
    }

    #[test]
    fn what_is_declared_goes_before_what_was_found() {
        let mut columns = Columns::of(&KnownColumns::default(), &Declared::default());
        let at = columns.add("preco");
        columns.widen(at, Kind::Text);
        let declared = Declared { kinds: vec![("preco".to_owned(), Kind::Decimal(2))], id: Vec::new() };
        let columns = Columns::of(&columns.known(), &declared);
        assert_eq!(columns.all()[at].kind, Kind::Decimal(2));
        assert_eq!(columns.known().version, 2);
    }
}
