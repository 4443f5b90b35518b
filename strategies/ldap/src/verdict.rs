//! What a server's answer to a person's bind means: the password policy control of the
//! RFC servers, and the sub-codes of Active Directory.
//!
//! The one question that decides what the person may hear is whether the password was
//! right. Where a server says "locked" before it looked at the password, the answer stays
//! that of a wrong one.

use crate::wire::{
    message::{Done, code},
    policy_control::{self, PolicyAnswer, PolicyError},
};
use portcullis_plugin_api::{Denial, Denied};

/// What came of a bind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Come in.
    Right,
    /// The password was right and has to be changed first.
    MustChange(Reason),
    /// The password was right, and they may not come in.
    Barred(Bar),
    /// Wrong, or nobody, or locked: the person is not told which.
    Wrong(Reason),
    /// The server did not judge the password.
    Undecided,
}

/// For the log and the diagnosis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    WrongPassword,
    NobodyThere,
    Locked,
    Expired,
    Reset,
}

impl Reason {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong password",
            Self::NobodyThere => "nobody of that name",
            Self::Locked => "locked by the directory after failed attempts",
            Self::Expired => "the password has expired",
            Self::Reset => "the password was set by somebody else and must be changed",
        }
    }
}

/// Why somebody whose password was right may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bar {
    Disabled,
    AccountExpired,
    OutsideHours,
    NotFromHere,
    /// The password must be changed, and not here.
    Expired,
}

impl Bar {
    /// A sentence for the person.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Disabled => "Your account is disabled in the directory. Ask your administrator.",
            Self::AccountExpired => "Your account has expired in the directory. Ask your administrator.",
            Self::OutsideHours => "The directory does not let you sign in at this hour.",
            Self::NotFromHere => "The directory does not let you sign in from here.",
            Self::Expired => {
                "Your password has expired or must be changed. Change it where you usually do, then sign in again."
            }
        }
    }

    pub(crate) fn denied(self) -> Denied {
        Denied { reason: Denial::NotAdmitted, message: Some(self.sentence().to_owned()), subject: None }
    }
}

/// Reads the answer to a bind.
pub(crate) fn of(done: &Done) -> Verdict {
    let policy = match done.policy.as_deref().map(policy_control::read) {
        None => PolicyAnswer::default(),
        Some(Ok(policy)) => policy,
        // It could say that the password must be changed, so a yes is none.
        Some(Err(_)) if done.code == code::SUCCESS => return Verdict::Undecided,
        Some(Err(_)) => PolicyAnswer::default(),
    };
    match (done.code, policy.error) {
        (code::SUCCESS, Some(PolicyError::ChangeAfterReset)) => Verdict::MustChange(Reason::Reset),
        (code::SUCCESS, Some(PolicyError::PasswordExpired)) => Verdict::MustChange(Reason::Expired),
        (code::SUCCESS, _) if policy.grace.is_some() => Verdict::MustChange(Reason::Expired),
        (code::SUCCESS, Some(PolicyError::AccountLocked)) => Verdict::Wrong(Reason::Locked),
        (code::SUCCESS, _) => Verdict::Right,
        // Said only after the password was found right.
        (code::INVALID_CREDENTIALS | code::UNWILLING, Some(PolicyError::PasswordExpired)) => {
            Verdict::MustChange(Reason::Expired)
        }
        (code::INVALID_CREDENTIALS, Some(PolicyError::ChangeAfterReset)) => {
            Verdict::MustChange(Reason::Reset)
        }
        (_, Some(PolicyError::AccountLocked)) => Verdict::Wrong(Reason::Locked),
        (code::INVALID_CREDENTIALS, _) => active_directory(&done.text),
        // 389-ds: too many attempts, and an account that was made inactive.
        (code::CONSTRAINT | code::UNWILLING, _) => Verdict::Wrong(Reason::Locked),
        // inappropriateAuthentication: an entry without a password.
        (48, _) => Verdict::Wrong(Reason::WrongPassword),
        (code::NO_SUCH_OBJECT | code::INVALID_DN, _) => Verdict::Wrong(Reason::NobodyThere),
        _ => Verdict::Undecided,
    }
}

