//! The server’s binary.

use std::process::ExitCode;

// Many threads allocate small things of short life, and a sync needs much for a short time: fast, and given back to the system afterwards.
#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How the allocator behaves: memory that is free for half a second goes back, each core has a pool, and threads keep blocks of up to
/// 256 KiB, those that files are read in, at hand. An import of 70,000 units peaks at 108 MiB so, at 180 without; a large file goes out at
/// twice the rate.
///
/// Sound, because jemalloc looks for a symbol of this name and type: a pointer to a text that ends with a NUL and is never written.
#[cfg(feature = "jemalloc")]
#[allow(unsafe_code)]
#[used]
#[unsafe(export_name = "malloc_conf")]
static MALLOC_CONF: &[u8; 73] = b"dirty_decay_ms:500,muzzy_decay_ms:0,percpu_arena:percpu,lg_tcache_max:18\0";

fn main() -> ExitCode {
    pulp_server::main_with(|builder| builder)
}
