//! No room: on the disk of the artifacts, and on that of the database.

use std::fs::{File, remove_file};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pulp_testkit::{Blob, Engine, Fault, Prepare, Process, Upstream, both_databases};
use serde_json::json;

use crate::world::{Server, artifacts, fetched, missing};

const MIB: u64 = 1 << 20;

/// Takes all room of a file system but `spare` bytes, with a file of this name. Removing it gives them back. At no moment is there less room.
fn fill(ballast: &Path, spare: u64) -> PathBuf {
    let mut file = File::create(ballast).unwrap();
    let block = vec![0; 64 << 10];
    loop {
        let system = rustix::fs::fstatvfs(&file).unwrap();
        let room = (system.f_bavail * system.f_frsize).saturating_sub(spare);
        let more = usize::try_from(room).unwrap().min(block.len());
        match file.write(&block[..more]) {
            Ok(0) => return ballast.to_owned(),
            Ok(_) => {}
            // What else writes there takes its share.
            Err(error) if error.kind() == ErrorKind::StorageFull => return ballast.to_owned(),
            Err(error) => panic!("{error}"),
        }
    }
}

both_databases! {
    async fn without_room_for_artifacts_it_says_so_and_goes_on_when_there_is(server: Server) {
        let Some(program) = server.0.small_disk("media", 16 * MIB).await else { return };
        let server = Server(program);
        let mut process = server.start().await;
        let client = process.client();
        let media = process.inside(&server.dir().join("media"));
        let mut all: Vec<(String, Blob)> = (0..20).map(|index| (format!("{index}.iso"), Blob::seeded(index, 300_000))).collect();
        all.push(("lazy.iso".to_owned(), Blob::seeded(99, 3 * MIB)));
        let upstream = all.iter().fold(Upstream::start().await, |upstream, (path, blob)| upstream.file(path, blob.clone())).manifest();
        // While there is room: a lazy file that nobody has asked for, and a file that is stored.
        let lazy = client.file_repo("lazy").remote(&upstream).policy("on_demand").sync().publish().distribute().await;
        let kept = client.try_get(&lazy.path("0.iso")).await.body;
        let isos = client.file_repo("isos").remote(&upstream).await;
        let sync = format!("{}sync/", isos.href());

        let ballast = fill(&media.join("ballast"), MIB);
        let error = client.failure(client.post(&sync, json!({})).await).await;
        assert!(error.contains("no space left to store ") && error.contains("orphan cleanup"), "{error}");
        assert_eq!(client.get(&isos.href()).await["latest_version_href"], isos.version.as_str(), "no version was made");
        // An upload, a publication, a lazy file.
        let refused = client.post_form("artifacts/", &[], Some(&vec![1; 3 << 20])).await.with(507);
        assert!(refused["detail"].as_str().unwrap().starts_with("no space left to store "), "{refused}");
        // What was refused may be answered before the thread that wrote it has given back its room, which the publication would find.
        spool_is_left(&process).await;
        fill(&media.join("more"), 0);
        let before = client.list("publications/file/file/").await.len();
        let error = client.failure(client.post("publications/file/file/", json!({"repository": lazy.href(), "manifest": "LIST"})).await).await;
        assert!(error.starts_with("no space left to store "), "{error}");
        assert_eq!(client.list("publications/file/file/").await.len(), before);
        let busy = client.try_get(&lazy.path("lazy.iso")).await;
        assert_eq!((busy.status.as_u16(), busy.text().as_str()), (503, "503: there is no room to fetch the file at the moment; try again later"));
        // What is stored is served, and nothing half-written lies about.
        assert_eq!(client.try_get(&lazy.path("0.iso")).await.body, kept);
        for entry in process_files(&media) {
            assert!(!entry.contains("/.spool/area-") || entry.ends_with("/held"), "{entry}");
        }
        for (file, size) in artifacts(&client).await.into_values() {
            assert_eq!(media.join(file.strip_prefix("/").unwrap_or(&file)).metadata().unwrap().len(), size, "{file} is whole");
        }

        remove_file(media.join("more")).unwrap();
        remove_file(ballast).unwrap();
        let stored = artifacts(&client).await;
        upstream.forget();
        client.wait(client.post(&sync, json!({})).await).await;
        assert_eq!(fetched(&upstream), missing(&all, &stored), "only what is missing is fetched");
        assert_eq!(client.try_get(&lazy.path("lazy.iso")).await.body, all[20].1.to_bytes());
        client.post_form("artifacts/", &[], Some(&vec![1; 3 << 20])).await.with(201);
        client.wait(client.post("publications/file/file/", json!({"repository": lazy.href(), "manifest": "LIST"})).await).await;
        assert!(process.is_alive());
    }
}

