//! `pulp task`

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::object_role::ObjectRoleCommand;
use super::task_tail::Tail;
use super::worker::WORKER;
use crate::args::{moment, name, switch};
use crate::client::Query;
use crate::context::{Context, Followed};
use crate::error::{Error, Result};
use crate::list::Page;
use crate::lookup::{Lookup as _, UuidLookup, uuid};
use crate::output;
use crate::reference::Reference;
use crate::resource::{Body, Kind, text};
use crate::wait;

/// Tasks are the work that a server does in the background.
pub(crate) static TASK: Kind = Kind::known("task", "tasks/");

/// The states of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum State {
    Waiting,
    Skipped,
    Running,
    Completed,
    Failed,
    Canceled,
    Canceling,
}

/// The states of a task that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FinalState {
    Skipped,
    Completed,
    Failed,
    Canceled,
}

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// List tasks
    List(Box<List>),
    /// Show a task
    Show(Show),
    /// Wait until a task ends, and show it
    Wait(UuidLookup),
    /// Show what happens to a task, until it ends
    Tail(Tail),
    /// Cancel a task, or many, and wait until they are
    Cancel(Cancel),
    /// Delete the record of a task that has ended
    Destroy(UuidLookup),
    /// Delete the records of tasks that ended some time ago
    Purge(Purge),
    /// Count the tasks by state
    Summary,
    /// Show where to fetch what was recorded while a task ran
    ProfileArtifactUrls(ProfileArtifactUrls),
    /// Roles on a task
    #[command(subcommand)]
    Role(ObjectRoleCommand<UuidLookup>),
}

#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    page: Page,
    #[command(flatten)]
    filters: Filters,
    /// Only tasks that need this resource, by href or PRN
    #[arg(long, value_name = "HREF")]
    reserved_resource: Option<String>,
    /// Only tasks that need any of these resources; may be repeated
    #[arg(long, value_name = "HREF")]
    reserved_resource_in: Vec<String>,
    /// Only tasks that need this resource for themselves
    #[arg(long, value_name = "HREF")]
    exclusive_resource: Option<String>,
    /// Only tasks that need any of these resources for themselves; may be repeated
    #[arg(long, value_name = "HREF")]
    exclusive_resource_in: Vec<String>,
    /// Only tasks that share this resource with others
    #[arg(long, value_name = "HREF")]
    shared_resource: Option<String>,
    /// Only tasks that share any of these resources with others; may be repeated
    #[arg(long, value_name = "HREF")]
    shared_resource_in: Vec<String>,
}

/// Filters that the tasks of one repository take as well.
#[derive(Debug, Args)]
pub(crate) struct Filters {
    /// Only tasks of this name, like pulp_file.app.tasks.synchronizing.synchronize
    #[arg(long)]
    name: Option<String>,
    /// Only tasks whose name contains this
    #[arg(long, value_name = "TEXT")]
    name_contains: Option<String>,
    /// Only tasks of the request with this correlation id
    #[arg(long, value_name = "ID")]
    cid: Option<String>,
    /// Only tasks in this state
    #[arg(long, value_enum, ignore_case = true)]
    state: Option<State>,
    /// Only tasks in any of these states; may be repeated
    #[arg(long, value_enum, ignore_case = true, value_name = "STATE")]
    state_in: Vec<State>,
    /// Only tasks of this group, by href or UUID
    #[arg(long, value_name = "HREF|UUID")]
    task_group: Option<String>,
    /// Only tasks that this task started, by href or UUID
    #[arg(long, value_name = "HREF|UUID")]
    parent_task: Option<String>,
    /// Only tasks of this worker, by name, href or PRN
    #[arg(long, value_name = "NAME|HREF|PRN")]
    worker: Option<Reference>,
    /// Only tasks that made this resource
    #[arg(long, value_name = "HREF")]
    created_resource: Option<String>,
    /// Only tasks that started at this time (UTC) or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    started_after: Option<String>,
    /// Only tasks that started at this time (UTC) or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    started_before: Option<String>,
    /// Only tasks that ended at this time (UTC) or later
    #[arg(long, value_name = "TIME", value_parser = moment)]
    finished_after: Option<String>,
    /// Only tasks that ended at this time (UTC) or earlier
    #[arg(long, value_name = "TIME", value_parser = moment)]
    finished_before: Option<String>,
}

