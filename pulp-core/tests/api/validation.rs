//! What is refused, in the words that clients of Pulp parse. The expectations were read off a Pulp 3.123.1.

use http::Method;
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{Answer, DISTRIBUTIONS, REMOTES, REPOSITORIES, World, basic, nowhere};

both_databases! {
    async fn fields_are_refused_in_known_words(world: World) {
        let gone = nowhere(REMOTES);
        let other = world.repository("taken").await;
        let other_prn = world.get(&other).await.with(200)["prn"].clone();
        let gone_prn = format!("prn:shelf.shelfremote:{}", pulp_core::ids::new_id());
        let cases: Vec<(Json, Json)> = vec![
            (json!({}), json!({"name": ["This field is required."]})),
            (json!({"name": null}), json!({"name": ["This field may not be null."]})),
            (json!({"name": ""}), json!({"name": ["This field may not be blank."]})),
            (json!({"name": "  "}), json!({"name": ["This field may not be blank."]})),
            (json!({"name": ["a"]}), json!({"name": ["Not a valid string."]})),
            (json!({"name": {"a": 1}}), json!({"name": ["Not a valid string."]})),
            (json!({"name": true}), json!({"name": ["Not a valid string."]})),
            (json!({"name": "a\0b"}), json!({"name": ["Null characters are not allowed."]})),
            (json!({"name": "x", "foo": 1, "bar": 2}), json!({"bar": ["Unexpected field"], "foo": ["Unexpected field"]})),
            (json!({"name": "taken"}), json!({"name": ["This field must be unique."]})),
            (json!({"name": "x", "retain_repo_versions": 0}), json!({"retain_repo_versions": ["Ensure this value is greater than or equal to 1."]})),
            (json!({"name": "x", "retain_repo_versions": "x"}), json!({"retain_repo_versions": ["A valid integer is required."]})),
            (json!({"name": "x", "retain_repo_versions": 1.5}), json!({"retain_repo_versions": ["A valid integer is required."]})),
            (json!({"name": "x", "retain_repo_versions": true}), json!({"retain_repo_versions": ["A valid integer is required."]})),
            (json!({"name": "x", "retain_repo_versions": "", "description": ""}),
             json!({"description": ["This field may not be blank."], "retain_repo_versions": ["A valid integer is required."]})),
            (json!({"name": "x", "autopublish": "maybe"}), json!({"autopublish": ["Must be a valid boolean."]})),
            (json!({"name": "x", "autopublish": null}), json!({"autopublish": ["This field may not be null."]})),
            (json!({"name": "x", "pulp_labels": 5}), json!({"pulp_labels": ["Expected a dictionary of items but got type \"int\"."]})),
            (json!({"name": "taken", "pulp_labels": {"a": {"b": 1}}}),
             json!({"pulp_labels": {"a": ["Not a valid string."]}, "name": ["This field must be unique."]})),
            (json!({"name": "x", "pulp_labels": null}), json!({"pulp_labels": ["This field may not be null."]})),
            (json!({"name": "x", "remote": "x"}), json!({"remote": ["Invalid hyperlink - No URL match."]})),
            (json!({"name": "x", "remote": gone}), json!({"remote": ["Invalid hyperlink - Object does not exist."]})),
            (json!({"name": "x", "remote": other}), json!({"remote": ["Invalid hyperlink - Incorrect URL match."]})),
            (json!({"name": "x", "remote": other_prn}), json!({"remote": ["Invalid hyperlink - Incorrect URL match."]})),
            // Pulp itself fails with 500 on these.
            (json!({"name": "x", "remote": gone_prn}), json!({"remote": ["Invalid hyperlink - Object does not exist."]})),
            (json!({"name": "x", "remote": 5}), json!({"remote": ["Incorrect type. Expected URL string, received int."]})),
            (json!({"name": "x", "retain_repo_versions": 9_999_999_999_999_999_999_u64}),
             json!({"retain_repo_versions": ["Ensure this value is less than or equal to 9223372036854775807."]})),
        ];
        for (body, wanted) in cases {
            assert_eq!(world.post(REPOSITORIES, body.clone()).await.with(400), wanted, "{body}");
        }
        assert_eq!(world.get(REPOSITORIES).await.with(200)["count"], 1);
        // Taken as a text; what only we set is passed over.
        assert_eq!(world.post(REPOSITORIES, json!({"name": 5, "prn": "y", "remote": ""})).await.with(201)["name"], "5");
    }

    async fn remotes_are_refused_in_known_words(world: World) {
        let cases: Vec<(Json, Json)> = vec![
            (json!({"url": ""}), json!({"url": ["This field may not be blank."]})),
            (json!({"url": "http://u:p@x/"}), json!({"url": ["The remote url contains username or password. Please use remote username or password instead."]})),
            (json!({"policy": "foo"}), json!({"policy": ["\"foo\" is not a valid choice."]})),
            (json!({"policy": 5}), json!({"policy": ["\"5\" is not a valid choice."]})),
            (json!({"policy": null}), json!({"policy": ["This field may not be null."]})),
            (json!({"headers": 5}), json!({"headers": ["Expected a list of items but got type \"int\"."]})),
            (json!({"headers": [5]}), json!({"headers": {"0": ["Expected a dictionary of items but got type \"int\"."]}})),
            (json!({"headers": {"a": "b"}}), json!({"headers": ["Expected a list of items but got type \"dict\"."]})),
            (json!({"total_timeout": -1}), json!({"total_timeout": ["Ensure this value is greater than or equal to 0.0."]})),
            (json!({"total_timeout": "x"}), json!({"total_timeout": ["A valid number is required."]})),
            (json!({"download_concurrency": 0}), json!({"download_concurrency": ["Ensure this value is greater than or equal to 1."]})),
            (json!({"max_retries": -1}), json!({"max_retries": ["Ensure this value is greater than or equal to 0."]})),
            (json!({"proxy_url": "http://u:p@x"}), json!({"proxy_url": ["proxy_url must not contain credentials"]})),
            (json!({"ca_cert": "x"}), json!({"ca_cert": ["No ca_cert specified in string x"]})),
            (json!({"client_cert": "x"}), json!({"client_cert": ["No client_cert specified in string x"]})),
            (json!({"password": ""}), json!({"password": ["This field may not be blank."]})),
            (json!({"url": "file:///etc/passwd"}), json!({"url": ["The path '/etc/passwd' does not start with any of the allowed import paths"]})),
        ];
        for (fields, wanted) in cases {
            let mut body = json!({"name": "r", "url": "http://x/"});
            body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            assert_eq!(world.post(REMOTES, body.clone()).await.with(400), wanted, "{body}");
        }
        let made = world.post(REMOTES, json!({"name": "r", "url": " http://x/ ", "total_timeout": "2.5", "download_concurrency": "5"})).await.with(201);
        assert_eq!((&made["url"], &made["total_timeout"], &made["download_concurrency"]), (&json!("http://x/"), &json!(2.5), &json!(5)));
    }

    async fn a_remote_of_another_plugin_is_no_source(world: World) {
        let repository = world.post("repositories/file/file/", json!({"name": "r"})).await.with(201);
        let sync = format!("{}sync/", repository["pulp_href"].as_str().unwrap());
        let refused = world.post(&sync, json!({"remote": world.remote("shelf").await})).await.with(400);
        assert_eq!(refused, json!({"remote": ["Type for Remote 'shelf' (shelf.shelf) does not match Repository type file."]}));
    }

    async fn base_paths_must_be_paths_of_their_own(world: World) {
        world.made(&world.post(DISTRIBUTIONS, json!({"name": "d1", "base_path": "api/d1"})).await).await;
        let refused = |path: &str| json!({"base_path": [format!("Relative path is not in canonical form. {path}")]});
        let overlap = json!({"base_path": {"base_path": "Overlaps with an existing distribution."}});
        let cases = [
            ("/x", refused("/x")), ("x/", refused("x/")), ("x//y", refused("x//y")), ("a b", refused("a b")), ("../x", refused("../x")),
            ("a/../x", refused("a/../x")), ("a/./x", refused("a/./x")), ("a?b", refused("a?b")), ("a#b", refused("a#b")),
            ("api", overlap.clone()), ("api/d1/x", overlap),
            ("api/d1", json!({"base_path": ["This field must be unique."]})),
        ];
        for (path, wanted) in cases {
            assert_eq!(world.post(DISTRIBUTIONS, json!({"name": "d2", "base_path": path})).await.with(400), wanted, "{path}");
        }
        for path in ["api/d2", "api/d10", "a%2fb", "é"] {
            world.made(&world.post(DISTRIBUTIONS, json!({"name": path, "base_path": path})).await).await;
        }
    }

    async fn bodies_that_are_none(world: World) {
        let authorization = basic("admin", "password");
        let send = async |kind: &str, body: &[u8]| {
            let mut headers = vec![("authorization", authorization.as_str())];
            if !kind.is_empty() {
                headers.push(("content-type", kind));
            }
            world.send(Method::POST, REPOSITORIES, &headers, body.to_vec()).await
        };
        let detail = |answer: &Answer| answer.with(400)["detail"].as_str().unwrap().to_owned();
        assert!(detail(&send("application/json", b"{\"name\":").await).starts_with("JSON parse error - "));
        assert!(detail(&send("application/json", b"\xff\xfe").await).starts_with("JSON parse error - "));
        let deep = "[".repeat(100_000);
        assert!(detail(&send("application/json", deep.as_bytes()).await).starts_with("JSON parse error - "));
        assert_eq!(send("application/json", b"[1]").await.with(400), json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]}));
        assert_eq!(send("application/json", b"\"x\"").await.with(400), json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got str."]}));
        assert_eq!(send("application/json", b"null").await.with(400), json!({"non_field_errors": ["No data provided"]}));
        assert_eq!(send("application/json", b"").await.with(400), json!({"name": ["This field is required."]}));
        assert_eq!(send("application/x-www-form-urlencoded", b"name=").await.with(400), json!({"name": ["This field may not be blank."]}));
        assert_eq!(send("text/plain", b"x").await.with(415), json!({"detail": "Unsupported media type \"text/plain\" in request."}));
        assert_eq!(send("", b"x").await.with(415), json!({"detail": "Unsupported media type \"\" in request."}));
        assert_eq!(detail(&send("multipart/form-data", b"x").await), "Multipart form parse error - Invalid boundary in multipart: None");
        assert!(detail(&send("multipart/form-data; boundary=XX", b"--XX\r\nnothing").await).starts_with("Multipart form parse error - "));
        let made = send("application/x-www-form-urlencoded", b"name=a+form&autopublish=true&description=&pulp_labels=%7B%22a%22%3A%22b%22%7D").await.with(201);
        assert_eq!((&made["name"], &made["autopublish"], &made["description"]), (&json!("a form"), &json!(true), &json!(null)));
        assert_eq!(made["pulp_labels"], json!({"a": "b"}));
    }

    async fn a_body_that_is_too_large_is_refused(world: World) {
        let large = json!({"name": "x".repeat(17 << 20)});
        world.post(REPOSITORIES, large).await.with(413);
    }
}
