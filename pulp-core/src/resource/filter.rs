//! Filters of lists.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::{Context, Target};
use crate::Result;
use crate::clock::Timestamp;
use crate::db::{Sql, Value};
use crate::version::{ContentCount, CountType};
use uuid::Uuid;

/// How a filter compares; on the wire `__<word>` after its name, nothing for [`Lookup::Exact`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lookup {
    /// Equal.
    Exact,
    /// Not equal.
    Ne,
    /// One of several, separated by commas.
    In,
    /// Holds a text.
    Contains,
    /// Holds a text, in any case.
    IContains,
    /// Equal in any case.
    IExact,
    /// Matches a regular expression.
    Regex,
    /// Matches a regular expression in any case.
    IRegex,
    /// Begins with a text.
    StartsWith,
    /// Begins with a text, in any case.
    IStartsWith,
    /// Less.
    Lt,
    /// Less or equal.
    Lte,
    /// Greater.
    Gt,
    /// Greater or equal.
    Gte,
    /// Between two, both included.
    Range,
    /// Is null or is not.
    IsNull,
}

impl Lookup {
    /// What is appended to the filter’s name.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Exact => "",
            Self::Ne => "__ne",
            Self::In => "__in",
            Self::Contains => "__contains",
            Self::IContains => "__icontains",
            Self::IExact => "__iexact",
            Self::Regex => "__regex",
            Self::IRegex => "__iregex",
            Self::StartsWith => "__startswith",
            Self::IStartsWith => "__istartswith",
            Self::Lt => "__lt",
            Self::Lte => "__lte",
            Self::Gt => "__gt",
            Self::Gte => "__gte",
            Self::Range => "__range",
            Self::IsNull => "__isnull",
        }
    }

    /// Those of a name.
    pub const NAME: &'static [Self] = &[
        Self::Exact,
        Self::Contains,
        Self::IContains,
        Self::IExact,
        Self::In,
        Self::IRegex,
        Self::IStartsWith,
        Self::Regex,
        Self::StartsWith,
    ];

    /// Those of a number that may be null.
    pub const NUMBER: &'static [Self] = &[Self::Exact, Self::Gt, Self::Gte, Self::IsNull, Self::Lt, Self::Lte, Self::Ne, Self::Range];

    /// Those of a moment.
    pub const TIME: &'static [Self] = &[Self::Exact, Self::Gt, Self::Gte, Self::IsNull, Self::Lt, Self::Lte, Self::Range];

    /// Equality alone.
    pub const EXACT: &'static [Self] = &[Self::Exact];

    /// Equality with one or with several.
    pub const EXACT_IN: &'static [Self] = &[Self::Exact, Self::In];
}

/// What a filter’s value is.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum FilterKind {
    /// Text.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// Yes or no.
    Boolean,
    /// A moment.
    Time,
    /// A UUID.
    Uuid,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Another object, by href or PRN.
    Href(Target),
}

/// How a filter on other objects reads hrefs and PRNs, and what it says of those that it cannot follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Naming {
    /// A column points to it: one that is gone matches nothing, and the path of a list stands for all that are in it.
    Pointer,
    /// It must be there.
    Object,
    /// A content unit that must be there; several are told together.
    Units,
    /// A version of a repository; a repository stands for its latest version.
    Version,
    /// Any object; one of another kind matches nothing.
    Anything,
}

impl Naming {
    /// How Pulp refuses a filter without a value; nothing where it passes such a filter over.
    fn without_value(self, target: Target) -> Option<&'static str> {
        match self {
            Self::Pointer => None,
            Self::Version => Some("No value supplied for repository version filter"),
            Self::Units => Some("No value supplied for content filter"),
            Self::Object if target == Target::CONTENT => Some("No value supplied for content filter"),
            Self::Object if target == Target::REPOSITORY => Some("No value supplied for repository filter"),
            Self::Object | Self::Anything => Some("URI not valid: "),
        }
    }
}

