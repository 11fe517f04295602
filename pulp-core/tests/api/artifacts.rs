//! Artifacts.

use http::Method;
use pulp_testkit::both_databases;
use serde_json::json;

use super::world::World;

const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

both_databases! {
    async fn a_file_becomes_an_artifact_once(world: World) {
        let answer = world.form(Method::POST, "artifacts/", &[("sha256", SHA256), ("size", "3")], Some(b"abc"), None).await;
        let made = answer.with(201);
        assert_eq!(made["sha256"], SHA256);
        assert_eq!(made["size"], 3);
        assert_eq!(made["file"], format!("artifact/{}/{}", &SHA256[..2], &SHA256[2..]));
        assert!(made["md5"].is_null() && made["sha1"].is_null() && made["sha512"].is_string());
        assert_eq!(answer.header("location"), made["pulp_href"].as_str());
        assert_eq!(world.get(made["pulp_href"].as_str().unwrap()).await.with(200), made);
        let place = made["file"].as_str().unwrap().parse().unwrap();
        assert_eq!(world.pulp().storage().size(&place).await.unwrap(), 3);
        let again = world.form(Method::POST, "artifacts/", &[], Some(b"abc"), None).await;
        assert_eq!(again.with(400), json!({"non_field_errors": [format!("Artifact with sha256 checksum of '{SHA256}' already exists.")]}));
        assert_eq!(world.get(&format!("artifacts/?sha256={SHA256}")).await.with(200)["count"], 1);
        assert_eq!(world.get("artifacts/?orphaned_for=0").await.with(200)["count"], 1);
        assert_eq!(world.get("artifacts/?orphaned_for=10").await.with(200)["count"], 0);
        assert_eq!(world.get("artifacts/?orphaned_for=x").await.with(400), json!({"orphaned_for": ["Enter a number."]}));
        assert_eq!(world.get("artifacts/?orphaned_for=9223372036854775807").await.status, 400);
        assert_eq!(world.pulp().spool().used(), 0);
    }

    async fn what_does_not_match_is_refused_and_leaves_nothing(world: World) {
        let refused = |message: &str| json!({"non_field_errors": [message]});
        let zeros = "0".repeat(64);
        for (fields, wanted) in [
            (vec![("sha256", zeros.as_str())], refused("The sha256 checksum did not match.")),
            (vec![("sha256", "x")], refused("The sha256 checksum did not match.")),
            (vec![("size", "4")], refused("The size did not match actual size of file.")),
            (vec![("md5", "900150983cd24fb0d6963f7d28e17f72")], refused("Checksum algorithms ['md5'] forbidden for this Pulp instance.")),
            (vec![("size", "x")], json!({"size": ["A valid integer is required."]})),
            (vec![("foo", "1")], json!({"foo": ["Unexpected field"]})),
        ] {
            assert_eq!(world.form(Method::POST, "artifacts/", &fields, Some(b"abc"), None).await.with(400), wanted, "{fields:?}");
        }
        assert_eq!(world.form(Method::POST, "artifacts/", &[], None, None).await.with(400), json!({"file": ["No file was submitted."]}));
        assert_eq!(world.post("artifacts/", json!({"file": "x"})).await.with(400), json!({"file": ["The submitted data was not a file. Check the encoding type on the form."]}));
        assert_eq!(world.get("artifacts/").await.with(200)["count"], 0);
        assert_eq!(world.pulp().spool().used(), 0);
    }

    async fn artifacts_are_not_deleted_by_hand(world: World) {
        let made = world.form(Method::POST, "artifacts/", &[], Some(b"abc"), None).await.with(201);
        let refused = world.delete(made["pulp_href"].as_str().unwrap()).await;
        assert_eq!(refused.with(403), json!({"detail": "You do not have permission to perform this action."}));
    }
}
