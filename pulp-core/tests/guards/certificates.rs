//! Guards by client certificate.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pulp_testkit::rcgen::{CustomExtension, date_time_ymd};
use pulp_testkit::{Authority, Identity, both_databases};
use serde_json::json;

use crate::world::World;

const MISSING: &str = "403: A client certificate was not received via the `X-CLIENT-CERT` header.";

async fn show(world: &World, path: &str, identity: &Identity) -> (u16, String) {
    let pem = utf8_percent_encode(&identity.certificate, NON_ALPHANUMERIC).to_string();
    world.ask(path, &[("x-client-cert", &pem)]).await
}

async fn guard(world: &World, kind: &str, name: &str, authorities: &[&Authority]) -> String {
    let pem: String = authorities.iter().map(|authority| authority.certificate()).collect();
    world.make(&format!("contentguards/certguard/{kind}/"), json!({"name": name, "ca_certificate": pem})).await
}

/// A certificate with these paths, as the first version of entitlements has them.
fn entitled(authority: &Authority, paths: &[&str]) -> Identity {
    authority.client_with("subscriber", |params| {
        for (number, path) in (1_000_u64..).zip(paths) {
            let mut der = vec![0x0c, u8::try_from(path.len()).unwrap()];
            der.extend_from_slice(path.as_bytes());
            params.custom_extensions.push(CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 2312, 9, 2, number, 1, 6], der));
        }
    })
}

both_databases! {
    async fn an_authority_must_have_signed_the_certificate(world: World) {
        let (ours, others) = (Authority::new(), Authority::new());
        let guard = guard(&world, "x509", "g", &[&others, &ours]).await;
        assert!(world.client.get(&guard).await["ca_certificate"].as_str().unwrap().starts_with("-----BEGIN"));
        world.guarded("d", &guard).await;
        assert_eq!(world.ask("d/", &[]).await, (403, MISSING.to_owned()));
        for junk in ["", "junk", "-----BEGIN CERTIFICATE----- AAAA -----END CERTIFICATE-----x"] {
            assert_eq!(world.ask("d/", &[("x-client-cert", junk)]).await.0, 403, "{junk}");
        }
        assert_eq!(show(&world, "d/", &ours.client("me")).await.0, 404);
        assert_eq!(show(&world, "d/", &others.client("me")).await.0, 404);
        // As proxies send it that put spaces where lines end.
        let spaced = ours.client("me").certificate.replace('\n', " ");
        assert_eq!(world.ask("d/", &[("x-client-cert", spaced.trim())]).await.0, 404);
        // All authorities of the tests have one name: only the key tells them apart.
        let stranger = show(&world, "d/", &Authority::new().client("me")).await;
        assert_eq!(stranger, (403, "403: certificate signature failure".to_owned()));
        let old = ours.client_with("me", |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        });
        assert_eq!(show(&world, "d/", &old).await, (403, "403: certificate has expired".to_owned()));
        let young = ours.client_with("me", |params| params.not_before = date_time_ymd(2400, 1, 1));
        assert_eq!(show(&world, "d/", &young).await, (403, "403: certificate is not yet valid".to_owned()));
        let odd = ours.client_with("me", |params| {
            let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
            extension.set_criticality(true);
            params.custom_extensions.push(extension);
        });
        assert_eq!(show(&world, "d/", &odd).await, (403, "403: unhandled critical extension".to_owned()));
        let long = "x".repeat(17 << 10);
        assert_eq!(world.ask("d/", &[("x-client-cert", &long)]).await.0, 403);
    }

    async fn an_entitlement_must_have_the_path(world: World) {
        let authority = Authority::new();
        let guard = guard(&world, "rhsm", "g", &[&authority]).await;
        world.guarded("org/library/rhel/7.4/x86_64/os", &guard).await;
        world.guarded("org/library/custom/foo", &guard).await;
        let denied = "403: Requested path is not a subpath of a path in the client certificate.";
        let (rhel, custom) = ("org/library/rhel/7.4/x86_64/os/a/b", "org/library/custom/foo/");
        for (paths, may) in [
            (&["/org/library/rhel/$releasever/$basearch/os", "/org/library/custom/foo"][..], (true, true)),
            (&["/org/library/rhel/$releasever/$basearch/os"], (true, false)),
            (&["/org/library/custom/foo/bar"], (false, false)),
            (&["/org"], (true, true)),
            (&["/or"], (false, false)),
            (&[], (false, false)),
        ] {
            let identity = entitled(&authority, paths);
            for (path, may) in [(rhel, may.0), (custom, may.1)] {
                let (status, text) = show(&world, path, &identity).await;
                assert_eq!(status, if may { 404 } else { 403 }, "{paths:?} {path}: {text}");
                assert!(may || text == denied, "{text}");
            }
        }
        assert_eq!(show(&world, custom, &entitled(&Authority::new(), &["/org"])).await.0, 403);
    }

    async fn what_is_no_certificate_is_refused(world: World) {
        for kind in ["x509", "rhsm"] {
            let collection = format!("contentguards/certguard/{kind}/");
            let refused = json!({"ca_certificate": ["Must be PEM encoded X.509 certificate."]});
            for pem in ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"] {
                assert_eq!(world.client.post(&collection, json!({"name": "g", "ca_certificate": pem})).await.with(400), refused);
            }
        }
        let components = world.client.get("status/").await["versions"].clone();
        let labels: Vec<&str> = components.as_array().unwrap().iter().filter_map(|version| version["component"].as_str()).collect();
        assert!(labels.contains(&"certguard"), "{labels:?}");
    }
}
