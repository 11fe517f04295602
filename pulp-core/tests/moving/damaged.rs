//! Archives that are not what they say: nothing comes of them.

use std::path::{Path, PathBuf};

use pulp_testkit::{Blob, both_databases};
use serde_json::{Value, json};

use crate::world::World;

/// An archive of these files.
fn archive(path: &Path, files: &[(&str, String)]) -> PathBuf {
    let mut builder = tar::Builder::new(std::fs::File::create(path).unwrap());
    for (name, text) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, text.as_bytes()).unwrap();
    }
    builder.into_inner().unwrap();
    path.to_owned()
}

const UNIT: &str = "01890000-0000-7000-8000-000000000001";

/// A sound archive of one file, `a`.
fn sound() -> Vec<(&'static str, String)> {
    let sha256 = Blob::from("one").sha256();
    let artifact = format!("artifact/{}/{}", &sha256[..2], &sha256[2..]);
    let repository = json!([{"pulp_type": "file.file", "name": "r", "description": "", "retain_repo_versions": "", "retain_checkpoints": "",
        "user_hidden": "0", "manifest": "M", "autopublish": "0", "last_sync_details": "{}"}]);
    vec![
        ("versions.json", json!([{"component": "core", "version": "3.123.9"}, {"component": "file", "version": "3.123.0"}]).to_string()),
        (Box::leak(artifact.into_boxed_str()), "one".to_owned()),
        ("pulpcore.app.modelresource.ArtifactResource.json", json!([{"sha256": sha256, "size": "3"}]).to_string()),
        ("pulpcore.app.modelresource.RepositoryResource.json", repository.to_string()),
        (
            "repository-r_1/pulp_file.app.modelresource.FileContentResource.json",
            json!([{"pulp_type": "file.file", "upstream_id": UNIT, "relative_path": "a", "digest": sha256}]).to_string(),
        ),
        ("repository-r_1/pulp_file.app.modelresource.FileRepositoryResource.json", repository.to_string()),
        (
            "repository-r_1/pulpcore.app.modelresource.ContentArtifactResource.json",
            json!([{"artifact": sha256, "content": UNIT, "relative_path": "a"}]).to_string(),
        ),
    ]
}

/// The sound archive with one file changed, or taken out.
fn changed(name: &str, change: impl Fn(&str) -> Option<String>) -> Vec<(&'static str, String)> {
    let mut files = sound();
    let at = files.iter().position(|(known, _)| known.contains(name)).unwrap();
    match change(&files[at].1) {
        Some(text) => files[at].1 = text,
        None => drop(files.remove(at)),
    }
    files
}

