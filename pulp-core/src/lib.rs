//! Pulp as a library.

pub mod crypto;
pub mod digest;
pub mod storage;
