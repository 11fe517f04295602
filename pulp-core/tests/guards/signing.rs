//! Signing services. Keys and signatures are GnuPG’s: where that is missing, there is nothing to test.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use pulp_core::crypto::{NewSigningService, SIGNING_CLASSES, SigningError};
use pulp_testkit::both_databases;

use crate::world::World;

/// A directory of keys with one that signs; its fingerprint.
fn keys(home: &Path) -> Option<String> {
    std::fs::create_dir_all(home).unwrap();
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |arguments: &[&str]| Command::new("gpg").arg("--batch").arg("--homedir").arg(home).args(arguments).output().ok();
    let made = gpg(&["--passphrase", "", "--quick-gen-key", "Pulp tests <pulp@example.org>", "ed25519", "sign", "0"])?;
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let listed = gpg(&["--with-colons", "--list-keys"])?;
    let listed = String::from_utf8(listed.stdout).unwrap();
    let line = listed.lines().find(|line| line.starts_with("fpr:")).unwrap();
    Some(line.split(':').nth(9).unwrap().to_owned())
}

fn script(path: PathBuf, body: &str) -> PathBuf {
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

both_databases! {
    async fn a_service_is_added_if_its_key_verifies_what_it_signs(world: World) {
        let dir = tempfile::Builder::new().prefix("gpg").tempdir().unwrap();
        let home = dir.path().join("home");
        let Some(fingerprint) = keys(&home) else {
            println!("skipped: there is no gpg");
            return;
        };
        let other = keys(&dir.path().join("other")).unwrap();
        let sign = |home: &Path| {
            format!(
                "gpg --quiet --batch --homedir {} --detach-sign --armor --output $1.asc $1 && echo \"{{\\\"signature\\\": \\\"$1.asc\\\", \\\"key\\\": \\\"$PULP_SIGNING_KEY_FINGERPRINT\\\", \\\"more\\\": \\\"$MORE\\\"}}\"",
                home.display()
            )
        };
        let good = script(dir.path().join("good"), &sign(&home));
        let pulp = world.kit.pulp();
        let add = async |name: &str, script: &Path, key: &str, class: &str| {
            let new = NewSigningService {
                name: name.to_owned(),
                script: script.to_owned(),
                key: key.to_owned(),
                class: class.to_owned(),
                home: Some(home.clone()),
                ..NewSigningService::default()
            };
            pulp.add_signing_service(new).await
        };
        let class = SIGNING_CLASSES[0];
        let service = add("s", &good, &fingerprint, class).await.unwrap();
        assert_eq!(service.pubkey_fingerprint, fingerprint);
        let shown = world.client.list("signing-services/?name=s").await;
        assert_eq!(shown[0]["pubkey_fingerprint"], fingerprint);
        assert!(shown[0]["public_key"].as_str().unwrap().contains("BEGIN PGP PUBLIC KEY BLOCK"));

        let file = dir.path().join("file");
        std::fs::write(&file, "text").unwrap();
        let told = service.sign(&file, &[("MORE", "kept")], None).await.unwrap();
        assert_eq!((told["key"].as_str(), told["more"].as_str()), (Some(fingerprint.as_str()), Some("kept")));
        std::fs::remove_file(dir.path().join("file.asc")).unwrap();
        assert_eq!(service.sign(&file, &[], Some("OTHER")).await.unwrap()["key"], "OTHER");

        let refused = |added: Result<_, SigningError>| added.map(|_: pulp_core::crypto::SigningService| ()).unwrap_err();
        assert!(matches!(refused(add("s", &good, &fingerprint, class).await), SigningError::Refused(text) if text.contains("already exists")));
        assert!(matches!(refused(add("t", &dir.path().join("nope"), &fingerprint, class).await), SigningError::Refused(_)));
        assert!(matches!(refused(add("t", &good, "DEADBEEFDEADBEEF", class).await), SigningError::Program { .. }));
        assert!(matches!(refused(add("t", &good, &other, class).await), SigningError::Program { .. }));
        assert!(matches!(refused(add("t", &good, "--version", class).await), SigningError::Refused(_)));
        for (class, text) in [
            ("core:Nope", "App 'core' doesn't have a 'Nope' model."),
            ("nope", "The signing service class was not provided in a proper format."),
            ("foo:bar", "No installed app with label 'foo'."),
        ] {
            assert_eq!(refused(add("t", &good, &fingerprint, class).await).to_string(), text);
        }
        // Another key signs.
        let wrong = script(dir.path().join("wrong"), &sign(&dir.path().join("other")));
        assert!(matches!(refused(add("t", &wrong, &fingerprint, class).await), SigningError::Unverified(_)));
        let silent = script(dir.path().join("silent"), "echo '{}'");
        assert!(matches!(refused(add("t", &silent, &fingerprint, class).await), SigningError::Script(_)));
        let broken = script(dir.path().join("broken"), "echo broken >&2; exit 3");
        assert!(refused(add("t", &broken, &fingerprint, class).await).to_string().contains("broken"));

        let names: Vec<String> = pulp.signing_services().await.unwrap().into_iter().map(|service| service.name).collect();
        assert_eq!(names, ["s"]);
        assert!(pulp.remove_signing_service("t", class).await.is_err());
        pulp.remove_signing_service("s", class).await.unwrap();
        assert!(world.client.list("signing-services/").await.is_empty());
    }
}
