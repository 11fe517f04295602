//! pulp
fn main() {}
