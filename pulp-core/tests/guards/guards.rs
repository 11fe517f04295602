//! The content guards of core.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::both_databases;
use serde_json::{Value, json};

use crate::world::World;

const GUARDS: &str = "contentguards/core/";
const DENIED: (u16, &str) = (403, "403: Access denied.");

fn encoded(text: impl AsRef<[u8]>) -> String {
    STANDARD.encode(text)
}

async fn guard(world: &World, kind: &str, body: Value) -> String {
    world.make(&format!("{GUARDS}{kind}/"), body).await
}

fn said(answer: &(u16, String)) -> (u16, &str) {
    (answer.0, &answer.1)
}

both_databases! {
    async fn a_header_must_have_a_value(world: World) {
        let guard = guard(&world, "header", json!({"name": "g", "header_name": "X-Pass", "header_value": "s3cret"})).await;
        let distribution = world.guarded("d", &guard).await;
        assert_eq!(world.client.get(&distribution).await["content_guard"], guard);
        for wrong in ["s3cret", "!!!", &encoded("s3cre"), &encoded("s3cret "), &encoded(b"\xff\xfe"), ""] {
            assert_eq!(said(&world.ask("d/x", &[("x-pass", wrong)]).await), DENIED, "{wrong}");
        }
        assert_eq!(said(&world.ask("d/", &[]).await), DENIED);
        assert_eq!(world.ask("d/x", &[("x-pass", &encoded("s3cret"))]).await.0, 404);
        // The guard is asked anew as soon as it says something else.
        world.client.patch(&guard, json!({"header_value": "other"})).await.with(200);
        assert_eq!(said(&world.ask("d/x", &[("x-pass", &encoded("s3cret"))]).await), DENIED);
        assert_eq!(world.ask("d/x", &[("x-pass", &encoded("other"))]).await.0, 404);
        // Without its guard a distribution is open.
        world.client.delete(&guard).await.with(204);
        assert_eq!(world.ask("d/x", &[]).await.0, 404);
        assert_eq!(world.client.get(&distribution).await["content_guard"], Value::Null);
    }

    async fn a_filter_finds_the_value_in_json(world: World) {
        let body = json!({"name": "g", "header_name": "x-identity", "header_value": "123", "jq_filter": ".internal.org"});
        let guard = guard(&world, "header", body).await;
        world.guarded("d", &guard).await;
        let ask = async |json: &str| world.ask("d/x", &[("x-identity", &encoded(json))]).await.0;
        assert_eq!(ask(r#"{"internal": {"org": "123"}}"#).await, 404);
        for wrong in [r#"{"internal": {"org": 123}}"#, r#"{"internal": {"org": ["123"]}}"#, "{}", "[]", "x", "\"123\""] {
            assert_eq!(ask(wrong).await, 403, "{wrong}");
        }
        // What is no filter, or may never end, lets nobody in.
        for filter in [".[[", "def f: f; f", "[range(1e15)]", "\"123\" * 1e9", "env"] {
            world.client.patch(&guard, json!({"jq_filter": filter})).await.with(200);
            assert_eq!(ask("{}").await, 403, "{filter}");
        }
        world.client.patch(&guard, json!({"jq_filter": "if any(.roles[]; . == 1) then \"no\" else \"no\" end"})).await.with(200);
        world.client.patch(&guard, json!({"jq_filter": ".roles[] | select(. == \"123\")"})).await.with(200);
        assert_eq!(ask(r#"{"roles": ["9", "123"]}"#).await, 404);
    }

    async fn a_header_must_have_the_value_of_a_variable(world: World) {
        let not_allowed = json!({"env_var": ["Environment variable 'HOME' is not in ENVVAR_HEADER_CONTENT_GUARD_ALLOWED_VARS."]});
        let body = |variable: &str| json!({"name": variable, "header_name": "X-Env", "env_var": variable});
        assert_eq!(world.client.post(&format!("{GUARDS}envvar_header/"), body("HOME")).await.with(400), not_allowed);
        let set = guard(&world, "envvar_header", body("CARGO_PKG_NAME")).await;
        world.guarded("d", &set).await;
        let ask = async |value: &str| world.ask("d/x", &[("x-env", value)]).await;
        // Set by cargo, for every test.
        assert_eq!(ask(&encoded(std::env::var("CARGO_PKG_NAME").unwrap())).await.0, 404);
        assert_eq!(said(&ask(&encoded("other")).await), DENIED);
        assert_eq!(ask("!").await.1, "403: Access not allowed - Header content is not Base64 encoded.");
        assert_eq!(ask(&encoded(b"\xff")).await.1, "403: Access not allowed - Header content is not valid UTF-8.");
        assert_eq!(world.ask("d/x", &[]).await.1, "403: Access not allowed. Header X-Env not found.");
        let unset = guard(&world, "envvar_header", body("PULP_NO_SUCH_VARIABLE")).await;
        world.guarded("e", &unset).await;
        assert_eq!(said(&world.ask("e/x", &[("x-env", "")]).await), DENIED);
    }

    async fn users_must_log_in_and_may_download(world: World) {
        let guard = guard(&world, "rbac", json!({"name": "g"})).await;
        world.guarded("d", &guard).await;
        assert_eq!(world.ask("d/", &[]).await, (403, "403: Authentication credentials were not provided.".to_owned()));
        let wrong = format!("Basic {}", encoded("admin:wrong"));
        assert_eq!(world.ask("d/", &[("authorization", &wrong)]).await.0, 403);
        assert_eq!(world.client.try_get("/pulp/content/d/").await.status, 404);

        let users = async |name: &str| world.client.create("users/", json!({"username": name, "password": "Tr0ub4dor-and-3"})).await;
        let (alice, bob) = (users("alice").await, users("bob").await);
        let login = |name: &str| format!("Basic {}", encoded(format!("{name}:Tr0ub4dor-and-3")));
        let ask = async |name: &str| world.ask("d/", &[("authorization", &login(name))]).await;
        let refused = "403: You do not have permission to perform this action.";
        assert_eq!(ask("alice").await, (403, refused.to_owned()));
        let shown = world.client.get(&guard).await;
        assert_eq!((shown["users"][0]["username"].as_str(), &shown["groups"]), (Some("admin"), &json!([])), "whoever made it may download");
        // One by herself, one by his group: from the next request on, and until it is taken away.
        let group = world.client.create("groups/", json!({"name": "readers"})).await;
        world.client.post(&format!("{}users/", group["pulp_href"].as_str().unwrap()), json!({"username": "bob"})).await.with(201);
        let role = json!({"role": "core.rbaccontentguard_downloader", "users": ["alice"], "groups": ["readers"]});
        world.client.post(&format!("{guard}add_role/"), role.clone()).await.with(201);
        assert_eq!((ask("alice").await.0, ask("bob").await.0), (404, 404));
        let shown = world.client.get(&guard).await;
        let name = |list: &Value, field: &str| list.as_array().unwrap().iter().map(|one| one[field].as_str().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!((name(&shown["users"], "username"), name(&shown["groups"], "name")), (vec!["admin".to_owned(), "alice".to_owned()], vec!["readers".to_owned()]));
        assert_eq!(shown["users"][1]["pulp_href"], alice["pulp_href"]);
        world.client.post(&format!("{guard}remove_role/"), role).await.with(201);
        assert_eq!((ask("alice").await.0, ask("bob").await.0), (403, 403));
        let everywhere = json!({"role": "core.rbaccontentguard_downloader", "content_object": null});
        world.client.post(&format!("{}roles/", bob["pulp_href"].as_str().unwrap()), everywhere).await.with(201);
        assert_eq!((ask("alice").await.0, ask("bob").await.0), (403, 404));
    }

    async fn a_token_downloads_what_its_user_may_and_it_names(world: World) {
        let guard = guard(&world, "rbac", json!({"name": "g"})).await;
        world.guarded("d", &guard).await;
        for (name, permissions, status) in [
            ("all", Value::Null, 404),
            ("download", json!(["core.download_rbaccontentguard"]), 404),
            ("other", json!(["core.view_task"]), 403),
        ] {
            let made = world.client.create("tokens/", json!({"name": name, "permissions": permissions, "read_only": true})).await;
            let bearer = format!("Bearer {}", made["token"].as_str().unwrap());
            assert_eq!(world.ask("d/", &[("authorization", &bearer)]).await.0, status, "{name}");
        }
    }

    async fn one_of_several_must_let_pass(world: World) {
        let header = guard(&world, "header", json!({"name": "h", "header_name": "X-Pass", "header_value": "s3cret"})).await;
        let rbac = guard(&world, "rbac", json!({"name": "r"})).await;
        let all = guard(&world, "composite", json!({"name": "c"})).await;
        assert_eq!(world.client.get(&all).await["guards"], json!([]));
        world.guarded("d", &all).await;
        assert_eq!(world.ask("d/", &[]).await.0, 404, "none of none has to");
        world.client.patch(&all, json!({"guards": [header, rbac, header]})).await.with(200);
        assert_eq!(world.client.get(&all).await["guards"], json!([header, rbac]));
        let refused = world.ask("d/", &[]).await;
        let class = "class: '<class 'pulpcore.app.models.publication";
        let expected = format!(
            "403: Access forbidden. Refusals: [\"Guard: 'h', HREF: '{header}', {class}.HeaderContentGuard'>', denial: [Access denied.].\", \
             \"Guard: 'r', HREF: '{rbac}', {class}.RBACContentGuard'>', denial: [Authentication credentials were not provided.].\"]"
        );
        assert_eq!(refused, (403, expected));
        assert_eq!(world.ask("d/", &[("x-pass", &encoded("s3cret"))]).await.0, 404);
        assert_eq!(world.client.try_get("/pulp/content/d/").await.status, 404);
        // One that holds itself ends.
        world.client.patch(&all, json!({"guards": [all]})).await.with(200);
        assert_eq!(world.ask("d/", &[]).await.0, 403);
        let gone = all.replace(all.trim_end_matches('/').rsplit('/').next().unwrap(), "01a214e7-a3c7-711e-a3bf-62dc599905d9");
        let none = json!({"guards": ["Invalid hyperlink - Object does not exist."]});
        assert_eq!(world.client.patch(&all, json!({"guards": [gone]})).await.with(400), none);
        assert_eq!(world.client.list("contentguards/").await.len(), 3);
        assert_eq!(world.client.list("contentguards/?pulp_type=core.rbac").await.len(), 1);
    }

    async fn listings_leave_guarded_distributions_out_if_told(world: World) {
        let guard = guard(&world, "rbac", json!({"name": "g"})).await;
        world.guarded("closed", &guard).await;
        world.make("distributions/file/file/", json!({"name": "open", "base_path": "open"})).await;
        let listed = async || world.ask("", &[]).await.1;
        assert!(listed().await.contains("closed/"));
        let hide = Sql::new("update core_domain set hide_guarded_distributions = true");
        world.kit.pulp().db().execute(hide).await.unwrap();
        // The default domain is read when a Pulp is built: the listing of another one shows it.
        let other = pulp_core::Pulp::builder().data_dir(world.kit.database().dir().join("other")).database(world.kit.database().url());
        if world.kit.database().server().is_some() {
            let content = other.build().await.unwrap().content();
            let answer = content.handle(http::Request::get("/pulp/content/").body(()).unwrap()).await;
            let text = answer.into_body().read(1 << 20).await.unwrap();
            let text = String::from_utf8_lossy(&text);
            assert!(text.contains("open/") && !text.contains("closed/"), "{text}");
        }
    }
}
