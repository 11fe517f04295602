//! Who may ask, and what every answer says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use pulp_core::crypto::password;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::model::User;
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Prepare, both_databases};
use serde_json::{Value as Json, json};

use super::world::{Answer, REPOSITORIES, World, basic};

/// A Pulp behind a proxy that authenticates.
struct Trusting(World);

#[async_trait::async_trait]
impl Prepare for Trusting {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.remote_user_environ_name = Some("HTTP_REMOTE_USER".to_owned());
        World::with(engine, settings).await.map(Self)
    }
}

/// A Pulp behind a proxy that says in JSON who asks.
struct Told(World);

#[async_trait::async_trait]
impl Prepare for Told {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.authentication_json_header = Some("HTTP_X_RH_IDENTITY".to_owned());
        settings.authentication_json_header_jq_filter = Some(".identity.user.username".to_owned());
        World::with(engine, settings).await.map(Self)
    }
}

impl Told {
    /// Who asks, by a header of this text.
    async fn ask(&self, header: &str) -> Answer {
        self.0.send(Method::GET, "login/", &[("x-rh-identity", header)], "").await
    }
}

/// What the proxy sends of a user.
fn identity(name: impl Into<Json>) -> String {
    STANDARD.encode(json!({"identity": {"user": {"username": name.into()}}}).to_string())
}

