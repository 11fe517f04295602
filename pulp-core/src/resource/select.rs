//! Reading rows of a resource: which columns a statement gives, and how they are read.

use std::sync::Arc;

use serde_json::Value as Json;
use sqlx::types::Json as JsonColumn;
use uuid::Uuid;

use super::relation::Link;
use super::{Context, Drive, Field, Fragment, Joined, Kind, Place, Record, Resource, Target, access};
use crate::db::{DbError, Dialect, Executor, Row, Sql, Value};

/// What `core_contentcount` has a number of units for: columns that `core_content` has, too, and that never change there.
const COUNTED_BY: &[&str] = &["pulp_type", "pulp_domain_id"];

/// How a column is read.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ColumnType {
    Bool,
    Int,
    Float,
    Text,
    Uuid,
    Time,
    Json,
}

/// The columns that reading a resource needs: worked out once per resource.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    /// The names under which a [`Record`] has them.
    names: Arc<Vec<String>>,
    types: Vec<ColumnType>,
    expressions: String,
    joins: String,
    joined: Vec<Joined>,
    detail: bool,
    integer_key: bool,
}

#[derive(Default)]
struct Builder {
    names: Vec<String>,
    types: Vec<ColumnType>,
    expressions: Vec<String>,
    joins: String,
    joined: usize,
}

impl Builder {
    fn add(&mut self, name: impl Into<String>, kind: ColumnType, expression: impl Into<String>) {
        let name = name.into();
        if !self.names.contains(&name) {
            self.names.push(name);
            self.types.push(kind);
            self.expressions.push(expression.into());
        }
    }

    /// What was added, and the rows that are read along for it; whether the detail table is needed.
    fn selection(self, resource: &Resource, joined: Vec<Joined>, detail: bool) -> Selection {
        Selection {
            names: Arc::new(self.names),
            types: self.types,
            expressions: self.expressions.join(", "),
            joins: self.joins,
            joined,
            detail,
            integer_key: resource.integer_key,
        }
    }

    /// What the href of another object is made of, beside its key.
    fn relate(&mut self, name: &str, key: &str, target: super::Target) {
        let alias = format!("r{}", self.joined);
        match target.link {
            Link::Plain(_) => {}
            Link::Nested(_, _, column) => {
                self.joined += 1;
                self.joins.push_str(&format!(" left join {} {alias} on {alias}.pulp_id = {key}", target.table));
                self.add(format!("{name}__parent"), ColumnType::Uuid, format!("{alias}.{column}"));
            }
            Link::Typed => {
                self.joined += 1;
                self.joins.push_str(&format!(" left join {} {alias} on {alias}.pulp_id = {key}", target.table));
                self.add(format!("{name}__type"), ColumnType::Text, format!("{alias}.pulp_type"));
            }
            Link::Version => {
                self.joined += 1;
                self.joins.push_str(&format!(
                    " left join core_repositoryversion {alias} on {alias}.pulp_id = {key} left join core_repository {alias}r on {alias}r.pulp_id = {alias}.repository_id"
                ));
                self.add(format!("{name}__repository"), ColumnType::Uuid, format!("{alias}.repository_id"));
                self.add(format!("{name}__number"), ColumnType::Int, format!("{alias}.number"));
                self.add(format!("{name}__type"), ColumnType::Text, format!("{alias}r.pulp_type"));
            }
        }
    }
}

/// Columns of a base table that no row changes.
const FIXED: [&str; 2] = ["pulp_type", "pulp_created"];

