//! `login/`: sessions by cookie.

use http::StatusCode;
use serde_json::{Value as Json, json};

use crate::api::request::Request;
use crate::api::router::Answer;
use crate::api::{auth, response, session};
use crate::db::{ExecutorExt, Sql};
use crate::model::User;
use crate::resource::{Context, Field, action_body};

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

/// Changes what people see of the user.
pub(crate) async fn update(mut request: Request) -> Answer {
    let body = request.payload().await?;
    let id = request.user()?.id;
    let fields = [
        Field::text("username").max_length(150).check(username),
        Field::text("first_name").blank().max_length(150),
        Field::text("last_name").blank().max_length(150),
        Field::text("email").blank().max_length(254),
    ];
    let input = action_body(&request.cx, &fields, &body).await?;
    let db = request.cx.pulp().db();
    let user = User::by_id(db, id).await?.ok_or(crate::Error::Unauthenticated)?;
    let value = |name: &str, before: &str| input.text(name).unwrap_or(before).to_owned();
    let username = value("username", &user.username);
    let update = Sql::new("update auth_user set username = $1, first_name = $2, last_name = $3, email = $4 where id = $5")
        .bind(&username)
        .bind(value("first_name", &user.first_name))
        .bind(value("last_name", &user.last_name))
        .bind(value("email", &user.email))
        .bind(id);
    if let Err(error) = db.execute(update).await {
        if error.is_unique() {
            return Err(crate::Error::field("username", "A user with that username already exists.").into());
        }
        return Err(error.into());
    }
    let user = User::by_id(db, id).await?.ok_or(crate::Error::Unauthenticated)?;
    Ok(response::json(
        StatusCode::OK,
        &json!({"username": user.username, "first_name": user.first_name, "last_name": user.last_name, "email": user.email}),
    ))
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

fn username(value: &Json) -> Result<(), String> {
    let allowed = |c: char| c.is_alphanumeric() || "@.+-_".contains(c);
    if value.as_str().is_some_and(|name| name.chars().all(allowed)) {
        Ok(())
    } else {
        Err("Enter a valid username. This value may contain only letters, numbers, and @/./+/-/_ characters.".to_owned())
    }
}

fn shown(cx: &Context, user: &User) -> Json {
    let base = cx.pulp().hrefs().base(&cx.domain().name);
    json!({"pulp_href": format!("{base}users/{}/", user.id), "prn": format!("prn:auth.user:{}", user.id), "username": user.username})
}