both_databases! {
    async fn who_is_nobody_sees_the_status_alone(world: World) {
        for path in ["status/", "livez/", ""] {
            assert_eq!(world.send(Method::GET, path, &[], "").await.status, 200, "{path}");
        }
        for (method, path) in [(Method::GET, REPOSITORIES), (Method::POST, REPOSITORIES), (Method::GET, "tasks/"), (Method::GET, "users/"), (Method::GET, "login/"), (Method::DELETE, "tasks/")] {
            let refused = world.send(method, path, &[], "").await;
            assert_eq!(refused.with(401), json!({"detail": "Authentication credentials were not provided."}), "{path}");
            assert_eq!(refused.header("www-authenticate"), Some("Basic realm=\"api\""));
        }
    }

    async fn wrong_credentials_are_refused(world: World) {
        let wrong = [
            (basic("admin", "wrong"), "Invalid username/password."),
            (basic("nobody", "password"), "Invalid username/password."),
            (basic("a\0b", "password"), "Invalid username/password."),
            ("Basic x".to_owned(), "Invalid basic header. Credentials not correctly base64 encoded."),
            ("Bearer x".to_owned(), "Authentication credentials were not provided."),
        ];
        for (header, wanted) in wrong {
            let refused = world.send(Method::GET, "tasks/", &[("authorization", &header)], "").await;
            assert_eq!(refused.with(401), json!({"detail": wanted}), "{header}");
        }
        // Where nobody need be anybody, it does not matter.
        assert_eq!(world.send(Method::GET, "status/", &[("authorization", &basic("admin", "wrong"))], "").await.status, 200);
    }

    async fn an_inactive_user_and_one_without_rights_are_kept_out(world: World) {
        let db = world.pulp().db();
        let hash = password::make("password", 1_000).unwrap();
        for name in ["gone", "plain"] {
            User::create_superuser(db, name, &hash, world.pulp().now()).await.unwrap();
        }
        db.execute(Sql::new("update auth_user set is_active = false where username = 'gone'")).await.unwrap();
        db.execute(Sql::new("update auth_user set is_superuser = false where username = 'plain'")).await.unwrap();
        world.send(Method::GET, "tasks/", &[("authorization", &basic("gone", "password"))], "").await.with(401);
        let plain = basic("plain", "password");
        let refused = world.send(Method::GET, "users/", &[("authorization", &plain)], "").await;
        assert_eq!(refused.with(403), json!({"detail": "You do not have permission to perform this action."}));
        assert_eq!(world.send(Method::GET, REPOSITORIES, &[("authorization", &plain)], "").await.with(200)["count"], 0);
        assert_eq!(world.send(Method::GET, "login/", &[("authorization", &plain)], "").await.with(200)["username"], "plain");
    }

    async fn a_session_lasts_until_it_is_closed(world: World) {
        let opened = world.call(Method::POST, "login/", None).await;
        assert_eq!(opened.with(201), json!({"pulp_href": "/pulp/api/v3/users/1/", "prn": "prn:auth.user:1", "username": "admin"}));
        let cookies: Vec<&str> =
            opened.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
        let csrf = cookies.iter().find_map(|cookie| cookie.strip_prefix("csrftoken=")).unwrap();
        let cookie = cookies.join("; ");
        let session = [("cookie", cookie.as_str())];
        assert_eq!(world.send(Method::GET, "login/", &session, "").await.with(200)["username"], "admin");
        // Only who can read the cookie may change anything.
        let body = json!({"name": "a"}).to_string();
        let without = [("cookie", cookie.as_str()), ("content-type", "application/json")];
        assert_eq!(world.send(Method::POST, REPOSITORIES, &without, body.clone()).await.with(403), json!({"detail": "CSRF Failed: CSRF token missing."}));
        let wrong = [without[0], without[1], ("x-csrftoken", "wrong")];
        world.send(Method::POST, REPOSITORIES, &wrong, body.clone()).await.with(403);
        let right = [without[0], without[1], ("x-csrftoken", csrf)];
        world.send(Method::POST, REPOSITORIES, &right, body).await.with(201);
        // The key in the database opens nothing.
        let stored: String = world.pulp().db().scalar("select session_key from django_session").await.unwrap();
        assert!(!cookie.contains(&stored));
        world.send(Method::GET, "login/", &[("cookie", &format!("sessionid={stored}"))], "").await.with(401);
        world.send(Method::DELETE, "login/", &right, "").await.with(204);
        world.send(Method::GET, "login/", &session, "").await.with(401);
    }

    async fn a_new_password_ends_sessions_and_old_credentials(world: World) {
        let opened = world.call(Method::POST, "login/", None).await;
        let cookie: Vec<&str> =
            opened.headers.get_all("set-cookie").iter().map(|cookie| cookie.to_str().unwrap().split(';').next().unwrap()).collect();
        let cookie = cookie.join("; ");
        User::set_password(world.pulp().db(), "admin", &password::make("other", 1_000).unwrap()).await.unwrap();
        world.send(Method::GET, "login/", &[("cookie", &cookie)], "").await.with(401);
        world.get("login/").await.with(401);
        world.send(Method::GET, "login/", &[("authorization", &basic("admin", "other"))], "").await.with(200);
    }

    async fn a_proxy_may_say_who_asks_where_the_settings_say_so(trusting: Trusting) {
        let world = &trusting.0;
        let ask = async |headers: &[(&str, &str)]| world.send(Method::GET, "login/", headers, "").await;
        assert_eq!(ask(&[("remote-user", "ann")]).await.with(200)["username"], "ann");
        // Whoever is new may do nothing.
        assert_eq!(world.send(Method::GET, REPOSITORIES, &[("remote-user", "ann")], "").await.with(200)["count"], 0);
        world.send(Method::POST, REPOSITORIES, &[("remote-user", "ann"), ("content-type", "application/json")], "{}").await.with(403);
        for headers in [&[("remote-user", "ann"), ("remote-user", "admin")] as &[(&str, &str)], &[("remote-user", "")], &[("x-remote-user", "admin")]] {
            ask(headers).await.with(401);
        }
    }

    async fn a_proxy_may_say_in_json_who_asks(told: Told) {
        let world = &told.0;
        assert_eq!(told.ask(&identity("ann")).await.with(200)["username"], "ann");
        assert_eq!(told.ask(&identity("admin")).await.with(200)["username"], "admin");
        // Whoever is new may do nothing.
        let ann = identity("ann");
        assert_eq!(world.send(Method::GET, REPOSITORIES, &[("x-rh-identity", &ann)], "").await.with(200)["count"], 0);
        world.send(Method::POST, REPOSITORIES, &[("x-rh-identity", &ann), ("content-type", "application/json")], "{}").await.with(403);
        assert_eq!(world.get("users/?username=ann").await.with(200)["count"], 1);
        world.pulp().db().execute(Sql::new("update auth_user set is_active = false where username = 'ann'")).await.unwrap();
        told.ask(&ann).await.with(401);
    }

    async fn json_that_names_nobody_lets_nobody_in(told: Told) {
        let world = &told.0;
        let before = world.get("users/").await.with(200)["count"].clone();
        let long = "x".repeat(151);
        let much = STANDARD.encode(format!("{{\"identity\": {{\"user\": {{\"username\": \"ann\"}}}}, \"more\": \"{}\"}}", "x".repeat(17_000)));
        for header in [
            "", "admin", "%%%", &STANDARD.encode("admin"), &STANDARD.encode("{}"), &STANDARD.encode("{\"identity\": []}"), &STANDARD.encode("[".repeat(9_000)),
            &identity(""), &identity(" "), &identity(1), &identity("a\0b"), &identity(long), &much, &identity(json!(null)), &identity(json!(["admin"])),
        ] {
            told.ask(header).await.with(401);
        }
        let twice = [("x-rh-identity", identity("ann")), ("x-rh-identity", identity("admin"))];
        let twice = twice.each_ref().map(|(name, value)| (*name, value.as_str()));
        world.send(Method::GET, "login/", &twice, "").await.with(401);
        assert_eq!(world.get("users/").await.with(200)["count"], before);
        // Whoever can say otherwise who they are still can.
        let authorization = basic("admin", "password");
        world.send(Method::GET, "login/", &[("authorization", &authorization), ("x-rh-identity", "%%%")], "").await.with(200);
    }

    async fn nobody_says_who_asks_unless_the_settings_say_so(world: World) {
        world.send(Method::GET, "login/", &[("remote-user", "admin")], "").await.with(401);
        world.send(Method::GET, "login/", &[("x-rh-identity", &identity("admin"))], "").await.with(401);
    }

    async fn people_can_change_their_names(world: World) {
        let changed = world.patch("login/", json!({"first_name": "Ada", "email": "ada@example.org"})).await.with(200);
        assert_eq!(changed, json!({"username": "admin", "first_name": "Ada", "last_name": "", "email": "ada@example.org"}));
        assert_eq!(world.patch("login/", json!({"email": "x"})).await.with(400), json!({"email": ["Enter a valid email address."]}));
    }

    async fn every_answer_has_its_id(world: World) {
        let given = "0e9e1a0cc0a94b3a9b5f6ad9a1d54c33";
        let answer = world.send(Method::GET, "status/", &[("correlation-id", given)], "").await;
        assert_eq!(answer.header("correlation-id"), Some(given));
        let other = world.send(Method::GET, "status/", &[("correlation-id", "abc")], "").await;
        assert_eq!(other.header("correlation-id").map(str::len), Some(32));
        let refused = world.send(Method::GET, "nope/", &[], "").await;
        assert!(refused.header("correlation-id").is_some());
        // The task of a request carries it on.
        let href = world.repository("a").await;
        let authorization = basic("admin", "password");
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json"), ("correlation-id", given)];
        let answer = world.send(Method::PATCH, &href, &headers, "{\"description\": \"x\"}").await;
        let task = world.get(&world.task(&answer)).await.json();
        assert_eq!(task["logging_cid"], given);
        assert_eq!(world.get(&format!("tasks/?logging_cid={given}")).await.with(200)["count"], 1);
    }

    async fn only_json_is_spoken(world: World) {
        let authorization = basic("admin", "password");
        let ask = async |path: &str, accept: &str| world.send(Method::GET, path, &[("authorization", &authorization), ("accept", accept)], "").await;
        assert_eq!(ask("tasks/", "text/xml").await.with(406), json!({"detail": "Could not satisfy the request Accept header."}));
        for fine in ["*/*", "application/json", "text/xml, application/json;q=0.5", "text/html"] {
            ask("tasks/", fine).await.with(200);
        }
        assert_eq!(ask("tasks/?format=json", "*/*").await.status, 200);
        assert_eq!(ask("tasks/?format=xml", "*/*").await.with(404), json!({"detail": "Not found."}));
    }

    async fn the_status_tells_what_is_there(world: World) {
        let status = world.get("status/").await.with(200);
        assert_eq!(status["versions"][0], json!({"component": "core", "version": "3.123.1", "package": "pulpcore", "module": "pulpcore.app", "domain_compatible": true}));
        assert!(status["versions"].as_array().unwrap().iter().any(|version| version["component"] == "shelf" && version["version"] == "1.2.3"));
        assert_eq!(status["database_connection"], json!({"connected": true}));
        assert_eq!(status["redis_connection"], json!({"connected": false}));
        assert_eq!(status["content_settings"], json!({"content_origin": null, "content_path_prefix": "/pulp/content/"}));
        assert!(status["storage"]["total"].as_u64().unwrap() > 0);
        assert_eq!(status["domain_enabled"], false);
    }

    async fn a_role_lets_others_replicate(world: World) {
        let role = world.get("roles/?name=core.upstreampulp_user").await.with(200)["results"][0].clone();
        assert_eq!((&role["locked"], &role["permissions"]), (&json!(true), &json!(["core.replicate_upstreampulp", "core.view_upstreampulp"])));
    }

    async fn without_a_database_the_status_says_so(world: World) {
        world.pulp().db().close().await;
        let status = world.send(Method::GET, "status/", &[], "").await.with(200);
        assert_eq!((&status["database_connection"], &status["online_workers"]), (&json!({"connected": false}), &json!([])));
        let refused = world.get(REPOSITORIES).await;
        assert_eq!(refused.with(503), json!({"detail": "The database cannot be reached at the moment; try again."}));
        assert!(refused.header("retry-after").is_some());
        world.send(Method::GET, "livez/", &[], "").await.with(200);
    }
}

#[tokio::test]
async fn a_header_that_could_let_nobody_in_is_a_mistake_in_the_settings() {
    for (header, filter, wrong) in [
        (Some("X_RH_IDENTITY"), Some(".name"), "authentication_json_header:"),
        (Some("HTTP_X_RH_IDENTITY"), None, "authentication_json_header_jq_filter:"),
        (Some("HTTP_X_RH_IDENTITY"), Some("range(1e12)"), "authentication_json_header_jq_filter:"),
        (Some("HTTP_X_RH_IDENTITY"), Some(".["), "authentication_json_header_jq_filter:"),
    ] {
        let mut settings = Settings::default();
        settings.authentication_json_header = header.map(str::to_owned);
        settings.authentication_json_header_jq_filter = filter.map(str::to_owned);
        let directory = tempfile::tempdir().unwrap();
        let refused = pulp_core::Pulp::builder().data_dir(directory.path()).settings(settings).build().await.unwrap_err().to_string();
        assert!(refused.contains(wrong), "{refused}");
    }
}
