//! A real S3 server for tests.

use std::path::PathBuf;

use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto::Builder,
};
use pulp_core::storage::S3Options;
use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use crate::listening::Listening;

const BUCKET: &str = "artifacts";
const ACCESS_KEY: &str = "TESTACCESSKEY";
const SECRET_KEY: &str = "test-secret-key";

/// An S3 server with one bucket, on a directory of its own. It checks signatures, and ends with its handle.
#[derive(Debug)]
pub struct S3Server {
    dir: TempDir,
    listening: Listening,
}

impl S3Server {
    /// Starts it.
    ///
    /// # Panics
    /// When the system gives no port or no directory.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::create_dir(dir.path().join(BUCKET)).expect("a bucket");
        let mut service = S3ServiceBuilder::new(FileSystem::new(dir.path()).expect("a file system"));
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listening = Listening::start(0, move |tcp| {
            let service = service.clone();
            async move {
                // A client that leaves is its own affair.
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(tcp), service).await;
            }
        })
        .await;
        Self { dir, listening }
    }

    /// How to reach the bucket. Requests that fail are not repeated, so that tests of failures are quick.
    ///
    /// # Panics
    /// Never: the address is one.
    #[must_use]
    pub fn options(&self) -> S3Options {
        let endpoint = format!("http://{}", self.listening.address()).parse().expect("a url");
        S3Options::new(BUCKET).endpoint(endpoint).keys(ACCESS_KEY, SECRET_KEY).retries(0)
    }

    /// The settings of a server that stores in the bucket, by name.
    #[must_use]
    pub fn configuration(&self) -> [(&'static str, String); 2] {
        let options = format!(
            r#"{{ endpoint = "http://{}", region = "us-east-1", access_key_id = "{ACCESS_KEY}", secret_access_key = "{SECRET_KEY}" }}"#,
            self.listening.address()
        );
        [("storage", format!("s3://{BUCKET}")), ("storage_options", options)]
    }

    /// The directory where the server keeps the objects of the bucket, as files.
    #[must_use]
    pub fn bucket_dir(&self) -> PathBuf {
        self.dir.path().join(BUCKET)
    }

    /// Names of what the server keeps besides objects: parts of uploads that are not complete.
    ///
    /// # Panics
    /// When the directory cannot be read.
    #[must_use]
    pub fn parts(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.dir.path()).expect("the directory").map(|entry| entry.expect("an entry").file_name());
        names.map(|name| name.to_string_lossy().into_owned()).filter(|name| name.starts_with(".upload_id-")).collect()
    }

    /// Stops the server: connections are closed, and new ones refused.
    pub async fn stop(&mut self) {
        self.listening.stop().await;
    }
}