/// A value that was read as its filter’s kind wants it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum FilterValue {
    /// Text, a choice.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
    /// A moment.
    Time(Timestamp),
    /// A UUID, or the key of the object that an href or PRN names.
    Id(Uuid),
    /// A version of a repository that an href or PRN names.
    Version(NamedVersion),
    /// Any object of a table, or of a type in it.
    All {
        /// The table that has the objects’ keys.
        table: &'static str,
        /// The type, where the table holds several.
        pulp_type: Option<&'static str>,
    },
    /// Several, for [`Lookup::In`] and [`Lookup::Range`].
    Many(Vec<FilterValue>),
}

/// A version of a repository, with what a list of its units asks about it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NamedVersion {
    /// The version’s key.
    pub id: Uuid,
    /// The repository’s key.
    pub repository: Uuid,
    /// The version’s number.
    pub number: i64,
    /// How many units of each type it has, has added and has removed.
    pub counts: BTreeMap<CountType, Vec<ContentCount>>,
}

impl FilterValue {
    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The key, if it is one.
    pub fn as_id(&self) -> Option<Uuid> {
        match self {
            Self::Id(id) => Some(*id),
            Self::Version(version) => Some(version.id),
            _ => None,
        }
    }

    /// All of several, or the one.
    pub fn all(&self) -> &[FilterValue] {
        match self {
            Self::Many(values) => values,
            one => std::slice::from_ref(one),
        }
    }

    /// The condition that a column points to one of these objects.
    pub(crate) fn pointed_at_by(&self, column: &str) -> Fragment {
        let mut any = Fragment::new(format!("{column} in ")).list(self.all().iter().filter_map(Self::as_id));
        for value in self.all() {
            if let Self::All { table, pulp_type } = value {
                let of_type = Fragment::new(format!("{column} in (select pulp_id from {table}"));
                any = any.or(match pulp_type {
                    Some(pulp_type) => of_type.text(" where pulp_type = ").bind(*pulp_type).text(")"),
                    None => of_type.text(")"),
                });
            }
        }
        any
    }

    /// As a statement carries it; null for several.
    pub fn to_sql(&self) -> Value {
        match self {
            Self::Text(value) => value.into(),
            Self::Integer(value) => (*value).into(),
            Self::Number(value) => (*value).into(),
            Self::Boolean(value) => (*value).into(),
            Self::Time(value) => (*value).into(),
            Self::Id(value) => value.into(),
            Self::Version(version) => version.id.into(),
            Self::Many(_) | Self::All { .. } => Value::Text(None),
        }
    }
}

/// A filter that is no comparison with a column.
#[async_trait]
pub trait Condition: Send + Sync {
    /// The condition on a row; `b` is the base table, `d` the detail table.
    ///
    /// # Errors
    /// A [validation error](crate::Error::Validation) that names the filter.
    async fn condition(&self, cx: &Context, lookup: Lookup, value: &FilterValue) -> Result<Fragment>;

    /// Another way to say the same, for large tables: rows to go through that lead to those of the resource, one to one. Used
    /// instead of [`condition`](Self::condition) where one filter of a list can be.
    ///
    /// # Errors
    /// As [`condition`](Self::condition).
    async fn drive(&self, _cx: &Context, _value: &FilterValue) -> Result<Option<Drive>> {
        Ok(None)
    }
}

/// Rows that lead to those of a resource, one to one.
#[derive(Debug, Clone)]
pub struct Drive {
    /// The table and its alias: `core_repositorycontent rc`.
    pub from: &'static str,
    /// The column that has the key of the resource’s row; it is indexed together with what `condition` compares.
    pub key: &'static str,
    /// Which rows.
    pub condition: Fragment,
    /// What to order them by so that an index has them in the order of keys, the greatest first.
    pub order: &'static str,
    /// How many lead to rows of each type, where that is known without going through them.
    pub counts: Option<Vec<ContentCount>>,
}

