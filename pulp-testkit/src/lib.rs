//! What Pulp and its plugins are tested with, and what a third-party plugin may test with too:
//!
//! - [`Upstream`]: a remote that misbehaves exactly as planned, and counts what was asked of it;
//! - [`Proxy`]: a forward proxy that counts;
//! - [`Authority`]: certificates for TLS tests;
//! - [`both_databases!`] with [`Kit`] and [`TestDatabase`]: a Pulp, or only a database, on SQLite and on PostgreSQL;
//! - [`Program`]: the real server as one or several processes, which can be killed, stopped and started again;
//! - [`Balancer`], and `Cluster` (feature `s3`): many processes behind one address;
//! - [`Checker`]: whether a database and a store agree;
//! - [`Gate`]: a way to PostgreSQL that can be blocked;
//! - [`Client`]: typed calls to a server, and [`Client::file_repo`], which makes a whole file repository in one expression;
//! - [`storage::conforms`]: what every storage must do;
//! - `S3Server` (feature `s3`): a real S3 server on a directory;
//! - [`openapi::compare`]: an API document against a reference;
//! - [`Blob`] and [`Tree`]: reproducible content of any size.
//!
//! Everything listens on the loopback interface, on a port that the system chooses, and ends with
//! its handle. Helpers panic when the world cannot be built: a test has no use for an error there.

mod balancer;
mod blob;
pub mod client;
#[cfg(feature = "s3")]
pub mod cluster;
mod consistency;
pub mod database;
mod file_repo;
pub mod fixtures;
mod gate;
mod kit;
mod listening;
pub mod openapi;
pub mod pg;
mod process;
mod proxy;
#[cfg(feature = "s3")]
mod s3;
mod server;
pub mod storage;
mod tls;

pub mod upstream;

pub use balancer::Balancer;
pub use blob::Blob;
pub use client::{Answer, Client, created};
#[cfg(feature = "s3")]
pub use cluster::Cluster;
pub use consistency::{Checker, Finding};
pub use database::{Engine, Prepare, TestDatabase};
pub use file_repo::{FileRepo, FileWorld};
pub use fixtures::{ManifestFault, Tree, bad_manifest};
pub use gate::Gate;
pub use kit::Kit;
pub use pg::{Postgres, PostgresDatabase};
pub use process::{Launch, Process, Program};
pub use proxy::{Proxied, Proxy};
#[cfg(feature = "s3")]
pub use s3::S3Server;
pub use server::Server;
pub use tls::{Authority, Identity, rcgen};
pub use upstream::{Fault, Recorded, Upstream};
