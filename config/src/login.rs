//! `[login]`: the default strategy, and what the pages say and look like.

use crate::{
    appearance::{self, Logo, Template},
    load::Surroundings,
    problem::Book,
    section::Section,
    strategies,
    tree::Table,
};

/// `[login]`
#[derive(Clone, Debug)]
pub struct Login {
    /// The strategy of `POST {login}`: the one named, else the only one, else `local`.
    pub default: Option<String>,
    /// What the pages call the site.
    pub title: String,
    /// Pages that replace the built-in ones.
    pub templates: Vec<Template>,
    /// Shown in place of the built-in mark.
    pub logo: Option<Logo>,
}

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["default", "title", "logo", "templates"];

/// Reads the table.
pub(crate) fn read(
    root: &Table,
    strategies: &[strategies::Strategy],
    around: &Surroundings<'_>,
    book: &mut Book<'_>,
) -> Login {
    let table = Section::open(root, "login", KEYS, book);
    let default = match table.field("default") {
        Some(field) => strategies::named(field, strategies, book),
        None => match strategies {
            [only] => Some(only.id.clone()),
            several => several.iter().find(|strategy| strategy.id == "local").map(|s| s.id.clone()),
        },
    };
    if default.is_none() && strategies.len() > 1 {
        book.warn(
            &table.at,
            "no strategy is the default one: POST to the login path without its id answers 404",
            format!("write [login] default = \"{}\"", strategies[0].id),
        );
    }
    let title = table.field("title").and_then(|field| field.text(book));
    Login {
        default,
        title: title.unwrap_or_else(|| "Portcullis".to_owned()),
        templates: table
            .field("templates")
            .map(|field| appearance::templates(field, around, book))
            .unwrap_or_default(),
        logo: table.field("logo").and_then(|field| appearance::logo(field, around, book)),
    }
}
