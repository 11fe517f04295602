//! Runs the built binary against a server of the test's own that answers what the test says, faults included.

mod access;
mod arguments;
mod faults;
#[cfg(feature = "embedded")]
mod mirror;
mod moving;
mod reading;
mod server;
mod settings;
mod sources;
mod tasks;
mod uploads;

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// What a run of the command left behind.
#[derive(Debug)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Run {
    /// Standard output as the one JSON document that it must be.
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The run, which must have succeeded.
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// The run, which must have failed with exit code 1 and nothing on standard output.
    fn failed(self) -> Self {
        assert_eq!(self.code, 1, "{self:?}");
        assert_eq!(self.out, "", "{self:?}");
        assert!(self.err.contains("Error: "), "{self:?}");
        self
    }
}

/// The command with an environment of its own: no settings but those of the arguments.
fn command(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pulp"));
    command.env_clear().env("HOME", home).env("NO_PROXY", "*").current_dir(home);
    command
}

/// Runs the command against the server, signed in.
fn pulp(server: &server::Server, arguments: &[&str]) -> Run {
    let home = tempfile::tempdir().unwrap();
    pulp_in(home.path(), server, arguments)
}

/// The same, in a directory that the test looks into afterwards.
fn pulp_in(directory: &Path, server: &server::Server, arguments: &[&str]) -> Run {
    finish(command(directory).args(["--base-url", &server.url(), "--username", "admin", "--password", "s3cret-word"]).args(arguments))
}

/// What the last call of a command asked the server: the line without the API root, and the body if there was one.
fn last_call(server: &server::Server, arguments: &[&str]) -> (String, Value) {
    pulp(server, arguments).ok();
    let last = server.seen().pop().unwrap();
    let body = if last.body.is_empty() { Value::Null } else { last.json() };
    (last.line().replace("/pulp/api/v3/", ""), body)
}

/// Runs a prepared command to its end.
fn finish(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().unwrap();
    Run { code: status.code().unwrap(), out: String::from_utf8(stdout).unwrap(), err: String::from_utf8(stderr).unwrap() }
}
