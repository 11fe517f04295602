//! pulp-server