impl Filters {
    /// The query, for which the href of the worker may have to be found.
    pub(crate) async fn query(&self, cx: &Context) -> Result<Query> {
        let worker = match &self.worker {
            Some(worker) => Some(cx.href(&WORKER, worker).await?),
            None => None,
        };
        let href = |collection: &str, given: &Option<String>| {
            given.as_ref().map(|given| match uuid(given) {
                Ok(uuid) => format!("{}{collection}{uuid}/", cx.client.api()),
                Err(_) => given.clone(),
            })
        };
        let states: Vec<String> = self.state_in.iter().map(name).collect();
        Ok(Query::new()
            .with("name", self.name.as_deref())
            .with("name__contains", self.name_contains.as_deref())
            .with("logging_cid", self.cid.as_deref())
            .with("state", self.state.as_ref().map(name))
            .with_all("state__in", &states)
            .with("task_group", href("task-groups/", &self.task_group))
            .with("parent_task", href("tasks/", &self.parent_task))
            .with("worker", worker)
            .with("created_resources", self.created_resource.as_deref())
            .with("started_at__gte", self.started_after.as_deref())
            .with("started_at__lte", self.started_before.as_deref())
            .with("finished_at__gte", self.finished_after.as_deref())
            .with("finished_at__lte", self.finished_before.as_deref()))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    lookup: UuidLookup,
    /// Wait until the task has ended
    #[arg(long, short)]
    wait: bool,
}

#[derive(Debug, Args)]
#[group(id = "what", required = true)]
pub(crate) struct Cancel {
    /// Href or PRN of the task
    #[arg(long, conflicts_with_all = ["uuid", "all", "waiting", "running"])]
    href: Option<String>,
    /// UUID of the task
    #[arg(long, value_parser = uuid, conflicts_with_all = ["all", "waiting", "running"])]
    uuid: Option<String>,
    /// All tasks that wait or run
    #[arg(long)]
    all: bool,
    /// All tasks that wait
    #[arg(long)]
    waiting: bool,
    /// All tasks that run
    #[arg(long)]
    running: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Only tasks that ended before this time (UTC); without it, some weeks ago
    #[arg(long, value_name = "TIME", value_parser = moment)]
    finished_before: Option<String>,
    /// Only tasks in this state; may be repeated
    #[arg(long, value_enum)]
    state: Vec<FinalState>,
}

switch!(
    /// Whether to fetch the files, too.
    Download, "download", "no-download", "Fetch the files, into a directory called like the task"
);

#[derive(Debug, Args)]
pub(crate) struct ProfileArtifactUrls {
    #[command(flatten)]
    lookup: UuidLookup,
    #[command(flatten)]
    download: Download,
}

impl ProfileArtifactUrls {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let task = self.lookup.find(cx, &TASK).await?;
        let href = text(&task, "pulp_href")?;
        let answer = cx.client.get(&format!("{href}profile_artifacts/"), &Query::new()).await?;
        let urls = answer.get("urls").cloned().unwrap_or_else(|| json!({}));
        if self.download.get() != Some(true) {
            return cx.print(&urls);
        }
        let files = urls.as_object().into_iter().flatten();
        let files: Vec<(&str, &str)> = files.map(|(name, url)| (name.as_str(), url.as_str().unwrap_or_default())).collect();
        // The names come from the server: they must not lead elsewhere.
        let sound = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
        if let Some((name, _)) = files.iter().find(|(name, _)| !sound(name)) {
            return Err(Error::usage(format!("'{name}' is no name for a file")));
        }
        cx.print(&urls)?;
        let id = href.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        let directory = PathBuf::from(format!("task_profile-{}-{id}", text(&task, "name")?.replace('/', "_")));
        for (name, url) in files {
            let path = directory.join(name);
            output::note(&format!("Downloading {}", path.display()));
            cx.client.download(url, &path).await?;
        }
        Ok(())
    }
}

impl TaskCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::List(list) => list.exec(cx).await,
            Self::Show(show) if show.wait => wait_and_show(cx, &show.lookup).await,
            Self::Show(show) => cx.print(&show.lookup.find(cx, &TASK).await?),
            Self::Wait(lookup) => wait_and_show(cx, lookup).await,
            Self::Tail(tail) => tail.exec(cx).await,
            Self::Cancel(cancel) => cancel.exec(cx).await,
            Self::Destroy(lookup) => cx.destroy(&lookup.href(cx, &TASK).await?).await,
            Self::Purge(purge) => purge.exec(cx).await,
            Self::Summary => summary(cx).await,
            Self::ProfileArtifactUrls(urls) => urls.exec(cx).await,
            Self::Role(command) => command.exec(cx, &TASK).await,
        }
    }
}

