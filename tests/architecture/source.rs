//! What a source file names: its paths, without comments, literals and unit tests.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of a package, and the module that it is.
pub(super) struct SourceFile {
    /// From the root of the repository.
    pub(super) path: String,
    /// From the root of its crate; the root itself has none.
    pub(super) module: Vec<String>,
    /// Lines outside of its unit tests.
    pub(super) lines: usize,
    /// All paths that it names: `crate::`, `self::` and `super::` are resolved and begin with `crate`.
    pub(super) names: Vec<Vec<String>>,
}

impl SourceFile {
    /// The files of the crate whose root module lies in `root`, without files that are unit tests as a whole.
    pub(super) fn all_in(root: &str) -> Vec<SourceFile> {
        let base = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut files = Vec::new();
        walk(&base.join(root), &mut files);
        files.sort();
        files
            .iter()
            .filter(|file| !is_test(file))
            .map(|file| {
                let text = fs::read_to_string(file).expect("a file that was listed can be read");
                let path = file.strip_prefix(base).expect("it was found below").display().to_string();
                let below = file.strip_prefix(base.join(root)).expect("it was found below");
                SourceFile::of(path, module_of(below), &text)
            })
            .collect()
    }

    pub(super) fn of(path: String, module: Vec<String>, text: &str) -> SourceFile {
        let code = without_tests(&blanked(text));
        let lines = code.lines().filter(|line| !line.starts_with('\0')).count();
        let tokens = tokens(&code);
        let children = children(&tokens);
        let names = names(&tokens).into_iter().map(|name| resolved(name, &module, &children)).collect();
        SourceFile { path, module, lines, names }
    }

    /// The first segment of its module, or "" for the root.
    pub(super) fn top(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }
}

fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder of the sources can be read") {
        let path = entry.expect("a folder of the sources can be read").path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// By the house's custom: `tests.rs`, `test.rs` and `*_test.rs` beside what they test.
fn is_test(file: &Path) -> bool {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    stem == "tests" || stem == "test" || stem.ends_with("_test") || stem.ends_with("_tests")
}

fn module_of(below: &Path) -> Vec<String> {
    let mut module: Vec<String> =
        below.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if module.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        module.pop();
    }
    module
}

/// The text with spaces for comments and literals; line ends stay.
fn blanked(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut place = 0;
    while place < chars.len() {
        let end = match (at(place), at(place + 1)) {
            ('/', '/') => (place..chars.len()).find(|&p| at(p) == '\n').unwrap_or(chars.len()),
            ('/', '*') => (place + 2..chars.len())
                .find(|&p| at(p) == '*' && at(p + 1) == '/')
                .map_or(chars.len(), |p| p + 2),
            ('"', _) => end_of_text(&chars, place + 1),
            ('r', '"' | '#') if !is_word(at(place.wrapping_sub(1))) || at(place.wrapping_sub(1)) == 'b' => {
                end_of_raw(&chars, place).unwrap_or(place)
            }
            // A lifetime has no second quote.
            ('\'', '\\') => (place + 3..chars.len()).find(|&p| at(p) == '\'').map_or(chars.len(), |p| p + 1),
            ('\'', _) if at(place + 2) == '\'' => place + 3,
            _ => place,
        };
        if end == place {
            out.push(at(place));
            place += 1;
        } else {
            out.extend((place..end).map(|p| if at(p) == '\n' { '\n' } else { ' ' }));
            place = end;
        }
    }
    out
}

fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

fn end_of_text(chars: &[char], mut place: usize) -> usize {
    while let Some(&char) = chars.get(place) {
        match char {
            '\\' => place += 2,
            '"' => return place + 1,
            _ => place += 1,
        }
    }
    chars.len()
}

fn end_of_raw(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars.iter().skip(start + 1).take_while(|&&char| char == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return None;
    }
    let closes = |&place: &usize| {
        chars.get(place) == Some(&'"')
            && chars.iter().skip(place + 1).take(hashes).filter(|&&char| char == '#').count() == hashes
    };
    (open + 1..chars.len()).find(closes).map(|place| place + 1 + hashes)
}

