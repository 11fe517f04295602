//! Who may: the one place where policies are applied, to every operation.

mod condition;

use http::Method;

use self::condition::Condition;
use super::auth::By;
use super::error::ApiError;
use super::request::{Request, is_safe};
use super::router::{Access, Guarded};
use crate::Error;
use crate::model::User;
use crate::resource::Context;
use crate::resource::access::{Effect, Overrides, Statement};

/// Lets a request pass that its policy allows.
///
/// # Errors
/// 403, or 404 where the asker may not even see what is acted on.
pub(super) async fn check(request: &mut Request, access: &Access, method: &Method) -> Result<(), ApiError> {
    by_token(request, access, method)?;
    match access {
        Access::Anyone => Ok(()),
        Access::Superuser => superuser(&request.cx),
        Access::Policy(guarded) => by_policy(request, guarded, method).await,
    }
}

/// What opens a way in is for people: a token makes no other, and opens no session that would outlive it.
const PERSONAL: &[&str] = &["login", "tokens"];

/// Lets a request pass that its token, if it comes with one, was made for.
fn by_token(request: &Request, access: &Access, method: &Method) -> Result<(), ApiError> {
    let Some(By::Token { read_only, .. }) = request.by else { return Ok(()) };
    let personal = matches!(access, Access::Policy(guarded) if PERSONAL.contains(&guarded.policy.as_str()));
    if is_safe(method) || !(read_only || personal) {
        return Ok(());
    }
    Err(Error::Denied("This cannot be done with this token.".to_owned()).into())
}

/// What is answered where a path does not know a method: only who might use the path learns that.
///
/// # Errors
/// 403.
pub(super) fn check_unknown(cx: &Context, access: &Access) -> Result<(), ApiError> {
    match access {
        Access::Anyone => Ok(()),
        Access::Policy(guarded) if cx.pulp().access().has(&guarded.policy) => Ok(()),
        Access::Policy(_) | Access::Superuser => superuser(cx),
    }
}

fn superuser(cx: &Context) -> Result<(), ApiError> {
    if cx.user().is_some_and(|user| user.is_superuser) { Ok(()) } else { Err(Error::Forbidden.into()) }
}

async fn by_policy(request: &mut Request, guarded: &Guarded, method: &Method) -> Result<(), ApiError> {
    let pulp = request.cx.pulp().clone();
    let user = request.cx.user().cloned().ok_or(Error::Unauthenticated)?;
    let overrides = request.cx.overrides().cloned().unwrap_or_else(Overrides::default);
    let Some(policy) = overrides.policy(pulp.access(), &guarded.policy)? else { return superuser(&request.cx) };
    let action = guarded.acts.action(method);
    let mut allowed = false;
    for statement in policy.statements.iter().filter(|statement| concerns(statement, &user, action, method)) {
        if !all_met(request, guarded, statement).await? {
            continue;
        }
        match statement.effect {
            Effect::Allow => allowed = true,
            Effect::Deny => return Err(Error::Forbidden.into()),
        }
    }
    if allowed { Ok(()) } else { Err(refused(request, guarded, action).await) }
}

/// Whether a statement speaks of this user and this action.
fn concerns(statement: &Statement, user: &User, action: &str, method: &Method) -> bool {
    let safe = is_safe(method);
    let is_user = |principal: &String| match principal.as_str() {
        "*" | "authenticated" => true,
        "admin" => user.is_superuser,
        "staff" => user.is_staff,
        other => other.strip_prefix("id:").is_some_and(|id| id.parse() == Ok(user.id)),
    };
    let is_action = |known: &String| match known.as_str() {
        "*" => true,
        "<safe_methods>" => safe,
        other => {
            other == action
                || other.strip_prefix("<method:").is_some_and(|name| name.trim_end_matches('>').eq_ignore_ascii_case(method.as_str()))
        }
    };
    statement.principals.iter().any(is_user) && statement.actions.iter().any(is_action)
}

/// Whether all conditions of a statement are met; they are looked at in order, until one is not.
async fn all_met(request: &mut Request, guarded: &Guarded, statement: &Statement) -> Result<bool, ApiError> {
    for text in &statement.conditions {
        let condition = Condition::parse(text)?;
        if !condition.is_met(request, guarded).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who may not make something because of what the body names learns first that the body is wrong, as in Pulp.
async fn refused(request: &mut Request, guarded: &Guarded, action: &str) -> ApiError {
    let forbidden = Error::Forbidden.into();
    let Some(resource) = guarded.resource.as_ref().filter(|_| action == "create") else { return forbidden };
    let Some(body) = request.read.take() else { return forbidden };
    match resource.validate(&request.cx, &body, crate::resource::Purpose::Create, None).await {
        Err(error) => error.into(),
        Ok(_) => forbidden,
    }
}
