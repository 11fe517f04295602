//! Every operation of the API document, asked by who may not: nothing leaks, and nothing was forgotten.

use std::collections::BTreeMap;

use http::Method;
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::permissions::Person;
use super::world::World;

/// Lists that belong to nobody's objects, and are for administrators.
const ADMINISTRATORS: &[&str] = &[
    "audit",
    "users",
    "roles",
    "access_policies",
    "workers",
    "signing-services",
    "exporters",
    "importers",
    "orphans",
    "repair",
    "scrub",
    "content/core",
    "contentguards/certguard",
    "distributions/core",
    "vuln_report",
    "datarepair",
    "debug",
];

/// What everybody who has logged in may do, whatever is there.
const EVERYBODY: &[(&str, &str)] =
    &[("get", "login/"), ("post", "login/"), ("patch", "login/"), ("delete", "login/"), ("post", "tasks/purge/"), ("post", "tokens/")];

struct Operation {
    method: Method,
    /// Below the base; keys are those of objects that are there, where there are any.
    path: String,
    collection: bool,
    open: bool,
}

/// All operations, on objects of the administrator's.
fn operations(world: &World, objects: &BTreeMap<String, String>) -> Vec<Operation> {
    let document = world.api.openapi(None, false, true).unwrap();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let below = path.strip_prefix("/pulp/api/v3/").unwrap();
        let collection = below.split('{').next().unwrap().trim_end_matches('/').to_owned();
        let id = objects.get(&collection).cloned();
        let numbered = below.starts_with("users/") || below.starts_with("groups/");
        let nothing = || if numbered { "9999".to_owned() } else { "0197b0a0-0000-7000-8000-000000000000".to_owned() };
        let mut shown = below.replace("{number}", "1");
        let mut first = true;
        while let Some(at) = shown.find('{') {
            let end = shown[at..].find('}').unwrap() + at + 1;
            let key = if first { id.clone().unwrap_or_else(nothing) } else { nothing() };
            shown.replace_range(at..end, &key);
            first = false;
        }
        for (method, operation) in methods.as_object().unwrap() {
            all.push(Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: shown.clone(),
                collection: !below.contains('{'),
                open: operation.get("security").is_none(),
            });
        }
    }
    all
}

/// Something of every kind that is easily made.
async fn furnished(world: &World) -> BTreeMap<String, String> {
    let repository = world.repository("secret-repository").await;
    let remote = world.remote("secret-remote").await;
    let books = world.books(&["secret-book"]).await;
    world.version(&repository, &books, &[]).await;
    let group = world.post("groups/", json!({"name": "secret-group"})).await.with(201);
    let upload = world.post("uploads/", json!({"size": 5})).await.with(201);
    let distribution = world.post("distributions/shelf/shelf/", json!({"name": "secret-distribution", "base_path": "secret"})).await;
    let distribution = world.made(&distribution).await;
    let token = world.post("tokens/", json!({"name": "secret-token"})).await.with(201);
    let webhook = json!({"name": "secret-webhook", "url": "http://secret.example/", "secret": "secret", "events": ["task.failed"]});
    let webhook = world.post("webhooks/", webhook).await.with(201);
    let task = world.get("tasks/?limit=1").await.with(200)["results"][0].clone();
    let last = |href: &Json| href.as_str().unwrap().trim_end_matches('/').rsplit('/').next().unwrap().to_owned();
    BTreeMap::from([
        ("repositories/shelf/shelf".to_owned(), last(&json!(repository))),
        ("remotes/shelf/shelf".to_owned(), last(&json!(remote))),
        ("content/shelf/books".to_owned(), books[0].to_string()),
        ("groups".to_owned(), last(&group["pulp_href"])),
        ("uploads".to_owned(), last(&upload["pulp_href"])),
        ("distributions/shelf/shelf".to_owned(), last(&distribution["pulp_href"])),
        ("tasks".to_owned(), last(&task["pulp_href"])),
        ("tokens".to_owned(), last(&token["pulp_href"])),
        ("webhooks".to_owned(), last(&webhook["pulp_href"])),
        ("domains".to_owned(), world.pulp().default_domain().pulp_id.to_string()),
        ("users".to_owned(), "1".to_owned()),
    ])
}

