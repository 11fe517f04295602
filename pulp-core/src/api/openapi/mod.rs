//! The API document (OpenAPI 3.0.1): worked out of the descriptions that drive the API itself.
//!
//! Operation ids, component and parameter names are wire protocol: clients call by them. Resources are described by
//! [`resources`], everything else by [`endpoints`]; what no route answers is left out.

mod components;
mod endpoints;
mod names;
mod operation;
mod page;
mod parameters;
mod resources;
mod schema;
mod serve;
mod shapes;
#[cfg(test)]
mod tests;

pub(super) use page::{asset, page};
pub(super) use serve::{Documents, json, yaml};
pub(super) use shapes::register;

use std::collections::HashSet;

use http::Method;
use serde_json::{Map, Value as Json, json};

use self::components::Components;
use self::operation::{Base, Operation};
use crate::plugin::Registry;
use crate::{CORE, Error, Result};

/// Which document is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Options {
    /// Only what these components (`core`, or a plugin’s label) have; all if there are none.
    pub(super) components: Vec<String>,
    /// Operation ids without the path, as the generators of client bindings want them: they name a class after the tag.
    pub(super) bindings: bool,
    /// Objects by their keys, `…/{pulp_id}/`, rather than by their hrefs.
    pub(super) pk_path: bool,
}

impl Options {
    /// Reads the names of components, separated by commas.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if there is no such component.
    pub(super) fn new(registry: &Registry, component: Option<&str>, bindings: bool, pk_path: bool) -> Result<Self> {
        let mut components: Vec<String> = Vec::new();
        for name in component.into_iter().flat_map(|names| names.split(',')) {
            if name != CORE.label && !registry.plugins().iter().any(|plugin| plugin.label == name) {
                return Err(Error::BadRequest("Invalid component specified.".to_owned()));
            }
            if !components.iter().any(|known| known == name) {
                components.push(name.to_owned());
            }
        }
        components.sort_unstable();
        Ok(Self { components, bindings, pk_path })
    }

    fn has(&self, component: &str) -> bool {
        self.components.is_empty() || self.components.iter().any(|name| name == component)
    }
}

/// The document without `servers`: those depend on who asks.
///
/// # Errors
/// [`Error::Internal`] if two descriptions contradict each other: that is a mistake in the code of whoever registered them.
fn document(registry: &Registry, base: &Base, answered: &HashSet<(String, Method)>, options: &Options) -> Result<Map<String, Json>> {
    let mut components = Components::new(registry, options.has(CORE.label));
    let mut paths: Map<String, Json> = Map::new();
    for operation in operations(registry, &mut components, answered, options) {
        let (path, json) = operation.to_json(base, options);
        let at = paths.entry(path).or_insert_with(|| json!({}));
        at[operation.method.as_str().to_ascii_lowercase()] = json;
    }
    paths.sort_keys();
    let schemas = components.finish()?;
    let mut document = Map::new();
    document.insert("openapi".to_owned(), json!("3.0.1"));
    document.insert("info".to_owned(), info(registry, base, options));
    document.insert("paths".to_owned(), Json::Object(paths));
    document.insert(
        "components".to_owned(),
        json!({
            "schemas": schemas,
            "securitySchemes": {
                "basicAuth": {"type": "http", "scheme": "basic"},
                "cookieAuth": {"type": "apiKey", "in": "cookie", "name": "sessionid"},
            },
        }),
    );
    Ok(document)
}

/// All operations that are wanted and that some route answers.
fn operations(
    registry: &Registry,
    components: &mut Components<'_>,
    answered: &HashSet<(String, Method)>,
    options: &Options,
) -> Vec<Operation> {
    let mut all: Vec<Operation> = Vec::new();
    let is_answered = |operation: &Operation| answered.contains(&(operation.location.route(), operation.method.clone()));
    if options.has(CORE.label) {
        all.extend(endpoints::all(registry).into_iter().filter(is_answered));
    }
    for resource in registry.resources().iter().filter(|resource| options.has(names::component(resource))) {
        for operation in resources::operations(registry, resource) {
            // An end point of its own tells more than the description of its resource.
            let told = |known: &Operation| known.id == operation.id;
            if is_answered(&operation) && !all.iter().any(told) {
                all.push(operation);
            }
        }
    }
    // Only now is it known which operations there are, so only now which schemas are needed.
    for operation in &all {
        operation.components().for_each(|name| components.need(name));
    }
    all
}

fn info(registry: &Registry, base: &Base, options: &Options) -> Json {
    let mut versions = Map::new();
    versions.insert(CORE.label.to_owned(), json!(CORE.version));
    for plugin in registry.plugins().iter().filter(|plugin| options.has(plugin.label)) {
        versions.insert(plugin.label.to_owned(), json!(plugin.version));
    }
    json!({
        "title": "Pulp 3 API",
        "version": "v3",
        "description": "Repositories of software packages: mirrored, versioned, published and served.",
        "license": {"name": "MIT OR Apache-2.0"},
        "x-pulp-app-versions": versions,
        "x-pulp-domain-enabled": base.domains,
    })
}
