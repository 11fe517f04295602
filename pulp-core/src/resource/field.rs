//! Fields of a resource.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use super::{Context, Record, Target};
use crate::Result;

/// Where a field’s value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Not said yet: the resource decides when the field is added to it.
    Unsaid,
    /// A column of the base table.
    Base,
    /// A column of the detail table.
    Detail,
    /// This expression over a [joined](super::Joined) table.
    Joined(&'static str),
    /// No column: it is computed, or it is input for an action only.
    Nowhere,
}

/// What a field holds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Kind {
    /// The object’s own href.
    OwnHref,
    /// The object’s own PRN.
    OwnPrn,
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// Yes or no.
    Boolean,
    /// A moment.
    Time,
    /// A UUID.
    Uuid,
    /// Any JSON.
    Json,
    /// Any JSON object.
    Dictionary,
    /// Texts, or nothing, by key.
    Labels,
    /// One of these words; the first text is the name of the enumeration’s schema (`PolicyEnum`).
    Choice(&'static str, &'static [&'static str]),
    /// Another object; on the wire its href, in a body its PRN too.
    Href(Target),
    /// A list.
    List(Box<Kind>),
    /// An object with these fields; the text is the name of its schema.
    Object(&'static str, Vec<Field>),
    /// Text that is stored encrypted and never shown; `hidden_fields` tells whether it is set.
    Secret,
    /// A file in a multipart body.
    File,
    /// Worked out by [`Compute`], or by an expression over a [joined](super::Joined) table; what it looks like on the wire.
    Computed(Shape),
}

/// What a computed field looks like on the wire.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Shape {
    /// Text.
    Text,
    /// An href or URL.
    Uri,
    /// A moment.
    Time,
    /// A whole number.
    Integer,
    /// Yes or no.
    Boolean,
    /// Any JSON.
    Any,
    /// An OpenAPI schema, written out.
    Schema(Json),
    /// A component of this name.
    Component(&'static str),
    /// A list.
    List(Box<Shape>),
}

/// Works out fields that are no columns, for all rows of a page at once.
#[async_trait]
pub trait Compute: Send + Sync {
    /// For each row, in order, the values of these fields, in order. Fields that share a `Compute` (the same [`Arc`]) are
    /// asked for together, and only those that the response shows.
    ///
    /// # Errors
    /// If the database cannot be reached.
    async fn compute(&self, cx: &Context, fields: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>>;
}

/// A check that a field’s kind does not say; the error is the message for the client.
pub type Check = fn(&Json) -> Result<(), String>;

/// One field.
#[derive(Clone)]
#[non_exhaustive]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// The column; its name by default, with `_id` appended where it holds another object’s key.
    pub column: String,
    /// Where the column lies.
    pub place: Place,
    /// What it holds.
    pub kind: Kind,
    /// Whether a body must have it.
    pub required: bool,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether a text may be empty.
    pub blank: bool,
    /// Whether only we set it.
    pub read_only: bool,
    /// Whether it is accepted and never shown.
    pub write_only: bool,
    /// Whether it can be set when an object is made, and not changed.
    pub create_only: bool,
    /// The value where a body has none.
    pub default: Option<Json>,
    /// Whether the default is told in the API document.
    pub documented_default: bool,
    /// The least number.
    pub minimum: Option<f64>,
    /// The greatest number.
    pub maximum: Option<f64>,
    /// What is said of an object of another domain, if that concerns this field and not the whole input.
    pub elsewhere: Option<&'static str>,
    /// The most characters.
    pub max_length: Option<usize>,
    /// Whether no two objects (of a domain) may have the same value.
    pub unique: bool,
    /// What it is for, in the API document.
    pub help: &'static str,
    /// Keywords of its schema in the API document that the rest does not say; null takes one away.
    pub keywords: Vec<(&'static str, Json)>,
    /// Its text is kept as it is: white space at its ends counts.
    pub keep_space: bool,
    /// Checks that its kind does not say.
    pub check: Option<Check>,
    /// How it is worked out.
    pub compute: Option<Arc<dyn Compute>>,
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field").field("name", &self.name).field("kind", &self.kind).field("place", &self.place).finish_non_exhaustive()
    }
}

impl Field {
    /// A field of this kind: optional, neither nullable nor blank.
    pub fn new(name: &'static str, kind: Kind) -> Self {
        let column = if matches!(kind, Kind::Href(_)) { format!("{name}_id") } else { name.to_owned() };
        Self {
            name,
            column,
            place: Place::Unsaid,
            kind,
            required: false,
            nullable: false,
            blank: false,
            read_only: false,
            write_only: false,
            create_only: false,
            default: None,
            documented_default: true,
            minimum: None,
            maximum: None,
            elsewhere: None,
            max_length: None,
            unique: false,
            help: "",
            keywords: Vec::new(),
            keep_space: false,
            check: None,
            compute: None,
        }
    }

    /// Text.
    pub fn text(name: &'static str) -> Self {
        Self::new(name, Kind::Text)
    }

    /// A whole number, of 64 bits.
    pub fn integer(name: &'static str) -> Self {
        Self::new(name, Kind::Integer)
    }

    /// A number.
    pub fn float(name: &'static str) -> Self {
        Self::new(name, Kind::Float)
    }

    /// Yes or no.
    pub fn boolean(name: &'static str) -> Self {
        Self::new(name, Kind::Boolean)
    }

    /// A moment.
    pub fn time(name: &'static str) -> Self {
        Self::new(name, Kind::Time)
    }

    /// Any JSON.
    pub fn json(name: &'static str) -> Self {
        Self::new(name, Kind::Json)
    }

    /// One of these words; `schema` is the name of the enumeration (`PolicyEnum`).
    pub fn choice(name: &'static str, schema: &'static str, words: &'static [&'static str]) -> Self {
        Self::new(name, Kind::Choice(schema, words))
    }

    /// Another object, by href or PRN.
    pub fn href(name: &'static str, target: Target) -> Self {
        Self::new(name, Kind::Href(target))
    }

    /// A list of things of one kind.
    pub fn list(name: &'static str, of: Kind) -> Self {
        Self::new(name, Kind::List(Box::new(of)))
    }

    /// An encrypted column that is never shown.
    pub fn secret(name: &'static str) -> Self {
        Self::new(name, Kind::Secret).write_only()
    }

    /// A file in a multipart body.
    pub fn file(name: &'static str) -> Self {
        Self::new(name, Kind::File).write_only().nowhere()
    }

    /// A field that is worked out.
    pub fn computed(name: &'static str, shape: Shape, compute: impl Compute + 'static) -> Self {
        Self::computed_by(name, shape, Arc::new(compute))
    }

    /// A field that is worked out together with others.
    pub fn computed_by(name: &'static str, shape: Shape, compute: Arc<dyn Compute>) -> Self {
        let mut field = Self::new(name, Kind::Computed(shape)).read_only().nowhere();
        field.compute = Some(compute);
        field
    }

    /// A body must have it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// It may be null.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Its text may be empty.
    #[must_use]
    pub fn blank(mut self) -> Self {
        self.blank = true;
        self
    }

    /// Only we set it.
    #[must_use]
    pub fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// It is accepted and never shown.
    #[must_use]
    pub fn write_only(mut self) -> Self {
        self.write_only = true;
        self
    }

    /// It is set when the object is made, and never changed.
    #[must_use]
    pub fn create_only(mut self) -> Self {
        self.create_only = true;
        self
    }

    /// The value where a body has none; told in the API document.
    #[must_use]
    pub fn default(mut self, value: impl Into<Json>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// The value where a body has none; not told in the API document.
    #[must_use]
    pub fn quiet_default(mut self, value: impl Into<Json>) -> Self {
        self.default = Some(value.into());
        self.documented_default = false;
        self
    }

    /// The least number allowed.
    #[must_use]
    pub fn at_least(mut self, least: impl Into<f64>) -> Self {
        self.minimum = Some(least.into());
        self
    }

    /// The greatest number allowed.
    #[must_use]
    pub fn at_most(mut self, most: impl Into<f64>) -> Self {
        self.maximum = Some(most.into());
        self
    }

    /// What is said of an object of another domain.
    #[must_use]
    pub fn elsewhere(mut self, message: &'static str) -> Self {
        self.elsewhere = Some(message);
        self
    }

    /// The most characters allowed.
    #[must_use]
    pub fn max_length(mut self, characters: usize) -> Self {
        self.max_length = Some(characters);
        self
    }

    /// No two objects of a domain may have the same.
    #[must_use]
    pub fn unique(mut self) -> Self {
        self.unique = true;
        self
    }

    /// What it is for.
    #[must_use]
    pub fn help(mut self, text: &'static str) -> Self {
        self.help = text;
        self
    }

    /// Sets a keyword of its schema in the API document (`format`, say), or with null takes one away that it would have.
    #[must_use]
    pub fn keyword(mut self, name: &'static str, value: impl Into<Json>) -> Self {
        self.keywords.push((name, value.into()));
        self
    }

    /// White space at the ends of its text counts.
    #[must_use]
    pub fn keep_space(mut self) -> Self {
        self.keep_space = true;
        self
    }

    /// A check that its kind does not say; the error is the message.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.check = Some(check);
        self
    }

    /// Its column has another name.
    #[must_use]
    pub fn column(mut self, name: impl Into<String>) -> Self {
        self.column = name.into();
        self
    }

    /// Its column is one of the base table, whatever comes before it.
    #[must_use]
    pub fn in_base(mut self) -> Self {
        self.place = Place::Base;
        self
    }

    /// It is shown as this expression over a [joined](super::Joined) table has it.
    #[must_use]
    pub fn joined(mut self, expression: &'static str) -> Self {
        self.place = Place::Joined(expression);
        self.read_only()
    }

    /// It is no column: hooks or a handler use it.
    #[must_use]
    pub fn nowhere(mut self) -> Self {
        self.place = Place::Nowhere;
        self
    }

    /// Whether a body can have it.
    pub fn is_input(&self) -> bool {
        !self.read_only
    }

    /// Whether a response shows it.
    pub fn is_output(&self) -> bool {
        !self.write_only
    }

    /// The column as a statement names it, where there is one.
    pub(crate) fn sql(&self) -> Option<String> {
        match self.place {
            Place::Base | Place::Unsaid => Some(format!("b.{}", self.column)),
            Place::Detail => Some(format!("d.{}", self.column)),
            Place::Joined(expression) => Some(expression.to_owned()),
            Place::Nowhere => None,
        }
    }
}

/// The shape of `hidden_fields`.
pub(crate) fn hidden_fields_shape() -> Shape {
    Shape::Schema(json!({
        "type": "array",
        "items": {
            "type": "object",
            "properties": {"name": {"type": "string"}, "is_set": {"type": "boolean"}},
            "required": ["is_set", "name"]
        }
    }))
}
