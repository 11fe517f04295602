//! Tokens: programs ask with them in the name of whoever made them. Pulp has none.

use std::collections::HashMap;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{DbError, ExecutorExt, Sql};
use crate::model::{ApiToken, NewToken, User};
use crate::plugin::Registry;
use crate::resource::{
    AccessPolicy, ActionHandler, Change, Compute, Context, Extra, Field, Filter, Input, Kind, Record, Reply, Resource, Returns, Scope,
    Shape,
};
use crate::{Error, Result};

const PATH: &str = "tokens";

pub(super) fn register(registry: &mut Registry) {
    let mut tokens = Resource::new(PATH, "core_apitoken", "ApiToken");
    tokens.in_domain = false;
    registry.resource(
        tokens
            .help("A secret with which programs ask in the name of a user: as bearer token, or in the place of the password.")
            .field(Field::text("name").required().max_length(150).help("What it is for; unique among the tokens of the user."))
            .field(
                Field::text("username")
                    .write_only()
                    .nowhere()
                    .help("Whose it is to be: one's own, unless an administrator says otherwise."),
            )
            .field(Field::computed("username", Shape::Text, Username).help("Whose it is."))
            .field(Field::boolean("read_only").default(false).help("Whether nothing can be changed with it."))
            .field(
                Field::list("permissions", Kind::Text)
                    .nullable()
                    .help("Names of the permissions that its user has with it at most; null: all that the user has."),
            )
            .field(Field::time("expires").nullable().help("From when on it is not valid; null: it is valid until it is deleted."))
            .field(Field::time("last_used").nullable().read_only().help("When it was used last, but for a minute."))
            .field(Field::computed("token", Shape::Text, Hidden).nullable().help("The secret, in the answer to whoever makes it alone."))
            .extra("user_id", Extra::Int)
            .create_by(Returns::Object(201), CreateToken)
            .delete(Change::Now)
            .policy(
                AccessPolicy::explicit().rule(&["list", "retrieve", "create", "destroy"], &[]).creator(&[]).scope(Scope::Own("user_id")),
            )
            .filters([Filter::name("name"), Filter::time("expires")])
            .ordered_by(["name", "expires", "last_used"]),
    );
}

/// `POST tokens/`.
struct CreateToken;

#[async_trait]
impl ActionHandler for CreateToken {
    async fn handle(&self, cx: &Context, _: Option<Uuid>, input: Input) -> Result<Reply> {
        let pulp = cx.pulp();
        let user = owner(cx, input.text("username")).await?;
        let new = described(cx, &input)?;
        let (id, secret) = ApiToken::create(pulp.db(), user, &new, pulp.now()).await.map_err(told)?;
        let gone = || Error::not_found(format!("token {id}"));
        let tokens = pulp.registry().resource_at(PATH).ok_or_else(gone)?;
        let row = tokens.find(&cx.of_nobody(), pulp.db(), id).await?.ok_or_else(gone)?;
        let mut shown = tokens.to_json(cx, row).await?;
        shown["token"] = json!(secret.expose());
        Ok(Reply::Json(StatusCode::CREATED, shown))
    }
}

/// Whose the token is to be.
async fn owner(cx: &Context, named: Option<&str>) -> Result<i64> {
    let asker = cx.user().ok_or(Error::Unauthenticated)?;
    match named.filter(|name| *name != asker.username) {
        None => Ok(asker.id),
        Some(_) if !asker.is_superuser => Err(Error::Forbidden),
        Some(name) => {
            let user = User::by_name(cx.pulp().db(), name).await?;
            Ok(user.ok_or_else(|| Error::field("username", format!("There is no user '{name}'.")))?.id)
        }
    }
}

fn described(cx: &Context, input: &Input) -> Result<NewToken> {
    let expires: Option<Timestamp> = input.text("expires").map(str::parse).transpose().map_err(|_| past())?;
    if expires.is_some_and(|expires| expires <= cx.pulp().now()) {
        return Err(past());
    }
    Ok(NewToken {
        name: input.text("name").unwrap_or_default().to_owned(),
        read_only: input.boolean("read_only").unwrap_or(false),
        permissions: permissions(cx, input)?,
        expires,
    })
}

/// The permissions that a body names, all of which must be known.
fn permissions(cx: &Context, input: &Input) -> Result<Option<Vec<String>>> {
    let Some(named) = input.get("permissions").and_then(Json::as_array) else { return Ok(None) };
    let names: Vec<String> = named.iter().filter_map(Json::as_str).map(str::to_owned).collect();
    match names.iter().find(|name| cx.pulp().access().permission(name).is_none()) {
        Some(name) => Err(Error::field("permissions", format!("Permission '{name}' does not exist."))),
        None => Ok(Some(names)),
    }
}

fn past() -> Error {
    Error::field("expires", "The moment must lie in the future.")
}

fn told(error: Error) -> Error {
    match error {
        Error::Db(DbError::Unique { .. }) => Error::field("name", "This field must be unique."),
        other => other,
    }
}

/// The names of the users.
struct Username;

#[async_trait]
impl Compute for Username {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new("select id, username from auth_user where id in ");
        sql.push_list(rows.iter().filter_map(|row| row.integer("user_id")));
        let names: HashMap<i64, String> = cx.pulp().db().all::<(i64, String)>(sql).await?.into_iter().collect();
        let name = |row: &Record| row.integer("user_id").and_then(|id| names.get(&id));
        Ok(rows.iter().map(|row| vec![json!(name(row))]).collect())
    }
}

/// The secret, which is not there.
struct Hidden;

#[async_trait]
impl Compute for Hidden {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(vec![vec![Json::Null]; rows.len()])
    }
}
