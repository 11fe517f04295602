//! pulp-server
fn main() {}
