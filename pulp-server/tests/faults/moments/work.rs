//! What is under way when the server is killed, and how it is done again.

use std::sync::{Arc, Mutex};

use http::{Method, StatusCode};
use pulp_testkit::{Blob, Client};
use serde_json::{Value as Json, json};

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// A sync of new files, immediate.
    Sync,
    /// Publications, one after the other.
    Publish,
    /// Files in one piece, one after the other.
    Upload,
    /// Files in chunks, committed to artifacts and to units in turns.
    Chunks,
    /// Clean-ups of orphans without any protection, one after the other.
    Cleanup,
}

impl Work {
    pub const ALL: [Self; 5] = [Self::Sync, Self::Publish, Self::Upload, Self::Chunks, Self::Cleanup];
}

/// A file that a client sends.
#[derive(Clone, Debug)]
pub struct Sent {
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// Of one in chunks, once the server has told it.
    pub upload: Option<String>,
    /// Where the chunks begin that the server has taken.
    pub chunks: Vec<u64>,
    /// Of one that becomes a unit: its path.
    pub unit: Option<String>,
    /// The server has said that it is stored.
    pub stored: bool,
}

/// Bytes of one chunk, and how many there are.
const CHUNK: usize = 40_000;
const CHUNKS: u64 = 3;

/// What all clients do, and what they were told.
#[derive(Debug, Default)]
pub struct Log {
    pub sent: Mutex<Vec<Sent>>,
    /// Tasks that the server has promised.
    pub tasks: Mutex<Vec<String>>,
}

impl Log {
    fn note(&self, file: Sent) -> usize {
        let mut sent = self.sent.lock().unwrap();
        sent.push(file);
        sent.len() - 1
    }

    fn change(&self, at: usize, change: impl FnOnce(&mut Sent)) {
        change(&mut self.sent.lock().unwrap()[at]);
    }
}

/// An answer, unless the server went away.
async fn ask(request: reqwest::RequestBuilder) -> Option<Json> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    let body = answer.bytes().await.ok()?;
    assert!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Some(serde_json::from_slice(&body).unwrap_or_default())
}

async fn post(client: &Client, path: &str, body: Json) -> Option<Json> {
    ask(client.request(Method::POST, path).header("content-type", "application/json").body(body.to_string())).await
}

async fn form(client: &Client, method: Method, path: &str, file: &[u8], range: Option<String>) -> Option<Json> {
    let mut body = b"--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n".to_vec();
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--x--\r\n");
    let mut request = client.request(method, path).header("content-type", "multipart/form-data; boundary=x");
    if let Some(range) = range {
        request = request.header("content-range", range);
    }
    ask(request.body(body)).await
}

/// Starts a task and waits for its end.
async fn task(client: &Client, log: &Log, path: &str, body: Json) -> Option<Json> {
    let task = post(client, path, body).await?["task"].as_str().expect("a task").to_owned();
    log.tasks.lock().unwrap().push(task.clone());
    loop {
        let now = ask(client.request(Method::GET, &task)).await?;
        match now["state"].as_str() {
            Some("completed") => return Some(now),
            Some("waiting" | "running") => tokio::time::sleep(std::time::Duration::from_millis(5)).await,
            _ => panic!("{now:#}"),
        }
    }
}

/// Where things are.
#[derive(Clone, Debug)]
pub struct Places {
    pub repository: String,
}

