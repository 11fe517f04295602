//! Resources of few words: domains, groups, signing services.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::Result;
use crate::plugin::Registry;
use crate::resource::{Compute, Context, Field, Filter, FilterKind, Kind, Lookup, Record, Resource, Shape};

pub(super) fn register(registry: &mut Registry) {
    let mut domains = Resource::new("domains", "core_domain", "Domain")
        .field(Field::text("name").required().unique().help("The name, which is part of paths."))
        .field(Field::text("description").nullable().help("For people."))
        .field(Field::new("pulp_labels", Kind::Labels))
        .field(Field::text("storage_class").required().help("In what kind of storage artifacts lie."))
        .field(Field::computed("storage_settings", Shape::Any, StorageSettings).help("That storage's settings; secrets are not shown."))
        .field(Field::boolean("redirect_to_object_storage").default(true).help("Whether clients are sent to the object storage."))
        .field(Field::boolean("hide_guarded_distributions").default(false).help("Whether guarded distributions are left out of listings."))
        .field(Field::computed("default_content_guard", Shape::Uri, Nothing))
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
