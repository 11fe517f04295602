//! Pulp as a library.

pub mod digest;
