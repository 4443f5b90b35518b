//! What was received, as a page: who is asking first, then the assertion's claims, then
//! everything else.

use super::{
    Links,
    answer::{claims, is_identity},
    message::Received,
};
use serde_json::Value;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1d2430;--soft:#5b6575;--paper:#f4f6f9;--card:#fff;--line:#dfe4ec;--mark:#0b6e4f;--wash:#e8f5ef}\
@media(prefers-color-scheme:dark){:root{--ink:#e7ebf2;--soft:#9aa6b8;--paper:#12161d;--card:#1a2029;--line:#2c3542;--mark:#5fd6a8;--wash:#16302a}}\
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}\
main{max-width:50rem;margin:0 auto;padding:2rem 1rem}header{display:flex;gap:1rem;align-items:center;justify-content:space-between;flex-wrap:wrap}\
h1{font-size:1.5rem;margin:0}h2{font-size:1rem;margin:0 0 .5rem}p{margin:.25rem 0 1.25rem;color:var(--soft)}\
section{background:var(--card);border:1px solid var(--line);border-radius:.75rem;padding:1rem 1.25rem;margin:1rem 0}\
section.who{border-color:var(--mark);background:var(--wash)}section.who h2{color:var(--mark)}\
dl{display:grid;grid-template-columns:minmax(9rem,max-content) 1fr;gap:.25rem 1rem;margin:0}dt{color:var(--soft)}\
dd{margin:0;overflow-wrap:anywhere}dt,dd,code{font-family:ui-monospace,monospace;font-size:.875rem}section.who dd{font-weight:600}\
dd.long{font-weight:400!important;font-size:.75rem;color:var(--soft)}\
button{font:inherit;padding:.5rem 1rem;min-height:2.75rem;border-radius:.5rem;border:1px solid var(--line);background:var(--card);color:inherit;cursor:pointer}\
:focus-visible{outline:3px solid var(--mark);outline-offset:2px}\
@media(max-width:30rem){dl{grid-template-columns:1fr}dd{margin-bottom:.5rem}}";

pub(super) fn render(received: &Received, links: Links) -> String {
    let (who, rest): (Vec<_>, Vec<_>) = received.headers.iter().partition(|(name, _)| is_identity(name));
    let mut page = String::with_capacity(8 << 10);
    let name = received.text("remote-user").unwrap_or("somebody");
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>What the application received</title><style>{STYLE}</style></head><body><main><header>\
         <h1>Hello, {}</h1><form method=\"post\" action=\"{}\"><button>Sign out</button></form></header>\
         <p>This is the demo’s application behind Portcullis. It got <code>{} {}</code> with {} bytes of \
         body, and this is what came with it.</p>",
        escape(name),
        escape(links.logout),
        escape(&received.method),
        escape(&received.path),
        received.body_length,
    );
    section(&mut page, "Who is asking, added by the gateway", "who", who.iter().map(|(n, v)| (n, v.clone())));
    if let Some(Value::Object(claims)) = claims(received) {
        let claims = claims.iter().map(|(name, value)| (name, shown(value)));
        section(&mut page, "The signed assertion, decoded", "claims", claims);
    }
    section(&mut page, "All other header fields", "rest", rest.iter().map(|(n, v)| (n, v.clone())));
    page.push_str("</main></body></html>\n");
    page
}

fn section<'a>(
    page: &mut String,
    title: &str,
    class: &str,
    rows: impl Iterator<Item = (&'a String, String)>,
) {
    let _ = write!(page, "<section class=\"{class}\"><h2>{title}</h2><dl>");
    for (name, value) in rows {
        let long = if value.len() > 120 { " class=\"long\"" } else { "" };
        let _ = write!(page, "<dt>{}</dt><dd{long}>{}</dd>", escape(name), escape(&value));
    }
    page.push_str("</dl></section>");
}

/// Text without quotes, a list with commas, everything else as JSON has it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(shown).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
