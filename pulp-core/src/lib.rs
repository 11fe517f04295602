//! Pulp as a library.
