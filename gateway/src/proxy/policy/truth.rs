//! Three truths and what a list of them comes to (contract section 3, policy table). What
//! is unknown helps nobody: it is neither the one true of `any` nor a false of `none`.

/// What a rule comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not.
    False,
    /// There is nothing to judge it by.
    Unknown,
}

impl From<bool> for Truth {
    fn from(yes: bool) -> Self {
        if yes { Self::True } else { Self::False }
    }
}

/// At least one is true.
pub fn any(mut truths: impl Iterator<Item = Truth>) -> bool {
    truths.any(|truth| truth == Truth::True)
}

/// Every one is true.
pub fn all(mut truths: impl Iterator<Item = Truth>) -> bool {
    truths.all(|truth| truth == Truth::True)
}

/// Every one is false.
pub fn none(mut truths: impl Iterator<Item = Truth>) -> bool {
    truths.all(|truth| truth == Truth::False)
}
