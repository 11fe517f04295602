//! All that a content type needs, in one `use`: `use pulp_core::prelude::*;`.

pub use async_trait::async_trait;
pub use http::StatusCode;
pub use uuid::Uuid;

pub use crate::clock::Timestamp;
pub use crate::content::{
    Chain, Change, ContentGuard, ContentPath, Denied, DistributionHandler, GuardRequest, PassThroughHandler, PublishedHandler, PullThrough,
    PullThroughHandler, Pulled, Redirect, Representation, ServeContext, ServeError, Served, ServedBytes, ServedFile, ServedStream, grace,
};
pub use crate::crypto::{redact_url, redact_url_text};
pub use crate::db::{self, Executor, ExecutorExt, Sql, Tx, Value};
pub use crate::digest::{Algorithm, Digests, Expected, Sha256, hash_file};
pub use crate::download::{Download, DownloadError, DownloadRequest, Downloader, RedactedUrl};
pub use crate::ids::{Prn, new_id};
pub use crate::model::save::{ContentKind, SavedUnit, Unit, save_unit, save_unit_in};
pub use crate::model::{
    Artifact, Content, ContentArtifact, Distribution, Model, Policy, Publication, Remote, Repository, RepositoryVersion, TaskRow, TaskState,
};
pub use crate::plugin::{Plugin, PluginDescriptor, Registry};
pub use crate::publish::{PublicationKind, PublicationWriter};
pub use crate::resource::{
    AccessPolicy, Action, ActionHandler, Context, Field, Filter, FilterKind, GeneralCreate, Input, Kind, Lookup, Make, Naming, Reply,
    Resource, Returns, Scope, Target, bases,
    bases::{AlternatePath, Refresh},
    content_file, shown,
};
pub use crate::storage::{Spool, SpoolFile, Spooled};
pub use crate::sync::{Declared, DeclaredFile, FileSource, FirstStage, Meter, Sink, SyncContext, SyncOptions, synchronize};
pub use crate::tasks::{Created, DispatchOptions, ProgressReport, Resources, Task, TaskContext, TaskOutput};
pub use crate::version::{self, AddAndRemove, Members, RepositoryType, UnitRule, VersionDraft};
pub use crate::{Error, Pulp, Result};
