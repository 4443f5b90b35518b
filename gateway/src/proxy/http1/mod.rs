//! HTTP/1.1 on both sides, strictly: heads, bodies, and how they are written again.

pub mod body;
pub mod head;
pub mod response;
