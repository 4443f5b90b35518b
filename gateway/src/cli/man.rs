//! `portcullis man`: one manual page for all verbs, made from the same description of the
//! command line as its help.

use super::{
    args::Arguments,
    output::{Done, Failure},
};
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use std::{
    io::{self, Write},
    process::ExitCode,
};

pub(super) fn run() -> Done {
    let page = page().map_err(|error| Failure::new(format!("cannot write the manual page: {error}")))?;
    // A reader that has gone away is no failure.
    let _ = io::stdout().lock().write_all(&page);
    Ok(ExitCode::SUCCESS)
}

fn page() -> io::Result<Vec<u8>> {
    let mut command = Arguments::command().disable_help_subcommand(true);
    command.build();
    let mut page = Vec::new();
    let whole = Man::new(command.clone()).section("8").manual("Portcullis");
    whole.render_title(&mut page)?;
    whole.render_name_section(&mut page)?;
    whole.render_synopsis_section(&mut page)?;
    whole.render_description_section(&mut page)?;
    page.extend(b".SH COMMANDS\n");
    for verb in command.get_subcommands() {
        describe(verb, "portcullis", &mut page)?;
    }
    page.extend(OTHER.as_bytes());
    whole.render_version_section(&mut page)?;
    Ok(page)
}

/// A verb, or each verb below it, with its own words about its options.
fn describe(verb: &Command, above: &str, page: &mut Vec<u8>) -> io::Result<()> {
    let name = format!("{above} {}", verb.get_name());
    if verb.get_subcommands().next().is_some() {
        return verb.get_subcommands().try_for_each(|below| describe(below, &name, page));
    }
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    writeln!(page, ".SS \"{}\"\n{}", roff(&name), roff(&about))?;
    for argument in verb.get_arguments().filter(|one| !one.is_hide_set() && one.get_id() != "help") {
        let shown = argument.to_string();
        let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
        writeln!(page, ".TP\n\\fB{}\\fR\n{}", roff(&shown), roff(&help))?;
    }
    Ok(())
}

/// Text that the formatter does not take for a request, nor a minus for a hyphen.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

const OTHER: &str = ".SH FILES\n.TP\n./portcullis.toml, /etc/portcullis/portcullis.toml\n\
    The configuration, unless \\-c or $PORTCULLIS_CONFIG names another.\n\
    .SH \"EXIT STATUS\"\n0 done, 1 refused or invalid, 2 wrong usage.\n\
    .SH ENVIRONMENT\n.TP\nPORTCULLIS_CONFIG\nThe configuration.\n\
    .TP\nPORTCULLIS_TABLE__KEY\nOverrides a key of the file.\n\
    .TP\nNO_COLOR\nNo colours, also on a terminal.\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_verb_and_every_option() {
        let page = String::from_utf8(page().unwrap()).unwrap();
        for part in
            ["portcullis user add", "portcullis session revoke", "\\-\\-password\\-stdin", ".SH FILES"]
        {
            assert!(page.contains(part), "{part}:\n{page}");
        }
        let mut verbs = Arguments::command();
        verbs.build();
        for verb in verbs.get_subcommands().filter(|verb| verb.get_name() != "help") {
            assert!(page.contains(&format!("portcullis {}", roff(verb.get_name()))), "{verb}");
        }
    }

    #[test]
    fn no_text_can_pass_for_a_request_of_the_formatter() {
        assert_eq!(roff(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(roff("a\\b-c"), "a\\eb\\-c");
    }
}
