//! Tokens: what programs can do with them, and what nobody can.

use http::Method;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{Answer, REMOTES, REPOSITORIES, World, basic, names};

/// Asks with a token.
struct Program<'w> {
    world: &'w World,
    secret: String,
}

impl World {
    /// A program with a token of the administrator's that is to be like this.
    async fn program(&self, token: Json) -> Program<'_> {
        let made = self.post("tokens/", token).await.with(201);
        Program { world: self, secret: made["token"].as_str().unwrap().to_owned() }
    }
}

impl Program<'_> {
    async fn ask(&self, method: Method, path: &str, body: Json) -> Answer {
        let authorization = format!("Bearer {}", self.secret);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json"), ("host", "pulp.example")];
        self.world.send(method, path, &headers, body.to_string()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, json!({})).await
    }

    async fn post(&self, path: &str, body: Json) -> Answer {
        self.ask(Method::POST, path, body).await
    }
}

both_databases! {
    async fn a_token_is_as_good_as_its_user(world: World) {
        let made = world.post("tokens/", json!({"name": "ci"})).await.with(201);
        let secret = made["token"].as_str().unwrap();
        assert_eq!((&made["name"], &made["username"], &made["read_only"], &made["permissions"], &made["expires"]), (&json!("ci"), &json!("admin"), &json!(false), &Json::Null, &Json::Null));
        let bearer = format!("Bearer {secret}");
        for authorization in [&bearer, &basic("admin", secret)] {
            let headers = [("authorization", authorization.as_str()), ("content-type", "application/json")];
            assert_eq!(world.send(Method::GET, "login/", &headers, "").await.with(200)["username"], "admin");
            world.send(Method::GET, "users/", &headers, "").await.with(200);
        }
        world.send(Method::GET, "login/", &[("authorization", &basic("ann", secret))], "").await.with(401);
        // It is shown once, and stored nowhere.
        let href = made["pulp_href"].as_str().unwrap();
        let shown = world.get(href).await.with(200);
        assert_eq!((&shown["token"], shown["last_used"].is_string()), (&Json::Null, true));
        let stored: String = world.pulp().db().scalar("select digest from core_apitoken").await.unwrap();
        assert!(!secret.contains(&stored) && !stored.contains(secret));
        world.send(Method::GET, "login/", &[("authorization", &format!("Bearer pulp_{stored}"))], "").await.with(401);
        world.delete(href).await.with(204);
        let refused = world.send(Method::GET, "login/", &[("authorization", &bearer)], "").await;
        assert_eq!(refused.with(401), json!({"detail": "Invalid token."}));
    }

    async fn a_token_ends_with_its_time_or_its_user(world: World) {
        let ann = world.person("ann").await;
        let program = world.program(json!({"name": "ci", "username": "ann", "expires": "2999-01-01T00:00:00Z"})).await;
        assert_eq!(program.get("login/").await.with(200)["username"], "ann");
        let db = world.pulp().db();
        let expires = Sql::new("update core_apitoken set expires = $1");
        db.execute(expires.clone().bind(world.pulp().now())).await.unwrap();
        program.get("login/").await.with(401);
        db.execute(expires.bind(None::<pulp_core::clock::Timestamp>)).await.unwrap();
        program.get("login/").await.with(200);
        for (active, status) in [(false, 401), (true, 200)] {
            db.execute(Sql::new("update auth_user set is_active = $1 where username = 'ann'").bind(active)).await.unwrap();
            program.get("login/").await.with(status);
        }
        drop(ann);
        let id = world.get("users/?username=ann").await.with(200)["results"][0]["pulp_href"].as_str().unwrap().to_owned();
        world.delete(&id).await.with(204);
        program.get("login/").await.with(401);
        assert_eq!(world.get("tokens/").await.with(200)["count"], 0);
    }

    async fn a_token_to_read_changes_nothing(world: World) {
        let repository = world.repository("a").await;
        let program = world.program(json!({"name": "ci", "read_only": true})).await;
        assert_eq!(names(&program.get(REPOSITORIES).await.with(200)), ["a"]);
        program.get("users/").await.with(200);
        for (method, path) in [(Method::POST, REPOSITORIES), (Method::PATCH, &repository), (Method::DELETE, &repository), (Method::POST, "orphans/cleanup/"), (Method::POST, "users/")] {
            let refused = program.ask(method, path, json!({"name": "b"})).await;
            assert_eq!(refused.with(403), json!({"detail": "This cannot be done with this token."}), "{path}");
        }
    }

    async fn a_token_gives_no_more_than_it_names(world: World) {
        let repository = world.repository("a").await;
        world.remote("r").await;
        let program = world.program(json!({"name": "ci", "permissions": ["shelf.view_shelfrepository", "shelf.change_shelfrepository"]})).await;
        assert_eq!(names(&program.get(REPOSITORIES).await.with(200)), ["a"]);
        assert_eq!(program.get(REMOTES).await.with(200)["count"], 0);
        assert_eq!(program.get("tasks/").await.with(200)["count"], 0);
        program.ask(Method::PATCH, &repository, json!({"description": "x"})).await.with(202);
        // The administrator may; the token may not.
        for (method, path) in [(Method::POST, REPOSITORIES), (Method::DELETE, repository.as_str()), (Method::GET, "users/"), (Method::POST, "orphans/cleanup/"), (Method::POST, "tasks/purge/"), (Method::POST, "roles/")] {
            assert_eq!(program.ask(method, path, json!({"name": "b"})).await.status, 403, "{path}");
        }
        // Nor does it give what its user has not.
        let ann = world.person("ann").await;
        let hers = world.program(json!({"name": "ci", "username": "ann", "permissions": ["shelf.view_shelfrepository", "shelf.add_shelfrepository"]})).await;
        assert_eq!(hers.get(REPOSITORIES).await.with(200)["count"], 0);
        ann.may_with("shelf.shelfrepository_owner", &repository).await;
        assert_eq!(names(&hers.get(REPOSITORIES).await.with(200)), ["a"]);
        hers.ask(Method::PATCH, &repository, json!({"description": "y"})).await.with(403);
        hers.post(REPOSITORIES, json!({"name": "b"})).await.with(403);
        // With no permission at all there is nothing to see.
        let nothing = world.program(json!({"name": "nothing", "permissions": []})).await;
        assert_eq!(nothing.get(REPOSITORIES).await.with(200)["count"], 0);
        nothing.get(&repository).await.with(404);
    }

    async fn a_token_opens_no_other_way_in(world: World) {
        let program = world.program(json!({"name": "ci"})).await;
        let href = world.get("tokens/").await.with(200)["results"][0]["pulp_href"].as_str().unwrap().to_owned();
        program.post("tokens/", json!({"name": "more"})).await.with(403);
        program.post("login/", json!({})).await.with(403);
        program.ask(Method::PATCH, "login/", json!({"first_name": "x"})).await.with(403);
        program.ask(Method::DELETE, &href, json!({})).await.with(403);
        program.get("tokens/").await.with(200);
    }

    async fn tokens_are_for_their_users_to_see(world: World) {
        let (ann, bob) = (world.person("ann").await, world.person("bob").await);
        let make = |name: &str| Some(json!({"name": name, "expires": "2999-01-01T00:00:00Z", "permissions": ["core.view_task"]}));
        let made = ann.ask(Method::POST, "tokens/", make("hers")).await.with(201);
        assert_eq!((&made["username"], &made["permissions"]), (&json!("ann"), &json!(["core.view_task"])));
        bob.ask(Method::POST, "tokens/", make("his")).await.with(201);
        // Two users may call theirs the same; one may not.
        bob.ask(Method::POST, "tokens/", make("hers")).await.with(201);
        assert_eq!(ann.ask(Method::POST, "tokens/", make("hers")).await.with(400), json!({"name": ["This field must be unique."]}));
        assert_eq!(names(&ann.ask(Method::GET, "tokens/", None).await.with(200)), ["hers"]);
        assert_eq!(world.get("tokens/").await.with(200)["count"], 3);
        let hers = made["pulp_href"].as_str().unwrap();
        for method in [Method::GET, Method::DELETE] {
            bob.ask(method, hers, None).await.with(404);
        }
        bob.ask(Method::POST, "tokens/", Some(json!({"name": "x", "username": "ann"}))).await.with(403);
        bob.ask(Method::POST, "tokens/", Some(json!({"name": "x", "username": "nobody"}))).await.with(403);
        ann.ask(Method::DELETE, hers, None).await.with(204);
        for (body, field) in [
            (json!({}), "name"),
            (json!({"name": "x", "expires": "2000-01-01T00:00:00Z"}), "expires"),
            (json!({"name": "x", "expires": "soon"}), "expires"),
            (json!({"name": "x", "permissions": ["core.nothing"]}), "permissions"),
            (json!({"name": "x", "username": "nobody"}), "username"),
        ] {
            let refused = world.post("tokens/", body.clone()).await.with(400);
            assert!(refused[field].is_array(), "{body}: {refused}");
        }
    }

    async fn that_a_token_is_used_is_noted_once_a_minute(world: World) {
        let program = world.program(json!({"name": "ci"})).await;
        let last = async || world.pulp().db().scalar::<Option<pulp_core::clock::Timestamp>>("select last_used from core_apitoken").await.unwrap();
        assert_eq!(last().await, None);
        program.get("login/").await.with(200);
        let first = last().await.unwrap();
        program.get("login/").await.with(200);
        assert_eq!(last().await, Some(first));
        let earlier = first - chrono::TimeDelta::seconds(61);
        world.pulp().db().execute(Sql::new("update core_apitoken set last_used = $1").bind(earlier)).await.unwrap();
        program.get("login/").await.with(200);
        assert!(last().await.unwrap() >= first);
    }

    async fn what_only_looks_like_a_token_lets_nobody_in(world: World) {
        let shape = format!("pulp_{}", "0".repeat(64));
        for token in [shape.as_str(), "pulp_", "pulp_x", "x", ""] {
            world.send(Method::GET, "login/", &[("authorization", &format!("Bearer {token}"))], "").await.with(401);
            world.send(Method::GET, "login/", &[("authorization", &basic("admin", token))], "").await.with(401);
        }
        // A password may look like one.
        world.post("users/", json!({"username": "odd", "password": shape})).await.with(201);
        world.send(Method::GET, "login/", &[("authorization", &basic("odd", &shape))], "").await.with(200);
    }
}
