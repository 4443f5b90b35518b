//! What is written to people. The words are templates (`pages/templates/mail_*`), which an
//! operator may replace like pages.

/// A letter. What a stranger chose (a name at registration) is in none that goes to an
/// address which may be somebody else's.
#[derive(Clone)]
pub enum Letter {
    /// A link to a new password, to somebody who asked for it.
    Reset {
        /// The name they sign in with.
        name: String,
        /// The link.
        link: String,
        /// How long it is good, in words.
        lives: String,
    },
    /// There is no password here to be set anew.
    Elsewhere {
        /// The titles of the ways they sign in.
        ways: Vec<String>,
    },
    /// A link that proves an address.
    Verify {
        /// The link.
        link: String,
        /// How long it is good, in words.
        lives: String,
    },
    /// To the address so far: another one is to take its place.
    Changing {
        /// The other one.
        address: String,
    },
    /// Somebody wanted to register with a name or an address that is theirs.
    Taken,
    /// How their account is guarded has changed.
    Notice(Notice),
}

/// What has changed of how an account is guarded: whoever it belongs to hears of it, so that
/// a thief cannot do it quietly.
#[derive(Clone, Debug)]
pub enum Notice {
    /// It has another password.
    Password,
    /// This address has taken the place of the one that is written to.
    Address(String),
    /// It can be signed in to in one more way, of this title.
    Added(String),
    /// A way to sign in was taken away.
    Removed(String),
}

impl std::fmt::Debug for Letter {
    // Without the link, which opens an account, and without whom it is about.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.template())
    }
}

impl Letter {
    /// The stem of its templates' names.
    pub(crate) fn template(&self) -> &'static str {
        match self {
            Self::Reset { .. } => "mail_reset",
            Self::Elsewhere { .. } => "mail_elsewhere",
            Self::Verify { .. } => "mail_verify",
            Self::Changing { .. } => "mail_changing",
            Self::Taken => "mail_taken",
            Self::Notice(_) => "mail_notice",
        }
    }

    /// One of each, for whoever tries the templates.
    pub(crate) fn samples() -> Vec<Self> {
        let (link, lives) = ("https://x.test/?token=x".to_owned(), "15 minutes".to_owned());
        vec![
            Self::Reset { name: "ann".into(), link: link.clone(), lives: lives.clone() },
            Self::Elsewhere { ways: vec!["Corp".into()] },
            Self::Elsewhere { ways: vec![] },
            Self::Verify { link, lives },
            Self::Changing { address: "ann@y.test".into() },
            Self::Taken,
            Self::Notice(Notice::Password),
            Self::Notice(Notice::Address("ann@y.test".into())),
            Self::Notice(Notice::Added("Corp".into())),
            Self::Notice(Notice::Removed("Corp".into())),
        ]
    }
}
