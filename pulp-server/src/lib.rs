//! Pulp in one process: REST API, content and workers, or any subset of them, on top of [`pulp_core`].

pub mod config;
pub mod http;
