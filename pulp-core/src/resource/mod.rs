//! REST resources as data: one description drives reading, writing, filters, validation and the OpenAPI document.
//!
//! A [`Resource`] reads like a table: where it lies, which rows it shows, its fields, its filters, what may be done with it.
//! What data cannot say is in three small traits: [`Compute`] for fields that are no column, [`Condition`] for filters that
//! are no comparison, [`Hooks`] for rules that concern a whole object. What is not plain reading and writing is an
//! [`Action`].
//!
//! ```
//! use pulp_core::resource::{Field, Resource};
//!
//! let repository = Resource::repository("repositories/shelf/shelf", "shelf.shelf", "shelf.ShelfRepository")
//!     .detail("shelf_shelfrepository", "repository_ptr_id")
//!     .field(Field::boolean("autopublish").default(false).help("Publish each new version by itself."));
//! assert_eq!(repository.model, "shelf.shelfrepository");
//! ```

pub(crate) mod access;
mod action;
pub mod bases;
pub mod content_file;
pub(crate) mod context;
mod field;
mod filter;
mod hooks;
mod input;
pub(crate) mod labels;
mod list;
pub(crate) mod query;
mod record;
mod relation;
mod render;
mod select;
pub(crate) mod shown;
mod tasks;
mod validate;
mod write;

pub use access::{AccessPolicy, Grants, Scope};
pub use action::{Action, ActionHandler, Body, On, Reply, Returns};
pub use context::Context;
pub use field::{Check, Compute, Field, Kind, Place, Shape};
pub use filter::{Condition, Drive, Filter, FilterKind, FilterValue, Fragment, Lookup, NamedVersion, Naming};
pub use hooks::{Hooks, NoHooks};
pub use input::{Input, Reference};
pub use record::Record;
pub use relation::{Joined, Target};
pub use tasks::{GeneralCreate, GeneralDelete, GeneralUpdate, Make, shown};

pub(crate) use context::NO_MATCH;
pub(crate) use field::hidden_fields_shape;
pub(crate) use labels::{check as check_label, select as select_labels};
pub(crate) use query::{BY_KEY, mask};
pub(crate) use select::{integer_key, key_number};
pub(crate) use tasks::register;
pub(crate) use validate::{Purpose, RawBody, action_body, type_name};
pub(crate) use write::set_label;

use std::fmt;
use std::sync::{Arc, OnceLock};

use http::Method;
use uuid::Uuid;

use crate::plugin::Registry;

/// Which of the shared kinds of object a resource is: says its base table, and which cross-type list shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Noun {
    /// A repository: has versions.
    Repository,
    /// A remote.
    Remote,
    /// A publication.
    Publication,
    /// A distribution.
    Distribution,
    /// A content unit.
    Content,
    /// A content guard.
    ContentGuard,
    /// An alternate content source.
    AlternateContentSource,
    /// Anything else: has a table of its own.
    Other,
}

/// How a column that is no field is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extra {
    /// Yes or no.
    Bool,
    /// A whole number.
    Int,
    /// Text.
    Text,
    /// A UUID.
    Uuid,
    /// A moment.
    Time,
    /// JSON.
    Json,
}

/// How an object is made.
#[derive(Debug, Clone)]
pub enum Create {
    /// It cannot be made over the API.
    No,
    /// At once; the response is the object, 201.
    Now,
    /// By a task, 202; the task is short and runs at once where nothing is in its way.
    Task,
    /// By code; the status and shape of the response are those given.
    By(Returns, Arc<dyn ActionHandler>),
}

impl fmt::Debug for dyn ActionHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ActionHandler")
    }
}

/// How an object is changed or removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It cannot be, over the API.
    No,
    /// At once: 200 with the object for a change, 204 for a removal.
    Now,
    /// By a task, 202; a change that nothing is in the way of is made at once, 200.
    Task,
}

/// Where the objects of a resource lie that are below those of another: `exporters/core/pulp/{id}/exports/{id}/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The path of the other resource.
    pub path: &'static str,
    /// The segment after its object’s key.
    pub segment: &'static str,
    /// The column of the base table that has that key.
    pub column: &'static str,
    /// What the API document calls the key: `exporter_pk`.
    pub key: &'static str,
}