both_databases! {
    async fn what_is_damaged_makes_no_version(world: World) {
        let importer = world.importer(json!({})).await;
        let imports = format!("{importer}imports/");
        let import = |body: Value| world.client.post(&imports, body);
        let replaced = |name: &str, from: &str, to: &str| changed(name, |text| {
            assert!(text.contains(from));
            Some(text.replace(from, to))
        });
        let cases = [
            (changed("versions", |_| None), "versions.json"),
            (replaced("versions", "3.123.0", "3.122.0"), "Export version 3.122.0 of file incompatible with installed version 3.123.1."),
            (replaced("versions", "core", "npm"), "Export uses npm which is not installed."),
            (replaced("artifact/", "one", "two"), "has the sha256"),
            (changed("artifact/", |_| None), "does not have it"),
            (replaced("FileContent", "\"a\"", "\"../a\""), "is no path of a file"),
            (replaced("FileContent", UNIT, "x"), "is no UUID"),
            (replaced("FileContent", "[", "{"), "FileContentResource"),
            (replaced("ContentArtifact", "\"a\"", "\"x/../../a\""), "is no path of a file"),
            (replaced("ContentArtifact", UNIT, "01890000-0000-7000-8000-000000000002"), "which it has not"),
            (replaced("FileRepository", "\"0\",\"last", "\"maybe\",\"last"), "is no autopublish"),
            (changed("FileRepository", |_| None), "does not describe the repository"),
            (changed("RepositoryResource", |text| Some(text.replace("file.file", "x.y"))), "are not known here"),
            (changed("FileContent", |text| Some(text.replace("\"a\"", &format!("\"{}\"", "a".repeat(2 << 20))))), "a row has more than"),
        ];
        for (at, (files, expected)) in cases.into_iter().enumerate() {
            let path = archive(&world.allowed(&format!("bad{at}.tar")), &files);
            let tasks = world.group(import(json!({"path": path, "create_repositories": true})).await).await;
            let failed: Vec<&String> = tasks.iter().filter(|(_, state, _)| state == "failed").map(|(_, _, error)| error).collect();
            assert!(failed.len() == 1 && failed[0].contains(expected), "{at} {expected}: {tasks:?}");
            for repository in world.client.list("repositories/file/file/").await {
                assert!(repository["latest_version_href"].as_str().unwrap().ends_with("/versions/0/"), "{at}");
                world.client.wait(world.client.delete(crate::world::href(&repository)).await).await;
            }
        }
        // The same without the damage; what was refused has left nothing in the way.
        let path = archive(&world.allowed("good.tar"), &sound());
        let tasks = world.group(import(json!({"path": path, "create_repositories": true})).await).await;
        assert!(tasks.iter().all(|(_, state, _)| state == "completed"), "{tasks:?}");
        let repository = world.named("repositories/file/file/", "r").await;
        assert_eq!(world.paths(repository["latest_version_href"].as_str().unwrap()).await, ["a"]);
    }

    async fn an_archive_is_complete_and_below_an_allowed_directory(world: World) {
        let importer = world.importer(json!({})).await;
        let imports = format!("{importer}imports/");
        let import = |body: Value| world.client.post(&imports, body);
        let good = archive(&world.allowed("good.tar"), &sound());
        let bytes = std::fs::read(&good).unwrap();
        std::fs::write(world.allowed("cut.tar"), &bytes[..bytes.len() / 3]).unwrap();
        std::fs::write(world.allowed("text.tar"), "no archive at all").unwrap();
        let sum = format!("{:x}", crc32fast::hash(&bytes));
        let toc = |name: &str, text: Value| {
            std::fs::write(world.allowed(name), text.to_string()).unwrap();
            world.allowed(name)
        };
        let outside = archive(&world.beside("outside.tar"), &sound());
        let cases = [
            (json!({"path": world.allowed("cut.tar")}), "cut off"),
            (json!({"path": world.allowed("text.tar")}), "no tar file"),
            (json!({"path": world.allowed("nothing")}), "[Errno 2] No such file or directory"),
            (json!({"path": world.allowed("")}), "[Errno 21] Is a directory"),
            (json!({"toc": good}), "the table of contents cannot be read"),
            (json!({"toc": toc("t1", json!({"files": {"good.tar": sum}}))}), "Missing 'files' or 'meta' keys in table-of-contents!"),
            (json!({"toc": toc("t2", json!({"meta": {}, "files": {"good.tar": "1"}}))}),
                &format!("Import chunk hash mismatch: ['File good.tar expected checksum : 1, computed checksum : {sum}'])."),),
            (json!({"toc": toc("t3", json!({"meta": {}, "files": {"../outside.tar": sum}}))}), "which is no name of a file beside it"),
            (json!({"toc": toc("t4", json!({"meta": {}, "files": {}}))}), "lists 0 files"),
        ];
        for (body, expected) in cases {
            let tasks = world.group(import(body).await).await;
            assert!(tasks.len() == 1 && tasks[0].1 == "failed" && tasks[0].2.contains(expected), "{expected}: {tasks:?}");
        }
        std::os::unix::fs::symlink(&outside, world.allowed("link.tar")).unwrap();
        for path in [outside.clone(), world.allowed("../outside.tar"), world.allowed("link.tar"), "good.tar".into()] {
            let answer = import(json!({"path": path})).await.with(400);
            assert_eq!(answer, json!({"path": [format!("path '{}' is not an allowed import path", path.display())]}));
        }
        let one = json!({"non_field_errors": ["One of 'path' or 'toc' must be specified."]});
        assert_eq!(import(json!({})).await.with(400), one);
        let both = json!({"non_field_errors": ["Only one of 'path' and 'toc' may be specified."]});
        assert_eq!(import(json!({"path": good, "toc": good})).await.with(400), both);
    }

    async fn a_check_tells_what_would_be_refused(world: World) {
        let check = |body: Value| world.client.post("importers/core/pulp/import-check/", body);
        let good = archive(&world.allowed("good.tar"), &sound());
        let answer = check(json!({"path": good, "toc": world.allowed("nothing"), "repo_mapping": "{"})).await.with(200);
        assert_eq!(answer["path"], json!({"context": good, "is_valid": true, "messages": []}));
        assert_eq!(answer["toc"]["messages"], json!([format!("file {} does not exist", world.allowed("nothing").display())]));
        assert_eq!(answer["repo_mapping"], json!({"context": "{", "is_valid": false, "messages": ["invalid JSON"]}));
        let answer = check(json!({"path": "/elsewhere", "toc": world.allowed("")})).await.with(200);
        assert_eq!(answer["path"]["messages"], json!(["/ is not an allowed import path"]));
        assert!(answer["toc"]["messages"][0].as_str().unwrap().ends_with("is not a file"));
        assert_eq!(answer.as_object().unwrap().len(), 2);
        let none = json!({"non_field_errors": ["One of 'path', 'toc', or 'repo_mapping' must be specified."]});
        assert_eq!(check(json!({})).await.with(400), none);
    }
}
