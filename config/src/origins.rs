//! Lists of other origins, `["https://app.example.com"]`, as browsers spell them. What may
//! not come in: what they may do.

use crate::{address::Origin, problem::Book, section::Field};

/// Reads a list; one that is no origin is a problem.
pub(crate) fn read(field: Field<'_>, book: &mut Book<'_>) -> Option<Vec<String>> {
    let mut origins: Vec<String> = Vec::new();
    for entry in field.texts(book)? {
        let shown = entry.text.escape_debug();
        if matches!(entry.text.as_str(), "*" | "null") {
            let message = format!("{} cannot hold \"{shown}\"", field.label());
            book.refuse_with(
                &entry.at,
                message,
                "name each origin: pages there act as the person who sees them",
            );
            continue;
        }
        match Origin::read(&entry.text) {
            Err((fault, help)) => {
                let help = help.unwrap_or_else(|| "write \"https://app.example.com\"".to_owned());
                book.refuse_with(&entry.at, format!("{} {fault}: \"{shown}\"", field.label()), help);
            }
            Ok(origin) if origins.contains(&origin.text()) => {
                book.refuse(&entry.at, format!("{} names {} twice", field.label(), origin.text()));
            }
            Ok(origin) => {
                if !origin.https && !origin.is_loopback() {
                    let message = format!("{} {} is http", field.label(), origin.text());
                    book.warn(
                        &entry.at,
                        message,
                        "whoever is on the way to it can act as the people who visit it",
                    );
                }
                origins.push(origin.text());
            }
        }
    }
    Some(origins)
}