/// One REST resource. Built by [`Resource::new`] or by one of the shared shapes ([`Resource::repository`], …).
#[derive(Clone)]
#[non_exhaustive]
pub struct Resource {
    /// Path of its list below the API’s base, without slashes at its ends: `repositories/file/file`.
    pub path: &'static str,
    /// First part of its operation ids: `repositories_file_file`; the path with underscores by default.
    pub operation: String,
    /// The name of its schema: `file.FileRepository`. Responses have `Response` appended.
    pub schema: &'static str,
    /// The model’s label in PRNs: `file.filerepository`; the schema’s name in lower case by default.
    pub model: String,
    /// What it is.
    pub noun: Noun,
    /// What a parameter for its href is called, without `_href`: `file_file_repository`.
    pub parameter: String,
    /// The table that has its key.
    pub table: &'static str,
    /// The column of its key.
    pub key: &'static str,
    /// The value of the base table’s `pulp_type`, where one table holds several types.
    pub pulp_type: Option<&'static str>,
    /// The type’s own table and its column that points to the base table’s key.
    pub detail: Option<(&'static str, &'static str)>,
    /// Whether rows belong to a domain (the column `pulp_domain_id`).
    pub in_domain: bool,
    /// Fields, in the order in which a response shows them.
    pub fields: Vec<Field>,
    /// The fields that `minimal=true` shows, in that order; empty: all of them.
    pub short: &'static [&'static str],
    /// What one is, in the API document.
    pub help: &'static str,
    /// Filters of the list; those that every list has are added by the engine.
    pub filters: Vec<Filter>,
    /// Whether the API document tells of filters; lists of which it tells none take them nonetheless.
    pub filterable: bool,
    /// Columns by which a list can be ordered, beside `pk`.
    pub ordering: Vec<&'static str>,
    /// Names by which a list can be ordered that are expressions over `b` and `d`, no columns.
    pub order_expressions: Vec<(&'static str, &'static str)>,
    /// Order of a list that asks for none, as in the `ordering` parameter; by time means by key, which is made in that order.
    pub default_order: &'static str,
    /// A condition that every row must meet to be visible at all, on `b` (base table) and `d` (detail table).
    pub visible: Option<&'static str>,
    /// Columns of the base table that computed fields need, beside those of the fields.
    pub extra: Vec<(&'static str, Extra)>,
    /// Whether the key is a number, as those of users and groups are.
    pub integer_key: bool,
    /// Columns that get the same value in every new row, beside those of the fields.
    pub constants: Vec<(&'static str, crate::db::Value)>,
    /// Whether there is a list.
    pub list: bool,
    /// Whether one can be read.
    pub read: bool,
    /// How one is made.
    pub create: Create,
    /// How one is changed.
    pub update: Change,
    /// How one is removed.
    pub delete: Change,
    /// Whether labels can be set and unset by themselves, and the status of the answer.
    pub labels: Option<u16>,
    /// Whether the API shows the versions of each; of repositories only.
    pub versions: bool,
    /// Whether objects have roles.
    pub roles: bool,
    /// The component that the API document names as the body of giving and taking roles.
    pub role_body: &'static str,
    /// Content types of bodies; JSON, form and multipart by default.
    pub multipart_only: bool,
    /// What its objects are below of, if they are.
    pub parent: Option<Parent>,
    /// The body that makes one, where that is not the object’s own fields.
    pub create_body: Option<Body>,
    /// What can be done beyond that.
    pub actions: Vec<Action>,
    /// Who may do what with it; the usual [`AccessPolicy`] if this is unset and objects have roles, else administrators alone.
    pub policy: Option<AccessPolicy>,
    /// Whether it is reached through another object only, whose access counts.
    pub nested: bool,
    /// Rows of other tables that are read along.
    pub joined: Vec<Joined>,
    /// Columns of the base table that hold the moment at which a row is made.
    pub stamps: &'static [&'static str],
    /// Rules that concern a whole object.
    pub hooks: Arc<dyn Hooks>,
    /// Makes objects, where that is more than inserting a row.
    pub(crate) maker: Option<Arc<dyn Make>>,
    /// Whether its detail rows never change once they are there, and whatever else is shown is a column, or [joined](Joined): then a page that was shown is kept, and
    /// shown again as long as what may change has not.
    pub lasting: bool,
    /// Worked out of the rest when it is first needed.
    selection: OnceLock<Arc<select::Selection>>,
    changing: OnceLock<Option<select::Selection>>,
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resource").field("path", &self.path).field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl Resource {
    /// A resource of its own table, with key `pulp_id`; the common fields `pulp_href`, `prn`, `pulp_created` and
    /// `pulp_last_updated` are there already. It can be listed and read until more is said.
    pub fn new(path: &'static str, table: &'static str, schema: &'static str) -> Self {
        Self {
            path,
            operation: path.replace(['/', '-'], "_"),
            schema,
            model: if schema.contains('.') { schema.to_ascii_lowercase() } else { format!("core.{}", schema.to_ascii_lowercase()) },
            noun: Noun::Other,
            parameter: snake(schema),
            table,
            key: "pulp_id",
            pulp_type: None,
            detail: None,
            in_domain: true,
            fields: bases::common(),
            short: &[],
            help: "",
            filters: Vec::new(),
            filterable: true,
            ordering: vec!["pulp_id", "pulp_created", "pulp_last_updated"],
            order_expressions: Vec::new(),
            default_order: "-pulp_created",
            visible: None,
            extra: Vec::new(),
            integer_key: false,
            constants: Vec::new(),
            list: true,
            read: true,
            create: Create::No,
            update: Change::No,
            delete: Change::No,
            labels: None,
            versions: true,
            roles: false,
            role_body: "NestedRole",
            multipart_only: false,
            parent: None,
            create_body: None,
            actions: Vec::new(),
            policy: None,
            nested: false,
            joined: Vec::new(),
            stamps: &["pulp_created", "pulp_last_updated"],
            hooks: Arc::new(NoHooks),
            maker: None,
            lasting: false,
            selection: OnceLock::new(),
            changing: OnceLock::new(),
        }
    }

    /// All objects of a base table, whatever their type, as the cross-type lists show them: they can be listed, and nothing
    /// else.
    pub(crate) fn all_types(mut self) -> Self {
        self.pulp_type = None;
        self.detail = None;
        self.read = false;
        self.create = Create::No;
        self.update = Change::No;
        self.delete = Change::No;
        self.labels = None;
        self.roles = false;
        let scope = self.policy.take().map(|policy| policy.scope).unwrap_or_default();
        self.policy = Some(AccessPolicy::usual().scope(scope));
        self.actions.clear();
        self
    }

    /// Names the type’s own table and its column that points to the base table. Fields added from here on are columns of it,
    /// unless they say otherwise.
    #[must_use]
    pub fn detail(mut self, table: &'static str, pointer: &'static str) -> Self {
        self.detail = Some((table, pointer));
        self
    }

    /// The model’s label in PRNs, where it is not the schema’s name in lower case.
    #[must_use]
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.model = model.into();
        self
    }

    /// What the parameter for its href is called in operation parameters, without `_href`.
    #[must_use]
    pub fn parameter(mut self, name: impl Into<String>) -> Self {
        self.parameter = name.into();
        self
    }

    /// What one is, in the API document.
    #[must_use]
    pub fn help(mut self, text: &'static str) -> Self {
        self.help = text;
        self
    }

    /// Adds a field.
    #[must_use]
    pub fn field(mut self, mut field: Field) -> Self {
        if field.place == Place::Unsaid {
            field.place = if self.detail.is_some() { Place::Detail } else { Place::Base };
        }
        self.fields.push(field);
        self
    }

    /// Adds several fields.
    #[must_use]
    pub fn fields(self, fields: impl IntoIterator<Item = Field>) -> Self {
        fields.into_iter().fold(self, Self::field)
    }

    /// Reads a row of another table along, of which [joined](Field::joined) fields are shown.
    #[must_use]
    pub fn joined(mut self, joined: Joined) -> Self {
        self.joined.push(joined);
        self
    }

    /// Its detail rows never change: see [`lasting`](Self::lasting).
    #[must_use]
    pub fn lasting(mut self) -> Self {
        self.lasting = true;
        self
    }

    /// Adds a filter.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds several filters.
    #[must_use]
    pub fn filters(mut self, filters: impl IntoIterator<Item = Filter>) -> Self {
        self.filters.extend(filters);
        self
    }

    /// Adds columns by which a list can be ordered.
    #[must_use]
    pub fn ordered_by(mut self, columns: impl IntoIterator<Item = &'static str>) -> Self {
        self.ordering.extend(columns);
        self
    }

    /// Only rows that meet this condition can be seen; it speaks of `b`, the base table, and `d`, the detail table.
    #[must_use]
    pub fn visible_if(mut self, condition: &'static str) -> Self {
        self.visible = Some(condition);
        self
    }

    /// Gives a column of the base table the same value in every new row.
    #[must_use]
    pub fn constant(mut self, column: &'static str, value: impl Into<crate::db::Value>) -> Self {
        self.constants.push((column, value.into()));
        self
    }

    /// Says how one is made.
    #[must_use]
    pub fn create(mut self, create: Create) -> Self {
        self.create = create;
        self
    }

    /// Lets code make one: it gets the validated body; the answer is a task, or what `returns` says.
    #[must_use]
    pub fn create_by(mut self, returns: Returns, handler: impl ActionHandler + 'static) -> Self {
        self.create = Create::By(returns, Arc::new(handler));
        self
    }

    /// As [`create_by`](Self::create_by), with a body of other fields than the object’s own.
    #[must_use]
    pub fn create_with(
        mut self,
        schema: &'static str,
        fields: impl IntoIterator<Item = Field>,
        returns: Returns,
        handler: impl ActionHandler + 'static,
    ) -> Self {
        self.create_body = Some(Body { schema, fields: fields.into_iter().collect() });
        self.create_by(returns, handler)
    }

    /// Its objects lie below those of another resource; whoever makes one is given the key of that object. `path` stays a name
    /// for it: that of the other resource, and the segment.
    #[must_use]
    pub fn below(mut self, parent: Parent) -> Self {
        self.extra.push((parent.column, Extra::Uuid));
        self.parent = Some(parent);
        self
    }

    /// Lets code do what [`GeneralCreate`] does for this resource.
    #[must_use]
    pub fn made_by(mut self, maker: impl Make + 'static) -> Self {
        self.maker = Some(Arc::new(maker));
        self
    }

    /// Says how one is changed.
    #[must_use]
    pub fn update(mut self, update: Change) -> Self {
        self.update = update;
        self
    }

    /// Says how one is removed.
    #[must_use]
    pub fn delete(mut self, delete: Change) -> Self {
        self.delete = delete;
        self
    }

    /// Bodies cannot be JSON: one of the fields is a file.
    #[must_use]
    pub fn multipart_only(mut self) -> Self {
        self.multipart_only = true;
        self
    }

    /// Adds an action.
    #[must_use]
    pub fn action(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    /// Says who may do what with it, unless an administrator says otherwise.
    #[must_use]
    pub fn policy(mut self, policy: AccessPolicy) -> Self {
        self.policy = Some(policy);
        self
    }

    /// Adds rules that concern a whole object, after those that it has already.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Hooks + 'static) -> Self {
        self.hooks = Arc::new(hooks::Both(self.hooks, Arc::new(hooks)));
        self
    }

    /// Reads a column of the base table that is no field, for computed fields.
    #[must_use]
    pub fn extra(mut self, column: &'static str, kind: Extra) -> Self {
        self.extra.push((column, kind));
        self
    }

    /// The key that a segment of a path is, in the shape that keys of this resource have.
    pub(crate) fn key_of(&self, text: &str) -> Option<Uuid> {
        if self.integer_key { text.parse::<u32>().ok().map(|id| select::integer_key(i64::from(id))) } else { Uuid::try_parse(text).ok() }
    }

    /// What messages call one of its objects: `FileRepository`.
    pub(crate) fn model_name(&self) -> &'static str {
        self.schema.rsplit('.').next().unwrap_or(self.schema)
    }

    /// Whether the base table holds several types.
    pub(crate) fn typed(&self) -> bool {
        self.noun != Noun::Other
    }

    /// Whether it is a type of repositories whose versions the API shows.
    pub(crate) fn shows_versions(&self) -> bool {
        self.noun == Noun::Repository && self.versions && self.pulp_type.is_some()
    }

    /// Whether its versions can be scanned for packages with known vulnerabilities.
    pub(crate) fn can_be_scanned(&self, registry: &Registry) -> bool {
        let rules = self.pulp_type.and_then(|pulp_type| registry.repository_type(pulp_type));
        rules.is_some_and(|rules| rules.has_packages())
    }

    /// How hrefs of its objects are made.
    pub(crate) fn link(&self) -> relation::Link {
        if self.table == Target::REPOSITORY_VERSION.table {
            relation::Link::Version
        } else if self.typed() && self.pulp_type.is_none() {
            relation::Link::Typed
        } else if let Some(parent) = self.parent {
            relation::Link::Nested(parent.path, parent.segment, parent.column)
        } else {
            relation::Link::Plain(self.path)
        }
    }

    /// The columns that reading it needs.
    pub(crate) fn selection(&self) -> &Arc<select::Selection> {
        self.selection.get_or_init(|| Arc::new(select::Selection::of(self)))
    }

    /// The columns that tell whether an object is shown as before, if it is lasting.
    fn changing(&self) -> Option<&select::Selection> {
        self.changing.get_or_init(|| select::Selection::of_changes(self).filter(|_| self.lasting)).as_ref()
    }

    /// A field by its name.
    pub fn find_field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// An action by its name, method and target.
    pub fn find_action(&self, name: &str, on: On, method: &Method) -> Option<&Action> {
        self.actions.iter().find(|action| action.name == name && action.on == on && action.method == *method)
    }
}

/// `file.FileGitRemote` as `file_file_git_remote`.
fn snake(schema: &str) -> String {
    let mut name = String::with_capacity(schema.len() + 8);
    for c in schema.chars() {
        if c == '.' {
            name.push('_');
        } else if c.is_ascii_uppercase() {
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
            name.push(c.to_ascii_lowercase());
        } else {
            name.push(c);
        }
    }
    name
}
