//! What is wrong with a strategy's settings, said so that an operator can mend it.

use serde::{Deserialize, Serialize};

/// One thing wrong with a strategy's settings. The gateway maps `path` to file, line
/// and column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsProblem {
    /// Keys inside the strategy's own table, outermost first.
    #[serde(default)]
    pub path: Vec<String>,
    /// What is wrong.
    pub message: String,
    /// What to write instead: `one of …`, a nearest name.
    #[serde(default)]
    pub expected: Option<String>,
}

impl SettingsProblem {
    /// A problem of the value at `key`.
    pub fn at(key: &str, message: impl Into<String>) -> Self {
        Self { path: vec![key.to_owned()], message: message.into(), expected: None }
    }

    /// With what to write instead.
    #[must_use]
    pub fn expected(mut self, what: impl Into<String>) -> Self {
        self.expected = Some(what.into());
        self
    }

    /// `key` is none of the `known` ones; names the nearest, if one is near.
    pub fn unknown_key(key: &str, known: &[&str]) -> Self {
        let nearest = known
            .iter()
            .map(|name| (distance(key, name), *name))
            .min()
            .filter(|(far, name)| *far <= name.chars().count().div_ceil(3));
        let problem = Self::at(key, format!("unknown key `{key}`"));
        match nearest {
            Some((_, name)) => problem.expected(format!("did you mean `{name}`?")),
            None => problem,
        }
    }
}

/// How many letters must be inserted, removed, or replaced to make one word the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_names_the_nearest_known_one_if_it_is_near() {
        let known = ["min_length", "strength"];
        let expected = |key| SettingsProblem::unknown_key(key, &known).expected;
        assert_eq!(expected("min_lenght").as_deref(), Some("did you mean `min_length`?"));
        assert_eq!(expected("strenght").as_deref(), Some("did you mean `strength`?"));
        assert_eq!(expected("colour"), None);
        assert_eq!(expected(""), None);
    }
}
