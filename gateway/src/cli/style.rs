//! Colours: for eyes only. On a terminal, and neither with `NO_COLOR` nor on a `dumb` one.

use std::io::IsTerminal;

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// What is wrong.
    Error,
    /// What deserves a look.
    Warning,
    /// What can be done.
    Help,
    /// What is around it: a line's number, a frame.
    Frame,
}

/// Text for stderr, in colour where somebody looks.
pub(super) fn paint(role: Role, text: &str) -> String {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    match !text.is_empty() && std::io::stderr().is_terminal() && wanted(variable) {
        true => in_colour(role, text),
        false => text.to_owned(),
    }
}

/// `NO_COLOR` counts when it is not empty (no-color.org).
fn wanted(variable: impl Fn(&str) -> Option<String>) -> bool {
    variable("NO_COLOR").is_none_or(|value| value.is_empty())
        && variable("TERM").is_some_and(|term| term != "dumb")
}

fn in_colour(role: Role, text: &str) -> String {
    let code = match role {
        Role::Error => "1;31",
        Role::Warning => "1;33",
        Role::Help => "1;32",
        Role::Frame => "1;34",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_whose_owner_did_not_say_no() {
        let with = |list: &'static [(&str, &str)]| {
            move |name: &str| list.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())
        };
        assert!(wanted(with(&[("TERM", "xterm-256color")])));
        assert!(wanted(with(&[("TERM", "xterm"), ("NO_COLOR", "")])));
        assert!(!wanted(with(&[("TERM", "xterm"), ("NO_COLOR", "1")])));
        assert!(!wanted(with(&[("TERM", "dumb")])));
        assert!(!wanted(with(&[])));
    }

    #[test]
    fn a_colour_ends_where_its_text_does() {
        assert_eq!(in_colour(Role::Error, "x"), "\x1b[1;31mx\x1b[0m");
    }
}
