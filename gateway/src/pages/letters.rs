//! Mail, made of templates as pages are: `mail_NAME.txt`, whose first line is
//! `Subject: …`, and `mail_NAME.html`.

use super::{Pages, templates::Templates};
use crate::mail::{Letter, Notice};
use minijinja::{Error, ErrorKind, Value, context};
use portcullis_config::Problem;

/// The longest subject.
const LONGEST_SUBJECT: usize = 200;

/// A letter in words.
pub struct Written {
    /// One line.
    pub subject: String,
    /// For those who read text.
    pub text: String,
    /// The same as a page.
    pub html: String,
}

impl Pages {
    /// Writes a letter. A template of an operator that fails for this one gives way to ours.
    pub fn letter(&self, letter: &Letter) -> Written {
        self.write(&self.templates, letter).unwrap_or_else(|(name, error)| {
            tracing::error!(template = name, error = %error, "a mail could not be written");
            self.write(&Templates::built_in(), letter).unwrap_or_else(|(name, error)| {
                tracing::error!(template = name, error = %error, "a built-in mail could not be written");
                Written { subject: self.title.clone(), text: String::new(), html: String::new() }
            })
        })
    }

    /// What is wrong with the templates of mails.
    pub(super) fn try_letters(&self) -> Vec<Problem> {
        let faults =
            Letter::samples().into_iter().filter_map(|letter| self.write(&self.templates, &letter).err());
        faults.map(|(name, error)| self.templates.problem(&name, &error)).collect()
    }

    fn write(&self, templates: &Templates, letter: &Letter) -> Result<Written, (String, Error)> {
        let all = self.context(self.letter_context(letter));
        let render = |ending: &str| {
            let name = format!("{}.{ending}", letter.template());
            templates.render(&name, &all).map_err(|error| (name, error))
        };
        let (text, html) = (render("txt")?, render("html")?);
        let Some((subject, text)) = cut(&text) else {
            let why = "it must begin with a line `Subject: …`";
            return Err((format!("{}.txt", letter.template()), Error::new(ErrorKind::InvalidOperation, why)));
        };
        Ok(Written { subject, text: text.to_owned(), html })
    }

    fn letter_context(&self, letter: &Letter) -> Value {
        let login_url = format!("{}{}", self.origin, self.endpoints.login);
        let profile_url = format!("{}{}/me", self.origin, self.endpoints.auth);
        let own = match letter {
            Letter::Reset { name, link, lives } => context! { name, link, lives },
            Letter::Elsewhere { ways } => context! { ways },
            Letter::Verify { link, lives } => context! { link, lives },
            Letter::Changing { address } => context! { address },
            Letter::Taken => context! {},
            Letter::Notice(Notice::Password) => context! { event => "password" },
            Letter::Notice(Notice::Address(address)) => context! { event => "address", address },
            Letter::Notice(Notice::Added(way)) => context! { event => "added", way },
            Letter::Notice(Notice::Removed(way)) => context! { event => "removed", way },
        };
        context! { login_url, profile_url, ..own }
    }
}

/// The subject, and what follows it.
fn cut(text: &str) -> Option<(String, &str)> {
    let (first, rest) = text.split_once('\n')?;
    let subject: String = first.strip_prefix("Subject: ")?.trim().chars().take(LONGEST_SUBJECT).collect();
    (!subject.is_empty() && !subject.contains(char::is_control)).then_some((subject, rest.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn pages() -> Pages {
        let text = "[login]\ntitle = \"A & B\"\n[strategies.local]\nkind = \"local\"\n";
        Pages::new(&portcullis_config::parse(text, Path::new("/t/p.toml"), &[]).unwrap()).ok().unwrap()
    }

    #[test]
    fn every_letter_has_a_subject_a_text_and_a_page_that_say_the_same() {
        for letter in Letter::samples() {
            let written = pages().letter(&letter);
            assert!(written.subject.contains("A & B"), "{}", written.subject);
            assert!(!written.text.contains('<') && written.text.contains("A & B"), "{}", written.text);
            assert!(
                written.html.contains("A &amp; B") && written.html.ends_with("</html>"),
                "{}",
                written.html
            );
            for (word, texts) in [("ann@y.test", "mail_changing"), ("https://x.test/?token=x", "mail_reset")]
            {
                if letter.template() == texts {
                    assert!(written.text.contains(word) && written.html.contains(word));
                }
            }
        }
    }

    #[test]
    fn what_a_person_chose_is_text_in_a_page() {
        let link = "https://x.test/".to_owned();
        let letter = Letter::Reset { name: "<b>&".into(), link, lives: "1 minute".into() };
        let written = pages().letter(&letter);
        assert!(written.text.contains("<b>&") && written.html.contains("&lt;b&gt;&amp;"));
    }
}
