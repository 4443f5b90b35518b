//! The table against a slow and obvious oracle, over generated tables and paths. The
//! oracle is written from the contract's words alone (section 4), with strings and lists,
//! and shares no line with what it checks.

use super::{RouteTable, tests::route};
use crate::{problem::Code, proxy::target::normal_path};
use portcullis_config::{Policy, RoutePath, Rules};
use proptest::prelude::*;

/// A route as the oracle sees it.
#[derive(Clone, Debug)]
struct Row {
    path: String,
    prefix: bool,
    methods: Option<Vec<&'static str>>,
    /// Which policy, by number.
    policy: usize,
    keep: bool,
}

fn policy(number: usize) -> Policy {
    match number {
        0 => Policy::Public,
        1 => Policy::SignedIn,
        _ => Policy::Rules(Rules { roles: vec!["admin".into()], ..Rules::default() }),
    }
}

/// Segment by segment; none leaves the root or is a dot with parameters.
fn normal(path: &str) -> Option<String> {
    let pieces: Vec<&str> = path.split('/').collect();
    let mut kept: Vec<&str> = Vec::new();
    for piece in &pieces {
        if let "." | "" = *piece {
            continue;
        }
        if *piece == ".." {
            kept.pop()?;
        } else if piece.starts_with(".;") || piece.starts_with("..;") {
            return None;
        } else {
            kept.push(piece);
        }
    }
    let folder = matches!(pieces.last(), Some(&"" | &"." | &".."));
    let end = if folder && !kept.is_empty() { "/" } else { "" };
    Some(format!("/{}{end}", kept.join("/")))
}

/// The escapes that the alphabet of the paths can make, and what they stand for. A slash
/// and a backslash that were decoded separate nothing by themselves.
const ESCAPES: [(&str, &str); 7] = [
    ("%2F", "\u{1}"),
    ("%5C", "\u{2}"),
    ("%3B", ";"),
    ("%23", "#"),
    ("%3F", "?"),
    ("%25", "%"),
    ("%2E", "."),
];

fn step(number: usize, path: &str) -> String {
    match number {
        // Segments are cut at `;`.
        0 => path.split('/').map(|s| s.split(';').next().unwrap_or("")).collect::<Vec<_>>().join("/"),
        // `%23` and `%3F` are ends.
        1 => ["%23", "%3F", "#", "?"]
            .iter()
            .filter_map(|mark| path.find(mark))
            .min()
            .map_or(path, |end| &path[..end])
            .to_owned(),
        // `%2F` and `%5C` are separators.
        2 => ["%2F", "%5C", "\u{1}", "\u{2}"].iter().fold(path.to_owned(), |p, s| p.replace(s, "/")),
        // Decoded until nothing changes, one escape at a time.
        _ => {
            let mut path = path.to_owned();
            while let Some((escape, meaning)) = ESCAPES.iter().find(|(escape, _)| path.contains(escape)) {
                path = path.replacen(escape, meaning, 1);
            }
            path
        }
    }
}

/// Every sequence of different steps, the empty one included.
fn readings(path: &str, left: &[usize]) -> Vec<Option<String>> {
    let mut all = vec![normal(path)];
    for number in left {
        let rest: Vec<usize> = left.iter().copied().filter(|other| other != number).collect();
        all.extend(readings(&step(*number, path), &rest));
    }
    all
}

/// The paths of a row: as it is written, or what is left when it is decoded, with its escaped
/// slashes as parts of a segment and as separators.
fn own_paths(row: &Row, decoded: bool) -> Vec<String> {
    if !decoded {
        return vec![row.path.clone()];
    }
    let hidden = step(3, &row.path);
    let all = [step(2, &hidden), hidden].into_iter().filter_map(|path| normal(&path));
    all.map(|path| if row.prefix { path.trim_end_matches('/').to_owned() } else { path }).collect()
}

/// All rows of the longest path that covers `path`: exact first.
fn cover<'a>(rows: &'a [Row], path: &str, fold: bool, decoded: bool) -> Vec<&'a Row> {
    let same = |text: &str| if fold { text.to_lowercase() } else { text.to_owned() };
    let path = same(path);
    let rank = |row: &Row| {
        let own = own_paths(row, decoded).into_iter().map(|own| same(&own));
        let covers = |own: &String| path == *own || (row.prefix && path.starts_with(&format!("{own}/")));
        own.filter(covers).map(|own| (!row.prefix, own.len())).max()
    };
    let best = rows.iter().filter_map(rank).max();
    rows.iter().filter(|row| best.is_some() && rank(row) == best).collect()
}

fn takes(row: &Row, method: &str) -> bool {
    row.methods.as_ref().is_none_or(|methods| methods.contains(&method))
}