/// Waits until the server has no file of its spool open, removed or not.
async fn spool_is_left(process: &Process) {
    let files = format!("/proc/{}/fd", process.pid().unwrap());
    let is_open = || {
        let mut open = std::fs::read_dir(&files).unwrap().filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        open.any(|file| file.to_str().unwrap().rsplit_once("/.spool/area-").is_some_and(|(_, file)| !file.ends_with("/held")))
    };
    let waiting = async {
        while is_open() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("the spool is left in time");
}

fn process_files(media: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(media).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(process_files(&path)) } else { found.push(path.to_str().unwrap().to_owned()) }
    }
    found
}

/// Waits until the log says so.
async fn said(process: &Process, what: &str) {
    let waiting = async {
        while !process.log().contains(what) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await.unwrap_or_else(|_| panic!("not said: {what}\n{}", process.log()));
}

/// SQLite beside the artifacts, on one disk: the task's end cannot be written either, until there is room.
#[tokio::test(flavor = "multi_thread")]
async fn without_room_for_the_database_nothing_is_lost() {
    let server = Server::prepare(Engine::Sqlite).await.unwrap();
    // Signs of life often: they are the least that is written.
    let Some(program) = server.0.setting("worker_ttl", 1).small_disk("", 32 * MIB).await else { return };
    let server = Server(program);
    let mut process = server.start().await;
    let client = process.client();
    let upstream = Upstream::start().await.generate(10, 20_000, 1).file("held.iso", Blob::seeded(2, 100_000)).manifest();
    upstream.plan("held.iso", Fault::HoldAt(1_000));
    let isos = client.file_repo("isos").remote(&upstream).await;
    let sync = format!("{}sync/", isos.href());
    let task = client.post(&sync, json!({})).await.task();
    upstream.wait_bytes("held.iso", 1_000).await;
    let disk = process.inside(server.dir());
    let ballast = fill(&disk.join("ballast"), MIB);
    // Until the disk is full, and SQLite with it.
    let mut number = 0;
    let refused = loop {
        number += 1;
        let answer = client.post("repositories/file/file/", json!({"name": number.to_string(), "description": "x".repeat(100_000)})).await;
        if answer.status != 201 {
            assert_eq!(answer.status, 507, "{}", process.log());
            break answer.with(507);
        }
    };
    assert_eq!(refused, json!({"detail": "The database has no space left."}));
    assert_eq!(client.try_get(&isos.href()).await.status, 200, "what there is can be read");
    let more = fill(&disk.join("more"), 0);
    said(&process, "this process could not show a sign of life").await;
    upstream.release();
    said(&process, "the end of the task could not be written").await;
    assert_eq!(client.get(&task).await["state"], "running");
    remove_file(ballast).unwrap();
    remove_file(more).unwrap();
    let ended = client.ended(&task).await;
    assert_eq!(ended["state"], "failed", "{ended:#}");
    let reason = ended["error"]["description"].as_str().unwrap();
    assert!(reason.contains("no space left to store ") || reason == "The database has no space left.", "{reason}");
    client.wait(client.post(&sync, json!({})).await).await;
    assert!(process.is_alive());
}
