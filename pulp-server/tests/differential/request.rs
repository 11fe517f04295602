//! A request at random.

use std::fmt;

use http::Method;
use rand::RngExt;
use rand::seq::{IndexedRandom, IteratorRandom};
use serde_json::{Value as Json, json};

use crate::side::ADMIN;
use crate::world::World;

pub struct Request {
    /// Who asks; nobody that is known is nobody.
    pub user: String,
    pub method: Method,
    pub path: String,
    pub body: Json,
    /// The kind that it makes, if it makes anything.
    pub makes: Option<usize>,
}

impl Request {
    pub fn random(world: &mut World) -> Self {
        let user = match world.all("user").choose(&mut world.rng) {
            Some(user) if !world.rng.random_ratio(1, 40) => user.clone(),
            _ => "<nobody>".to_owned(),
        };
        let concerned = if world.rng.random_ratio(2, 3) { world.concerned.iter().copied().choose(&mut world.rng) } else { None };
        let at = concerned.unwrap_or_else(|| world.rng.random_range(0..world.kinds.len()));
        let kind = &world.kinds[at];
        let (name, path) = (kind.name, kind.path);
        let action = kind.actions.choose(&mut world.rng).expect("something to ask").clone();
        let target = match action.on_object {
            true if world.rng.random_ratio(1, 30) => world.nowhere(name),
            true => world.some(name),
            false => format!("{path}/"),
        };
        let own = format!("{}-of-{}", world.prefix, world.rng.random_range(0..1_000_000));
        let body = match &action.body {
            body if !body.is_null() && world.rng.random_ratio(1, 10) => json!({}),
            body => {
                let body = fitting(world, body, at);
                world.filled(&body, &own)
            }
        };
        let query = if action.method == Method::GET && !action.on_object { "?limit=1000" } else { "" };
        let makes = (action.method == Method::POST && !action.on_object).then_some(at);
        Self { user, path: format!("{target}{}{query}", action.suffix), method: action.method, body, makes }
    }

    /// A POST of the administrator.
    pub fn of_admin(path: String, body: Json) -> Self {
        Self { user: ADMIN.to_owned(), method: Method::POST, path, body, makes: None }
    }

    /// Whether it changes nothing.
    pub fn is_safe(&self) -> bool {
        self.method == Method::GET
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.user, self.method, self.path)?;
        if self.body.is_null() { Ok(()) } else { write!(f, " {}", self.body) }
    }
}

/// Names a role that suits the kind, where one is wanted.
fn fitting(world: &mut World, body: &Json, at: usize) -> Json {
    let mut body = body.clone();
    if body["role"] == "<role of it>" {
        let suiting: Vec<&str> = world.roles.iter().filter(|role| role.concerns(&world.kinds[at])).map(|role| role.name.as_str()).collect();
        body["role"] = json!(suiting.choose(&mut world.rng).copied().unwrap_or("core.task_viewer"));
    }
    body
}
