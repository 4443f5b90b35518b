//! What the demo prints: where to go, who to be, and three commands that work as they
//! stand.

use super::{super::output::result, Folder};

/// What is to be told.
pub(super) struct Told<'a> {
    pub(super) url: &'a str,
    pub(super) name: &'a str,
    pub(super) password: &'a str,
    pub(super) folder: &'a Folder,
}

impl Told<'_> {
    /// One line for machines.
    pub(super) fn as_json(&self) {
        result(&self.line());
    }

    fn line(&self) -> String {
        // In the order of the contract, for those who read it with their eyes after all.
        let [url, name, password] = [self.url, self.name, self.password].map(serde_json::Value::from);
        format!("{{\"url\":{url},\"name\":{name},\"password\":{password}}}")
    }

    /// The same for people.
    pub(super) fn as_text(&self) {
        result(&self.text());
    }

    fn text(&self) -> String {
        let Self { url, name, password, folder } = self;
        let jar = quoted(&folder.path().join("cookies").display().to_string());
        let after = if folder.stays() {
            format!("Ctrl-C ends it; accounts and keys stay in {}.", folder.path().display())
        } else {
            "Ctrl-C ends it and removes everything.".to_owned()
        };
        format!(
            "Portcullis demo: a gateway with a login before an application that says what it receives.\n\
             \n  URL       {url}\n  name      {name}\n  password  {password}\n\
             \nOpen the URL in a browser, or sign in, call the application, and be refused without a login:\n\
             \n  curl -s -w '\\n' -c {jar} -H 'Content-Type: application/json' -d '{{\"username\":\"{name}\",\"password\":\"{password}\"}}' {url}/login\
             \n  curl -s -b {jar} {url}/hello\
             \n  curl -s -i -w '\\n' {url}/hello\n\
             \n{after}"
        )
    }
}

/// One word for a shell.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn machines_get_one_line_and_people_three_commands_in_order() {
        let folder = Folder::new(None, &Random::system()).unwrap();
        let told = Told { url: "http://127.0.0.1:1", name: "demo", password: "p", folder: &folder };
        assert_eq!(told.line(), r#"{"url":"http://127.0.0.1:1","name":"demo","password":"p"}"#);
        let text = told.text();
        let commands: Vec<_> = text.lines().map(str::trim).filter(|l| l.starts_with("curl ")).collect();
        assert_eq!(commands.len(), 3, "{text}");
        assert!(commands[0].ends_with("/login") && commands[1].contains(" -b "), "{text}");
        assert!(!commands[2].contains(" -b "), "{text}");
    }

    #[test]
    fn a_path_is_one_word_for_a_shell_whatever_is_in_it() {
        assert_eq!(quoted("/tmp/portcullis-demo-1/cookies"), "/tmp/portcullis-demo-1/cookies");
        assert_eq!(quoted("/a b/it's"), "'/a b/it'\\''s'");
    }
}
