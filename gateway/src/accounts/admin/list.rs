//! A page of the list of accounts, with totals and links (jsonapi.org 1.1, Pagination).

use super::{super::sessions::stuck, told};
use crate::{
    control::{Ask, Reply, reply},
    login::body::malformed,
    problem::Problem,
    store::Page,
};
use serde_json::{Value, json};

/// How many there are on a page when nobody says.
const USUAL: u64 = 10;
/// More than these are these.
const MOST: u64 = 100;

/// `GET {auth}/admin/users`
pub(super) async fn page(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let number = number(ask, "page[number]")?.unwrap_or(1);
    let size = self::number(ask, "page[size]")?.unwrap_or(USUAL).min(MOST);
    let search = ask.query("search").or_else(|| ask.query("search[email]")).unwrap_or_default();
    let page = Page { search: search.clone(), skip: (number - 1).saturating_mul(size), size };
    let (accounts, total) = ask.control.store.accounts_page(page).await.map_err(|e| stuck(&e))?;
    let pages = total.div_ceil(size).max(1);
    let as_json_api = ask.takes_json_api();
    let shown = if as_json_api { told::json_api } else { crate::accounts::view::whole };
    let data: Vec<Value> = accounts.iter().map(shown).collect();
    let path = format!("{}/admin/users", ask.control.config.endpoints.auth);
    let link = |number: u64| link(&path, number, size, &search);
    let answer = json!({
        "data": data,
        "meta": { "pagination": { "current": number, "total": total, "pages": pages, "size": size } },
        "links": {
            "first": link(1),
            "last": link(pages),
            "prev": (number > 1).then(|| link((number - 1).min(pages))),
            "next": (number < pages).then(|| link(number + 1)),
        },
    });
    Ok(if as_json_api { reply::json_api(&answer) } else { reply::json(&answer) })
}

fn number(ask: &Ask<'_>, name: &str) -> Result<Option<u64>, Problem> {
    let Some(text) = ask.query(name) else { return Ok(None) };
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // One that is too long for a number is more than any limit.
    match digits.then(|| text.parse().unwrap_or(u64::MAX)) {
        Some(number) if number > 0 => Ok(Some(number)),
        _ => Err(malformed(format!("{name}: must be a whole number above zero"))),
    }
}

fn link(path: &str, number: u64, size: u64, search: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("page[number]", &number.to_string()).append_pair("page[size]", &size.to_string());
    if !search.is_empty() {
        query.append_pair("search", search);
    }
    format!("{path}?{}", query.finish())
}
