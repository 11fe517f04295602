//! What a field or filter that holds an href can point to, and rows of other tables that are read along.

use crate::db::Dialect;

/// The kind of object that an href must name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Target {
    /// The table that has the object’s key.
    pub table: &'static str,
    /// What a schema’s description calls it.
    pub noun: &'static str,
    /// How its href is made of its row.
    pub(crate) link: Link,
}

/// How an href is made of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Link {
    /// One table holds several types: the column `pulp_type` says which collection it is in.
    Typed,
    /// All rows are in this collection.
    Plain(&'static str),
    /// A version of a repository.
    Version,
    /// All rows are below objects of another collection: the collection, the segment after the object’s key, and the column
    /// that has that key.
    Nested(&'static str, &'static str, &'static str),
}

impl Target {
    /// A repository of any type.
    pub const REPOSITORY: Self = Self::typed("core_repository", "repository");
    /// A remote of any type.
    pub const REMOTE: Self = Self::typed("core_remote", "remote");
    /// A publication of any type.
    pub const PUBLICATION: Self = Self::typed("core_publication", "publication");
    /// A distribution of any type.
    pub const DISTRIBUTION: Self = Self::typed("core_distribution", "distribution");
    /// A content unit of any type.
    pub const CONTENT: Self = Self::typed("core_content", "content unit");
    /// A content guard of any type.
    pub const CONTENT_GUARD: Self = Self::typed("core_contentguard", "content guard");
    /// An alternate content source of any type.
    pub const ALTERNATE_CONTENT_SOURCE: Self = Self::typed("core_alternatecontentsource", "alternate content source");
    /// A version of a repository.
    pub const REPOSITORY_VERSION: Self = Self { table: "core_repositoryversion", noun: "repository version", link: Link::Version };
    /// An artifact.
    pub const ARTIFACT: Self = Self::plain("core_artifact", "artifacts", "artifact");
    /// An upload.
    pub const UPLOAD: Self = Self::plain("core_upload", "uploads", "upload");
    /// A task.
    pub const TASK: Self = Self::plain("core_task", "tasks", "task");
    /// A group of tasks.
    pub const TASK_GROUP: Self = Self::plain("core_taskgroup", "task-groups", "task group");
    /// A domain.
    pub const DOMAIN: Self = Self::plain("core_domain", "domains", "domain");
    /// A worker.
    pub const WORKER: Self = Self::plain("core_appstatus", "workers", "worker");

    /// An export of Pulp’s own format.
    pub const PULP_EXPORT: Self =
        Self { table: "core_export", noun: "export", link: Link::Nested("exporters/core/pulp", "exports", "exporter_id") };

    /// Objects whose base table `table` holds several types, told apart by its column `pulp_type`.
    pub const fn typed(table: &'static str, noun: &'static str) -> Self {
        Self { table, noun, link: Link::Typed }
    }

    /// Objects that all lie in one collection.
    pub const fn plain(table: &'static str, collection: &'static str, noun: &'static str) -> Self {
        Self { table, noun, link: Link::Plain(collection) }
    }
}

/// A row of another table that is read along with each row of a resource, if there is one: fields that are
/// [`joined`](super::Field::joined) are expressions over it.
///
/// ```
/// use pulp_core::resource::Joined;
///
/// let report = Joined::new("core_vulnerabilityreport", "vr", "vr.content_id = b.pulp_id");
/// ```
#[derive(Debug, Clone)]
pub struct Joined {
    table: &'static str,
    alias: &'static str,
    on: &'static str,
    /// The tables after it.
    steps: Vec<Step>,
}

/// A table on the way, its alias, and the column before it that has the key of its row.
#[derive(Debug, Clone, Copy)]
struct Step {
    table: &'static str,
    alias: &'static str,
    key: &'static str,
}

impl Joined {
    /// A table under an alias, and the condition that finds its row; `b` is the resource’s base table. None of this is ever input.
    pub fn new(table: &'static str, alias: &'static str, on: &'static str) -> Self {
        Self { table, alias, on, steps: Vec::new() }
    }

    /// Goes on to the row of another table whose `pulp_id` this column has: that is then the one that is read along. What is shown of such a row never changes.
    #[must_use]
    pub fn to(mut self, table: &'static str, alias: &'static str, key: &'static str) -> Self {
        self.steps.push(Step { table, alias, key });
        self
    }

    /// The alias of the row that is read along.
    fn last(&self) -> &'static str {
        self.steps.last().map_or(self.alias, |step| step.alias)
    }

    /// The expression that has another value whenever one over its row has: itself; or of a row that does not change, for its key what leads to it, which
    /// tells of all its other columns as well. `None` if it is over no row of this.
    pub(super) fn told_by(&self, expression: &'static str) -> Option<Option<&'static str>> {
        let column = expression.strip_prefix(self.last())?.strip_prefix('.')?;
        Some(match self.steps.last() {
            None => Some(expression),
            Some(step) => (column == "pulp_id").then_some(step.key),
        })
    }

    /// The same without the last row, if that does not change.
    pub(super) fn changing(&self) -> Self {
        let mut all = self.clone();
        all.steps.pop();
        all
    }

    /// The join. PostgreSQL is told that there is one row at most: it looks that up by an index for each row of a page, and does not read
    /// whole tables for a hundred rows, which it would if it knew too little about them.
    pub(super) fn sql(&self, dialect: Dialect) -> String {
        let Self { table, alias, on, steps } = self;
        let steps = |kind: &str| -> String {
            steps.iter().map(|Step { table, alias, key }| format!(" {kind} {table} {alias} on {alias}.pulp_id = {key}")).collect()
        };
        match dialect {
            Dialect::Postgres => {
                let (last, steps) = (self.last(), steps("join"));
                format!(" left join lateral (select {last}.* from {table} {alias}{steps} where {on} limit 1) {last} on true")
            }
            Dialect::Sqlite => format!(" left join {table} {alias} on {on}{}", steps("left join")),
        }
    }
}
