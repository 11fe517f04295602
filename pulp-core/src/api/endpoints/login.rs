//! `login/`: sessions by cookie.

use http::StatusCode;
use serde_json::{Value as Json, json};

use super::object_roles::refused;
use super::users::{check_new, email, hash};
use crate::Error;
use crate::api::request::Request;
use crate::api::router::Answer;
use crate::api::{auth, response, session};
use crate::crypto::Secret;
use crate::db::{ExecutorExt, Sql};
use crate::model::User;
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, Context, Field, Scope, action_body};

/// Whoever can log in may.
pub(super) fn register(registry: &mut Registry) {
    registry.policy("login", AccessPolicy::explicit().rule(&["*"], &[]).creator(&[]).scope(Scope::Everything));
}

/// Who is logged in.
pub(crate) async fn read(request: Request) -> Answer {
    let user = request.user()?;
    Ok(response::json(StatusCode::OK, &shown(&request.cx, user)))
}

/// Opens a session for who gives name and password by HTTP Basic.
pub(crate) async fn open(request: Request) -> Answer {
    let user = request.user()?;
    let cx = &request.cx;
    let (key, csrf) = session::open(cx.pulp(), user).await?;
    let body = shown(cx, user);
    let href = body["pulp_href"].as_str().unwrap_or_default().to_owned();
    let mut response = response::located(response::json(StatusCode::CREATED, &body), &href);
    let secure = cx.origin().is_some_and(|origin| origin.starts_with("https://"));
    session::set_cookies(response.headers_mut(), cx.pulp(), &key, &csrf, secure);
    Ok(response)
}

/// Changes one's own name and password.
pub(crate) async fn update(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let cx = &request.cx;
    let fields = [
        Field::text("username").max_length(150),
        Field::text("old_password").keep_space(),
        Field::text("new_password").keep_space(),
        Field::text("first_name").blank().max_length(150),
        Field::text("last_name").blank().max_length(150),
        Field::text("email").blank().max_length(254).check(email),
    ];
    let input = action_body(cx, &fields, &body).await?;
    let db = cx.pulp().db();
    let user = User::by_id(db, request.user()?.id).await?.ok_or(Error::Unauthenticated)?;
    let value = |name: &str, before: &str| input.text(name).unwrap_or(before).to_owned();
    let username = value("username", &user.username);
    if username != user.username && User::by_name(db, &username).await?.is_some() {
        return Err(Error::field("username", "This field must be unique.").into());
    }
    let password = match input.text("new_password") {
        Some(new) => new_password(cx, &user, input.text("old_password"), new).await?,
        None => user.password.clone(),
    };
    let update = Sql::new("update auth_user set username = $1, first_name = $2, last_name = $3, email = $4, password = $5 where id = $6")
        .bind(&username)
        .bind(value("first_name", &user.first_name))
        .bind(value("last_name", &user.last_name))
        .bind(value("email", &user.email))
        .bind(password)
        .bind(user.id);
    if let Err(error) = db.execute(update).await {
        if error.is_unique() {
            return Err(Error::field("username", "This field must be unique.").into());
        }
        return Err(error.into());
    }
    let user = User::by_id(db, user.id).await?.ok_or(Error::Unauthenticated)?;
    Ok(response::json(
        StatusCode::OK,
        &json!({"username": user.username, "first_name": user.first_name, "last_name": user.last_name, "email": user.email}),
    ))
}

/// The hash of another password, which only who knows the one so far may set.
async fn new_password(cx: &Context, user: &User, old: Option<&str>, new: &str) -> Result<String, Error> {
    let Some(old) = old else { return Err(refused("Old password is required to update the password.".to_owned())) };
    if !cx.pulp().credentials().verify(&user.username, &Secret::new(old.to_owned()), Some(&user.password)).await? {
        return Err(refused("Old password is incorrect.".to_owned()));
    }
    if old == new {
        return Err(refused("New password cannot be the same as the old password.".to_owned()));
    }
    check_new(new)?;
    hash(cx, new.to_owned()).await
}

/// Ends the session.
pub(crate) async fn close(request: Request) -> Answer {
    if let Some(key) = auth::cookie(&request.headers, session::COOKIE) {
        session::close(request.cx.pulp(), key).await?;
    }
    let mut response = response::empty(StatusCode::NO_CONTENT);
    session::drop_cookie(response.headers_mut());
    Ok(response)
}

fn shown(cx: &Context, user: &User) -> Json {
    let base = cx.shared_base();
    json!({"pulp_href": format!("{base}users/{}/", user.id), "prn": format!("prn:auth.user:{}", user.id), "username": user.username})
}
