//! Git remotes: the files of a tree, fetched with the host’s `git`.
//!
//! The program is started without the host’s configuration, hooks, prompts and credential helpers, speaks http and https only (and
//! `file`, where the remote was allowed to have such a URL), and is given secrets through its environment: its command line can be
//! read by every user of the host. Everything that it writes lies in the spool’s directory, which is emptied when a process has died.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine;
use bytes::BytesMut;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use url::Url;

use super::content::unit;
use super::manifest::check_path;
use crate::prelude::*;

/// What git may tell of an error.
const SAID: usize = 2_000;

/// The longest path that a tree may list.
const PATH: usize = 8 * 1024;

/// Bytes that are read of a file at a time.
const CHUNK: usize = 256 * 1024;

/// How long git may take for all it fetches, unless the remote says otherwise.
const FETCH_TIMEOUT: Duration = Duration::from_secs(3_600);

/// Declares the files of a tree.
pub(super) struct GitStage;

#[async_trait]
impl FirstStage for GitStage {
    async fn run(self: Box<Self>, out: Sink, cx: &SyncContext) -> Result<()> {
        let find = Sql::new("select git_ref from file_filegitremote where remote_ptr_id = $1").bind(cx.remote().pulp_id);
        let reference: String = cx.pulp().db().scalar(find).await?;
        let task = cx.task();
        let cloning = task.progress("Cloning Git Repository", "sync.git.cloning");
        let clone = Clone::of(cx, &reference).await?;
        cloning.increment();
        cloning.finish();
        let resolving = task.progress("Resolving Git ref", "sync.git.resolving_ref");
        let commit = clone.resolve(&reference).await?;
        resolving.increment();
        resolving.finish();
        let parsing = task.progress("Parsing Git tree", "sync.git.parsing_tree");
        let mut files = clone.list(&commit).await?;
        let mut blobs = clone.blobs().await?;
        while let Some(file) = files.next().await? {
            parsing.increase_total(1);
            let spooled = blobs.get(&file.object, cx.pulp().spool()).await?;
            let declared = Declared::one(
                unit(&file.path, &spooled.sha256()?.to_string()),
                DeclaredFile { relative_path: file.path, expected: Expected::anything(), source: FileSource::Spooled(spooled) },
            );
            out.send(declared).await?;
            parsing.increment();
        }
        parsing.finish();
        Ok(())
    }
}

/// A failure with Pulp’s code for it.
fn failed(what: impl std::fmt::Display) -> Error {
    Error::Coded { code: "PLP0013", message: format!("Sync failed: {what}") }
}

/// A bare repository that goes with its handle.
struct Clone {
    directory: PathBuf,
    environment: Vec<(String, String)>,
    url: Url,
    /// Keeps the directory in which ours lies.
    _anchor: Spooled,
}

impl Drop for Clone {
    fn drop(&mut self) {
        // What cannot be removed now is removed with the spool’s directory.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

impl Clone {
    /// Fetches what the reference needs.
    async fn of(cx: &SyncContext, reference: &str) -> Result<Self> {
        if reference.is_empty() || reference.starts_with('-') || reference.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(failed(format!("'{}' cannot be a git ref", reference.escape_debug())));
        }
        let url = cx.url()?;
        if !matches!(url.scheme(), "http" | "https" | "file") {
            return Err(Error::field("url", "A git remote's url must begin with https://, http:// or file://."));
        }
        let anchor = cx.pulp().spool().store("git").await?;
        let area = anchor.path().parent().map(Path::to_path_buf).unwrap_or_default();
        let directory = area.join(format!("git-{}", new_id().simple()));
        let mut clone = Self { environment: Vec::new(), directory, url, _anchor: anchor };
        tokio::fs::create_dir(&clone.directory)
            .await
            .map_err(|error| Error::io("a directory for a git repository cannot be made", error))?;
        clone.environment = environment(cx, &clone.directory).await?;
        clone.run(&["init", "--quiet", "--bare", "."]).await.map_err(failed)?;
        let shown = redact_url(&clone.url);
        let seconds = cx.remote().total_timeout.filter(|seconds| *seconds > 0.0);
        let limit = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or(FETCH_TIMEOUT);
        let address = clone.url.to_string();
        let fetching = async {
            // One commit is enough where the server gives it by this name; a shortened hash, say, it knows only with its history.
            let named = format!("+{reference}:refs/pulp/wanted");
            let shallow = ["fetch", "--quiet", "--no-tags", "--depth=1", "--", &address, &named];
            if clone.run(&shallow).await.is_ok() {
                return Ok(());
            }
            let all = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--",
                &address,
                "+refs/heads/*:refs/heads/*",
                "+refs/tags/*:refs/tags/*",
                "+HEAD:refs/pulp/head",
            ];
            clone.run(&all).await.map(drop)
        };
        match tokio::time::timeout(limit, fetching).await {
            Ok(Ok(())) => Ok(clone),
            Ok(Err(said)) => Err(failed(format!("Failed to clone git repository '{shown}': {said}"))),
            Err(_) => Err(failed(format!("Failed to clone git repository '{shown}': not done within {} seconds", limit.as_secs()))),
        }
    }