async fn crawl(world: &World, person: &Person<'_>, objects: &BTreeMap<String, String>, own: &[&str]) {
    for operation in operations(world, objects) {
        let Operation { method, path, collection, open } = operation;
        let name = method.as_str().to_lowercase();
        if open || EVERYBODY.contains(&(name.as_str(), path.as_str())) {
            continue;
        }
        let answer = person.ask(method.clone(), &path, Some(json!({}))).await;
        let text = String::from_utf8_lossy(&answer.bytes).into_owned();
        assert!(!text.contains("secret"), "{method} {path}: {text}");
        let for_administrators = ADMINISTRATORS.iter().any(|prefix| path.starts_with(prefix));
        match answer.status {
            200 if collection && method == Method::GET => {
                assert!(!for_administrators, "{path}: {text}");
                let list = answer.json();
                for object in list["results"].as_array().unwrap() {
                    assert!(own.iter().any(|href| object["pulp_href"] == **href), "{path} shows {object}");
                }
                assert_eq!(list["count"].as_u64(), Some(list["results"].as_array().unwrap().len() as u64), "{path}");
            }
            // A body that lacks something is refused before its repository is looked at.
            400 if collection && method == Method::POST && path.starts_with("content/") => {}
            401 => panic!("{method} {path}: {text}"),
            403 | 404 => {}
            other => panic!("{method} {path}: {other} {text}"),
        }
    }
}

both_databases! {
    async fn nobody_learns_anything_who_has_not_logged_in(world: World) {
        let objects = furnished(&world).await;
        for Operation { method, path, open, .. } in operations(&world, &objects) {
            if open {
                continue;
            }
            let refused = world.send(method.clone(), &format!("/pulp/api/v3/{path}"), &[("content-type", "application/json")], "{}").await;
            assert_eq!(refused.with(401), json!({"detail": "Authentication credentials were not provided."}), "{method} {path}");
        }
    }

    async fn who_has_no_role_learns_nothing(world: World) {
        let objects = furnished(&world).await;
        let nobody = world.person("nobody").await;
        crawl(&world, &nobody, &objects, &[]).await;
    }

    async fn who_owns_something_learns_nothing_of_the_rest(world: World) {
        let objects = furnished(&world).await;
        let ann = world.person("ann").await;
        let other = world.repository("another").await;
        ann.may_with("shelf.shelfrepository_owner", &other).await;
        let group = world.group("another", &["ann"]).await;
        ann.may_with("core.group_viewer", &group).await;
        let version = format!("{other}versions/0/");
        crawl(&world, &ann, &objects, &[&other, &group, &version]).await;
    }

    async fn every_action_has_its_rule(world: World) {
        let all = world.get("access_policies/?limit=1000").await.with(200);
        let rules: BTreeMap<&str, Vec<&str>> = all["results"].as_array().unwrap().iter().map(|policy| {
            let actions = policy["statements"].as_array().unwrap().iter().flat_map(|statement| statement["action"].as_array().unwrap());
            (policy["viewset_name"].as_str().unwrap(), actions.map(|action| action.as_str().unwrap()).collect())
        }).collect();
        let mut forgotten = Vec::new();
        for resource in world.pulp().registry().resources() {
            let path = resource.path;
            if ADMINISTRATORS.iter().any(|prefix| path.starts_with(prefix)) || path == "repository_versions" {
                continue;
            }
            let Some(actions) = rules.get(path) else {
                forgotten.push(format!("{path} has no access policy: give it roles, or `.policy(…)`, or name it here"));
                continue;
            };
            let wanted = resource.actions.iter().map(|action| action.name).chain(resource.list.then_some("list"));
            forgotten.extend(wanted.filter(|action| !actions.contains(action)).map(|action| format!("{path}: {action} has no rule")));
        }
        assert!(forgotten.is_empty(), "{}", forgotten.join("\n"));
    }
}