/// The code with its `#[cfg(test)]` modules replaced by lines that begin with a null.
fn without_tests(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut depth = None;
    let mut pending = false;
    for line in code.lines() {
        let opened = line.matches('{').count();
        let closed = line.matches('}').count();
        match depth {
            Some(open) => {
                let left: usize = open + opened - closed;
                depth = (left > 0).then_some(left);
                out.push('\0');
            }
            None if line.trim() == "#[cfg(test)]" => {
                pending = true;
                out.push('\0');
            }
            None if pending => {
                pending = false;
                depth = (opened > closed).then(|| opened - closed);
                out.push('\0');
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    out
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    PathSep,
    Open,
    Close,
    Comma,
    Star,
    /// Not of an arrow.
    Greater,
    Other,
}

fn tokens(code: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut chars = code.chars().peekable();
    while let Some(char) = chars.next() {
        let token = match char {
            char if char.is_whitespace() || char == '\0' => continue,
            char if is_word(char) => {
                let mut word = String::from(char);
                while let Some(next) = chars.next_if(|&next| is_word(next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            ':' if chars.next_if_eq(&':').is_some() => Token::PathSep,
            '{' => Token::Open,
            '}' => Token::Close,
            ',' => Token::Comma,
            '*' => Token::Star,
            '-' | '=' if chars.next_if_eq(&'>').is_some() => Token::Other,
            '>' => Token::Greater,
            _ => Token::Other,
        };
        tokens.push(token);
    }
    tokens
}

/// The modules that the file declares: a path that begins with one of them is no other crate's.
fn children(tokens: &[Token]) -> Vec<String> {
    let declared = tokens.windows(2).filter_map(|pair| match pair {
        [Token::Word(keyword), Token::Word(name)] if keyword == "mod" => Some(name.clone()),
        _ => None,
    });
    declared.collect()
}

/// Stands before a path that begins with `::`, which is never one of this crate.
const OTHER_CRATES: &str = "";

fn names(tokens: &[Token]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut place = 0;
    while let Some(token) = tokens.get(place) {
        let is_use = *token == Token::Word("use".to_owned());
        let before = place.checked_sub(1).and_then(|before| tokens.get(before));
        let after = tokens.get(place + 1);
        let begins = match token {
            Token::Word(_) => after == Some(&Token::PathSep) && before != Some(&Token::PathSep),
            Token::PathSep => {
                let goes_on = matches!(before, Some(Token::Word(_) | Token::Greater));
                matches!(after, Some(Token::Word(_))) && !goes_on
            }
            _ => false,
        };
        if is_use || begins {
            place = tree(tokens, place + usize::from(is_use), &[], &mut found);
        } else {
            place += 1;
        }
    }
    found
}

/// Reads one path, or a group of them, and returns the place after it.
fn tree(tokens: &[Token], start: usize, prefix: &[String], found: &mut Vec<Vec<String>>) -> usize {
    let mut path = prefix.to_vec();
    let mut place = start;
    if prefix.is_empty() && tokens.get(start) == Some(&Token::PathSep) {
        path.push(OTHER_CRATES.to_owned());
        place += 1;
    }
    loop {
        match tokens.get(place) {
            Some(Token::Word(word)) => path.push(word.clone()),
            Some(Token::Open) if place > start || !prefix.is_empty() => {
                place += 1;
                while !matches!(tokens.get(place), Some(Token::Close) | None) {
                    let before = place;
                    place = tree(tokens, place, &path, found);
                    while !matches!(tokens.get(place), Some(Token::Comma | Token::Close) | None) {
                        place += 1;
                    }
                    place += usize::from(tokens.get(place) == Some(&Token::Comma));
                    assert!(place > before, "every round reads something");
                }
                return place + 1;
            }
            _ => break,
        }
        place += 1;
        if tokens.get(place) != Some(&Token::PathSep) {
            break;
        }
        place += 1;
    }
    if path.len() > prefix.len() {
        found.push(path);
    }
    place.max(start + 1)
}

fn resolved(mut name: Vec<String>, module: &[String], children: &[String]) -> Vec<String> {
    if name.first().is_some_and(|first| first == OTHER_CRATES) {
        name.remove(0);
        return name;
    }
    let mut base = module.to_vec();
    let mut rest = name.as_slice();
    let mut relative = name.first().is_some_and(|first| children.contains(first));
    while let Some((first, after)) = rest.split_first() {
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => {
                base.pop();
            }
            _ => break,
        }
        relative = true;
        rest = after;
    }
    if !relative {
        return name;
    }
    ["crate".to_owned()].into_iter().chain(base).chain(rest.iter().cloned()).collect()
}

#[test]
fn names_are_found_in_groups_and_in_code_and_nowhere_else() {
    let text = r##"
        //! crate::comment
        use crate::{plan::Plan, graph::{self, Topology}};
        use super::sibling as other;
        use rdkafka;
        mod rocksdb;
        pub use rocksdb::Stores;
        use ::rocksdb::{DB, Cache};
        /* tokio::spawn */
        fn f<'a>(x: &'a str) -> crate::store::Found { Vec::<::rocksdb::Error>::new(); g("hyper::x", 'c', r#"rocksdb::"x"#, std::mem::take(x)) }
        #[cfg(test)]
        mod tests {
            use crate::driver::Driver;
        }
        fn after() { self::inner::call(); }
    "##;
    let file = SourceFile::of(String::new(), vec!["dsl".to_owned(), "stream".to_owned()], text);
    let names: Vec<String> = file.names.iter().map(|name| name.join("::")).collect();
    let expected = [
        "crate::plan::Plan",
        "crate::graph::self",
        "crate::graph::Topology",
        "crate::dsl::sibling",
        "rdkafka",
        "crate::dsl::stream::rocksdb::Stores",
        "rocksdb::DB",
        "rocksdb::Cache",
        "crate::store::Found",
        "Vec",
        "rocksdb::Error",
        "std::mem::take",
        "crate::dsl::stream::inner::call",
    ];
    assert_eq!(names, expected);
    assert_eq!(file.lines, 12);
}
