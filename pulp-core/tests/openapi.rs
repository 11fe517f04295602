//! The API document: whole, honest, and the same as a real Pulp’s.

use std::path::Path;

use pulp_testkit::openapi::compare;
use pulp_testkit::{Engine, Kit};
use serde_json::Value;

async fn kit() -> Kit {
    Kit::new(Engine::Sqlite).await.expect("SQLite is always there")
}

/// Compares with the documents of a real Pulp, if `PULP_REFERENCE_DIR` says where they lie.
#[tokio::test]
async fn the_document_is_that_of_a_real_pulp() {
    let Some(directory) = std::env::var_os("PULP_REFERENCE_DIR") else {
        println!("skipped: PULP_REFERENCE_DIR is not set");
        return;
    };
    let kit = kit().await;
    let api = kit.pulp().api();
    let mut differences = Vec::new();
    for component in ["core", "file"] {
        if component != "core" && !kit.pulp().registry().plugins().iter().any(|plugin| plugin.label == component) {
            println!("{component}: there is no such plugin yet");
            continue;
        }
        let path = Path::new(&directory).join(format!("openapi-{component}.json"));
        let reference: Value = serde_json::from_slice(&std::fs::read(&path).expect("the reference can be read")).expect("it is JSON");
        let document = api.openapi(Some(component), false, false).expect("descriptions agree");
        let found = compare(&reference, &document);
        println!("{component}: lacking: {}", found.lacking.join(" "));
        assert_eq!(found.added, Vec::<String>::new(), "{component}: operations that Pulp has not");
        differences.extend(found.differences.into_iter().map(|line| format!("{component}: {line}")));
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}
