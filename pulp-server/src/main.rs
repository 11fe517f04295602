//! The server’s binary.

use std::process::ExitCode;

// Many threads allocate small things of short life, and a sync needs much for a short time: fast, and given back to the system afterwards.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    pulp_server::main_with(|builder| builder)
}
