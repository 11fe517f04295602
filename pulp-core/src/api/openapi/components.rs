//! The schemas of a document, by name: only those that something in it speaks of.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};

use super::schema::{self, Side};
use crate::plugin::Registry;
use crate::resource::{Field, Returns};
use crate::{Error, Result};

/// Enumerations that core calls by another name, for it knows a second one of the same short name: the name of a type in
/// client bindings.
const IN_CORE: [(&str, &str); 1] = [("PolicyEnum", "Policy692Enum")];

/// Collects schemas.
pub(super) struct Components<'r> {
    known: HashMap<&'r str, &'r [Field]>,
    /// What answers show under the name of a body.
    shown: HashMap<&'r str, &'r [Field]>,
    /// Null while it is being made.
    done: BTreeMap<String, Json>,
    core: bool,
    problems: Vec<String>,
}

impl<'r> Components<'r> {
    /// `core` says whether the document has what core has.
    pub(super) fn new(registry: &'r Registry, core: bool) -> Self {
        let mut known: HashMap<&str, &[Field]> = HashMap::new();
        known.extend(registry.components());
        let mut shown: HashMap<&str, &[Field]> = HashMap::new();
        for resource in registry.resources() {
            for action in &resource.actions {
                let Some(body) = &action.body else { continue };
                known.insert(body.schema, &body.fields);
                if matches!(action.returns, Returns::Component(_, name) if name == body.schema) {
                    shown.insert(body.schema, &resource.fields);
                }
            }
        }
        let bodies = registry.resources().iter().filter_map(|resource| resource.create_body.as_ref());
        known.extend(bodies.map(|body| (body.schema, body.fields.as_slice())));
        known.extend(registry.resources().iter().map(|resource| (resource.schema, resource.fields.as_slice())));
        Self { known, shown, done: BTreeMap::new(), core, problems: Vec::new() }
    }

    /// Adds a component by its name: that of a resource, body or registered component, with `Response` after it for what an
    /// answer shows and `Patched` before it for a partial update; or a page of such a list.
    pub(super) fn need(&mut self, name: &str) {
        if self.done.contains_key(name) {
            return;
        }
        if let Some(of) = name.strip_prefix("Paginated").and_then(|rest| rest.strip_suffix("List")) {
            self.need(of);
            self.done.insert(name.to_owned(), page(of));
            return;
        }
        let (of, side) = if let Some(of) = name.strip_prefix("Patched") {
            (of, Side::Patch)
        } else if let Some(of) = name.strip_suffix("Response") {
            (of, Side::Response)
        } else {
            (name, Side::Request)
        };
        let shown = self.shown.get(of).filter(|_| side == Side::Response);
        match shown.or_else(|| self.known.get(of)) {
            Some(fields) => self.make(name, fields, side),
            None => self.problems.push(format!("the API document has no component `{name}`")),
        }
    }

    /// Adds an object that a field holds; the name of the component.
    pub(super) fn object(&mut self, name: &str, fields: &[Field], side: Side) -> String {
        let name = if side == Side::Response { format!("{name}Response") } else { name.to_owned() };
        // A part of a partial update is still a whole of its own.
        self.make(&name, fields, if side == Side::Patch { Side::Request } else { side });
        name
    }

    fn make(&mut self, name: &str, fields: &[Field], side: Side) {
        if self.done.contains_key(name) {
            return;
        }
        self.done.insert(name.to_owned(), Json::Null);
        let schema = schema::object(fields, side, self);
        self.done.insert(name.to_owned(), schema);
    }

    /// Adds an enumeration; the name of the component, which is longer where other words have the name already.
    pub(super) fn enumeration(&mut self, name: &str, words: &[&str]) -> String {
        let name = match IN_CORE.iter().find(|(short, _)| self.core && *short == name) {
            Some((_, long)) => *long,
            None => name,
        };
        let schema = json!({"type": "string", "enum": words});
        let name = match self.done.get(name) {
            Some(other) if *other != schema => {
                let digest = hex::encode(Sha256::digest(words.join(" ")));
                format!("{}{}Enum", name.trim_end_matches("Enum"), &digest[..3])
            }
            _ => name.to_owned(),
        };
        self.done.insert(name.clone(), schema);
        name
    }

    /// All of them, by name.
    ///
    /// # Errors
    /// [`Error::Internal`] if something spoke of a component that is not there.
    pub(super) fn finish(self) -> Result<Map<String, Json>> {
        match self.problems.into_iter().next() {
            Some(problem) => Err(Error::Internal(problem)),
            None => Ok(self.done.into_iter().collect()),
        }
    }
}

/// A page of a list.
fn page(of: &str) -> Json {
    let address = |example: &str| json!({"type": "string", "format": "uri", "nullable": true, "example": example});
    json!({
        "type": "object",
        "properties": {
            "count": {"type": "integer", "example": 123},
            "next": address("https://pulp.example.org/pulp/api/v3/…/?offset=400&limit=100"),
            "previous": address("https://pulp.example.org/pulp/api/v3/…/?offset=200&limit=100"),
            "results": {"type": "array", "items": schema::reference(of)},
        },
        "required": ["count", "results"],
    })
}
