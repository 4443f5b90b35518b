//! The password policy control (draft-behera-ldap-password-policy-10 §6): asked for with
//! every bind and change of a password, read out of the answer.

use super::{
    Trouble,
    ber::{self, Reader, SEQUENCE},
};

/// The control's name, of the request and of the answer.
pub(crate) const OID: &str = "1.3.6.1.4.1.42.2.27.8.5.1";

/// What the control said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct PolicyAnswer {
    /// Logins that are left with an expired password.
    pub(crate) grace: Option<u32>,
    pub(crate) error: Option<PolicyError>,
}

/// Its errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PolicyError {
    PasswordExpired,
    AccountLocked,
    ChangeAfterReset,
    ModificationNotAllowed,
    MustSupplyOld,
    QualityTooLow,
    TooShort,
    TooYoung,
    InHistory,
    /// A later addition (OpenLDAP 2.6).
    TooLong,
}

pub(crate) fn read(value: &[u8]) -> Result<PolicyAnswer, Trouble> {
    const WHAT: Trouble = Trouble::Malformed("a password policy control that cannot be read");
    let mut answer = PolicyAnswer::default();
    let mut outer = Reader::new(value);
    let Some(inner) = outer.optional(SEQUENCE)? else { return Ok(answer) };
    let mut fields = Reader::new(inner);
    while let Some((tag, content)) = fields.next()? {
        match tag {
            // The warning is a choice, so its tag holds another: [1] is what is left.
            0xa0 => {
                if let Some(left) = Reader::new(content).optional(0x81)? {
                    answer.grace = Some(ber::number(left).ok_or(WHAT)?);
                }
            }
            0x81 => answer.error = Some(error(ber::number(content).ok_or(WHAT)?).ok_or(WHAT)?),
            _ => {}
        }
    }
    Ok(answer)
}

fn error(number: u32) -> Option<PolicyError> {
    Some(match number {
        0 => PolicyError::PasswordExpired,
        1 => PolicyError::AccountLocked,
        2 => PolicyError::ChangeAfterReset,
        3 => PolicyError::ModificationNotAllowed,
        4 => PolicyError::MustSupplyOld,
        5 => PolicyError::QualityTooLow,
        6 => PolicyError::TooShort,
        7 => PolicyError::TooYoung,
        8 => PolicyError::InHistory,
        9 => PolicyError::TooLong,
        _ => return None,
    })
}
