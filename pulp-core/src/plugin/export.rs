//! What a content type says so that its repositories can be exported in Pulp’s own format, and imported.

use crate::model::save::{ContentKind, Unit};

/// How a column’s value is written in an archive, where every value is a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExportedKind {
    /// As it is; null is empty.
    Text,
    /// `1` or `0`.
    Boolean,
    /// Digits.
    Integer,
    /// JSON as text.
    Json,
}

/// A column that an archive carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportedColumn {
    /// Its name, in the table and in the archive.
    pub name: &'static str,
    /// What it holds.
    pub kind: ExportedKind,
}

impl ExportedColumn {
    /// A column of texts.
    pub const fn text(name: &'static str) -> Self {
        Self { name, kind: ExportedKind::Text }
    }

    /// A column of truth values.
    pub const fn boolean(name: &'static str) -> Self {
        Self { name, kind: ExportedKind::Boolean }
    }

    /// A column of whole numbers.
    pub const fn integer(name: &'static str) -> Self {
        Self { name, kind: ExportedKind::Integer }
    }

    /// A column of JSON.
    pub const fn json(name: &'static str) -> Self {
        Self { name, kind: ExportedKind::Json }
    }
}

/// A type of content units, as archives carry it.
#[derive(Debug, Clone, Copy)]
pub struct ExportedContent {
    /// The name of its resource in Pulp: `FileContentResource`.
    pub resource: &'static str,
    /// The type.
    pub kind: &'static ContentKind,
    /// Its columns. Those of the kind that are not among them are not carried, and null after an import.
    pub columns: &'static [ExportedColumn],
    /// Whether a unit that an archive has can be one: what comes from outside is not believed. The text says what is wrong.
    pub check: fn(&Unit) -> Result<(), String>,
}

/// A type of repositories, as archives carry it. Registered with
/// [`Registry::exported`](crate::plugin::Registry::exported).
///
/// ```
/// use pulp_core::prelude::*;
///
/// static NOTE: ContentKind = ContentKind { pulp_type: "notes.note", table: "notes_note", columns: &["name"], key: &["name"] };
///
/// static EXPORTED: Exported = Exported {
///     pulp_type: "notes.notes",
///     module: "pulp_notes.app.modelresource",
///     resource: "NotesRepositoryResource",
///     table: "notes_notesrepository",
///     pointer: "repository_ptr_id",
///     columns: &[ExportedColumn::boolean("autopublish")],
///     not_imported: &[],
///     contents: &[ExportedContent {
///         resource: "NoteResource",
///         kind: &NOTE,
///         columns: &[ExportedColumn::text("name")],
///         check: |unit| if unit.value("name") == Some(&"".into()) { Err("a note has no name".to_owned()) } else { Ok(()) },
///     }],
/// };
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Exported {
    /// The type: `file.file`. Its first half names the component whose version an archive notes.
    pub pulp_type: &'static str,
    /// The Python module of the resources in Pulp: `pulp_file.app.modelresource`. Files in an archive are called after it.
    pub module: &'static str,
    /// The name of the repository’s resource: `FileRepositoryResource`.
    pub resource: &'static str,
    /// The type’s own table.
    pub table: &'static str,
    /// Its column that points to the repository.
    pub pointer: &'static str,
    /// What of it an archive carries.
    pub columns: &'static [ExportedColumn],
    /// Columns that mean nothing elsewhere: an import that makes the repository leaves them alone.
    pub not_imported: &'static [&'static str],
    /// The types of units that such a repository can have.
    pub contents: &'static [ExportedContent],
}

impl Exported {
    /// The component: `file`.
    pub fn component(&self) -> &'static str {
        self.pulp_type.split('.').next().unwrap_or(self.pulp_type)
    }

    /// The name of the repository’s file in an archive.
    pub fn repository_file(&self) -> String {
        format!("{}.{}.json", self.module, self.resource)
    }

    /// The name of the file of a type of units.
    pub fn content_file(&self, content: &ExportedContent) -> String {
        format!("{}.{}.json", self.module, content.resource)
    }
}
