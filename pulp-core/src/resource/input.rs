//! A body after validation.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::ids::Prn;
use crate::storage::Spooled;
use crate::{Error, Result};

/// The validated values of a body by field: defaults filled in, hrefs resolved to PRNs, secrets encrypted, moments in
/// RFC 3339. It can be written into a task as it is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Input {
    values: BTreeMap<String, Json>,
    /// Files of a multipart body; they cannot go into a task: store them first.
    #[serde(skip)]
    files: BTreeMap<String, Spooled>,
}

/// An object that a body names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference(pub Prn);

impl Serialize for Reference {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl Input {
    /// Whether the body (or a default) gives the field, null included.
    pub fn has(&self, field: &str) -> bool {
        self.values.contains_key(field)
    }

    /// The field’s value, null included.
    pub fn get(&self, field: &str) -> Option<&Json> {
        self.values.get(field)
    }

    /// A text that is neither missing nor null.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.values.get(field).and_then(Json::as_str)
    }

    /// A whole number that is neither missing nor null.
    pub fn integer(&self, field: &str) -> Option<i64> {
        self.values.get(field).and_then(Json::as_i64)
    }

    /// A truth value that is neither missing nor null.
    pub fn boolean(&self, field: &str) -> Option<bool> {
        self.values.get(field).and_then(Json::as_bool)
    }

    /// The object that the field names, unless it is missing or null.
    pub fn reference(&self, field: &str) -> Option<Prn> {
        self.text(field).and_then(|text| text.parse().ok())
    }

    /// The key of the object that the field names.
    pub fn id(&self, field: &str) -> Option<Uuid> {
        self.reference(field).map(|prn| prn.id)
    }

    /// Sets a field.
    pub fn set(&mut self, field: impl Into<String>, value: impl Into<Json>) {
        self.values.insert(field.into(), value.into());
    }

    /// Takes a field out.
    pub fn remove(&mut self, field: &str) -> Option<Json> {
        self.values.remove(field)
    }

    /// Takes the file of a field out. It is removed unless it is adopted by the storage.
    pub fn take_file(&mut self, field: &str) -> Option<Spooled> {
        self.files.remove(field)
    }

    /// Whether the body has a file for the field.
    pub fn has_file(&self, field: &str) -> bool {
        self.files.contains_key(field)
    }

    /// Gives it the files of its body.
    pub(crate) fn with_files(mut self, files: BTreeMap<String, Spooled>) -> Self {
        self.files = files;
        self
    }

    /// All fields that are there.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// As a type of its own; [`Reference`] reads an object.
    ///
    /// # Errors
    /// If the type does not fit the fields: a mistake of the program, not of the client.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let object = self.values.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
        serde_json::from_value(Json::Object(object)).map_err(|error| Error::Internal(format!("a body does not fit its type: {error}")))
    }
}
