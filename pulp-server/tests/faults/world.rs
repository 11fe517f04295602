//! The server under test, and what can be seen of it from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use pulp_testkit::{Blob, Client, Engine, Prepare, Program, Upstream};
use serde_json::Value as Json;

/// The binary of this package, on a database and a directory of its own.
pub struct Server(pub Program);

#[async_trait]
impl Prepare for Server {
    async fn prepare(engine: Engine) -> Option<Self> {
        let program = Program::new(env!("CARGO_BIN_EXE_pulp-server"), engine).await?;
        Some(Self(match engine {
            Engine::Sqlite => program,
            // Several processes may be at work: how soon one is missed is a setting.
            Engine::Postgres => program.setting("worker_ttl", 1).setting("api_app_ttl", 1),
        }))
    }
}

impl Deref for Server {
    type Target = Program;

    fn deref(&self) -> &Program {
        &self.0
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut Program {
        &mut self.0
    }
}

impl Server {
    /// Files that are being written, or were and stayed.
    pub fn unfinished(&self) -> Vec<PathBuf> {
        let media = self.dir().join("media");
        let mut found = files(&media.join(".spool"));
        found.extend(files(&media.join(".incoming")));
        // What each process holds locked is empty and stays.
        found.retain(|path| !path.ends_with("lock") && !path.ends_with("held"));
        found
    }

    /// All files that are stored, and chunks of uploads.
    pub fn kept(&self) -> Vec<PathBuf> {
        let media = self.dir().join("media");
        [files(&media.join("artifact")), files(&media.join("upload"))].concat()
    }

    /// The stored files, by their path as artifacts name it, and how large they are.
    pub fn stored(&self) -> BTreeMap<String, u64> {
        let media = self.dir().join("media");
        let stored = files(&media.join("artifact"));
        let named = stored.into_iter().map(|path| {
            let name = path.strip_prefix(&media).unwrap().to_str().unwrap().to_owned();
            (name, path.metadata().unwrap().len())
        });
        named.collect()
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The sha256 of every artifact that the server knows, with the file that it names and its size.
pub async fn artifacts(client: &Client) -> BTreeMap<String, (String, u64)> {
    let list = client.list("artifacts/?limit=2000&fields=sha256,file,size").await;
    let entry = |artifact: Json| {
        let text = |field: &str| artifact[field].as_str().unwrap().to_owned();
        (text("sha256"), (text("file"), artifact["size"].as_u64().unwrap()))
    };
    list.into_iter().map(entry).collect()
}

/// The files that a sync would have to fetch, of all that an upstream has, when these are stored.
pub fn missing<'a>(all: impl IntoIterator<Item = &'a (String, Blob)>, stored: &BTreeMap<String, (String, u64)>) -> BTreeSet<String> {
    all.into_iter().filter(|(_, blob)| !stored.contains_key(&blob.sha256())).map(|(path, _)| path.clone()).collect()
}

/// The files that were asked for, the manifest left out.
pub fn fetched(upstream: &Upstream) -> BTreeSet<String> {
    let asked: Vec<String> = upstream.requests().into_iter().map(|request| request.path).filter(|path| path != "PULP_MANIFEST").collect();
    let once: BTreeSet<String> = asked.iter().cloned().collect();
    assert_eq!(once.len(), asked.len(), "no file is asked for twice: {asked:?}");
    once
}

/// The paths of the units of a version.
pub async fn paths(client: &Client, version: &str) -> BTreeSet<String> {
    let units = client.list(&format!("content/file/files/?limit=2000&fields=relative_path&repository_version={version}")).await;
    units.iter().map(|unit| unit["relative_path"].as_str().unwrap().to_owned()).collect()
}