/// Works until the server is gone.
pub async fn go_on(work: Work, client: Client, places: Places, log: Arc<Log>, seed: u64) {
    let mut number = 0;
    let mut next = || {
        number += 1;
        seed.wrapping_mul(1_000).wrapping_add(number)
    };
    let mut all = async || -> Option<()> {
        match work {
            Work::Sync => {
                task(&client, &log, &format!("{}sync/", places.repository), json!({"mirror": true})).await?;
                // Once is all that there is.
                std::future::pending().await
            }
            Work::Publish => loop {
                task(&client, &log, "publications/file/file/", json!({"repository": places.repository})).await?;
            },
            Work::Upload => loop {
                let seed = next();
                let file = Sent::new(seed, 500 + seed % 7 * 40_000);
                let (bytes, at) = (file.bytes.clone(), log.note(file));
                form(&client, Method::POST, "artifacts/", &bytes, None).await?;
                log.change(at, |file| file.stored = true);
            },
            Work::Chunks => loop {
                let seed = next();
                let mut file = Sent::new(seed, CHUNK as u64 * CHUNKS);
                file.unit = (seed % 2 == 0).then(|| format!("chunks/{seed}"));
                let (sent, at) = (file.clone(), log.note(file));
                let upload = post(&client, "uploads/", json!({"size": sent.bytes.len()})).await?["pulp_href"]
                    .as_str()
                    .expect("an upload")
                    .to_owned();
                log.change(at, |file| file.upload = Some(upload.clone()));
                for index in [1, 0, 2] {
                    put(&client, &upload, &sent, index).await?;
                    log.change(at, |file| file.chunks.push(index));
                }
                finish(&client, &log, &upload, &sent).await?;
                log.change(at, |file| file.stored = true);
            },
            Work::Cleanup => loop {
                task(&client, &log, "orphans/cleanup/", json!({"orphan_protection_time": 0})).await?;
            },
        }
    };
    all().await;
}

async fn put(client: &Client, upload: &str, file: &Sent, index: u64) -> Option<Json> {
    let start = index as usize * CHUNK;
    let range = format!("bytes {start}-{}/{}", start + CHUNK - 1, file.bytes.len());
    form(client, Method::PUT, upload, &file.bytes[start..start + CHUNK], Some(range)).await
}

/// Makes an artifact, or a unit, of an upload that is complete.
async fn finish(client: &Client, log: &Log, upload: &str, file: &Sent) -> Option<Json> {
    match &file.unit {
        None => task(client, log, &format!("{upload}commit/"), json!({"sha256": file.sha256})).await,
        Some(path) => task(client, log, "content/file/files/", json!({"upload": upload, "relative_path": path})).await,
    }
}

impl Sent {
    fn new(seed: u64, size: u64) -> Self {
        let blob = Blob::seeded(seed, size);
        let (bytes, sha256) = (blob.to_bytes().to_vec(), blob.sha256());
        Self { bytes, sha256, upload: None, chunks: Vec::new(), unit: None, stored: false }
    }

    async fn is_there(&self, client: &Client) -> bool {
        let path = match &self.unit {
            None => format!("artifacts/?sha256={}", self.sha256),
            Some(path) => format!("content/file/files/?sha256={}&relative_path={path}", self.sha256),
        };
        !client.list(&path).await.is_empty()
    }

    /// Goes on where the server was killed. `swept` says that a clean-up was under way: it may have removed what was stored and belongs to nothing.
    pub async fn mend(&self, client: &Client, swept: bool) {
        if self.is_there(client).await {
            return;
        }
        assert!(!self.stored || swept, "the server has said that this is stored: {} {:?}", self.sha256, self.upload);
        let log = Log::default();
        match &self.upload {
            // It has not even begun.
            None if self.bytes.len() as u64 == CHUNK as u64 * CHUNKS => {}
            None => {
                form(client, Method::POST, "artifacts/", &self.bytes, None).await.expect("a server");
                assert!(self.is_there(client).await);
            }
            Some(upload) => {
                let now = client.try_get(upload).await;
                if now.status == StatusCode::NOT_FOUND {
                    assert!(swept, "an upload is gone, and what was to come of it is not there: {upload}, {:?}", self.unit);
                    return;
                }
                let now = now.ok();
                let there: Vec<u64> =
                    now["chunks"].as_array().unwrap().iter().map(|chunk| chunk["offset"].as_u64().unwrap() / CHUNK as u64).collect();
                for index in &self.chunks {
                    assert!(there.contains(index), "the server has taken chunk {index} of {upload}, and has {there:?}");
                }
                for index in (0..CHUNKS).filter(|index| !there.contains(index)) {
                    put(client, upload, self, index).await.expect("a server");
                }
                finish(client, &log, upload, self).await.expect("a server");
                assert!(self.is_there(client).await);
            }
        }
    }
}
