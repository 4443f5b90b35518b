//! What an account may be called, and what a person may type to mean it (contract
//! section 1, Account names).
//!
//! Names do not depend on who came first: one strategy gives bare names, all others give
//! `name@strategy-id`.

use portcullis_config::Config;
use unicode_normalization::UnicodeNormalization;

/// The most characters of a name that is no address.
const MAX_NAME: usize = 64;
/// The most bytes of an address (RFC 5321 §4.5.3.1.3, less the angle brackets).
const MAX_ADDRESS: usize = 254;

/// A name that an account may have. Whether somebody has it already is the store's to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text itself.
    pub fn into_string(self) -> String {
        self.0
    }
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameRefused {
    /// Nothing, or more than 64 characters.
    Length,
    /// A character outside the alphabet.
    Character(char),
    /// It ends in `@` and the id of a strategy.
    Reserved,
    /// It is written as a uuid, which somebody else may be told as.
    Uuid,
    /// No e-mail address.
    Address,
    /// An address that ends as the names of a strategy do.
    ReservedAddress,
}

impl std::fmt::Display for NameRefused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Length => f.write_str("a name has between 1 and 64 characters"),
            Self::Character(c) => {
                write!(f, "a name may not have {c:?}; use letters a-z, digits and . _ - + @")
            }
            Self::Reserved => {
                f.write_str("a name may not end in @ and the id of a strategy; leave the ending out")
            }
            Self::Uuid => f.write_str("a name may not be a uuid"),
            Self::ReservedAddress => f.write_str("an address may not end in @ and the id of a strategy"),
            Self::Address => f.write_str("this is not an e-mail address"),
        }
    }
}

impl std::error::Error for NameRefused {}

/// NFKC and case folding, so that two spellings of one name are one text. Whatever comes
/// in, folding the result again changes nothing.
pub fn fold(text: &str) -> String {
    // One pass can make new work for the other (a capital inside a compatibility
    // character); two are enough for what Unicode has, and the loop says so itself.
    let mut folded = fold_once(text);
    for _ in 0..4 {
        let again = fold_once(&folded);
        if again == folded {
            break;
        }
        folded = again;
    }
    folded
}

fn fold_once(text: &str) -> String {
    let lower = text.nfkc().collect::<String>().to_lowercase();
    // Where folding is more than lower case (Unicode CaseFolding.txt, status F and C).
    let folded: String = lower.replace('ß', "ss").replace('ς', "σ").nfkc().collect();
    folded.trim().to_owned()
}

/// A bare name: 1 to 64 of `a-z 0-9 . _ - + @`. No uuid: an account whose name is an
/// address that nobody has proved is told to others as its uuid, and would be told as the
/// account of that name.
pub fn new_name(text: &str) -> Result<Name, NameRefused> {
    let name = spelled(text)?;
    if name.0.len() == uuid::fmt::Hyphenated::LENGTH && uuid::Uuid::try_parse(&name.0).is_ok() {
        return Err(NameRefused::Uuid);
    }
    Ok(name)
}

/// Of the alphabet, and not too long.
fn spelled(text: &str) -> Result<Name, NameRefused> {
    let name = fold(text);
    if let Some(odd) = name.chars().find(|c| !is_of_alphabet(*c)) {
        return Err(NameRefused::Character(odd));
    }
    if name.is_empty() || name.len() > MAX_NAME {
        return Err(NameRefused::Length);
    }
    Ok(Name(name))
}

fn is_of_alphabet(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-' | '+' | '@')
}

/// An e-mail address in small letters: words with dots between them (RFC 5322 §3.2.3,
/// RFC 6531), one `@`, a host name. Whether it exists only a mail can tell.
///
/// One that folds into other letters is refused, not folded: `meße.example` and
/// `messe.example` are two domains of two owners (RFC 5892).
pub fn new_address(text: &str) -> Result<String, NameRefused> {
    let address = fold(text);
    let small: String = text.trim().nfc().collect::<String>().to_lowercase().nfc().collect();
    if small != address {
        return Err(NameRefused::Address);
    }
    let (local, host) = address.rsplit_once('@').ok_or(NameRefused::Address)?;
    // No quotes, no controls, and nothing that cannot be seen.
    let of_word = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let word = |word: &str| !word.is_empty() && word.chars().all(of_word);
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let fits = address.len() <= MAX_ADDRESS
        && local.len() <= 64
        && local.split('.').all(word)
        && host.split('.').all(label)
        && crate::mail::can_be_written_to(&address);
    if fits { Ok(address) } else { Err(NameRefused::Address) }
}