impl Selection {
    /// All that is shown of a resource, and what that is made of.
    pub(crate) fn of(resource: &Resource) -> Self {
        let mut builder = Builder::default();
        let key = format!("b.{}", resource.key);
        builder.add(resource.key, if resource.integer_key { ColumnType::Int } else { ColumnType::Uuid }, key.as_str());
        if resource.typed() {
            builder.add("pulp_type", ColumnType::Text, "b.pulp_type");
        }
        if resource.link() == Link::Version {
            builder.relate("own", &key, super::Target::REPOSITORY_VERSION);
        }
        for &(column, kind) in &resource.extra {
            builder.add(column, column_type(kind), format!("b.{column}"));
        }
        for field in &resource.fields {
            let (Some(column), Some(expression)) = (field.stored_as(), field.sql()) else { continue };
            match &field.kind {
                Kind::Secret => builder.add(column, ColumnType::Bool, format!("({expression} is not null)")),
                Kind::Href(target) => {
                    builder.add(column, ColumnType::Uuid, expression.as_str());
                    builder.relate(field.name, &expression, *target);
                }
                kind => builder.add(column, column_type_of(kind), expression),
            }
        }
        builder.selection(resource, resource.joined.clone(), true)
    }

    /// What tells whether an object is shown as before: of a [lasting](Resource::lasting) resource, whose detail rows do not change, the columns of the
    /// base table that may, and the keys of what is read along. `None` if that does not tell all.
    pub(super) fn of_changes(resource: &Resource) -> Option<Self> {
        let mut builder = Builder::default();
        builder.add(resource.key, ColumnType::Uuid, format!("b.{}", resource.key));
        let mut told = vec![false; resource.joined.len()];
        for field in &resource.fields {
            if matches!(field.kind, Kind::Secret) || field.is_output() && field.compute.is_some() {
                return None;
            }
            let expression = match field.place {
                Place::Base if !FIXED.contains(&field.column.as_str()) => field.sql(),
                Place::Joined(expression) => {
                    let (at, by) = resource.joined.iter().enumerate().find_map(|(at, joined)| Some((at, joined.told_by(expression)?)))?;
                    told[at] |= by.is_some();
                    by.map(str::to_owned)
                }
                _ => None,
            };
            if let Some((column, expression)) = field.stored_as().zip(expression) {
                builder.add(column, column_type_of(&field.kind), expression);
            }
        }
        let all = told.iter().all(|told| *told) && resource.extra.is_empty() && !resource.integer_key;
        all.then(|| builder.selection(resource, resource.joined.iter().map(Joined::changing).collect(), false))
    }

    /// Its columns of a record that has them.
    pub(super) fn out_of(&self, record: &Record) -> Record {
        let values = self.names.iter().filter_map(|name| record.get(name).cloned()).collect();
        Record { id: record.id, columns: Arc::clone(&self.names), values }
    }

    /// The joins that its columns need, after the tables of the resource.
    fn joins(&self, dialect: Dialect) -> String {
        self.joined.iter().map(|joined| joined.sql(dialect)).chain([self.joins.clone()]).collect()
    }

    pub(super) fn read(&self, row: &Row) -> Result<Record, DbError> {
        let mut values = Vec::with_capacity(self.types.len());
        for (at, kind) in self.types.iter().enumerate() {
            values.push(match kind {
                ColumnType::Bool => Value::Bool(row.at(at)?),
                ColumnType::Int => Value::Int(row.at(at)?),
                ColumnType::Float => Value::Float(row.at(at)?),
                ColumnType::Text => Value::Text(row.at(at)?),
                ColumnType::Uuid => Value::Uuid(row.at(at)?),
                ColumnType::Time => Value::Time(row.at(at)?),
                ColumnType::Json => Value::Json(row.at::<Option<JsonColumn<Json>>>(at)?.map(|json| json.0)),
            });
        }
        let id = match values.first() {
            Some(Value::Uuid(Some(id))) => *id,
            Some(Value::Int(Some(id))) if self.integer_key => integer_key(*id),
            _ => return Err(DbError::NoRow),
        };
        Ok(Record { id, columns: Arc::clone(&self.names), values })
    }
}

/// Appends how many rows there may be, as part of the text: of a number that it does not see, PostgreSQL thinks that it is a tenth of all
/// rows, and so makes a plan at each execution. Clients ask for pages of few sizes.
fn push_limit(sql: &mut Sql, limit: i64) {
    sql.push(format!(" limit {limit}"));
}

