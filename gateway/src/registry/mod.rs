//! Strategies: kinds by name, configured instances by id, and the guard around every
//! call to one.

/// The configured strategies. Cheap to clone.
#[derive(Clone)]
pub struct Registry {}