/// The policy that judges, or the refusal.
fn oracle(rows: &[Row], sent: &str, path: &str, method: &str) -> Result<usize, Code> {
    let chosen = cover(rows, path, false, false);
    // Also where dots take the segment away again.
    if sent.contains("%2F") && (chosen.is_empty() || chosen.iter().any(|row| !row.keep)) {
        return Err(Code::BadPath);
    }
    if chosen.is_empty() {
        return Err(Code::NotFound);
    }
    let winner = chosen.iter().find(|row| takes(row, method));
    for reading in readings(path, &[0, 1, 2, 3]) {
        let Some(reading) = reading else { return Err(Code::AmbiguousPath) };
        // What is decoded is compared with decoded routes; the path itself as it is, too.
        let is_decoded = step(3, &reading) == reading;
        let ways = [(!is_decoded || reading == path, false), (is_decoded, true)];
        let ways = ways.into_iter().filter(|(holds, _)| *holds);
        for (fold, decoded) in ways.flat_map(|(_, decoded)| [(false, decoded), (true, decoded)]) {
            let all = cover(rows, &reading, fold, decoded);
            let other: Vec<&&Row> = all.iter().filter(|row| takes(row, method)).collect();
            let same = match winner {
                Some(winner) => !other.is_empty() && other.iter().all(|row| row.policy == winner.policy),
                None => other.is_empty() && !all.is_empty(),
            };
            if !same {
                return Err(Code::AmbiguousPath);
            }
        }
    }
    winner.map(|row| row.policy).ok_or(Code::MethodNotAllowed)
}

fn compiled(rows: &[Row]) -> RouteTable {
    let routes = rows.iter().map(|row| {
        let path = match row.prefix {
            true => RoutePath::Prefix(row.path.clone()),
            false => RoutePath::Exact(row.path.clone()),
        };
        (None, path, route(&row.policy.to_string(), row.methods.as_deref(), &policy(row.policy), row.keep))
    });
    RouteTable::new(routes.collect())
}

/// A few segments, so that paths meet routes often.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![Just("a"), Just("A"), Just("b"), Just("a;x"), Just("a%3Bx"), Just("b%23"), Just("a%2Fb")]
        .prop_map(str::to_owned)
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let path =
        prop::collection::vec(segment(), 0..3).prop_map(|s| s.iter().map(|s| format!("/{s}")).collect());
    let methods =
        prop_oneof![3 => Just(None), 1 => Just(Some(vec!["GET", "HEAD"])), 1 => Just(Some(vec!["POST"]))];
    let row = (path, any::<bool>(), methods, 0..3_usize, prop::bool::weighted(0.6));
    let row = row.prop_map(|(path, prefix, methods, policy, keep): (String, _, _, _, _)| {
        let path = if path.is_empty() && !prefix { "/".to_owned() } else { path };
        Row { path, prefix, methods, policy, keep }
    });
    prop::collection::vec(row, 1..7).prop_map(|rows| {
        let mut kept: Vec<Row> = Vec::new();
        for row in rows {
            // The configuration refuses the same path with overlapping methods.
            let overlaps = |other: &Row| {
                other.path == row.path
                    && other.prefix == row.prefix
                    && ["GET", "POST"].iter().any(|m| takes(other, m) && takes(&row, m))
            };
            if !kept.iter().any(overlaps) {
                kept.push(row);
            }
        }
        kept
    })
}

fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        6 => Just("/"), 6 => Just("a"), 3 => Just("A"), 4 => Just("b"), 2 => Just("x"),
        2 => Just(";"), 2 => Just("%3B"), 2 => Just("%2F"), 1 => Just("%23"), 1 => Just("%3F"),
        1 => Just("%25"), 1 => Just("%252F"), 1 => Just("%255C"), 1 => Just("%252E"), 1 => Just("%253B"),
        1 => Just("%2523"), 2 => Just(".."), 1 => Just("."), 1 => Just("2F"),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    // P-03, P-05, P-07, P-10, P-11, P-15, P-16, P-17
    #[test]
    fn a_table_answers_as_the_obvious_reading_of_the_contract(
        rows in rows(), path in path(), method in prop_oneof![Just("GET"), Just("POST")],
    ) {
        let sent = path;
        let Ok(path) = normal_path(sent.as_bytes()) else { return Ok(()) };
        let table = compiled(&rows);
        let found = table.select("any.test", &path.text, path.encoded_slash, method);
        let found = found.map(|r| r.id.clone()).map_err(|p| p.code);
        let expected = oracle(&rows, &sent, &path.text, method).map(|policy| policy.to_string());
        prop_assert_eq!(found, expected, "{:?} {} {}", rows, path.text, method);
    }
}

#[test]
fn the_generated_cases_reach_every_answer() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = [0; 5];
    for _ in 0..3000 {
        let tree = (rows(), path()).new_tree(&mut runner).expect("a value");
        let (rows, sent) = tree.current();
        let Ok(path) = normal_path(sent.as_bytes()) else { continue };
        let at = match oracle(&rows, &sent, &path.text, "GET") {
            Ok(_) => 0,
            Err(Code::AmbiguousPath) => 1,
            Err(Code::BadPath) => 2,
            Err(Code::NotFound) => 3,
            Err(_) => 4,
        };
        seen[at] += 1;
    }
    assert!(seen.iter().all(|count| *count > 20), "{seen:?}");
}
