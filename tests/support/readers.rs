//! How applications read the fields of a request, each in its own way: what they decide
//! is whether alice became admin (U2, U3 and U4 of the attack catalogue).

use crate::recorded::Recorded;
use std::collections::BTreeMap;

/// U2: the way of CGI, WSGI and PHP. Names in upper case with every symbol an
/// underscore; values of one name joined by commas. `Remote-User` is `REMOTE_USER`.
pub fn folding(request: &Recorded) -> BTreeMap<String, String> {
    let mut map: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in request.fields.iter().chain(&request.trailers) {
        let all = map.entry(fold(name)).or_default();
        if !all.is_empty() {
            all.push_str(", ");
        }
        all.push_str(value);
    }
    map
}

/// U3: the first value of a name.
pub fn first<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    request.headers(name).first().copied()
}

/// U4: the last value of a name, with trailers after fields.
pub fn last<'a>(request: &'a Recorded, name: &str) -> Option<&'a str> {
    let trailer = crate::response::values(&request.trailers, name).last().copied();
    trailer.or_else(|| request.headers(name).last().copied())
}

/// A name as U2 sees it.
pub fn fold(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect()
}

/// Panics unless all three readers see exactly this value, or nothing.
#[track_caller]
pub fn all_see(request: &Recorded, name: &str, value: Option<&str>) {
    let folded = folding(request);
    assert_eq!(folded.get(&fold(name)).map(String::as_str), value, "U2 {name}: {}", request.text());
    assert_eq!(first(request, name), value, "U3 {name}: {}", request.text());
    assert_eq!(last(request, name), value, "U4 {name}: {}", request.text());
}