/// One filter of a list, with its lookups.
#[derive(Clone)]
#[non_exhaustive]
pub struct Filter {
    /// Its name on the wire.
    pub name: &'static str,
    /// What it compares with: a column of `b` or `d`, or an expression over them.
    pub column: String,
    /// What its value is.
    pub kind: FilterKind,
    /// How it can compare.
    pub lookups: &'static [Lookup],
    /// Whether the value `null` asks for rows that have none.
    pub nullable: bool,
    /// How it reads what names an object, where its value is one.
    pub naming: Naming,
    /// How it is refused without a value; passed over then if nothing is said.
    pub without_value: Option<&'static str>,
    /// How it works where it is no comparison.
    pub condition: Option<Arc<dyn Condition>>,
    /// Whether its condition takes several values, separated by commas.
    pub several: bool,
    /// Whether several values come as a parameter that is repeated.
    pub repeated: bool,
    /// What it is for.
    pub help: &'static str,
}

impl fmt::Debug for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Filter").field("name", &self.name).field("kind", &self.kind).field("lookups", &self.lookups).finish_non_exhaustive()
    }
}

impl Filter {
    /// A filter on the base table’s column of the same name.
    pub fn new(name: &'static str, kind: FilterKind, lookups: &'static [Lookup]) -> Self {
        let column = if matches!(kind, FilterKind::Href(_)) { format!("b.{name}_id") } else { format!("b.{name}") };
        let (nullable, naming, without_value) = (false, Naming::Pointer, None);
        let (several, repeated) = (false, false);
        Self { name, column, kind, lookups, nullable, naming, without_value, condition: None, several, repeated, help: "" }
    }

    /// A text of the base table, with the lookups of a name.
    pub fn name(name: &'static str) -> Self {
        Self::new(name, FilterKind::Text, Lookup::NAME)
    }

    /// A moment of the base table.
    pub fn time(name: &'static str) -> Self {
        Self::new(name, FilterKind::Time, Lookup::TIME)
    }

    /// Another object.
    pub fn href(name: &'static str, target: Target, lookups: &'static [Lookup]) -> Self {
        Self::new(name, FilterKind::Href(target), lookups)
    }

    /// A filter that is no comparison with a column. One on a version reads [versions](Naming::Version), on another object that
    /// [object](Naming::Object).
    pub fn custom(name: &'static str, kind: FilterKind, condition: impl Condition + 'static) -> Self {
        let mut filter = Self::new(name, kind, Lookup::EXACT);
        filter.condition = Some(Arc::new(condition));
        match kind {
            FilterKind::Href(target) if target == Target::REPOSITORY_VERSION => filter.naming(Naming::Version),
            FilterKind::Href(_) => filter.naming(Naming::Object),
            _ => filter,
        }
    }

    /// How it reads what names an object.
    #[must_use]
    pub fn naming(mut self, naming: Naming) -> Self {
        self.naming = naming;
        if let FilterKind::Href(target) = self.kind {
            self.without_value = naming.without_value(target);
        }
        self
    }

    /// How it is refused without a value.
    #[must_use]
    pub fn without_value(mut self, message: &'static str) -> Self {
        self.without_value = Some(message);
        self
    }

    /// It compares with a column of the detail table.
    #[must_use]
    pub fn in_detail(mut self) -> Self {
        if let Some(column) = self.column.strip_prefix("b.") {
            self.column = format!("d.{column}");
        }
        self
    }

    /// It compares with this expression over `b` and `d`.
    #[must_use]
    pub fn on(mut self, expression: impl Into<String>) -> Self {
        self.column = expression.into();
        self
    }

    /// The value `null` asks for rows that have none.
    #[must_use]
    pub fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// Its condition takes several values, as a text in which commas separate them.
    #[must_use]
    pub fn several(mut self) -> Self {
        self.several = true;
        self
    }

    /// Its condition takes several values, as a parameter that is repeated: those of any of them, with commas between.
    #[must_use]
    pub fn repeated(mut self) -> Self {
        self.several = true;
        self.repeated = true;
        self
    }

    /// How it can compare.
    #[must_use]
    pub fn lookups(mut self, lookups: &'static [Lookup]) -> Self {
        self.lookups = lookups;
        self
    }

    /// What it is for.
    #[must_use]
    pub fn help(mut self, text: &'static str) -> Self {
        self.help = text;
        self
    }
}