/// Users and groups have numbers for keys; inside they travel as the UUID of that number.
pub(crate) fn integer_key(id: i64) -> Uuid {
    Uuid::from_u128(u128::from(id.unsigned_abs()))
}

/// The number that [`integer_key`] hid.
pub(crate) fn key_number(id: Uuid) -> i64 {
    i64::try_from(id.as_u128()).unwrap_or(i64::MAX)
}

fn column_type_of(kind: &Kind) -> ColumnType {
    match kind {
        Kind::Integer => ColumnType::Int,
        Kind::Float => ColumnType::Float,
        Kind::Boolean | Kind::Secret => ColumnType::Bool,
        Kind::Time => ColumnType::Time,
        Kind::Uuid | Kind::Href(_) => ColumnType::Uuid,
        Kind::Json | Kind::Dictionary | Kind::Labels | Kind::List(_) | Kind::Object(..) => ColumnType::Json,
        Kind::OwnHref | Kind::OwnPrn | Kind::Text | Kind::Choice(..) | Kind::File | Kind::Computed(_) => ColumnType::Text,
    }
}

fn column_type(kind: super::Extra) -> ColumnType {
    match kind {
        super::Extra::Bool => ColumnType::Bool,
        super::Extra::Int => ColumnType::Int,
        super::Extra::Text => ColumnType::Text,
        super::Extra::Uuid => ColumnType::Uuid,
        super::Extra::Time => ColumnType::Time,
        super::Extra::Json => ColumnType::Json,
    }
}

impl Field {
    /// The name of the column that holds it, where one does.
    pub(crate) fn stored_as(&self) -> Option<&str> {
        self.sql().map(|_| self.column.as_str())
    }
}

/// Which rows, in which order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    /// What they must meet.
    pub(crate) condition: Fragment,
    /// Where to come from, if not from the resource’s own table.
    pub(crate) drive: Option<Drive>,
    /// `order by`, without the words; the resource’s own order if empty.
    pub(crate) order: String,
    /// At most so many, after so many.
    pub(crate) page: Option<(i64, i64)>,
    /// Only those that come after this key, in the order of a list of content. They count all the same.
    pub(crate) after: Option<Uuid>,
}

impl Rows {
    /// Appends what they must meet, and how the tables that they come from join.
    fn push_where(&self, sql: &mut Sql, join: &Fragment) {
        sql.push(" where ");
        if self.drive.is_some() {
            join.write(sql);
            sql.push(" and ");
        }
        self.condition.write(sql);
    }
}

impl Resource {
    /// The condition that a row belongs to this resource and to the domain of `cx`.
    pub(super) fn own_rows(&self, cx: &Context) -> Fragment {
        let mut parts: Vec<Fragment> = Vec::new();
        if let Some(pulp_type) = self.pulp_type {
            parts.push(Fragment::new("b.pulp_type = ").bind(pulp_type));
        }
        // Also where there is but one domain: it is part of the index that gives a type's rows in the order of their keys.
        if self.in_domain {
            parts.push(Fragment::new("b.pulp_domain_id = ").bind(cx.domain().pulp_id));
        }
        if let Some(visible) = self.visible {
            parts.push(Fragment::new(visible));
        }
        Fragment::all(parts)
    }

    /// The condition that a row belongs to this resource and to the domain of `cx`, and that whoever asks may see it.
    pub(crate) fn scope(&self, cx: &Context) -> Fragment {
        let own = self.own_rows(cx);
        let seen = access::visible(cx, self).unwrap_or_else(|error| {
            tracing::error!(%error, "an access policy cannot be read: its list shows nothing");
            Fragment::never()
        });
        if seen == Fragment::always() { own } else { Fragment::all([own, seen]) }
    }

    /// The tables, and where they join. A cross join is an inner one here; SQLite keeps its order.
    fn from(&self, drive: Option<&Drive>, detail: bool) -> (String, Fragment) {
        let detail = match self.detail.filter(|_| detail) {
            Some((table, pointer)) => format!(" join {table} d on d.{pointer} = b.{}", self.key),
            None => String::new(),
        };
        match drive {
            None => (format!("{} b{detail}", self.table), Fragment::always()),
            Some(drive) => {
                let join = Fragment::new(format!("b.{} = {}", self.key, drive.key)).and(drive.condition.clone());
                (format!("{} cross join {} b{detail}", drive.from, self.table), join)
            }
        }
    }

