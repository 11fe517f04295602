//! Users.

use async_trait::async_trait;
use serde_json::{Value as Json, json};

use crate::Result;
use crate::plugin::Registry;
use crate::resource::{Compute, Context, Extra, Field, Filter, FilterKind, Lookup, Record, Resource, Shape};

const NAME: &[Lookup] = &[Lookup::Exact, Lookup::Contains, Lookup::IContains, Lookup::IExact, Lookup::In];

pub(super) fn register(registry: &mut Registry) {
    let name = |name| Filter::new(name, FilterKind::Text, NAME);
    let truth = |name| Filter::new(name, FilterKind::Boolean, Lookup::EXACT);
    let mut users = Resource::new("users", "auth_user", "User").model("auth.user").parameter("auth_user");
    users.key = "id";
    users.integer_key = true;
    users.in_domain = false;
    users.default_order = "id";
    users.fields.retain(|field| matches!(field.name, "pulp_href" | "prn"));
    users.ordering =
        vec!["date_joined", "email", "first_name", "id", "is_active", "is_staff", "is_superuser", "last_login", "last_name", "username"];
    registry.resource(
        users
            .field(Field::integer("id").read_only())
            .field(Field::text("username").required().unique().max_length(150).help("The name to log in with."))
            .field(Field::text("first_name").blank().max_length(150).help("For people."))
            .field(Field::text("last_name").blank().max_length(150).help("For people."))
            .field(Field::text("email").blank().keyword("format", "email").help("For people."))
            .field(Field::boolean("is_staff").default(false))
            .field(Field::boolean("is_active").default(true).help("Whether the user may log in."))
            .field(Field::time("date_joined").read_only())
            .field(Field::computed("groups", Shape::List(Box::new(Shape::Component("UserGroupResponse"))), Groups))
            .field(Field::computed("hidden_fields", crate::resource::hidden_fields_shape(), Hidden))
            .extra("password", Extra::Text)
            .filters([name("username"), name("first_name"), name("last_name"), name("email"), truth("is_active"), truth("is_staff")]),
    );
}

struct Groups;

#[async_trait]
impl Compute for Groups {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows.iter().map(|_| vec![json!([])]).collect())
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
