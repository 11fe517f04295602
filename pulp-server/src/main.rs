//! The server’s binary.

use std::process::ExitCode;

// Many threads allocate small things of short life: half the time and memory of the system’s allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pulp_server::main_with(|builder| builder)
}
