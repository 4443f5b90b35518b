//! The head of an answer as the client gets it: without what belongs to the upstream's
//! hop, without cookies in our name, and kept out of shared caches when it was made for
//! a person (contract section 7).

use super::{
    answer::status_line,
    exchange::Job,
    http1::{body::Body, head::tokens, push_field, response::ResponseHead},
    relay::ToClient,
};

/// How the client learns where the body ends.
pub fn to_client(head: &ResponseHead, http10: bool) -> ToClient {
    match head.body {
        Body::Length(_) => ToClient::Length,
        Body::Chunked(_) | Body::UntilClose if http10 => ToClient::Close,
        Body::Chunked(_) | Body::UntilClose => ToClient::Chunks,
    }
}

/// Writes the head into `out`; `input` is what it was read from.
pub fn write(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    input: &[u8],
    job: &Job<'_>,
    to_client: ToClient,
    close: bool,
) {
    status_line(out, head.status);
    // Made for one person, or taking one person's cookie back: no shared cache may keep it.
    let signed_in = job.permit.identity().is_some() && !job.route.shared_cache;
    let private = signed_in || job.set_cookie.is_some();
    let mut cache_control = false;
    let named = head.values(input, "connection").flat_map(tokens).any(|t| !is_usual_connection(t));
    for (name, value) in &head.fields {
        let (name, value) = (&input[name.clone()], &input[value.clone()]);
        match kind(name) {
            Kind::Hop => {}
            Kind::Length if head.status < 200 || head.status == 204 => {}
            Kind::Length if to_client != ToClient::Length => {}
            // How long it is the client must know, whatever `Connection` names.
            Kind::Length => push_field(out, name, value),
            Kind::SetCookie if job.snapshot.cookies.is_ours_set_cookie(value) => {}
            Kind::CacheControl if private => {
                cache_control = true;
                push_field(out, name, &private_cache(value));
            }
            _ if named && is_named_by_connection(head, input, name) => {}
            _ => push_field(out, name, value),
        }
    }
    if head.status == 101 {
        push_field(out, b"Connection", b"upgrade");
        for protocol in head.values(input, "upgrade") {
            push_field(out, b"Upgrade", protocol);
        }
    } else if private && !cache_control {
        push_field(out, b"Cache-Control", b"private");
    }
    if to_client == ToClient::Chunks {
        push_field(out, b"Transfer-Encoding", b"chunked");
    }
    push_field(out, b"X-Request-Id", job.request.id.as_bytes());
    if let Some(cookie) = &job.set_cookie {
        push_field(out, b"Set-Cookie", cookie.as_bytes());
    }
    if close {
        out.extend_from_slice(b"Connection: close\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

enum Kind {
    Hop,
    Length,
    SetCookie,
    CacheControl,
    Other,
}

fn kind(name: &[u8]) -> Kind {
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
    match name.len() {
        2 if is("te") => Kind::Hop,
        7 if is("upgrade") || is("trailer") => Kind::Hop,
        10 if is("connection") || is("keep-alive") => Kind::Hop,
        10 if is("set-cookie") => Kind::SetCookie,
        12 if is("x-request-id") => Kind::Hop,
        13 if is("cache-control") => Kind::CacheControl,
        14 if is("content-length") => Kind::Length,
        16 if is("proxy-connection") => Kind::Hop,
        17 if is("transfer-encoding") => Kind::Hop,
        18 if is("proxy-authenticate") => Kind::Hop,
        _ => Kind::Other,
    }
}

/// What `Connection` usually says names no field.
fn is_usual_connection(token: &[u8]) -> bool {
    token.eq_ignore_ascii_case(b"close") || token.eq_ignore_ascii_case(b"keep-alive")
}

fn is_named_by_connection(head: &ResponseHead, input: &[u8], name: &[u8]) -> bool {
    head.values(input, "connection").flat_map(tokens).any(|token| token.eq_ignore_ascii_case(name))
}

/// The same directives without `public` and `s-maxage`, and with `private`
/// (RFC 9111 §5.2.2).
fn private_cache(value: &[u8]) -> Vec<u8> {
    let mut kept: Vec<&[u8]> = Vec::new();
    for directive in tokens(value) {
        let name = directive.split(|b| *b == b'=').next().unwrap_or_default().trim_ascii();
        let dropped =
            ["public", "s-maxage", "private"].iter().any(|d| name.eq_ignore_ascii_case(d.as_bytes()));
        if !dropped {
            kept.push(directive);
        }
    }
    kept.push(b"private");
    kept.join(&b", "[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_for_a_person_is_private() {
        for (before, after) in [
            ("public, max-age=60", "max-age=60, private"),
            ("Public,S-MaxAge=3 , must-revalidate", "must-revalidate, private"),
            ("no-store", "no-store, private"),
            ("", "private"),
            ("private=\"x\"", "private"),
        ] {
            assert_eq!(String::from_utf8(private_cache(before.as_bytes())).as_deref(), Ok(after), "{before}");
        }
    }
}