/// Who gives which names, by the configuration.
#[derive(Clone, Debug)]
pub struct Names {
    bare: Option<String>,
    ids: Vec<String>,
}

impl Names {
    /// By `[accounts] bare_names`, else the default strategy.
    pub fn new(config: &Config) -> Self {
        Self {
            bare: config.accounts.bare_names.clone().or_else(|| config.login.default.clone()),
            ids: {
                let strategies = config.strategies.iter().map(|s| s.id.clone());
                strategies.chain(config.token.trusted.iter().map(|issuer| issuer.id.clone())).collect()
            },
        }
    }

    /// The name of a new account that `strategy` makes: as it is, or with the strategy's
    /// ending. The account's own address is a name too.
    pub fn new_account(
        &self,
        strategy: &str,
        text: &str,
        address: Option<&str>,
    ) -> Result<Name, NameRefused> {
        let folded = fold(text);
        let own_ending = format!("@{strategy}");
        let is_bare = self.bare.as_deref() == Some(strategy);
        let stem = if is_bare { &folded } else { folded.strip_suffix(&own_ending).unwrap_or(&folded) };
        // Folding trims a line end; whoever sent one meant something else.
        if let Some(odd) = text.chars().find(|c| c.is_control()) {
            return Err(NameRefused::Character(odd));
        }
        if self.is_reserved(stem) {
            return Err(NameRefused::Reserved);
        }
        if is_bare && address.is_some_and(|address| fold(address) == folded) {
            return new_address(text).map(Name);
        }
        if is_bare { new_name(stem) } else { new_name(&format!("{}{own_ending}", spelled(stem)?.as_str())) }
    }

    /// An address that somebody gives themselves: it opens logins as a name does, so the
    /// form of a strategy's names is not for it.
    pub fn address(&self, text: &str) -> Result<String, NameRefused> {
        let address = new_address(text)?;
        if self.is_reserved(&address) { Err(NameRefused::ReservedAddress) } else { Ok(address) }
    }

    fn is_reserved(&self, text: &str) -> bool {
        self.ids.iter().any(|id| text.strip_suffix(id.as_str()).is_some_and(|stem| stem.ends_with('@')))
    }

    /// Whether a name that `strategy` gave has an `@` of its own: then it may pass for an
    /// address.
    pub fn has_at(&self, strategy: &str, name: &Name) -> bool {
        let ending = format!("@{strategy}");
        let is_bare = self.bare.as_deref() == Some(strategy);
        let stem = if is_bare { &name.0 } else { name.0.strip_suffix(&ending).unwrap_or(&name.0) };
        stem.contains('@')
    }