    /// The commit that a reference means.
    async fn resolve(&self, reference: &str) -> Result<String> {
        let mut candidates = vec!["refs/pulp/wanted".to_owned()];
        // Ours has no HEAD of its own: `HEAD~2` is two before the upstream's.
        if let Some(rest) = reference.strip_prefix("HEAD") {
            candidates.push(format!("refs/pulp/head{rest}"));
        }
        candidates.extend(["refs/heads/", "refs/tags/", ""].map(|prefix| format!("{prefix}{reference}")));
        for candidate in candidates {
            let commit = self.run(&["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{candidate}^{{commit}}")]).await;
            if let Ok(commit) = commit {
                return Ok(commit.trim().to_owned());
            }
        }
        Err(failed(format!("Could not resolve git ref '{reference}': the repository has no such branch, tag or commit")))
    }

    /// The files of a commit’s tree.
    async fn list(&self, commit: &str) -> Result<Files> {
        let mut child = self.spawn(&["ls-tree", "-r", "-z", "--full-tree", commit])?;
        let output = child.stdout.take().ok_or_else(|| Error::Internal("git has no output".to_owned()))?;
        Ok(Files { _child: child, output: BufReader::new(output) })
    }

    /// Reads the contents of files by their objects.
    async fn blobs(&self) -> Result<Blobs> {
        let mut child = self.spawn(&["cat-file", "--batch"])?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or_else(|| Error::Internal("git has no pipes".to_owned()))?;
        Ok(Blobs { _child: child, input, output: BufReader::with_capacity(CHUNK, output) })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(&self.directory).env_clear().kill_on_drop(true);
        // Where the program and its parts are found.
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(|error| failed(format!("the program git could not be started on the server: {}", error.kind())))
    }

    /// Runs git to its end; what it wrote, or, cut and without credentials, what it complained about.
    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut child = self
            .command(arguments)
            .spawn()
            .map_err(|error| format!("the program git could not be started on the server: {}", error.kind()))?;
        let (mut said, mut complained) = (Vec::new(), Vec::new());
        let read = async {
            let (Some(output), Some(errors)) = (child.stdout.take(), child.stderr.take()) else { return };
            let (mut output, mut errors) = (output.take(1 << 20), errors.take(1 << 20));
            // An end that cannot be read shows in the status.
            let _ = tokio::join!(output.read_to_end(&mut said), errors.read_to_end(&mut complained));
        };
        read.await;
        match child.wait().await {
            Ok(status) if status.success() => Ok(String::from_utf8_lossy(&said).into_owned()),
            Ok(status) => {
                let text = String::from_utf8_lossy(&complained).replace(self.url.as_str(), &redact_url(&self.url));
                let text: String = text.replace(&self.directory.display().to_string(), "").chars().take(SAID).collect();
                Err(format!("git ended with {status}: {}", text.trim()))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

/// What git is told through its environment: no configuration but ours, and how the remote is reached.
async fn environment(cx: &SyncContext, directory: &Path) -> Result<Vec<(String, String)>> {
    let remote = cx.remote();
    let scheme = cx.url()?.scheme().to_owned();
    let secret = |column: &Option<String>| column.as_deref().filter(|text| !text.is_empty()).map(|text| cx.pulp().unseal(text)).transpose();
    let mut settings: Vec<(&str, String)> = vec![
        ("core.hooksPath", "/dev/null".to_owned()),
        ("credential.helper", String::new()),
        ("safe.directory", "*".to_owned()),
        ("gc.auto", "0".to_owned()),
        // Another host is one that was not looked at.
        ("http.followRedirects", if cx.denies_networks() { "false" } else { "initial" }.to_owned()),
        ("http.lowSpeedLimit", "1".to_owned()),
        ("http.lowSpeedTime", remote.sock_read_timeout.filter(|limit| *limit >= 1.0).map_or(300, |limit| limit as u64).to_string()),
        ("http.sslVerify", remote.tls_validation.to_string()),
    ];
    if let (Some(user), password) = (secret(&remote.username)?, secret(&remote.password)?) {
        let pair = format!("{}:{}", user.expose(), password.as_ref().map_or("", |password| password.expose()));
        let header = format!("Authorization: Basic {}", base64::engine::general_purpose::STANDARD.encode(pair));
        settings.push(("http.extraHeader", header));
    }
    for header in remote.headers.iter().filter_map(|headers| headers.as_array()).flatten().filter_map(|header| header.as_object()).flatten()
    {
        let (name, value) = (header.0, header.1.as_str().unwrap_or_default());
        if !name.chars().chain(value.chars()).any(char::is_control) {
            settings.push(("http.extraHeader", format!("{name}: {value}")));
        }
    }
    if let Some(proxy) = remote.proxy_url.as_deref().filter(|proxy| !proxy.is_empty()) {
        let mut proxy: Url = proxy.parse().map_err(|_| Error::field("proxy_url", "The proxy's url is not a valid URL."))?;
        if let (Some(user), password) = (secret(&remote.proxy_username)?, secret(&remote.proxy_password)?) {
            let set = proxy
                .set_username(user.expose())
                .and_then(|()| proxy.set_password(password.as_ref().map(|password| password.expose().as_str())));
            set.map_err(|()| Error::field("proxy_url", "This proxy cannot have a user."))?;
        }
        settings.extend(cx.pins(&proxy).await?.map(|pins| ("http.curloptResolve", pins)));
        settings.push(("http.proxy", proxy.to_string()));
    }
    settings.extend(cx.pins(&cx.url()?).await?.map(|pins| ("http.curloptResolve", pins)));
    let files = [
        ("http.sslCAInfo", "ca.pem", remote.ca_cert.clone()),
        ("http.sslCert", "client.pem", remote.client_cert.clone()),
        ("http.sslKey", "client.key", secret(&remote.client_key)?.map(|key| key.expose().clone())),
    ];
    for (setting, name, text) in files {
        let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
        let path = directory.join(name);
        private_file(path.clone(), text).await?;
        settings.push((setting, path.display().to_string()));
    }
    let mut environment: Vec<(String, String)> = [
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_CONFIG_SYSTEM", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_ASKPASS", ""),
        ("GIT_DIR", "."),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
        ("LC_ALL", "C"),
        ("HOME", "/nonexistent"),
        ("GIT_ALLOW_PROTOCOL", if scheme == "file" { "file" } else { "http:https" }),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    environment.push(("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string()));
    for (at, (name, value)) in settings.into_iter().enumerate() {
        environment.push((format!("GIT_CONFIG_KEY_{at}"), name.to_owned()));
        environment.push((format!("GIT_CONFIG_VALUE_{at}"), value));
    }
    Ok(environment)
}

/// Writes a file that only we can read.
async fn private_file(path: PathBuf, text: String) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let written = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        std::io::Write::write_all(&mut file, text.as_bytes())
    });
    let written = written.await.map_err(|error| Error::Internal(error.to_string()))?;
    written.map_err(|error| Error::io("a certificate for git cannot be written", error))
}

/// A file of a tree.
struct TreeFile {
    path: String,
    object: String,
}

/// The lines of `git ls-tree -z`: `<mode> <type> <object>\t<path>`, each ended by a NUL.
struct Files {
    _child: Child,
    output: BufReader<tokio::process::ChildStdout>,
}

impl Files {
    async fn next(&mut self) -> Result<Option<TreeFile>> {
        loop {
            let mut line = Vec::new();
            let mut bounded = (&mut self.output).take(PATH as u64);
            let read = bounded.read_until(0, &mut line).await.map_err(|error| Error::io("git could not be read", error))?;
            if read == 0 {
                return Ok(None);
            }
            if line.pop() != Some(0) {
                return Err(failed("the tree has a path that is too long"));
            }
            let line = String::from_utf8(line).map_err(|_| failed("the tree has a path that is not UTF-8"))?;
            let Some((about, path)) = line.split_once('\t') else { return Err(failed("git's list of files cannot be read")) };
            let mut about = about.split(' ');
            let (kind, object) = (about.nth(1), about.next());
            // A commit is another repository’s: a submodule.
            if kind != Some("blob") {
                continue;
            }
            check_path(path).map_err(|fault| failed(format!("the path '{}' of the tree {fault}", path.escape_debug())))?;
            return Ok(Some(TreeFile { path: path.to_owned(), object: object.unwrap_or_default().to_owned() }));
        }
    }
}

/// `git cat-file --batch`: one object after the other.
struct Blobs {
    _child: Child,
    input: tokio::process::ChildStdin,
    output: BufReader<tokio::process::ChildStdout>,
}

impl Blobs {
    async fn get(&mut self, object: &str, spool: &Spool) -> Result<Spooled> {
        let broken = |error| Error::io("git could not be read", error);
        self.input.write_all(format!("{object}\n").as_bytes()).await.map_err(broken)?;
        let mut head = String::new();
        (&mut self.output).take(1_024).read_line(&mut head).await.map_err(broken)?;
        let size = head.trim_end().strip_prefix(object).and_then(|rest| rest.strip_prefix(" blob ")?.parse::<u64>().ok());
        let mut left = size.ok_or_else(|| failed(format!("git has no file for the object {object}")))?;
        let mut file = spool.create();
        while left > 0 {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            let read = (&mut self.output).take(left).read_buf(&mut chunk).await.map_err(broken)?;
            if read == 0 {
                return Err(failed(format!("git ended within the object {object}")));
            }
            left -= read as u64;
            file.write(chunk.freeze()).await?;
        }
        // The line feed after the object.
        let mut end = [0];
        self.output.read_exact(&mut end).await.map_err(broken)?;
        Ok(file.finish().await?)
    }
}
