//! Uploads in chunks.

use http::Method;
use pulp_core::db::{Dialect, Executor, ExecutorExt};
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::World;

const SHA256: &str = "72399361da6a7754fec986dca5b7cbaf1c810a28ded4abaf56b2106d06cb78b0";

async fn upload(world: &World, size: i64) -> String {
    let made = world.post("uploads/", json!({"size": size})).await.with(201);
    assert_eq!(made["size"], size);
    made["pulp_href"].as_str().unwrap().to_owned()
}

async fn commit(world: &World, href: &str, sha256: &str) -> Json {
    let answer = world.post(&format!("{href}commit/"), json!({"sha256": sha256})).await;
    let task = world.task(&answer);
    world.ended(&task).await
}

both_databases! {
    async fn chunks_come_in_any_order(world: World) {
        let href = upload(&world, 10).await;
        let second = world.form(Method::PUT, &href, &[], Some(b"fghij"), Some("bytes 5-9/10")).await.with(200);
        assert_eq!(second["pulp_href"], href);
        // A chunk that comes twice counts once: the later one.
        world.form(Method::PUT, &href, &[], Some(b"xxxxx"), Some("bytes 0-4/10")).await.with(200);
        let digest = "36bbe50ed96841d10443bcb670d6554f0a34b761be67ec9c4a8ad2c0c44ca42c";
        world.form(Method::PUT, &href, &[("sha256", digest)], Some(b"abcde"), Some("bytes 0-4/*")).await.with(200);
        assert_eq!(world.get(&href).await.with(200)["chunks"], json!([{"offset": 5, "size": 5}, {"offset": 0, "size": 5}]));
        let task = commit(&world, &href, SHA256).await;
        assert_eq!(task["state"], "completed", "{task:#}");
        assert_eq!(task["name"], "pulpcore.app.tasks.upload.commit");
        let artifact = world.get(task["created_resources"][0].as_str().unwrap()).await.with(200);
        assert_eq!((&artifact["sha256"], &artifact["size"]), (&json!(SHA256), &json!(10)));
        assert_eq!(world.get(&href).await.with(404), json!({"detail": "No Upload matches the given query."}));
    }

    async fn an_upload_goes_with_its_chunks_or_not_at_all(world: World) {
        let href = upload(&world, 3).await;
        world.form(Method::PUT, &href, &[], Some(b"abc"), Some("bytes 0-2/3")).await.with(200);
        // As if the process died between the chunks and the upload.
        let db = world.kit.pulp().db();
        let forbid: &[&str] = match db.dialect() {
            Dialect::Sqlite => &["create trigger stay before delete on core_upload begin select raise(abort, 'stay'); end"],
            Dialect::Postgres => &[
                "create function stay() returns trigger language plpgsql as $$ begin raise exception 'stay'; end $$",
                "create trigger stay before delete on core_upload for each row execute function stay()",
            ],
        };
        for statement in forbid {
            db.execute(*statement).await.unwrap();
        }
        let sha256 = pulp_testkit::Blob::from("abc").sha256();
        assert_eq!(commit(&world, &href, &sha256).await["state"], "failed");
        assert_eq!(world.get(&href).await.with(200)["chunks"], json!([{"offset": 0, "size": 3}]));
        let on = if db.dialect() == Dialect::Postgres { " on core_upload" } else { "" };
        db.execute(format!("drop trigger stay{on}").as_str()).await.unwrap();
        assert_eq!(commit(&world, &href, &sha256).await["state"], "completed");
    }

    async fn overlapping_chunks_make_one_file(world: World) {
        let href = upload(&world, 10).await;
        world.form(Method::PUT, &href, &[], Some(b"abcdefg"), Some("bytes 0-6/10")).await.with(200);
        world.form(Method::PUT, &href, &[], Some(b"defghij"), Some("bytes 3-9/10")).await.with(200);
        world.form(Method::PUT, &href, &[], Some(b"bc"), Some("bytes 1-2/10")).await.with(200);
        let task = commit(&world, &href, SHA256).await;
        assert_eq!(task["state"], "completed", "{task:#}");
    }

    async fn chunks_that_do_not_fit_are_refused(world: World) {
        let href = upload(&world, 10).await;
        let refused = |message: &str| json!({"non_field_errors": [message]});
        let put = async |range: Option<&str>, bytes: &[u8], fields: &[(&str, &str)]| world.form(Method::PUT, &href, fields, Some(bytes), range).await;
        assert_eq!(put(Some("bytes 0-4/10"), b"abc", &[]).await.with(400), refused("Chunk size does not match content range."));
        assert_eq!(put(Some("bytes 8-12/10"), b"abcde", &[]).await.with(400), refused("End byte is greater than upload size."));
        for range in ["bytes 5-4/10", "bytes 0-99999999999999999999/10", "bytes 0-3/10"] {
            assert_eq!(put(Some(range), b"abcde", &[]).await.with(400), refused("Chunk size does not match content range."), "{range}");
        }
        for range in [None, Some("x"), Some("bytes  0-4/10"), Some("bytes 0-4"), Some("bytes */10"), Some("bytes -4-0/10"), Some("BYTES 0-4/10")] {
            assert_eq!(put(range, b"abcde", &[]).await.with(400), refused("Invalid or missing content range header."), "{range:?}");
        }
        assert_eq!(put(Some("bytes 0-4/10"), b"", &[]).await.with(400), json!({"file": ["The submitted file is empty."]}));
        assert_eq!(put(Some("bytes 0-4/10"), b"abcde", &[("sha256", &"0".repeat(64))]).await.with(400), json!(["Checksum does not match chunk upload."]));
        assert_eq!(world.get(&href).await.with(200)["chunks"], json!([]));
        assert_eq!(world.pulp().spool().used(), 0);
        assert_eq!(world.post("uploads/", json!({})).await.with(400), json!({"size": ["This field is required."]}));
        assert_eq!(world.post("uploads/", json!({"size": "x"})).await.with(400), json!({"size": ["A valid integer is required."]}));
    }

    async fn what_is_not_whole_or_wrong_makes_no_artifact(world: World) {
        let href = upload(&world, 10).await;
        world.form(Method::PUT, &href, &[], Some(b"abcde"), Some("bytes 0-4/10")).await.with(200);
        let task = commit(&world, &href, SHA256).await;
        assert_eq!(task["state"], "failed", "{task:#}");
        assert!(task["error"]["description"].as_str().unwrap().contains("bytes 5 to 9 are missing"), "{task:#}");
        world.form(Method::PUT, &href, &[], Some(b"fghij"), Some("bytes 5-9/10")).await.with(200);
        let task = commit(&world, &href, &"0".repeat(64)).await;
        assert_eq!(task["state"], "failed", "{task:#}");
        assert_eq!(world.get("artifacts/").await.with(200)["count"], 0);
        assert_eq!(world.post(&format!("{href}commit/"), json!({})).await.with(400), json!({"sha256": ["This field is required."]}));
        // The upload is still there, and can be dropped with its chunks.
        world.delete(&href).await.with(204);
        world.get(&href).await.with(404);
    }
}
