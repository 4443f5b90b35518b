//! What may be typed. No defaults of the configuration are repeated here.

use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf};

/// An authentication gateway in front of the APIs and web apps you already have.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, about, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Try it: a gateway, an application behind it and one account, in one command
    Demo(Demo),
    /// Run the gateway; SIGTERM and SIGINT let what is in flight finish, a second one ends at once
    Serve(File),
    /// Say everything that is wrong with the configuration, as file:line:column
    Check(Check),
    /// Make and manage accounts
    User(User),
    /// See who is signed in, and end sessions
    Session(Session),
    /// The keys that sign tokens: show, replace and revoke them
    Keys(Keys),
    /// The configured ways to sign in
    Strategy(Strategy),
    /// Strategy libraries: what they are, and how a configuration names them
    Plugin(Plugin),
    /// Read a password from stdin, or ask for one, and print its argon2id hash
    HashPassword {
        /// Print a JSON object: hash
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema(Schema),
    /// Print what a shell completes: `portcullis completions bash > /etc/bash_completion.d/portcullis`
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page: `portcullis man | man -l -`
    Man,
}

#[derive(Args, Clone, Debug)]
pub(super) struct File {
    /// The configuration [default: $PORTCULLIS_CONFIG, ./portcullis.toml, /etc/portcullis/portcullis.toml]
    #[arg(short = 'c', long = "config", value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Schema {
    /// Print the OpenAPI 3.1 document of the gateway's own endpoints instead
    #[arg(long)]
    pub(super) openapi: bool,
    /// With --openapi: the configuration that says where the endpoints are [default: none, the usual paths]
    #[arg(short = 'c', long = "config", value_name = "FILE", requires = "openapi")]
    pub(super) config: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Demo {
    /// Where the gateway listens; port 0 is any that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080", value_parser = address)]
    pub(super) listen: SocketAddr,
    /// Keep the store in this folder [default: a temporary one, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
    /// Print one line of JSON: url, name, password
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    pub(super) file: File,
    /// Print what was found as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct Strategy {
    #[command(flatten)]
    pub(super) file: File,
    #[command(subcommand)]
    pub(super) verb: StrategyVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum StrategyVerb {
    /// Every configured strategy: kind, where its code comes from, whether it starts
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Try out, step by step, what a login needs; says what to do where something fails
    Test {
        /// The strategy
        #[arg(value_name = "ID")]
        id: String,
        /// Somebody to look up
        #[arg(long, value_name = "NAME")]
        user: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct Plugin {
    #[command(flatten)]
    pub(super) file: File,
    #[command(subcommand)]
    pub(super) verb: PluginVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum PluginVerb {
    /// Every library of the configuration: version, kinds, whether it loads
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Say what a file is, without running any of it
    Inspect {
        /// The library
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Load and start a library in a child process
    Check {
        /// The library
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
        /// In this process: what the child is told
        #[arg(long, hide = true)]
        here: bool,
    },
    /// Be the process of one library: what the gateway starts for `isolation = "process"`
    #[command(hide = true)]
    Apart {
        /// What the operator calls it
        path: PathBuf,
        /// The file whose bytes were checked
        copy: PathBuf,
    },
    /// Print the lines of a configuration that pin a library by its sha256
    Pin {
        /// The library
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct Keys {
    #[command(flatten)]
    pub(super) file: File,
    #[command(subcommand)]
    pub(super) verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum KeysVerb {
    /// All keys: what each signs, and until when it is believed
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Sign with new keys at once; what the old ones signed stays valid until it runs out
    Rotate {
        /// Print a JSON array: purpose, old, new
        #[arg(long)]
        json: bool,
    },
    /// Believe nothing any more that a key has signed; a new one signs in its place
    Revoke {
        /// As `keys list` shows it; it may begin with a hyphen
        #[arg(allow_hyphen_values = true)]
        kid: String,
        /// Print a JSON object: revoked, signs
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct Session {
    #[command(flatten)]
    pub(super) file: File,
    #[command(subcommand)]
    pub(super) verb: SessionVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum SessionVerb {
    /// The live sessions, the newest first
    List {
        /// Those of this account alone
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// End one session, or all of an account; a gateway that runs knows within a second
    Revoke(SessionRevoke),
}

#[derive(Args, Debug)]
pub(super) struct SessionRevoke {
    #[command(flatten)]
    pub(super) which: WhichSessions,
    /// Print a JSON object: how many ended
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct WhichSessions {
    /// Its name, as `session list` shows it
    #[arg(value_name = "SID")]
    pub(super) sid: Option<String>,
    /// All sessions of this account
    #[arg(long, value_name = "NAME")]
    pub(super) account: Option<String>,
}

#[derive(Args, Debug)]
pub(super) struct User {
    #[command(flatten)]
    pub(super) file: File,
    #[command(subcommand)]
    pub(super) verb: UserVerb,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserVerb {
    /// Make an account with a password
    Add(UserAdd),
    /// All accounts
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Set a new password; all sessions of the account end
    Passwd(UserPasswd),
    /// One account
    Show {
        /// The account's name
        name: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Close an account: it signs in nowhere and all its sessions end
    Disable(Named),
    /// Open it again
    Enable(Named),
    /// Lift the locks that failed logins have put on an account
    Unlock(Named),
    /// Remove an account with its credentials and sessions
    Delete(Named),
    /// Replace an account's roles by these; without any, it has none
    Roles {
        /// The account's name
        name: String,
        /// All roles that it has from now on
        #[arg(value_name = "ROLE")]
        roles: Vec<String>,
        /// Print the account as JSON
        #[arg(long)]
        json: bool,
    },
}

/// One account, and how to tell what was done to it.
#[derive(Args, Debug)]
pub(super) struct Named {
    /// The account's name
    pub(super) name: String,
    /// Print the account as JSON
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct UserAdd {
    /// Its name: 1 to 64 of a-z 0-9 . _ - + @, or its own e-mail address
    pub(super) name: String,
    /// Its e-mail address, which counts as verified
    #[arg(long, value_name = "ADDRESS")]
    pub(super) email: Option<String>,
    /// A role it gets; may be given more than once
    #[arg(long = "role", value_name = "ROLE")]
    pub(super) roles: Vec<String>,
    /// The strategy that keeps the password [default: the only one that keeps any, else `[login] default`]
    #[arg(long, value_name = "ID")]
    pub(super) strategy: Option<String>,
    /// Read the password from stdin instead of asking for it
    #[arg(long)]
    pub(super) password_stdin: bool,
    /// Read a hash of the password (a PHC string, see `hash-password`) from stdin
    #[arg(long, conflicts_with = "password_stdin")]
    pub(super) password_hash_stdin: bool,
    /// Print a JSON object: uuid and name
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Args, Debug)]
pub(super) struct UserPasswd {
    /// The account's name
    pub(super) name: String,
    /// The strategy that keeps the password [default: as for `user add`]
    #[arg(long, value_name = "ID")]
    pub(super) strategy: Option<String>,
    /// Read the password from stdin instead of asking for it
    #[arg(long)]
    pub(super) password_stdin: bool,
    /// Print the account as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// An address and a port, or what to type instead.
fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "type an address and a port, as in 127.0.0.1:8080")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, error::ErrorKind};

    #[test]
    fn the_command_line_has_no_contradictions() {
        Arguments::command().debug_assert();
    }

    /// Those that end in something else than a result: a gateway that runs, a text for
    /// another program.
    const NOT_JSON: &[&str] = &["serve", "schema", "completions", "man"];

    fn without_json(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        // What is hidden is no verb of anybody's.
        if command.is_hide_set() {
            return;
        }
        if command.has_subcommands() {
            command.get_subcommands().for_each(|verb| without_json(verb, &path, found));
        } else if !command.get_arguments().any(|one| one.get_id() == "json") {
            found.push(path);
        }
    }

    #[test]
    fn every_verb_with_a_result_can_say_it_as_json() {
        let mut found = Vec::new();
        without_json(&Arguments::command(), "", &mut found);
        found.retain(|path| !NOT_JSON.iter().any(|verb| path.ends_with(&format!(" {verb}"))));
        assert!(found.is_empty(), "{found:?}");
    }

    #[test]
    fn the_configuration_may_be_named_before_or_after_what_is_done_with_a_user() {
        for line in ["user -c f add ann", "user add ann -c f", "user add -c f ann"] {
            let words = ["portcullis"].into_iter().chain(line.split(' '));
            let Verb::User(user) = Arguments::try_parse_from(words).unwrap().verb else { panic!("{line}") };
            assert_eq!(user.file.config, Some("f".into()), "{line}");
        }
    }

    #[test]
    fn a_key_whose_name_begins_with_a_hyphen_can_be_named() {
        for line in ["keys revoke -x_Y -c f", "keys -c f revoke -x_Y", "keys revoke -c f -x_Y"] {
            let words = ["portcullis"].into_iter().chain(line.split(' '));
            let Verb::Keys(keys) = Arguments::try_parse_from(words).unwrap().verb else { panic!("{line}") };
            assert_eq!(keys.file.config, Some("f".into()), "{line}");
            assert!(matches!(keys.verb, KeysVerb::Revoke { kid, .. } if kid == "-x_Y"), "{line}");
        }
    }

    #[test]
    fn a_password_is_never_an_argument_and_comes_from_one_place() {
        let parse = |line: &str| Arguments::try_parse_from(line.split(' ')).map_err(|e| e.kind());
        assert_eq!(parse("portcullis user add ann secret").unwrap_err(), ErrorKind::UnknownArgument);
        assert_eq!(parse("portcullis user add ann --password x").unwrap_err(), ErrorKind::UnknownArgument);
        assert_eq!(
            parse("portcullis user add ann --password-stdin --password-hash-stdin").unwrap_err(),
            ErrorKind::ArgumentConflict
        );
    }
}
