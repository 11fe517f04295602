//! `pulp completions`

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::error::Result;
use crate::output;

/// Print the completions of a shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn exec(&self) -> Result<()> {
        let mut command = crate::cli::Cli::command();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, "pulp", &mut script);
        output::line(String::from_utf8_lossy(&script).trim_end())
    }
}
