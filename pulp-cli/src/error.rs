//! What can go wrong, as the user reads it.

use std::path::PathBuf;

use http::StatusCode;

/// The result of everything in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the command line. Its text is what stands after `Error:` on standard error; it never holds a secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The asynchronous runtime could not start.
    #[error("cannot start: {0}")]
    Runtime(#[source] std::io::Error),

    /// A settings file cannot be read or is wrong.
    #[error("settings file '{}': {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Which key, what is wrong with it, and what it should be.
        reason: String,
    },

    /// Settings that do not go together, or an argument that needs another one.
    #[error("{0}")]
    Usage(String),

    /// A file of the user cannot be read or written.
    #[error("cannot {action} '{}': {source}", path.display())]
    File {
        /// "read", "write", ….
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },

    /// The server cannot be reached, or the connection broke.
    #[error("{operation}: cannot talk to {url}: {reason}")]
    Transport {
        /// What was asked.
        operation: String,
        /// Where, without credentials.
        url: String,
        /// The causes, outermost first.
        reason: String,
    },

    /// The server answered with an error.
    #[error("{message}")]
    Server {
        /// The status of the answer.
        status: StatusCode,
        /// The server's own words, one line per field.
        message: String,
    },

    /// The server has nothing at the path, not even an API that could say so.
    #[error("{operation}: the server has no such path; is its API below another --api-root, or does it lack the plugin?")]
    NoRoute {
        /// What was asked.
        operation: String,
    },

    /// The server answered with something that is not an answer of a Pulp server.
    #[error("{operation}: {reason}; is {url} the address of a Pulp API?")]
    NotPulp {
        /// What was asked.
        operation: String,
        /// Where, without credentials.
        url: String,
        /// What is wrong with the answer.
        reason: String,
    },

    /// The server took another correlation id than the one sent.
    #[error("the server did not take the correlation id '{sent}' but used '{got}': it must be 32 hexadecimal digits")]
    Correlation {
        /// What `--cid` said.
        sent: String,
        /// What the server answered.
        got: String,
    },

    /// `--dry-run` stopped a call that would change something.
    #[error("dry run: {method} {url} was not sent")]
    DryRun {
        /// The method of the call.
        method: http::Method,
        /// Where, without credentials.
        url: String,
    },

    /// No resource matches.
    #[error("could not find {noun} with {criteria}")]
    NotFound {
        /// What was looked for: "file repository".
        noun: String,
        /// By which fields: "name 'foo'".
        criteria: String,
    },

    /// A task ended in failure or was canceled.
    #[error("task {href} {state}: {description}")]
    Task {
        /// Href of the task.
        href: String,
        /// "failed" or "canceled".
        state: String,
        /// The server's description.
        description: String,
    },

    /// Tasks of a group ended in failure.
    #[error("task group {href}: {failed} failed, {canceled} canceled")]
    TaskGroup {
        /// Href of the group.
        href: String,
        /// How many failed.
        failed: u64,
        /// How many were canceled.
        canceled: u64,
    },

    /// `--timeout` ran out; the task goes on. Not a failure, as in the Python client.
    #[error("Waiting for task {href} timed out.")]
    TimedOut {
        /// Href of the task.
        href: String,
    },

    /// The user pressed Ctrl-C while waiting for a task or a group; it goes on.
    #[error("No longer waiting for {href}; it continues in the background.")]
    Detached {
        /// Href of the task or the group.
        href: String,
    },

    /// The user pressed Ctrl-C while the command itself was at work.
    #[error("Interrupted. What was stored stays: run the same command again to go on.")]
    Stopped,

    /// The library, inside of this command, failed.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Library(#[from] pulp_core::Error),

    /// The server, inside of this command, failed.
    #[cfg(feature = "embedded")]
    #[error(transparent)]
    Serve(#[from] pulp_server::ServeError),

    /// The user pressed Ctrl-C at another time.
    #[error("Interrupted.")]
    Interrupted,

    /// A check whose answer is "no", already printed.
    #[error("the answer is no")]
    No,

    /// Standard output cannot be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] std::io::Error),
}

impl Error {
    /// An [`Error::Usage`].
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// The exit code of the process for this error.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::TimedOut { .. } => 0,
            Self::Detached { .. } | Self::Interrupted | Self::Stopped => 130,
            _ => 1,
        }
    }
}
