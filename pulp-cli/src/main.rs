//! The `pulp` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pulp_cli::main(std::env::args_os())
}
