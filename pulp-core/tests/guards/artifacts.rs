//! Artifacts by signed addresses.

use pulp_core::model::{Artifact, Model};
use pulp_testkit::both_databases;
use serde_json::{Value, json};

use crate::world::{World, href};

both_databases! {
    async fn whoever_has_the_address_of_an_artifact_can_fetch_it(world: World) {
        let made = world.client.post_form("artifacts/", &[], Some(b"hello")).await.with(201);
        let id = href(&made).trim_end_matches('/').rsplit('/').next().unwrap().parse().unwrap();
        let pulp = world.kit.pulp();
        let artifact = Artifact::find(pulp.db(), id).await.unwrap();
        assert_eq!(world.client.list("distributions/core/artifacts/").await.len(), 0);
        let url = pulp.artifact_url(pulp.default_domain(), &artifact).await.unwrap();
        assert_eq!(world.anybody.try_get(&url).await.text(), "hello");
        let distributions = world.client.list("distributions/core/artifacts/").await;
        assert_eq!(distributions.len(), 1);
        assert_eq!(world.client.get(href(&distributions[0])).await["name"], distributions[0]["base_path"]);
        assert!(distributions[0]["content_guard"].as_str().unwrap().contains("/contentguards/core/content_redirect/"));
        // It is made once, and nothing shows its secret.
        pulp.artifact_url(pulp.default_domain(), &artifact).await.unwrap();
        let guards = world.client.list("contentguards/core/content_redirect/").await;
        assert_eq!(guards.len(), 1);
        let fields: Vec<&String> = guards[0].as_object().unwrap().keys().collect();
        assert!(fields.iter().all(|field| !field.contains("secret")), "{fields:?}");
        world.client.post("distributions/core/artifacts/", json!({})).await.with(405);

        let (path, query) = url.split_once('?').unwrap();
        let refused = (403, "403: Access not authenticated");
        let other = path.replace(&id.to_string(), &pulp_core::ids::new_id().to_string());
        let later = query.replace("expires=1", "expires=2");
        let salted = query.replace("validate_token=", "validate_token=00");
        for wrong in [path.to_owned(), format!("{other}?{query}"), format!("{path}?{later}"), format!("{path}?{salted}"), format!("{url}00")] {
            let answer = world.anybody.try_get(&wrong).await;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), refused, "{wrong}");
        }
        let expired = format!("{path}?expires=1000&validate_token=00:00");
        assert_eq!(world.anybody.try_get(&expired).await.text(), "403: Authentication expired");
        // What comes after the signature does not matter.
        assert_eq!(world.anybody.try_get(&format!("{url}&x=y")).await.text(), "hello");
        assert_eq!(world.client.list("distributions/").await.len(), 1);
        assert_eq!(distributions[0]["repository_version"], Value::Null);
    }
}