impl List {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let resources = Query::new()
            .with("reserved_resources", self.reserved_resource.as_deref())
            .with_all("reserved_resources__in", &self.reserved_resource_in)
            .with("exclusive_resources", self.exclusive_resource.as_deref())
            .with_all("exclusive_resources__in", &self.exclusive_resource_in)
            .with("shared_resources", self.shared_resource.as_deref())
            .with_all("shared_resources__in", &self.shared_resource_in);
        let filters = self.filters.query(cx).await?.and(resources);
        self.page.exec(cx, TASK.path(), filters).await
    }
}

async fn wait_and_show(cx: &Context, lookup: &UuidLookup) -> Result<()> {
    let href = lookup.href(cx, &TASK).await?;
    output::note(&format!("Waiting for task {href}"));
    let task = wait::task(cx, &href).await?;
    cx.print(&task)
}

impl Cancel {
    async fn exec(&self, cx: &Context) -> Result<()> {
        if self.href.is_none() && self.uuid.is_none() {
            return self.cancel_many(cx).await;
        }
        let lookup = UuidLookup::of(self.href.clone(), self.uuid.clone());
        let task = lookup.find(cx, &TASK).await?;
        let href = text(&task, "pulp_href")?;
        if !matches!(wait::state(&task), "waiting" | "running") {
            return Err(Error::usage(format!("task {href} is in state {} and cannot be canceled", wait::state(&task))));
        }
        request(cx, href).await?;
        confirm(cx, href).await
    }

    async fn cancel_many(&self, cx: &Context) -> Result<()> {
        if cx.client.dry_run() {
            return Err(Error::usage("dry run: no task was canceled"));
        }
        let mut states = Vec::new();
        if self.all || self.waiting {
            states.push(State::Waiting);
        }
        if self.all || self.running {
            states.push(State::Running);
        }
        // What waits goes first, so that it does not begin to run in the meantime.
        let mut asked = Vec::new();
        for state in states {
            let query = Query::new().with("state", Some(name(&state))).with("fields", Some("pulp_href"));
            let (tasks, _) = cx.list(TASK.path(), &query, usize::MAX, 0).await?;
            for task in &tasks {
                let href = text(task, "pulp_href")?;
                match request(cx, href).await {
                    Ok(()) => asked.push(href.to_owned()),
                    // It ended between the list and the call: nothing is left to cancel.
                    Err(Error::Server { status, .. }) if matches!(status.as_u16(), 404 | 409) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        for href in &asked {
            wait::ended(cx, href).await?;
        }
        output::note(&format!("Canceled {} tasks.", asked.len()));
        Ok(())
    }
}

async fn request(cx: &Context, href: &str) -> Result<()> {
    cx.client.patch(href, json!({ "state": "canceled" })).await.map(drop)
}

async fn confirm(cx: &Context, href: &str) -> Result<()> {
    if cx.background {
        return Ok(());
    }
    output::note(&format!("Waiting to cancel task {href}"));
    let task = wait::ended(cx, href).await?;
    match wait::state(&task) {
        "canceled" => cx.print(&task),
        state => Err(Error::usage(format!("task {href} ended as {state} before it could be canceled"))),
    }
}

impl Purge {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let states: Option<Vec<String>> = Some(self.state.iter().map(name).collect()).filter(|list: &Vec<_>| !list.is_empty());
        let body = Body::new().with("finished_before", self.finished_before.as_deref()).with("states", states);
        let answer = cx.client.post("tasks/purge/", body.into()).await?;
        match cx.follow(&answer).await? {
            Followed::Ended(task) => cx.print(&task),
            Followed::NoTask | Followed::Background => Ok(()),
        }
    }
}

async fn summary(cx: &Context) -> Result<()> {
    let mut counts = serde_json::Map::new();
    for state in State::value_variants() {
        let query = Query::new().with("state", Some(name(state))).with("fields", Some("pulp_href"));
        let (_, total) = cx.list(TASK.path(), &query, 1, 0).await?;
        counts.insert(name(state), total.into());
    }
    cx.print(&Value::Object(counts))
}