/// `… AcceptSecurityContext error, data 52e, v1db1`: Windows error codes in hexadecimal.
/// Active Directory gives all but 525, 52e and 775 for a right password only.
fn active_directory(text: &str) -> Verdict {
    let data = text.split_once("data ").map_or("", |(_, rest)| rest);
    let end = data.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(data.len());
    match data[..end].to_ascii_lowercase().as_str() {
        "525" => Verdict::Wrong(Reason::NobodyThere),
        "530" => Verdict::Barred(Bar::OutsideHours),
        "531" => Verdict::Barred(Bar::NotFromHere),
        "532" => Verdict::MustChange(Reason::Expired),
        "533" => Verdict::Barred(Bar::Disabled),
        "701" => Verdict::Barred(Bar::AccountExpired),
        "773" => Verdict::MustChange(Reason::Reset),
        "775" => Verdict::Wrong(Reason::Locked),
        _ => Verdict::Wrong(Reason::WrongPassword),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(code: u32, text: &str, policy: Option<&[u8]>) -> Verdict {
        of(&Done { code, text: text.to_owned(), policy: policy.map(<[u8]>::to_vec) })
    }

    #[test]
    fn every_sub_code_of_active_directory_is_told_apart() {
        let said = |code: &str| {
            let text = format!(
                "80090308: LdapErr: DSID-0C0903A9, comment: AcceptSecurityContext error, data {code}, v1db1"
            );
            verdict(49, &text, None)
        };
        for (code, expected) in [
            ("525", Verdict::Wrong(Reason::NobodyThere)),
            ("52e", Verdict::Wrong(Reason::WrongPassword)),
            ("52E", Verdict::Wrong(Reason::WrongPassword)),
            ("530", Verdict::Barred(Bar::OutsideHours)),
            ("531", Verdict::Barred(Bar::NotFromHere)),
            ("532", Verdict::MustChange(Reason::Expired)),
            ("533", Verdict::Barred(Bar::Disabled)),
            ("701", Verdict::Barred(Bar::AccountExpired)),
            ("773", Verdict::MustChange(Reason::Reset)),
            ("775", Verdict::Wrong(Reason::Locked)),
            ("5330", Verdict::Wrong(Reason::WrongPassword)),
            ("", Verdict::Wrong(Reason::WrongPassword)),
        ] {
            assert_eq!(said(code), expected, "{code}");
        }
    }

    #[test]
    fn the_policy_control_tells_expired_reset_and_locked_apart() {
        // What OpenLDAP 2.5 sends, byte by byte.
        let error = |number: u8| vec![0x30, 0x03, 0x81, 0x01, number];
        assert_eq!(verdict(0, "", None), Verdict::Right);
        assert_eq!(verdict(0, "", Some(&[0x30, 0x00])), Verdict::Right);
        assert_eq!(verdict(0, "", Some(&error(2))), Verdict::MustChange(Reason::Reset));
        assert_eq!(verdict(49, "", Some(&error(0))), Verdict::MustChange(Reason::Expired));
        assert_eq!(verdict(49, "", Some(&error(1))), Verdict::Wrong(Reason::Locked));
        assert_eq!(verdict(49, "", None), Verdict::Wrong(Reason::WrongPassword));
        let grace = [0x30, 0x05, 0xa0, 0x03, 0x81, 0x01, 0x02];
        assert_eq!(verdict(0, "", Some(&grace)), Verdict::MustChange(Reason::Expired));
        let will_expire = [0x30, 0x05, 0xa0, 0x03, 0x80, 0x01, 0x3c];
        assert_eq!(verdict(0, "", Some(&will_expire)), Verdict::Right);
    }

    #[test]
    fn a_control_that_cannot_be_read_lets_nobody_in() {
        for broken in [&[0x30, 0x05, 0x81][..], &[0x30, 0x03, 0x81, 0x01, 0x63], &[0x30]] {
            assert_eq!(verdict(49, "", Some(broken)), Verdict::Wrong(Reason::WrongPassword), "{broken:?}");
            assert_eq!(verdict(0, "", Some(broken)), Verdict::Undecided, "{broken:?}");
        }
    }

    #[test]
    fn a_server_that_did_not_judge_the_password_decides_nothing() {
        for code in [1, 2, 3, 7, 8, 10, 11, 13, 51, 52, 80] {
            assert_eq!(verdict(code, "", None), Verdict::Undecided, "{code}");
        }
    }
}
