//! The commands, one file each.

mod access_policy;
mod artifact;
mod audit;
mod completions;
mod config;
mod connection;
mod content;
mod content_guard;
mod crud;
mod debug;
mod distribution;
mod domain;
mod du;
mod export;
mod exporter;
mod file;
mod group;
mod import;
mod importer;
mod label;
#[cfg(feature = "embedded")]
mod mirror;
mod object_role;
mod orphan;
mod publication;
mod remote;
mod repository;
mod role;
mod role_assignment;
mod scrub;
mod show;
mod signing_service;
mod status;
mod task;
mod task_group;
mod task_schedule;
mod task_tail;
mod token;
mod transfer;
mod upload;
mod upstream_pulp;
mod user;
mod vulnerability_report;
mod webhook;
mod worker;

use clap::{Args, FromArgMatches, Subcommand};

use crate::context::Context;
use crate::error::Result;

/// Any command.
#[derive(Debug)]
pub(crate) enum Command {
    /// One that needs no server, and no sound settings.
    Local(LocalCommand),
    /// One that is a server itself.
    #[cfg(feature = "embedded")]
    Embedded(EmbeddedCommand),
    /// One that talks to a server.
    Remote(Box<RemoteCommand>),
}

/// Commands that need no server.
#[derive(Debug, Subcommand)]
pub(crate) enum LocalCommand {
    /// Make, check or edit the settings file
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Print the completions of a shell
    Completions(completions::Completions),
}

/// Commands that have the library inside.
#[cfg(feature = "embedded")]
#[derive(Debug, Subcommand)]
pub(crate) enum EmbeddedCommand {
    /// Mirror a repository into a local directory and serve it, without a server
    Mirror(mirror::Mirror),
}

#[cfg(feature = "embedded")]
impl EmbeddedCommand {
    /// Runs the command, on a runtime of its own.
    pub(crate) fn main(self) -> std::process::ExitCode {
        match self {
            Self::Mirror(command) => command.main(),
        }
    }
}

/// Commands that talk to a server.
#[derive(Debug, Subcommand)]
pub(crate) enum RemoteCommand {
    /// Access policies: who may do what
    #[command(subcommand)]
    AccessPolicy(access_policy::AccessPolicyCommand),
    /// Artifacts: stored files
    #[command(subcommand)]
    Artifact(artifact::ArtifactCommand),
    /// The record of who changed what
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Content units of all types
    #[command(subcommand)]
    Content(content::ContentCommand),
    /// Content guards: who may read what is distributed
    #[command(subcommand)]
    ContentGuard(Box<content_guard::ContentGuardCommand>),
    /// Questions about the server and its API
    #[command(subcommand)]
    Debug(debug::DebugCommand),
    /// Distributions of all types
    #[command(subcommand)]
    Distribution(distribution::DistributionCommand),
    /// Domains: separate places of content
    #[command(subcommand)]
    Domain(Box<domain::DomainCommand>),
    /// Show which repositories hold which bytes, and what would become free
    Du(du::DiskUsage),
    /// Exports: what exporters wrote
    #[command(subcommand)]
    Export(Box<export::ExportCommand>),
    /// Exporters: where repositories are written to
    #[command(subcommand)]
    Exporter(Box<exporter::ExporterCommand>),
    /// Repositories of plain files
    #[command(subcommand)]
    File(file::FileCommand),
    /// Groups of users
    #[command(subcommand)]
    Group(Box<group::GroupCommand>),
    /// Imports: what importers read
    #[command(subcommand)]
    Import(Box<import::ImportCommand>),
    /// Importers: which repositories get what another Pulp exported
    #[command(subcommand)]
    Importer(Box<importer::ImporterCommand>),
    /// Content that is in no repository
    #[command(subcommand)]
    Orphan(orphan::OrphanCommand),
    /// Publications of all types
    #[command(subcommand)]
    Publication(publication::PublicationCommand),
    /// Remotes of all types
    #[command(subcommand)]
    Remote(remote::RemoteCommand),
    /// Repositories of all types
    #[command(subcommand)]
    Repository(repository::RepositoryCommand),
    /// Roles: sets of permissions
    #[command(subcommand)]
    Role(Box<role::RoleCommand>),
    /// The scrub: stored files that are read again to find damage
    #[command(subcommand)]
    Scrub(scrub::ScrubCommand),
    /// Show any resource by its href or PRN
    Show(show::Show),
    /// Services that sign metadata
    #[command(subcommand)]
    SigningService(signing_service::SigningServiceCommand),
    /// Show the state of the server
    Status(status::Status),
    /// Tasks
    #[command(subcommand)]
    Task(task::TaskCommand),
    /// Groups of tasks
    #[command(subcommand)]
    TaskGroup(task_group::TaskGroupCommand),
    /// Schedules: tasks that recur
    #[command(subcommand)]
    TaskSchedule(task_schedule::TaskScheduleCommand),
    /// Tokens: with which programs sign in
    #[command(subcommand)]
    Token(token::TokenCommand),
    /// Unfinished uploads
    #[command(subcommand)]
    Upload(upload::UploadCommand),
    /// Upstreams: other Pulps whose distributions are replicated
    #[command(subcommand)]
    UpstreamPulp(upstream_pulp::UpstreamPulpCommand),
    /// Users
    #[command(subcommand)]
    User(Box<user::UserCommand>),
    /// Reports of vulnerabilities in content
    #[command(subcommand)]
    VulnerabilityReport(vulnerability_report::VulnerabilityReportCommand),
    /// Webhooks: who is told of what happens
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Workers
    #[command(subcommand)]
    Worker(worker::WorkerCommand),
}

