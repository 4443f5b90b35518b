//! The compiled configuration that a request reads.
