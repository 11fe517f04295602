//! Lists: pages, order, shown fields, lists over all types.

use http::Method;
use pulp_testkit::both_databases;
use serde_json::json;

use super::world::{DISTRIBUTIONS, REPOSITORIES, World, basic, names};

both_databases! {
    async fn pages_link_to_their_neighbours(world: World) {
        for name in ["a", "b", "c", "d", "e"] {
            world.repository(name).await;
        }
        let all = world.get(REPOSITORIES).await.with(200);
        assert_eq!(names(&all), ["e", "d", "c", "b", "a"]);
        assert!(all["next"].is_null() && all["previous"].is_null());
        let page = world.get(&format!("{REPOSITORIES}?limit=2&offset=2&ordering=name&fields=name")).await.with(200);
        assert_eq!(page, json!({
            "count": 5,
            "next": "http://pulp.example/pulp/api/v3/repositories/shelf/shelf/?fields=name&limit=2&offset=4&ordering=name",
            "previous": "http://pulp.example/pulp/api/v3/repositories/shelf/shelf/?fields=name&limit=2&ordering=name",
            "results": [{"name": "c"}, {"name": "d"}],
        }));
        let behind = world.get(&format!("{REPOSITORIES}?limit=2&offset=100")).await.with(200);
        assert_eq!((&behind["count"], &behind["results"], &behind["next"]), (&json!(5), &json!([]), &json!(null)));
        assert!(behind["previous"].as_str().unwrap().ends_with("?limit=2&offset=98"));
        for odd in ["limit=0", "limit=-1", "limit=x", "offset=-1", "offset=x"] {
            assert_eq!(world.get(&format!("{REPOSITORIES}?{odd}")).await.with(200)["results"].as_array().unwrap().len(), 5, "{odd}");
        }
        let huge = world.get(&format!("{REPOSITORIES}?limit=9223372036854775807&offset=9223372036854775807")).await.with(200);
        assert_eq!(huge["count"], 5);
        let authorization = basic("admin", "password");
        let headers = [("authorization", authorization.as_str()), ("host", "other.example:99"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "evil")];
        let https = world.send(Method::GET, &format!("{REPOSITORIES}?limit=1"), &headers, "").await.with(200);
        assert_eq!(https["next"], "https://other.example:99/pulp/api/v3/repositories/shelf/shelf/?limit=1&offset=1");
    }

    async fn long_answers_are_compressed_for_whoever_takes_it(world: World) {
        let authorization = basic("admin", "password");
        let get = async |path: &str, more: &[(&str, &str)]| {
            let headers: Vec<(&str, &str)> = [("authorization", authorization.as_str())].into_iter().chain(more.iter().copied()).collect();
            world.send(Method::GET, path, &headers, "").await
        };
        let takes = [("accept-encoding", "gzip, deflate")];
        let short = get(&format!("{REPOSITORIES}?limit=1"), &takes).await;
        assert_eq!((short.header("content-encoding"), short.header("vary")), (None, Some("Accept, Cookie")));
        for at in 0..20 {
            world.repository(&format!("repository-{at}")).await;
        }
        let plain = get(REPOSITORIES, &[]).await;
        assert_eq!(plain.header("content-encoding"), None);
        let gzip = get(REPOSITORIES, &takes).await;
        assert_eq!(gzip.header("content-encoding"), Some("gzip"));
        assert_eq!(gzip.header("content-length"), Some(gzip.bytes.len().to_string().as_str()));
        let mut read = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip.bytes[..]), &mut read).unwrap();
        assert_eq!(read, plain.bytes);
        // The page of another site could have a browser ask with its user's session.
        let elsewhere = get(REPOSITORIES, &[takes[0], ("sec-fetch-site", "cross-site")]).await;
        assert_eq!(elsewhere.bytes, plain.bytes);
    }

    async fn every_list_can_be_ordered_as_the_document_says(world: World) {
        world.repository("a").await;
        world.repository("b").await;
        let document = world.api.openapi(None, false, true).unwrap();
        let (mut asked, mut refused) = (0, Vec::new());
        for (path, methods) in document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.contains('{')) {
            let below = path.strip_prefix("/pulp/api/v3/").unwrap();
            let parameters = methods["get"]["parameters"].as_array().into_iter().flatten();
            let orders = parameters.filter(|parameter| parameter["name"] == "ordering").flat_map(|ordering| ordering["schema"]["items"]["enum"].as_array().unwrap());
            for order in orders {
                for page in ["", "&limit=1&offset=1"] {
                    let list = format!("{below}?ordering={}{page}", order.as_str().unwrap());
                    asked += 1;
                    if world.get(&list).await.status != 200 {
                        refused.push(list);
                    }
                }
            }
        }
        assert!(refused.is_empty() && asked > 500, "of {asked}: {refused:?}");
    }

    async fn order_is_what_was_asked(world: World) {
        for (name, keep) in [("b", json!(1)), ("a", json!(2)), ("c", json!(null))] {
            world.post(REPOSITORIES, json!({"name": name, "retain_repo_versions": keep})).await.with(201);
        }
        for (order, wanted) in [
            ("name", ["a", "b", "c"]), ("-name", ["c", "b", "a"]), ("pulp_created", ["b", "a", "c"]), ("-pulp_created", ["c", "a", "b"]),
            ("pk", ["b", "a", "c"]), ("retain_repo_versions", ["b", "a", "c"]), ("-retain_repo_versions", ["c", "a", "b"]),
            ("retain_checkpoints,name", ["a", "b", "c"]),
        ] {
            assert_eq!(names(&world.get(&format!("{REPOSITORIES}?ordering={order}")).await.with(200)), wanted, "{order}");
        }
        for order in ["foo", "-name,foo", "pulp_domain_id", "name desc"] {
            let refused = world.get(&format!("{REPOSITORIES}?ordering={}", order.replace(' ', "%20"))).await.with(400);
            let word = order.rsplit(',').next().unwrap();
            assert_eq!(refused, json!({"ordering": [format!("Select a valid choice. {word} is not one of the available choices.")]}));
        }
    }

    async fn fields_are_shown_as_asked(world: World) {
        let href = world.repository("a").await;
        assert_eq!(world.get(&format!("{href}?fields=name,foo")).await.with(200), json!({"name": "a"}));
        assert_eq!(world.get(&format!("{href}?fields=name&fields=autopublish")).await.with(200), json!({"name": "a", "autopublish": false}));
        let without = world.get(&format!("{REPOSITORIES}?exclude_fields=pulp_labels,prn")).await.with(200);
        let first = without["results"][0].as_object().unwrap();
        assert!(!first.contains_key("pulp_labels") && !first.contains_key("prn") && first.contains_key("name"));
    }

    async fn lists_over_all_types_show_what_all_have(world: World) {
        let repository = world.repository("a").await;
        let remote = world.remote("r").await;
        world.made(&world.post(DISTRIBUTIONS, json!({"name": "d", "base_path": "d", "repository": repository})).await).await;
        let repositories = world.get("repositories/").await.with(200);
        assert_eq!(repositories["results"][0]["pulp_href"], repository);
        assert_eq!(repositories["results"][0]["latest_version_href"], format!("{repository}versions/0/"));
        assert!(repositories["results"][0].get("autopublish").is_none());
        let remotes = world.get("remotes/").await.with(200);
        assert_eq!(remotes["results"][0]["pulp_href"], remote);
        assert_eq!(remotes["results"][0]["prn"], world.get(&remote).await.json()["prn"]);
        let distributions = world.get("distributions/?pulp_type=shelf.shelf").await.with(200);
        assert_eq!(distributions["results"][0]["repository"], repository);
        for empty in ["publications/", "content/", "contentguards/", "content/shelf/books/"] {
            assert_eq!(world.get(empty).await.with(200), json!({"count": 0, "next": null, "previous": null, "results": []}), "{empty}");
        }
        assert_eq!(world.get("remotes/?pulp_type=foo").await.with(400), json!({"pulp_type": ["Select a valid choice. foo is not one of the available choices."]}));
        assert_eq!(world.get("remotes/?pulp_type__in=shelf.shelf").await.with(200)["count"], 1);
        assert_eq!(world.call(Method::POST, "remotes/", None).await.status, 405);
        let root = world.get("").await.with(200);
        assert_eq!(root["repositories/shelf/shelf"], "http://pulp.example/pulp/api/v3/repositories/shelf/shelf/");
    }

    async fn other_lists_are_there(world: World) {
        let domains = world.get("domains/").await.with(200);
        assert_eq!(names(&domains), ["default"]);
        let users = world.get("users/").await.with(200);
        assert_eq!(users["results"][0]["prn"], "prn:auth.user:1");
        assert_eq!(users["results"][0]["pulp_href"], "/pulp/api/v3/users/1/");
        assert_eq!(users["results"][0]["hidden_fields"], json!([{"name": "password", "is_set": true}]));
        assert!(!users.to_string().contains("pbkdf2"));
        assert_eq!(world.get("users/1/").await.with(200)["username"], "admin");
        assert_eq!(world.get("users/x/").await.with(404), json!({"detail": "Not found."}));
        assert_eq!(world.get("users/99/").await.with(404), json!({"detail": "No User matches the given query."}));
        assert_eq!(world.get("users/?username=admin").await.with(200)["count"], 1);
        assert_eq!(world.get("users/?username__in=a,b").await.with(200)["count"], 0);
        for empty in ["task-groups/", "workers/", "uploads/", "artifacts/", "tasks/"] {
            assert_eq!(world.get(empty).await.with(200)["count"], 0, "{empty}");
        }
    }
}
