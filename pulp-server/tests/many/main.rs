//! Several processes on one PostgreSQL: what becomes of tasks when processes die, stop, lose their database.

mod chaos;
mod cluster;
mod probe;
mod upgrade;
mod verdict;
mod world;

use std::process::ExitCode;

/// No test: the server with a plugin of the tests', for [`world::Servers`]. What follows `--` are its arguments.
#[test]
#[ignore = "what the other tests start as a process of its own"]
fn process() {
    let mut arguments = std::env::args_os().skip_while(|argument| argument != "--").skip(1).peekable();
    if arguments.peek().is_some() {
        assert_eq!(pulp_server::main_of(arguments, |builder| builder.plugin(probe::Probes::of_this_release())), ExitCode::SUCCESS);
    }
}
