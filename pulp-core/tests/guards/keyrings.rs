//! OpenPGP keyrings.

use pulp_core::crypto::openpgp::{Certificate, Tag, enarmor, write_packet};
use pulp_testkit::both_databases;
use serde_json::{Value, json};

use crate::world::{World, href};

const KEYS: &str = "content/core/openpgp_publickey/";

/// A key with a name and a subkey, both signed; `more` adds a signature over the key itself.
fn key(number: u8, more: bool) -> String {
    let mut bytes = Vec::new();
    write_packet(&mut bytes, Tag::PUBLIC_KEY, &[4, 0x5c, 0x47, 0x04, 0xe9, 22, number]);
    let signature = |kind: u8, created: u8| {
        let hashed = [5, 2, 0, 0, 0x10, created, 5, 3, 0, 0, 0, 60, 5, 9, 0, 1, 0x51, 0x80];
        let mut body = vec![4, kind, 22, 8, 0, hashed.len() as u8];
        body.extend_from_slice(&hashed);
        body.extend_from_slice(&[0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0xab, 0xcd]);
        body
    };
    if more {
        write_packet(&mut bytes, Tag::SIGNATURE, &signature(0x20, 9));
    }
    write_packet(&mut bytes, Tag::USER_ID, format!("User {number} <u@example.org>").as_bytes());
    write_packet(&mut bytes, Tag::SIGNATURE, &signature(0x13, 1));
    write_packet(&mut bytes, Tag::PUBLIC_SUBKEY, &[4, 0, 0, 0, 1, 18, number]);
    write_packet(&mut bytes, Tag::SIGNATURE, &signature(0x18, 2));
    enarmor(&bytes)
}

async fn upload(world: &World, keyring: &str, key: &str) -> Value {
    world.client.wait(world.client.post_form(KEYS, &[("repository", keyring)], Some(key.as_bytes())).await).await
}

both_databases! {
    async fn keys_are_uploaded_into_a_keyring_and_served(world: World) {
        let keyring = world.make("repositories/core/openpgp_keyring/", json!({"name": "ring"})).await;
        let task = upload(&world, &keyring, &key(1, false)).await;
        assert_eq!(task["name"], "pulpcore.app.tasks.base.general_create");
        let made: Vec<&str> = task["created_resources"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(made[0].ends_with("/versions/1/") && made[1].contains(KEYS), "{made:?}");
        let read = Certificate::read(key(1, false).as_bytes()).unwrap();
        let shown = world.client.get(made[1]).await;
        assert_eq!(shown["fingerprint"], read.fingerprint());
        assert_eq!(shown["created"], "2019-01-22T11:56:25Z");
        let signature = json!({
            "issuer": "0102030405060708", "created": "1970-01-01T01:08:17Z", "expiration_time": "00:01:00", "signers_user_id": null,
            "key_expiration_time": "1 00:00:00", "expired": true, "key_expired": null,
        });
        assert_eq!(shown["user_ids"], json!([{"user_id": "User 1 <u@example.org>", "signatures": [signature]}]));
        assert_eq!(shown["public_subkeys"][0]["created"], "1970-01-01T00:00:01Z");
        assert_eq!(shown["public_subkeys"][0]["signatures"][0]["key_expired"], true);
        assert_eq!(shown["user_attributes"], json!([]));

        // The same key with another signature is the same key, in a new version.
        upload(&world, &keyring, &key(2, false)).await;
        let again = upload(&world, &keyring, &key(1, true)).await;
        assert_eq!(again["created_resources"][1], made[1]);
        for (kind, count) in [("publickey", 2), ("publicsubkey", 2), ("userid", 2), ("signature", 5), ("userattribute", 0)] {
            assert_eq!(world.client.list(&format!("content/core/openpgp_{kind}/")).await.len(), count, "{kind}");
        }
        let signatures = world.client.list("content/core/openpgp_signature/?issuer=0102030405060708").await;
        assert_eq!(signatures.len(), 5);
        assert!(signatures.iter().any(|signature| signature["signed_content"] == made[1]));
        let names = world.client.list("content/core/openpgp_userid/?user_id__contains=User%201").await;
        assert_eq!(names[0]["public_key"], made[1]);

        let body = json!({"name": "d", "base_path": "keys", "repository": keyring});
        world.client.create("distributions/core/openpgp/", body).await;
        let id = read.key.content.id();
        let listing = world.ask("keys/", &[]).await.1;
        assert!(listing.contains(&format!("{id}.pub")), "{listing}");
        let (status, served) = world.ask(&format!("keys/{id}.pub"), &[]).await;
        assert_eq!(status, 200);
        assert_eq!(served, key(1, true).trim_end());
        assert_eq!(world.ask(&format!("keys/{}.pub", id.to_lowercase()), &[]).await.1, served);
        assert_eq!(world.ask("keys/0000000000000000.pub", &[]).await.0, 404);
        assert_eq!(world.ask("keys/x", &[]).await.0, 404);
        // An older version has the key as it was.
        let version = format!("{keyring}versions/1/");
        world.client.create("distributions/core/openpgp/", json!({"name": "o", "base_path": "old", "repository_version": version})).await;
        assert_eq!(world.ask(&format!("old/{id}.pub"), &[]).await.1, key(1, false).trim_end());
    }

    async fn what_is_no_key_is_refused(world: World) {
        let none = json!({"non_field_errors": ["Exactly one of file, upload, file_url must be specified."]});
        assert_eq!(world.client.post_form(KEYS, &[], None).await.with(400), none);
        for junk in ["junk", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n"] {
            let failure = world.client.failure(world.client.post_form(KEYS, &[], Some(junk.as_bytes())).await).await;
            assert!(!failure.is_empty());
        }
        let two = key(1, false) + &key(2, false);
        let made = world.client.wait(world.client.post_form(KEYS, &[], Some(two.as_bytes())).await).await;
        let created = world.client.get(made["created_resources"][0].as_str().unwrap()).await;
        assert_eq!(world.client.list(KEYS).await.len(), 1, "the first armor counts");
        assert!(href(&created).contains(KEYS));
    }
}
