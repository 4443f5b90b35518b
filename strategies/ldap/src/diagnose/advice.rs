//! What an operator can do about a step that failed.

use crate::{
    settings::{Safety, ServerAt, Tls},
    wire::Trouble,
};

pub(super) const NO_SERVICE: &str =
    "set bind_dn and bind_password, or let them sign in and look into the log";
pub(super) const NOT_THERE: &str =
    "check `user_dn`, `filter` if it is written down, and whether bind_dn may read the entry";
pub(super) const NOT_FOUND: &str = "check `base` and `filter`; the account of bind_dn may also lack the right to \
                                    read people: try the same filter with ldapsearch";
pub(super) const AMBIGUOUS: &str =
    "make `filter` or `base` narrower: a name that means two entries signs nobody in";
pub(super) const SPELLING: &str = "write the name as the directory has it (case and width do not matter, accents do), and let bind_dn read \
     the attributes of `filter`";
pub(super) const SUBJECT: &str =
    "set attributes.subject to an attribute with one value that never changes, or let bind_dn read it";
pub(super) const NO_GROUPS: &str = "if there should be some: set groups.base and groups.filter, for example \
                                    \"(member={dn})\", or groups.member_of";
pub(super) const GROUPS: &str = "check groups.base and groups.filter, and what bind_dn may read";

pub(super) fn connect(at: &ServerAt, trouble: &Trouble) -> String {
    let other = match at.safety {
        Safety::Tls => "636 is usual for ldaps://",
        Safety::StartTls | Safety::Plain => "389 is usual for ldap://",
    };
    match trouble {
        Trouble::Silent => {
            format!("nothing answers: a firewall between here and {}, or the wrong port ({other})?", at.host)
        }
        Trouble::Connection(why) if why.contains("lookup") => {
            format!("the name {} is not known here: check its spelling and the resolver", at.host)
        }
        _ => format!("nobody listens there: is the server running, and is the port right ({other})?"),
    }
}

pub(super) fn tls(at: &ServerAt, tls: &Tls, trouble: &Trouble) -> String {
    let text = trouble.to_string();
    if text.contains("UnknownIssuer") {
        return match tls.ca {
            None => "the certificate is from an authority that this machine does not know: set tls.ca to the file \
                     of that authority's certificate"
                .to_owned(),
            Some(_) => "the certificate is from another authority than that of tls.ca".to_owned(),
        };
    }
    // The authority's name is that of tls.ca, and its key another.
    if text.contains("BadSignature") {
        return "the certificate is from another authority than that of tls.ca, though of the same name: was the \
                authority made anew? Then copy its certificate again"
            .to_owned();
    }
    if text.contains("CaUsedAsEndEntity") || text.contains("UnsupportedCertVersion") {
        return "the server's certificate has signed itself, or is of an old form: give the server one from an \
                authority (also one of your own), and set tls.ca to that authority's certificate"
            .to_owned();
    }
    if text.contains("NotValidYet") {
        return "the server's certificate is not valid yet: compare the clocks of both machines".to_owned();
    }
    if text.contains("NotValidForName") || text.contains("not valid for name") {
        return format!(
            "the certificate is for other names than {}: use one of them in the URL, or set tls.server_name",
            tls.server_name.as_deref().unwrap_or(&at.host)
        );
    }
    if text.contains("Expired") || text.contains("expired") {
        return "the server's certificate has expired: renew it there".to_owned();
    }
    match trouble {
        Trouble::Refused { .. } => "the server does not offer StartTLS here: use ldaps:// instead".to_owned(),
        Trouble::Silent if at.safety == Safety::Tls => {
            "the server does not speak TLS on this port: with port 389 write ldap:// and start_tls = true"
                .to_owned()
        }
        _ if text.contains("CertificateRequired") || text.contains("certificate required") => {
            "the server asks for a certificate of ours: set tls.certificate and tls.key".to_owned()
        }
        _ if at.safety == Safety::Tls => {
            "does the server speak TLS on this port? With port 389 write ldap:// and start_tls = true"
                .to_owned()
        }
        _ => "look into the server's log".to_owned(),
    }
}

pub(super) fn service_bind(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Refused { code: 49, text, .. } if text.contains("data 532") || text.contains("data 773") => {
            "the service account's password has expired: set a new one that does not expire"
        }
        Trouble::Refused { code: 49, text, .. } if text.contains("data 533") => {
            "the service account is disabled: enable it"
        }
        Trouble::Refused { code: 49, text, .. } if text.contains("data 775") => {
            "the service account is locked: unlock it, and look for who tries its password"
        }
        Trouble::Refused { code: 49, .. } => {
            "check bind_dn and bind_password: the whole DN, or on Active Directory name@domain"
        }
        Trouble::Refused { code: 8 | 13, .. } => "the server wants TLS: use ldaps:// or start_tls = true",
        Trouble::Refused { code: 32 | 34, .. } => "bind_dn is not the name of an entry: write the whole DN",
        _ => "look into the server's log",
    }
}

pub(super) fn base(contexts: &[String]) -> String {
    match contexts {
        [] => "check `base`, and whether bind_dn may read it".to_owned(),
        some => {
            format!("the server holds {}: `base` lies in it, and bind_dn may read it", some.join(" and "))
        }
    }
}

pub(super) fn search(trouble: &Trouble) -> &'static str {
    match trouble {
        Trouble::Silent => "the search takes too long: index the attributes of `filter` on the server",
        Trouble::Refused { code: 50, .. } => "give the account of bind_dn the right to search there",
        _ => "check `filter`, and look into the server's log",
    }
}
