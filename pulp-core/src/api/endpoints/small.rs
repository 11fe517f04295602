//! Resources of few words: domains, groups, signing services.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::Result;
use crate::plugin::Registry;
use crate::resource::{Compute, Context, Field, Filter, FilterKind, Kind, Lookup, Record, Resource, Shape};

/// Kinds of storage, as Pulp calls them.
const STORAGE_CLASSES: &[&str] = &[
    "pulpcore.app.models.storage.FileSystem",
    "storages.backends.s3boto3.S3Boto3Storage",
    "storages.backends.s3.S3Storage",
    "storages.backends.azure_storage.AzureStorage",
];

pub(super) fn register(registry: &mut Registry) {
    let mut domains = Resource::new("domains", "core_domain", "Domain")
        .field(
            Field::text("name")
                .required()
                .unique()
                .max_length(50)
                .keyword("pattern", "^[-a-zA-Z0-9_]+$")
                .help("The name, which is part of paths."),
        )
        .field(Field::text("description").nullable().help("For people."))
        .field(Field::new("pulp_labels", Kind::Labels))
        .field(
            Field::choice("storage_class", "StorageClassEnum", STORAGE_CLASSES).required().help("In what kind of storage artifacts lie."),
        )
        .field(
            Field::computed("storage_settings", Shape::Schema(json!({"type": "object"})), StorageSettings)
                .required()
                .help("That storage's settings; secrets are not shown."),
        )
        .field(Field::boolean("redirect_to_object_storage").default(true).help("Whether clients are sent to the object storage."))
        .field(Field::boolean("hide_guarded_distributions").default(false).help("Whether guarded distributions are left out of listings."))
        .field(Field::computed("default_content_guard", Shape::Uri, Nothing).nullable().keyword("readOnly", Json::Null))
        .field(Field::computed("default_content_guard_prn", Shape::Text, Nothing))
        .filter(Filter::name("name"))
        .ordered_by(["description", "hide_guarded_distributions", "name", "pulp_labels", "redirect_to_object_storage", "storage_class"]);
    domains.in_domain = false;
    registry.resource(domains);
}

struct StorageSettings;

#[async_trait]
impl Compute for StorageSettings {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        // Paths and keys of the storage are nothing that clients need.
        Ok(rows.iter().map(|_| vec![json!({"hidden_fields": []})]).collect())
    }
}

struct Nothing;

#[async_trait]
impl Compute for Nothing {
    async fn compute(&self, _: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows.iter().map(|_| vec![Json::Null; fields.len()]).collect())
    }
}

/// A filter of a text by equality.
pub(super) fn text(name: &'static str) -> Filter {
    Filter::new(name, FilterKind::Text, Lookup::EXACT)
}
