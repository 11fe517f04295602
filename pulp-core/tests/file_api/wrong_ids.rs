//! Ids of another type: each is refused by the field that it stands in, or fails the task, and nothing is made.

use pulp_testkit::both_databases;
use serde_json::{Value, json};

use super::world::{FILES, REPOSITORIES, World, href};

const REMOTES: &str = "remotes/file/file/";
const PUBLICATIONS: &str = "publications/file/file/";
const DISTRIBUTIONS: &str = "distributions/file/file/";
const KEYRINGS: &str = "repositories/core/openpgp_keyring/";

both_databases! {
    // The expectations were read off a Pulp 3.123.1.
    async fn a_field_takes_ids_of_its_type_only(world: World) {
        let client = &world.client;
        let repository = client.create(REPOSITORIES, json!({"name": "r"})).await;
        let remote = client.create(REMOTES, json!({"name": "r", "url": "http://127.0.0.1:1/PULP_MANIFEST"})).await;
        let unit = world.unit("a", "1").await;
        let (sync, modify) = (format!("{}sync/", href(&repository)), format!("{}modify/", href(&repository)));
        for (path, field, mut body, wrong) in [
            (REPOSITORIES, "remote", json!({"name": "x"}), &repository),
            (&*sync, "remote", json!({}), &repository),
            (PUBLICATIONS, "repository", json!({}), &remote),
            (PUBLICATIONS, "repository_version", json!({}), &repository),
            (DISTRIBUTIONS, "publication", json!({"name": "x", "base_path": "x"}), &repository),
            (DISTRIBUTIONS, "repository", json!({"name": "x", "base_path": "x"}), &remote),
            (FILES, "artifact", json!({"relative_path": "x"}), &repository),
            (FILES, "upload", json!({"relative_path": "x"}), &remote),
            (FILES, "repository", json!({"relative_path": "x"}), &remote),
        ] {
            for id in [&wrong["pulp_href"], &wrong["prn"], &json!(unit)] {
                body[field] = id.clone();
                let refused = client.post(path, body.clone()).await.with(400);
                assert_eq!(refused, json!({field: ["Invalid hyperlink - Incorrect URL match."]}), "{path} {body}");
            }
        }
        let refused = client.post(&modify, json!({"add_content_units": [href(&remote)]})).await.with(400);
        assert_eq!(refused, json!({"add_content_units": [format!("Could not find the following content units: ['{}']", href(&remote))]}));
        assert_eq!(client.list(REPOSITORIES).await.len(), 1);
        assert_eq!(client.list(PUBLICATIONS).await, [] as [Value; 0]);
        assert_eq!(client.list(DISTRIBUTIONS).await, [] as [Value; 0]);
        assert_eq!(client.get(href(&repository)).await["latest_version_href"], repository["latest_version_href"]);
    }

    async fn a_path_leads_to_objects_of_its_type_only(world: World) {
        let client = &world.client;
        let keyring = client.create(KEYRINGS, json!({"name": "k"})).await;
        let remote = client.create(REMOTES, json!({"name": "r", "url": "http://127.0.0.1:1/PULP_MANIFEST"})).await;
        let elsewhere = href(&keyring).replace(KEYRINGS, REPOSITORIES);
        client.try_get(&elsewhere).await.with(404);
        client.patch(&elsewhere, json!({"description": "x"})).await.with(404);
        client.delete(&elsewhere).await.with(404);
        for action in ["sync/", "modify/"] {
            client.post(&format!("{elsewhere}{action}"), json!({"remote": href(&remote)})).await.with(404);
        }
        client.try_get(&format!("{elsewhere}versions/0/")).await.with(404);
        assert_eq!(client.get(href(&keyring)).await["description"], Value::Null);
    }

    async fn a_repository_takes_units_of_its_types_only(world: World) {
        let client = &world.client;
        let keyring = client.create(KEYRINGS, json!({"name": "k"})).await;
        let unit = world.unit("a", "1").await;
        let modify = format!("{}modify/", href(&keyring));
        let error = client.failure(client.post(&modify, json!({"add_content_units": [unit]})).await).await;
        assert_eq!(error, "Saw unsupported content types {'file.file'}");
        let fields = [("relative_path", "b"), ("repository", href(&keyring))];
        let refused = client.post_form(FILES, &fields, Some(b"2")).await.with(400);
        assert_eq!(refused, json!({"non_field_errors": ["Content is not supported by this repository."]}));
        assert_eq!(client.get(href(&keyring)).await["latest_version_href"], keyring["latest_version_href"]);
        assert_eq!(client.list(FILES).await.len(), 1);
    }
}
