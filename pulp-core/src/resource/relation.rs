//! What a field or filter that holds an href can point to.

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
