//! What is wrong with a configuration, said so that it can be mended: file, line, column, the
//! value, the nearest valid name.

use std::fmt;
use std::ops::Range;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Bytes of the file it is about; none when it came from the command line.
    at: Option<Range<usize>>,
    text: String,
}

impl Problem {
    /// About bytes of the file.
    pub(crate) fn at(at: Range<usize>, text: impl Into<String>) -> Self {
        Self { at: Some(at), text: text.into() }
    }

    /// About bytes of the file where known, else about the command line or a default.
    pub(crate) fn maybe_at(at: Option<Range<usize>>, text: impl Into<String>) -> Self {
        Self { at, text: text.into() }
    }

    /// About a command-line option.
    pub(crate) fn option(option: &str, value: &str, why: impl fmt::Display) -> Self {
        Self { at: None, text: format!("{option} {value}: {why}") }
    }
}

/// All mistakes of a configuration, one `FILE:LINE:COL: ...` line each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Report(Vec<String>);

impl Report {
    /// One line.
    pub(crate) fn of(line: String) -> Self {
        Self(vec![line])
    }

    /// The problems in the order of the file, those of the command line first.
    pub(crate) fn new(name: &str, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.at.as_ref().map(|at| at.start));
        let line = |problem: Problem| match problem.at {
            Some(at) => format!("{}: {}", place(name, text, at.start), problem.text),
            None => problem.text,
        };
        Self(problems.into_iter().map(line).collect())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.join("\n"))
    }
}

/// `FILE:LINE:COL` of a byte offset; both count from 1, columns in characters.
pub(crate) fn place(name: &str, text: &str, offset: usize) -> String {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().map_or(0, |tail| tail.chars().count()) + 1;
    format!("{name}:{line}:{column}")
}

/// The candidate that is fewest edits away, when it is near enough to be what was meant.
pub(crate) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + word.chars().count() / 3;
    names
        .map(|name| (distance(word, name), name))
        .filter(|(edits, _)| *edits <= limit)
        .min()
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string
/// alignment), case aside.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().flat_map(char::to_lowercase).collect();
    let right: Vec<char> = right.chars().flat_map(char::to_lowercase).collect();
    let mut rows = vec![(0..=right.len()).collect::<Vec<_>>()];
    for (i, l) in left.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, r) in right.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(l != r);
            let mut best = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *l == right[j - 1] && left[i - 1] == *r {
                best = best.min(rows[i - 1][j - 1] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[left.len()][right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_lines_and_characters_from_one() {
        let text = "a = 1\nbé = 2\n";
        assert_eq!(place("f", text, 0), "f:1:1");
        assert_eq!(place("f", text, 6), "f:2:1");
        assert_eq!(place("f", text, text.find('=').map_or(0, |_| 10)), "f:2:4");
        assert_eq!(place("f", text, 999), "f:3:1");
    }

    #[test]
    fn distance_counts_a_swap_as_one_edit() {
        assert_eq!(distance("socekt", "socket"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(distance("MIN", "min"), 0);
    }

    #[test]
    fn nearest_gives_up_on_words_that_are_far() {
        let names = ["min_expires", "max_expires_publish", "contact_user"];
        assert_eq!(nearest("min_expire", names.into_iter()), Some("min_expires"));
        assert_eq!(nearest("kontakt_user", names.into_iter()), Some("contact_user"));
        assert_eq!(nearest("zzz", names.into_iter()), None);
    }
}
