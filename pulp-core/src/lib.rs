//! Pulp as a library: repositories of software packages, mirrored, stored once, versioned, published and served.
//!
//! The crate has layers, each usable without the next:
//!
//! - **L0, no database**: [`storage`], [`download`], [`digest`], and the format modules of the content types.
//! - **L1, database, no HTTP**: [`Pulp::builder`] gives a handle; its typed methods create, sync, publish and resolve.
//! - **L2, HTTP values**: [`Pulp::api`] and [`Pulp::content`] take an [`http::Request`] and give an [`http::Response`] with
//!   a streaming body; mount them under hyper, axum, tower, or a test.
//!
//! `pulp-server` is a thin front end on top of it, and `pulp` the command line.

mod accounts;
pub mod api;
mod audit;
pub mod body;
mod clients;
pub mod clock;
mod compress;
pub mod content;
pub mod crypto;
pub mod db;
pub mod digest;
pub mod download;
pub mod error;
pub mod export;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
pub mod ids;
pub mod import;
mod jq;
pub mod metrics;
pub mod model;
mod oidc;
pub mod plugin;
pub mod plugins;
pub mod prelude;
pub mod publish;
mod pulp;
pub mod replicate;
pub mod resource;
mod rotation;
pub mod settings;
mod shareable;
pub mod storage;
pub mod sync;
pub mod tasks;
pub mod version;
pub mod webhooks;

pub use clients::RemoteClient;
pub use error::{Error, Result};
pub use pulp::{Pulp, PulpBuilder};
pub use rotation::Rotation;

/// What the core says about itself in the status: the Pulp whose wire protocol it speaks.
pub const CORE: plugin::PluginDescriptor =
    plugin::PluginDescriptor { label: "core", version: "3.123.1", package: "pulpcore", module: "pulpcore.app", domain_compatible: true };
