//! Git remotes, against a repository that the tests make and serve.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use http::{Request, Response};
use pulp_core::body::Body;
use pulp_core::settings::Settings;
use pulp_testkit::client::created;
use pulp_testkit::{Blob, Engine, Prepare, Server, both_databases};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::world::{FILES, REPOSITORIES, World, href, paths};

/// A git repository that is served over HTTP, in the way that git servers speak or as plain files.
struct Upstream {
    directory: Arc<tempfile::TempDir>,
    smart: Server,
    plain: Server,
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory).env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
    for (name, value) in [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("HOME", "/nonexistent")] {
        command.env(name, value);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Somebody").env(format!("GIT_{role}_EMAIL"), "somebody@example.com");
    }
    command
}

impl Upstream {
    /// One branch, `main`, without a commit.
    async fn start() -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let (smart, plain) = (Arc::clone(&directory), Arc::clone(&directory));
        let upstream = Self {
            directory,
            smart: Server::start(move |request| smart_http(smart.path().to_owned(), request)).await,
            plain: Server::start(move |request| file(plain.path().to_owned(), request)).await,
        };
        upstream.run(&["init", "--quiet", "--initial-branch=main", "."]).await;
        upstream
    }

    async fn run(&self, arguments: &[&str]) -> String {
        let output = git(self.directory.path()).args(arguments).output().await.unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Commits files, each with its text; the commit.
    async fn commit(&self, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        self.run(&["add", "--all"]).await;
        self.run(&["commit", "--quiet", "--message=change"]).await;
        self.run(&["update-server-info"]).await;
        self.run(&["rev-parse", "HEAD"]).await
    }
}

/// What git itself answers with.
async fn smart_http(directory: PathBuf, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let mut command = git(&directory);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", directory.join(".git"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", head.method.as_str())
        .env("PATH_INFO", head.uri.path().strip_prefix("/r.git").unwrap_or("/nothing"))
        .env("QUERY_STRING", head.uri.query().unwrap_or_default())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(&body.read(1 << 24).await.unwrap()).await.unwrap();
    drop(input);
    let output = child.wait_with_output().await.unwrap().stdout;
    let end = output.windows(4).position(|four| four == b"\r\n\r\n").unwrap();
    let mut response = Response::builder().status(200);
    for line in std::str::from_utf8(&output[..end]).unwrap().lines() {
        let (name, value) = line.split_once(": ").unwrap();
        response = match name {
            "Status" => response.status(value[..3].parse::<u16>().unwrap()),
            _ => response.header(name, value),
        };
    }
    response.body(Body::from(output[end + 4..].to_vec())).unwrap()
}

/// A file of the repository.
async fn file(directory: PathBuf, request: Request<Body>) -> Response<Body> {
    let path = request.uri().path().strip_prefix("/r.git/").unwrap_or("nothing");
    match std::fs::read(directory.join(".git").join(path)) {
        Ok(bytes) => Response::new(Body::from(bytes)),
        Err(_) => Response::builder().status(404).body(Body::empty()).unwrap(),
    }
}

/// A repository, and a remote with this address.
async fn mirror(world: &World, url: &str) -> (Value, Value) {
    let remote = world.client.create("remotes/file/git/", json!({"name": url, "url": url})).await;
    let repository = world.client.create(REPOSITORIES, json!({"name": url, "remote": href(&remote)})).await;
    (remote, repository)
}

impl World {
    async fn sync(&self, repository: &Value, body: Value) -> Value {
        self.client.wait(self.client.post(&format!("{}sync/", href(repository)), body).await).await
    }
}

/// One whose remotes may not reach some networks of this host.
struct Fenced(World);

#[async_trait::async_trait]
impl Prepare for Fenced {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        settings.remote_denied_networks = ["127.0.0.2", "::1"].map(str::to_owned).to_vec();
        World::with(engine, settings).await.map(Self)
    }
}

