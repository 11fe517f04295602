//! Who asks, and what they were given.

use rand::RngExt;
use rand::seq::IndexedRandom;
use serde_json::{Value as Json, json};

use crate::catalogue::Kind;
use crate::request::Request;
use crate::side::Side;
use crate::world::{DEFAULT_DOMAIN, PEOPLE, World};

/// A role, as both servers have it.
#[derive(Clone)]
pub struct Role {
    pub name: String,
    permissions: Vec<String>,
}

impl Role {
    fn read(shown: &Json) -> Self {
        let text = |value: &Json| value.as_str().unwrap().to_owned();
        Self { name: text(&shown["name"]), permissions: shown["permissions"].as_array().unwrap().iter().map(text).collect() }
    }

    /// Whether it lets anybody do anything with objects of a kind.
    pub fn concerns(&self, kind: &Kind) -> bool {
        let Some((app, model)) = kind.model.split_once('.') else { return false };
        let of_model =
            |permission: &String| permission.split_once('.').is_some_and(|(of, verb)| of == app && verb.ends_with(&format!("_{model}")));
        self.permissions.iter().any(of_model)
    }
}

/// All that are the server's own.
pub async fn locked(side: &Side) -> Vec<Role> {
    let list = side.get("roles/?limit=1000&locked=true&ordering=name").await;
    list["results"].as_array().into_iter().flatten().map(Role::read).collect()
}

impl World {
    /// Who is there in a round: groups, users, some of them in groups, and roles made up; and what they may.
    pub async fn invite(&mut self) {
        self.assignments.clear();
        for name in PEOPLE {
            for _ in 0..self.kind(name).count {
                self.make(name).await;
            }
        }
        self.learn_roles().await;
        for user in self.all("user") {
            let name = self.name_of(&user);
            let [real, ours] = &mut self.sides;
            futures::join!(real.log_in(&user, &name), ours.log_in(&user, &name));
            for group in self.all("group") {
                if self.rng.random_ratio(1, 3) {
                    self.assignments.push(format!("{user} in {group}"));
                    self.attempt(&Request::of_admin(format!("{group}users/"), json!({"username": name}))).await;
                }
            }
        }
        for who in [self.all("user"), self.all("user"), self.all("group"), self.all("group")].concat() {
            self.assign(&who).await;
        }
    }

    /// Gives a role on everything, on an object, or on the domain.
    async fn assign(&mut self, who: &str) {
        let role = self.roles.choose(&mut self.rng).cloned().expect("roles");
        let kinds: Vec<usize> = (0..self.kinds.len()).filter(|at| role.concerns(&self.kinds[*at])).collect();
        let of_kinds: Vec<String> = kinds.iter().flat_map(|at| self.all(self.kinds[*at].name)).collect();
        let object = if self.rng.random_ratio(2, 3) { of_kinds.choose(&mut self.rng).cloned() } else { None };
        let mut body = json!({"role": role.name, "content_object": object});
        if object.is_none() && self.domains && self.rng.random() {
            body["domain"] = json!(DEFAULT_DOMAIN);
        }
        self.concerned.extend(kinds);
        self.assignments.push(format!("{who} {body}"));
        self.attempt(&Request::of_admin(format!("{who}roles/"), body)).await;
    }

    /// The roles that were made up.
    async fn learn_roles(&mut self) {
        self.roles = self.locked.clone();
        for symbol in self.all("role") {
            self.roles.push(Role::read(&self.sides[0].get(&symbol).await));
        }
    }

    /// A permission that some role has.
    pub fn some_permission(&mut self) -> String {
        let role = self.locked.choose(&mut self.rng).expect("roles");
        role.permissions.choose(&mut self.rng).expect("a role with permissions").clone()
    }
}
