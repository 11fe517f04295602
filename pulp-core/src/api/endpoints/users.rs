//! Users.

use std::collections::HashMap;

use async_trait::async_trait;
use rand::RngExt;
use serde_json::{Value as Json, json};

use super::groups::{NAME, numbered};
use crate::crypto::{Secret, passwords};
use crate::db::{ExecutorExt, Sql};
use crate::plugin::Registry;
use crate::resource::{
    Change, Compute, Context, Create, Extra, Field, Filter, FilterKind, Hooks, Input, Lookup, Record, Resource, Shape, key_number,
};
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    registry.resource(users());
}

fn users() -> Resource {
    let name = |name| Filter::new(name, FilterKind::Text, NAME);
    let truth = |name| Filter::new(name, FilterKind::Boolean, Lookup::EXACT);
    let mut users = numbered("users", "auth_user", "User").model("auth.user").parameter("auth_user");
    users.stamps = &["date_joined"];
    users
        .field(Field::integer("id").read_only())
        .field(Field::text("username").required().unique().max_length(150).help("The name to log in with."))
        .field(
            Field::text("password").nullable().write_only().keep_space().help("The password: null for one with which nobody can log in."),
        )
        .field(Field::text("first_name").blank().max_length(150).help("For people."))
        .field(Field::text("last_name").blank().max_length(150).help("For people."))
        .field(Field::text("email").blank().check(email).keyword("format", "email").help("For people."))
        .field(Field::boolean("is_staff").default(false))
        .field(Field::boolean("is_active").default(true).help("Whether the user may log in."))
        .field(Field::time("date_joined").read_only())
        .field(Field::computed("groups", Shape::List(Box::new(Shape::Component("UserGroupResponse"))), Groups))
        .field(Field::computed("hidden_fields", crate::resource::hidden_fields_shape(), Hidden))
        .extra("password", Extra::Text)
        .create(Create::Now)
        .update(Change::Now)
        .delete(Change::Now)
        .hooks(Passwords)
        .filters([name("username"), name("first_name"), name("last_name"), name("email"), truth("is_active"), truth("is_staff")])
        .ordered_by(["date_joined", "email", "first_name", "is_active", "is_staff", "is_superuser", "last_login", "last_name", "username"])
}

/// Whether a text may be an address: the same characters on both sides of one `@`, and a name of a host behind it.
pub(super) fn email(value: &Json) -> Result<(), String> {
    let text = value.as_str().unwrap_or_default();
    let host = |host: &str| {
        host == "localhost"
            || (host.contains('.') && host.split('.').all(|part| !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '-')))
    };
    let local = |local: &str| {
        !local.is_empty() && local.chars().all(|c| c.is_ascii_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c)) && !local.contains("..")
    };
    match text.rsplit_once('@') {
        _ if text.is_empty() => Ok(()),
        Some((name, at)) if local(name) && host(at) => Ok(()),
        _ => Err("Enter a valid email address.".to_owned()),
    }
}

/// Passwords are checked, and stored as hashes.
struct Passwords;

#[async_trait]
impl Hooks for Passwords {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        match input.remove("password") {
            Some(Json::String(password)) => {
                check_new(&password)?;
                input.set("password", hash(cx, password).await?);
            }
            // As Django does: a hash that no password has.
            Some(_) => input.set("password", unusable()),
            None if current.is_none() => input.set("password", unusable()),
            None => {}
        }
        Ok(())
    }
}

/// Whether a password may be chosen.
///
/// # Errors
/// [`Error::Refused`] with what is wrong.
pub(super) fn check_new(password: &str) -> Result<()> {
    passwords::check_new(password).map_err(|wrong| Error::Refused(json!({"non_field_errors": wrong})))
}

pub(super) async fn hash(cx: &Context, password: String) -> Result<String> {
    Ok(cx.pulp().credentials().hash(&Secret::new(password)).await?)
}

fn unusable() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut rng = rand::rng();
    std::iter::once('!').chain((0..40).map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))).collect()
}

struct Groups;

#[async_trait]
impl Compute for Groups {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select ug.user_id, g.id, g.name from auth_user_groups ug join auth_group g on g.id = ug.group_id where ug.user_id in ",
        );
        sql.push_list(rows.iter().map(|row| key_number(row.id()))).push(" order by g.name");
        let base = cx.shared_base();
        let mut all: HashMap<i64, Vec<Json>> = HashMap::new();
        for (user, id, name) in cx.pulp().db().all::<(i64, i64, String)>(sql).await? {
            let group = json!({"name": name, "pulp_href": format!("{base}groups/{id}/"), "prn": format!("prn:auth.group:{id}")});
            all.entry(user).or_default().push(group);
        }
        Ok(rows.iter().map(|row| vec![json!(all.remove(&key_number(row.id())).unwrap_or_default())]).collect())
    }
}

struct Hidden;

#[async_trait]
impl Compute for Hidden {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let is_set = |row: &Record| row.text("password").is_some_and(|hash| !hash.is_empty());
        Ok(rows.iter().map(|row| vec![json!([{"name": "password", "is_set": is_set(row)}])]).collect())
    }
}