    /// The order of a list that asks for none.
    fn own_order(&self, drive: Option<&Drive>) -> String {
        match (self.default_order, drive) {
            // Keys are made in the order of time: the index that has them gives the page without a sort.
            ("-pulp_created", Some(drive)) => drive.order.to_owned(),
            ("-pulp_created", None) => format!("b.{} desc", self.key),
            (order, _) => {
                let by = |name: &str| match name.strip_prefix('-') {
                    Some(name) => format!("b.{name} desc"),
                    None => format!("b.{name}"),
                };
                order.split(',').map(by).collect::<Vec<_>>().join(", ")
            }
        }
    }

    /// Rows of this resource.
    pub(crate) async fn select<E: Executor + ?Sized>(&self, executor: &E, rows: &Rows) -> Result<Vec<Record>, DbError> {
        let selection = self.selection();
        let sql = self.statement(executor.dialect(), rows, selection);
        executor.rows(sql).await?.iter().map(|row| selection.read(row)).collect()
    }

    /// The statement that reads these columns of rows.
    pub(super) fn statement(&self, dialect: Dialect, rows: &Rows, selection: &Selection) -> Sql {
        match rows.page {
            Some((limit, offset)) if offset > 0 || rows.drive.is_some() && dialect.finds_keys_first() => {
                self.page_by_keys(dialect, rows, selection, limit, offset)
            }
            page => self.first_rows(dialect, rows, selection, page.map(|(limit, _)| limit)),
        }
    }

    /// The statement for rows from the first on.
    fn first_rows(&self, dialect: Dialect, rows: &Rows, selection: &Selection, limit: Option<i64>) -> Sql {
        let drive = rows.drive.as_ref();
        let order = Fragment::new(self.ordering(rows, drive));
        let detail = selection.detail || rows.condition.mentions("d.") || order.mentions("d.");
        let (from, join) = self.from(drive, detail);
        let mut sql = Sql::new(format!("select {} from {from}{}", selection.expressions, selection.joins(dialect)));
        rows.push_where(&mut sql, &join);
        self.push_after(&mut sql, rows);
        if let Some(limit) = limit {
            sql.push(" order by ");
            order.write(&mut sql);
            push_limit(&mut sql, limit);
        }
        sql
    }

    /// Appends where a page by key begins.
    fn push_after(&self, sql: &mut Sql, rows: &Rows) {
        if let Some(after) = rows.after {
            let key = rows.drive.as_ref().map_or_else(|| format!("b.{}", self.key), |drive| drive.key.to_owned());
            sql.push(format!(" and {key} < ")).push_bind(after);
        }
    }

    /// The statement that finds the keys of a page first: of rows which are passed over nothing is read but what tells their order, and the
    /// joins are those of the page alone.
    fn page_by_keys(&self, dialect: Dialect, rows: &Rows, selection: &Selection, limit: i64, offset: i64) -> Sql {
        let mut sql = Sql::new("with page as (");
        self.push_keys(&mut sql, rows);
        push_limit(&mut sql, limit);
        if offset > 0 {
            sql.push(" offset ").push_bind(offset);
        }
        let order = Fragment::new(self.ordering(rows, None));
        let (from, _) = self.from(None, selection.detail || order.mentions("d."));
        sql.push(format!(
            ") select {} from page cross join {from}{} where b.{} = page.id",
            selection.expressions,
            selection.joins(dialect),
            self.key
        ));
        sql.push(" order by ");
        order.write(&mut sql);
        sql
    }