/// A piece of a statement with the values it carries, to be put together in any order.
///
/// ```
/// use pulp_core::db::Sql;
/// use pulp_core::resource::Fragment;
///
/// let named = Fragment::new("b.name = ").bind("a");
/// let mut sql = Sql::new("select 1 from core_remote b where ");
/// (!named).or(Fragment::new("b.url is null")).write(&mut sql);
/// assert_eq!(sql.text(), "select 1 from core_remote b where (not (b.name = $1)) or (b.url is null)");
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fragment(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(Cow<'static, str>),
    Value(Value),
}

impl Fragment {
    /// Starts with this text. Never text from outside.
    pub fn new(text: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// True of every row.
    pub fn always() -> Self {
        Self::new("1 = 1")
    }

    /// True of none.
    pub fn never() -> Self {
        Self::new("1 = 0")
    }

    /// Appends text. Never text from outside: values go through [`Fragment::bind`].
    #[must_use]
    pub fn text(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Part::Text(text.into()));
        self
    }

    /// Appends a value.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.0.push(Part::Value(value.into()));
        self
    }

    /// Appends `(…, …)`; for no values a list that nothing is in.
    #[must_use]
    pub fn list<V: Into<Value>>(mut self, values: impl IntoIterator<Item = V>) -> Self {
        self = self.text("(");
        let mut first = true;
        for value in values {
            if !std::mem::take(&mut first) {
                self = self.text(", ");
            }
            self = self.bind(value);
        }
        if first {
            self = self.text("null");
        }
        self.text(")")
    }

    /// Appends another fragment as it is.
    #[must_use]
    pub fn then(mut self, other: Fragment) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Both are true.
    #[must_use]
    pub fn and(self, other: Fragment) -> Self {
        Self::new("(").then(self).text(") and (").then(other).text(")")
    }

    /// One of them is true.
    #[must_use]
    pub fn or(self, other: Fragment) -> Self {
        Self::new("(").then(self).text(") or (").then(other).text(")")
    }

    /// All of them are true.
    pub fn all(parts: impl IntoIterator<Item = Fragment>) -> Self {
        let mut all: Option<Self> = None;
        for part in parts {
            all = Some(match all {
                None => Self::new("(").then(part),
                Some(before) => before.text(") and (").then(part),
            });
        }
        all.map_or_else(Self::always, |all| all.text(")"))
    }

    /// Text in which `{}` stands for a value.
    pub(crate) fn template(text: &str, value: &Value) -> Self {
        let mut pieces = text.split("{}");
        let mut all = Self::new(pieces.next().unwrap_or_default().to_owned());
        for piece in pieces {
            all = all.bind(value.clone()).text(piece.to_owned());
        }
        all
    }

    /// Whether its text speaks of a table by this name and a dot.
    pub(crate) fn mentions(&self, table: &str) -> bool {
        self.0.iter().any(|part| match part {
            Part::Text(text) => text
                .match_indices(table)
                .any(|(at, _)| !text[..at].ends_with(|before: char| before.is_ascii_alphanumeric() || before == '_')),
            Part::Value(_) => false,
        })
    }

    /// Whether of a table it speaks of these columns alone.
    pub(crate) fn mentions_only(&self, table: &str, columns: &[&str]) -> bool {
        let is_one = |rest: &str| {
            let end = rest.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(rest.len());
            columns.contains(&&rest[..end])
        };
        self.0.iter().all(|part| match part {
            Part::Text(text) => text.split(table).skip(1).all(is_one),
            Part::Value(_) => true,
        })
    }

    /// Appends it to a statement.
    pub fn write(&self, sql: &mut Sql) {
        for part in &self.0 {
            match part {
                Part::Text(text) => sql.push(text),
                Part::Value(value) => sql.push_bind(value.clone()),
            };
        }
    }
}

impl std::ops::Not for Fragment {
    type Output = Self;

    /// It is not true.
    fn not(self) -> Self {
        Self::new("not (").then(self).text(")")
    }
}