impl LocalCommand {
    /// Runs the command.
    pub(crate) fn exec(self) -> Result<()> {
        match self {
            Self::Config(command) => command.exec(),
            Self::Completions(command) => command.exec(),
        }
    }
}

impl RemoteCommand {
    /// Runs the command.
    pub(crate) async fn exec(self, cx: &Context) -> Result<()> {
        match self {
            Self::AccessPolicy(command) => command.exec(cx).await,
            Self::Artifact(command) => command.exec(cx).await,
            Self::Audit(command) => command.exec(cx).await,
            Self::Content(command) => command.exec(cx).await,
            Self::ContentGuard(command) => command.exec(cx).await,
            Self::Debug(command) => command.exec(cx).await,
            Self::Distribution(command) => command.exec(cx).await,
            Self::Domain(command) => command.exec(cx).await,
            Self::Du(command) => command.exec(cx).await,
            Self::Export(command) => command.exec(cx).await,
            Self::Exporter(command) => command.exec(cx).await,
            Self::File(command) => command.exec(cx).await,
            Self::Group(command) => command.exec(cx).await,
            Self::Import(command) => command.exec(cx).await,
            Self::Importer(command) => command.exec(cx).await,
            Self::Orphan(command) => command.exec(cx).await,
            Self::Publication(command) => command.exec(cx).await,
            Self::Remote(command) => command.exec(cx).await,
            Self::Repository(command) => command.exec(cx).await,
            Self::Role(command) => command.exec(cx).await,
            Self::Scrub(command) => command.exec(cx).await,
            Self::Show(command) => command.exec(cx).await,
            Self::SigningService(command) => command.exec(cx).await,
            Self::Status(command) => command.exec(cx).await,
            Self::Task(command) => command.exec(cx).await,
            Self::TaskGroup(command) => command.exec(cx).await,
            Self::TaskSchedule(command) => command.exec(cx).await,
            Self::Token(command) => command.exec(cx).await,
            Self::Upload(command) => command.exec(cx).await,
            Self::UpstreamPulp(command) => command.exec(cx).await,
            Self::User(command) => command.exec(cx).await,
            Self::VulnerabilityReport(command) => command.exec(cx).await,
            Self::Webhook(command) => command.exec(cx).await,
            Self::Worker(command) => command.exec(cx).await,
        }
    }
}

// All kinds of command stand side by side on the command line. The derive cannot merge enums, these lines do.
impl Subcommand for Command {
    fn augment_subcommands(command: clap::Command) -> clap::Command {
        let command = LocalCommand::augment_subcommands(command);
        #[cfg(feature = "embedded")]
        let command = EmbeddedCommand::augment_subcommands(command);
        RemoteCommand::augment_subcommands(command)
    }

    fn augment_subcommands_for_update(command: clap::Command) -> clap::Command {
        Self::augment_subcommands(command)
    }

    fn has_subcommand(name: &str) -> bool {
        #[cfg(feature = "embedded")]
        if EmbeddedCommand::has_subcommand(name) {
            return true;
        }
        LocalCommand::has_subcommand(name) || RemoteCommand::has_subcommand(name)
    }
}

impl FromArgMatches for Command {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(name) if LocalCommand::has_subcommand(name) => LocalCommand::from_arg_matches(matches).map(Self::Local),
            #[cfg(feature = "embedded")]
            Some(name) if EmbeddedCommand::has_subcommand(name) => EmbeddedCommand::from_arg_matches(matches).map(Self::Embedded),
            _ => RemoteCommand::from_arg_matches(matches).map(|command| Self::Remote(Box::new(command))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// A command that lists a collection and takes no filters.
#[derive(Debug, Args)]
pub(crate) struct PlainList {
    #[command(flatten)]
    page: crate::list::Page,
}

impl PlainList {
    /// Lists the collection.
    pub(crate) async fn exec(&self, cx: &Context, path: &str) -> Result<()> {
        self.page.exec(cx, path, crate::client::Query::new()).await
    }
}