    /// Appends a query that gives the keys of the rows as `id`, in their order.
    fn push_keys(&self, sql: &mut Sql, rows: &Rows) {
        let drive = rows.drive.as_ref();
        let order = Fragment::new(self.ordering(rows, drive));
        if let Some(drive) = drive.filter(|drive| self.is_led_to_by_all_of(drive) && !order.mentions("b.") && !order.mentions("d.")) {
            sql.push(format!("select {} as id from {} where ", drive.key, drive.from));
            drive.condition.write(sql);
        } else {
            let (from, join) = self.from(drive, rows.condition.mentions("d.") || order.mentions("d."));
            sql.push(format!("select b.{} as id from {from}", self.key));
            rows.push_where(sql, &join);
        }
        self.push_after(sql, rows);
        sql.push(" order by ");
        order.write(sql);
    }

    /// Whether all of these rows lead to one of this resource that is asked for.
    fn is_led_to_by_all_of(&self, drive: &Drive) -> bool {
        matches!(drive.counts.as_deref(), Some([only]) if Some(only.content_type.as_str()) == self.pulp_type)
    }

    /// What the rows are ordered by.
    fn ordering(&self, rows: &Rows, drive: Option<&Drive>) -> String {
        if rows.order.is_empty() { self.own_order(drive) } else { rows.order.clone() }
    }

    /// How many rows there are on all pages.
    pub(crate) async fn count<E: Executor + ?Sized>(&self, executor: &E, rows: &Rows) -> Result<i64, DbError> {
        let drive = rows.drive.as_ref();
        if let Some((counts, pulp_type)) = drive.and_then(|drive| drive.counts.as_ref()).zip(self.pulp_type) {
            return Ok(counts.iter().find(|one| one.content_type == pulp_type).map_or(0, |one| one.count));
        }
        // The detail table adds no row and takes none away: join it only where the condition speaks of it.
        let detail = rows.condition.mentions("d.");
        // Units by what they are counted by, as they come and go: a million rows need not be counted for it.
        let kept = drive.is_none() && !detail && self.table == Target::CONTENT.table && rows.condition.mentions_only("b.", COUNTED_BY);
        let (mut sql, join) = if kept {
            (Sql::new("select cast(coalesce(sum(b.units), 0) as bigint) from core_contentcount b"), Fragment::always())
        } else {
            let (from, join) = self.from(drive, detail);
            (Sql::new(format!("select count(*) from {from}")), join)
        };
        rows.push_where(&mut sql, &join);
        executor.rows(sql).await?.first().ok_or(DbError::NoRow)?.at(0)
    }

    /// The object with this key, if it is one of this resource, of this domain, and can be seen.
    pub(crate) async fn find<E: Executor + ?Sized>(&self, cx: &Context, executor: &E, id: Uuid) -> Result<Option<Record>, DbError> {
        let key = format!("b.{} = ", self.key);
        let key = Fragment::new(key);
        let key = if self.integer_key { key.bind(key_number(id)) } else { key.bind(id) };
        let rows = Rows { condition: key.and(self.scope(cx)), ..Rows::default() };
        Ok(self.select(executor, &rows).await?.pop())
    }

    /// Whether there is an object with this key in the domain, be it one that the asker may see or not.
    pub(crate) async fn is_there(&self, cx: &Context, id: Uuid) -> Result<bool, DbError> {
        let mut sql = Sql::new(format!("select 1 from {} b where b.{} = ", self.table, self.key));
        let key: Value = if self.integer_key { key_number(id).into() } else { id.into() };
        sql.push_bind(key);
        if let Some(pulp_type) = self.pulp_type {
            sql.push(" and b.pulp_type = ").push_bind(pulp_type);
        }
        if self.in_domain {
            sql.push(" and b.pulp_domain_id = ").push_bind(cx.domain().pulp_id);
        }
        Ok(!cx.pulp().db().rows(sql).await?.is_empty())
    }

    /// The first row that meets a condition.
    pub(crate) async fn first(&self, cx: &Context, condition: Fragment) -> Result<Option<Record>, DbError> {
        let rows = Rows { condition, page: Some((1, 0)), ..Rows::default() };
        Ok(self.select(cx.pulp().db(), &rows).await?.pop())
    }
}
