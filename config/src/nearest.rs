//! "Did you mean": the known name that is nearest to one that is not known. What may
//! not come in: which names are known.

/// The help for an unknown name: the nearest known one, or all of them when none is near.
/// `later` names what is known but not built yet: it may be meant, but is not offered.
pub(crate) fn help(unknown: &str, known: &[&str], later: &[&str]) -> String {
    let all: Vec<&str> = known.iter().chain(later).copied().collect();
    match nearest(unknown, &all) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// The known name that takes the fewest edits, if it takes at most a third of the letters.
pub(crate) fn nearest<'k>(unknown: &str, known: &[&'k str]) -> Option<&'k str> {
    let folded = unknown.to_lowercase();
    let (distance, name) =
        known.iter().map(|name| (edits(&folded, &name.to_lowercase()), *name)).min_by_key(|(d, _)| *d)?;
    let longest = folded.chars().count().max(name.chars().count());
    (distance <= (longest / 3).max(1)).then_some(name)
}

/// Insertions, deletions, replacements and swaps of neighbours between two names.
fn edits(a: &str, b: &str) -> usize {
    // A name longer than any of ours is near to none, and this is quadratic.
    let a: Vec<char> = a.chars().take(100).collect();
    let b: Vec<char> = b.chars().take(100).collect();
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_is_recognised() {
        let known = ["listen", "public_url", "drain"];
        assert_eq!(nearest("lisen", &known), Some("listen"));
        assert_eq!(nearest("lsiten", &known), Some("listen"));
        assert_eq!(nearest("publicurl", &known), Some("public_url"));
        assert_eq!(nearest("Drain", &known), Some("drain"));
    }

    #[test]
    fn a_name_that_is_near_to_none_gets_the_list() {
        assert_eq!(nearest("certificate", &["listen", "drain"]), None);
        assert_eq!(help("certificate", &["listen", "drain"], &["tls"]), "known here: listen, drain");
    }
}