both_databases! {
    async fn git_is_told_which_addresses_are_not_denied(fenced: Fenced) {
        let world = fenced.0;
        let upstream = Upstream::start().await;
        upstream.commit(&[("README", "read me")]).await;
        let address = |host: &str| format!("{}/r.git", upstream.smart.url().replace("127.0.0.1", host));
        let (_, repository) = mirror(&world, &address("localhost")).await;
        created(&world.sync(&repository, json!({})).await, "versions");
        for host in ["127.0.0.2", "[::1]"] {
            let (_, repository) = mirror(&world, &address(host)).await;
            let failure = world.client.failure(world.client.post(&format!("{}sync/", href(&repository)), json!({})).await).await;
            assert!(failure.contains(&format!("{host} is in a network that the setting remote_denied_networks denies")), "{failure}");
        }
    }

    async fn the_files_of_a_tree_are_synced(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await;
        upstream.commit(&[("README", "read me"), ("d/é.txt", "deep"), ("gone", "soon")]).await;
        let (_, repository) = mirror(&world, &format!("{}/r.git", upstream.smart.url())).await;
        let task = world.sync(&repository, json!({})).await;
        let codes: Vec<&str> =
            task["progress_reports"].as_array().unwrap().iter().map(|report| report["code"].as_str().unwrap()).collect();
        for code in ["sync.git.cloning", "sync.git.resolving_ref", "sync.git.parsing_tree"] {
            assert!(codes.contains(&code), "{codes:?}");
        }
        let version = created(&task, "versions");
        assert_eq!(paths(client, &version).await, ["README", "d/é.txt", "gone"]);
        let unit = &client.list(&format!("{FILES}?relative_path=README")).await[0];
        assert_eq!(unit["sha256"], Blob::from("read me").sha256());
        // Nothing new makes no version; without mirroring, what is gone upstream stays.
        assert_eq!(world.sync(&repository, json!({})).await["created_resources"], json!([]));
        upstream.run(&["rm", "--quiet", "gone"]).await;
        upstream.commit(&[("new", "new")]).await;
        let version = created(&world.sync(&repository, json!({})).await, "versions");
        assert_eq!(paths(client, &version).await, ["README", "d/é.txt", "gone", "new"]);
        let task = world.sync(&repository, json!({"mirror": true})).await;
        assert_eq!(paths(client, &created(&task, "versions")).await, ["README", "d/é.txt", "new"]);
        assert_eq!(client.get(&created(&task, "publications")).await["manifest"], "PULP_MANIFEST");
    }

    async fn a_ref_may_be_a_branch_a_tag_a_commit_or_relative(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await;
        let first = upstream.commit(&[("file", "1")]).await;
        upstream.run(&["tag", "v1"]).await;
        upstream.run(&["tag", "--annotate", "--message=one", "annotated"]).await;
        upstream.run(&["checkout", "--quiet", "-b", "side/branch"]).await;
        upstream.commit(&[("file", "side")]).await;
        upstream.run(&["checkout", "--quiet", "main"]).await;
        upstream.commit(&[("file", "2")]).await;
        let (remote, repository) = mirror(&world, &format!("{}/r.git", upstream.smart.url())).await;
        let short = first[..10].to_owned();
        for (reference, text) in [
            ("HEAD", "2"),
            ("main", "2"),
            ("v1", "1"),
            ("annotated", "1"),
            ("side/branch", "side"),
            ("refs/heads/main", "2"),
            (&first, "1"),
            (&short, "1"),
            ("side/branch~1", "1"),
            ("HEAD~1", "1"),
        ] {
            world.patch(href(&remote), json!({"git_ref": reference})).await;
            let body = json!({"mirror": true});
            world.sync(&repository, body).await;
            let latest = client.get(href(&repository)).await["latest_version_href"].as_str().unwrap().to_owned();
            let units = client.list(&format!("{FILES}?repository_version={latest}")).await;
            assert_eq!(units[0]["sha256"], Blob::from(text).sha256(), "{reference}");
        }
        for reference in ["nothing", "deadbeef"] {
            world.patch(href(&remote), json!({"git_ref": reference})).await;
            let failure = client.failure(client.post(&format!("{}sync/", href(&repository)), json!({})).await).await;
            assert!(failure.starts_with(&format!("[PLP0013] Sync failed: Could not resolve git ref '{reference}'")), "{failure}");
        }
        world.patch(href(&remote), json!({"git_ref": "--upload-pack=x"})).await;
        let failure = client.failure(client.post(&format!("{}sync/", href(&repository)), json!({})).await).await;
        assert!(failure.starts_with("[PLP0013]"), "{failure}");
    }

    async fn a_server_that_only_has_files_will_do_and_none_is_told(world: World) {
        let client = &world.client;
        let upstream = Upstream::start().await;
        upstream.commit(&[("file", "1")]).await;
        let (_, repository) = mirror(&world, &format!("{}/r.git", upstream.plain.url())).await;
        let version = created(&world.sync(&repository, json!({})).await, "versions");
        assert_eq!(paths(client, &version).await, ["file"]);

        let (remote, repository) = mirror(&world, &format!("{}/none.git", upstream.plain.url())).await;
        world.patch(href(&remote), json!({"username": "joe", "password": "hunter2"})).await;
        let failure = client.failure(client.post(&format!("{}sync/", href(&repository)), json!({})).await).await;
        assert!(failure.starts_with("[PLP0013] Sync failed: Failed to clone git repository"), "{failure}");
        assert!(!failure.contains("hunter2"), "{failure}");
    }
}