    /// What somebody may mean who types `text` at the form of `strategy`, the likelier
    /// first: at a strategy's own form its ending may be left out.
    pub fn meant(&self, strategy: &str, text: &str) -> Vec<String> {
        let folded = fold(text);
        if self.bare.as_deref() == Some(strategy) {
            return vec![folded];
        }
        vec![format!("{folded}@{strategy}"), folded]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> Names {
        Names { bare: Some("local".into()), ids: vec!["local".into(), "staff".into()] }
    }

    #[test]
    fn spellings_of_one_name_are_one_name() {
        for text in ["Ann", " ann ", "ＡＮＮ", "ANN"] {
            assert_eq!(new_name(text).unwrap().as_str(), "ann", "{text}");
        }
        assert_eq!(new_name("Straße").unwrap(), new_name("STRASSE").unwrap());
        assert_eq!(new_name("\u{212a}elvin").unwrap().as_str(), "kelvin");
    }

    #[test]
    fn what_is_outside_the_alphabet_is_refused_by_character() {
        assert_eq!(new_name("a b"), Err(NameRefused::Character(' ')));
        assert_eq!(new_name("ann\0"), Err(NameRefused::Character('\0')));
        assert_eq!(new_name("аnn"), Err(NameRefused::Character('а'))); // Cyrillic
        assert_eq!(new_name(""), Err(NameRefused::Length));
        assert_eq!(new_name(&"x".repeat(65)), Err(NameRefused::Length));
        assert!(new_name(&"x".repeat(64)).is_ok());
    }

    #[test]
    fn an_address_has_something_one_at_and_a_host() {
        assert_eq!(new_address("Ann@X.io").unwrap(), "ann@x.io");
        assert!(new_address("ann@localhost").is_ok());
        let long = format!("{}@x.io", "a".repeat(65));
        for bad in
            ["", "ann", "@x.io", "ann@", "a b@x.io", "a@b@x.io", "ann@x..io", "ann@-x.io", "a\n@x.io", &long]
        {
            assert_eq!(new_address(bad), Err(NameRefused::Address), "{bad:?}");
        }
    }

    #[test]
    fn an_address_to_which_no_mail_can_be_written_is_none() {
        for bad in [
            "a..b@x.io",
            ".a@x.io",
            "a.@x.io",
            "zw\u{200b}x@x.io",
            "a\u{202e}b@x.io",
            "a\u{feff}@x.io",
            &format!("a@{}.io", "b".repeat(64)),
            &format!("a@{}io", "b.".repeat(127)),
        ] {
            assert_eq!(new_address(bad), Err(NameRefused::Address), "{bad:?}");
        }
        for good in ["a.b@x.io", "o'brien+tag@x.io", "jürgen@bücher.example", "a_b@b-c.x.io"] {
            assert_eq!(new_address(good).unwrap(), good);
        }
    }

    #[test]
    fn an_address_never_becomes_that_of_another_mailbox_or_domain() {
        for bad in ["ann@me\u{df}e.example", "stra\u{df}e@x.io", "\u{ff41}nn@x.io", "ni\u{3c2}@x.io"] {
            assert_eq!(new_address(bad), Err(NameRefused::Address), "{bad:?}");
        }
        assert_eq!(
            new_address(" Ju\u{308}rgen@X.io ").unwrap(),
            "j\u{fc}rgen@x.io",
            "one letter, two spellings"
        );
    }

    #[test]
    fn nobody_is_called_by_a_uuid_or_gives_themselves_the_form_of_a_strategys_names() {
        let uuid = "8756C873-8652-444a-a2df-3065983016d8";
        assert_eq!(names().new_account("local", uuid, None), Err(NameRefused::Uuid));
        let at_staff = names().new_account("staff", uuid, None).unwrap();
        assert_eq!(at_staff.as_str(), format!("{}@staff", uuid.to_lowercase()));
        assert_eq!(names().address("ann@staff"), Err(NameRefused::ReservedAddress));
        assert_eq!(names().address("ann@staff.example").unwrap(), "ann@staff.example");
    }

    #[test]
    fn a_name_with_a_line_end_is_refused_and_not_trimmed() {
        for odd in ["carl\n", "\tcarl", "carl\u{b}"] {
            assert!(
                matches!(names().new_account("local", odd, None), Err(NameRefused::Character(_))),
                "{odd:?}"
            );
        }
    }

    #[test]
    fn one_strategy_gives_bare_names_and_the_others_an_ending() {
        let made =
            |strategy: &str, text: &str| names().new_account(strategy, text, None).map(Name::into_string);
        assert_eq!(made("local", "Ann").unwrap(), "ann");
        assert_eq!(made("staff", "Ann").unwrap(), "ann@staff");
        assert_eq!(made("staff", "ann@staff").unwrap(), "ann@staff");
        assert_eq!(made("local", "ann@staff"), Err(NameRefused::Reserved));
        assert_eq!(made("local", "ann@LOCAL"), Err(NameRefused::Reserved));
        assert_eq!(made("staff", "ann@local"), Err(NameRefused::Reserved));
        assert_eq!(made("local", "ann@estaff").unwrap(), "ann@estaff");
    }

    #[test]
    fn the_own_address_is_a_name_even_when_it_is_long() {
        let address = format!("{}@{}.example", "a".repeat(60), "b".repeat(60));
        assert!(names().new_account("local", &address, None).is_err());
        let name = names().new_account("local", &address, Some(&address.to_uppercase())).unwrap();
        assert_eq!(name.as_str(), address);
    }

    #[test]
    fn at_its_own_form_the_ending_may_be_left_out() {
        assert_eq!(names().meant("local", "Ann"), ["ann"]);
        assert_eq!(names().meant("staff", "Ann"), ["ann@staff", "ann"]);
    }

    proptest! {
        #[test]
        fn folding_twice_is_folding_once(text in "\\PC{0,20}") {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn whatever_is_an_address_can_be_written_into_a_mail_and_stays_as_it_is(
            text in "[a-zA-Zß\\u{200b}.+'\"-]{1,5}@[a-zA-Zßéς.-]{1,9}"
        ) {
            if let Ok(address) = new_address(&text) {
                prop_assert!(crate::mail::can_be_written_to(&address));
                prop_assert_eq!(new_address(&address), Ok(address.clone()));
                prop_assert_eq!(address.chars().count(), text.chars().count());
            }
        }

        #[test]
        fn a_name_is_made_of_its_alphabet_or_refused(text in "\\PC{0,80}") {
            if let Ok(name) = new_name(&text) {
                prop_assert!((1..=64).contains(&name.as_str().len()));
                prop_assert!(name.as_str().chars().all(is_of_alphabet));
            }
        }
    }
}
