//! `pulp mirror`: the whole way, from an upstream or a directory to an HTTP client.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};

use pulp_testkit::{Blob, Client, Fault, ManifestFault, Tree, Upstream, bad_manifest};

use crate::{Run, command, finish};

/// Runs `pulp mirror` in a directory, off the threads that serve the upstream.
async fn mirror(home: &Path, arguments: &[&str]) -> Run {
    let mut command = command(home);
    command.arg("mirror").args(arguments);
    tokio::task::spawn_blocking(move || finish(&mut command)).await.unwrap()
}

/// `pulp mirror … --serve`, until it is dropped.
struct Serving {
    child: Child,
    /// What it printed until it was ready.
    out: String,
    rest: BufReader<std::process::ChildStdout>,
}

impl Serving {
    async fn start(home: &Path, arguments: &[&str]) -> Self {
        let mut command = command(home);
        command.arg("mirror").args(arguments).arg("--serve=127.0.0.1:0").stdout(Stdio::piped()).stderr(Stdio::null());
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut rest = BufReader::new(child.stdout.take().unwrap());
            let mut out = String::new();
            // The manifest and a file: then it is served.
            while out.matches("curl").count() < 2 {
                assert_ne!(rest.read_line(&mut out).unwrap(), 0, "it ended: {out}");
            }
            Self { child, out, rest }
        })
        .await
        .unwrap()
    }

    fn client(&self) -> Client {
        let at = self.out.find("http://").unwrap();
        Client::new(self.out[at..].split("/pulp/").next().unwrap())
    }

    /// Presses Ctrl-C; the exit code, once it has ended.
    async fn interrupt(mut self) -> Option<i32> {
        press_ctrl_c(&self.child);
        tokio::task::spawn_blocking(move || {
            self.rest.read_to_string(&mut self.out).unwrap();
            self.child.wait().unwrap().code()
        })
        .await
        .unwrap()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn press_ctrl_c(child: &Child) {
    assert!(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_files_over_http_and_then_what_has_changed() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await.generate(3_000, 1_000, 7).file("isos/odd name ü.iso", "1").manifest();
    let first = mirror(home.path(), &[&upstream.base_url(), "--name", "isos"]).await.ok();
    assert!(first.out.contains("isos: version 1: 3,001 added, 0 removed, 0 unchanged\nStored 3,001 files"), "{first:?}");
    assert!(first.out.contains("pulp-server --data-dir pulp-data"), "{first:?}");

    upstream.forget();
    let second = mirror(home.path(), &[&upstream.base_url(), "--name", "isos"]).await.ok();
    assert!(second.out.contains("isos: nothing has changed since version 1"), "{second:?}");
    assert_eq!(upstream.requests().len(), 1, "the manifest alone");

    upstream.forget();
    upstream.remove("data/00000.bin");
    upstream.put("data/00001.bin", "other");
    upstream.put("new", "new");
    upstream.write_manifest();
    let third = mirror(home.path(), &[&upstream.base_url(), "--name", "isos"]).await.ok();
    assert!(third.out.contains("isos: version 2: 1 added, 1 replaced, 1 removed, 2,999 unchanged\nStored 2 files, 8 B"), "{third:?}");
    assert_eq!(upstream.requests().len(), 3, "the manifest and what is new");

    let serving = Serving::start(home.path(), &[&upstream.base_url(), "--name", "isos"]).await;
    let client = serving.client();
    assert_eq!(client.try_get("/pulp/content/isos/isos/odd%20name%20%C3%BC.iso").await.text(), "1");
    assert_eq!(client.try_get("/pulp/content/isos/data/00001.bin").await.text(), "other");
    // What the former publication had is still served for a while; the manifest tells what there is.
    let manifest = client.try_get("/pulp/content/isos/PULP_MANIFEST").await.text();
    assert_eq!(manifest.lines().count(), 3_001);
    assert!(!manifest.contains("data/00000.bin,") && manifest.contains("new,"), "{manifest}");
    assert_eq!(client.try_get("/pulp/api/v3/status/").await.status, 200, "the API is there as well");
    assert_eq!(serving.interrupt().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_directory_is_mirrored_and_served() {
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::new().odd_names().generate(30, 2_000, 3);
    let source = tree.path().to_str().unwrap();
    let serving = Serving::start(home.path(), &[source, "--name", "tree"]).await;
    assert!(serving.out.contains(&format!("tree: version 1: {} added", tree.files().len())), "{}", serving.out);
    let client = serving.client();
    for path in tree.files() {
        let served = client.try_get(&format!("/pulp/content/tree/{}", encoded(&path))).await;
        assert_eq!(served.body, std::fs::read(tree.path().join(&path)).unwrap(), "{path}");
    }
    let refused = mirror(home.path(), &[source, "--name", "tree"]).await.failed();
    assert!(refused.err.contains("another process"), "{refused:?}");
    assert_eq!(serving.interrupt().await, Some(0));

    std::fs::write(tree.path().join("-dash"), "changed").unwrap();
    let link = tree.path().join("link");
    std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
    let again = mirror(home.path(), &[source, "--name", "tree"]).await.ok();
    assert!(again.out.contains("tree: version 2: 0 added, 1 replaced, 0 removed"), "{again:?}");
    assert!(again.err.contains("Passed over 1 entry"), "{again:?}");
}

/// A path as a URL has it.
fn encoded(path: &str) -> String {
    let keep = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(byte);
    path.bytes().map(|byte| if keep(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_on_demand_is_read_where_it_is() {
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::new().file("isos/a.iso", "the file").manifest();
    let source = tree.path().join("PULP_MANIFEST");
    let source = source.to_str().unwrap();
    let told = mirror(home.path(), &[source, "--policy", "on_demand", "--name", "lazy"]).await.ok();
    assert!(told.out.contains("version 1: 1 added") && !told.out.contains("Stored"), "{told:?}");
    assert!(told.out.contains("--policy on_demand --into pulp-data --serve"), "{told:?}");
    let serving = Serving::start(home.path(), &[source, "--policy", "on_demand", "--name", "lazy"]).await;
    assert_eq!(serving.client().try_get("/pulp/content/lazy/isos/a.iso").await.text(), "the file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_source_is_named_and_what_was_mirrored_stays() {
    let home = tempfile::tempdir().unwrap();
    let mut upstream = Upstream::start().await.file("a", "1").manifest();
    let url = upstream.base_url();
    mirror(home.path(), &[&url, "--name", "isos"]).await.ok();

    upstream.put("PULP_MANIFEST", bad_manifest(ManifestFault::ParentPath, "a", &Blob::from("1")));
    let bad = mirror(home.path(), &[&url, "--name", "isos"]).await.failed();
    assert!(bad.err.contains(&upstream.url("PULP_MANIFEST")) && bad.err.contains("line "), "{bad:?}");

    upstream.remove("PULP_MANIFEST");
    let missing = mirror(home.path(), &[&url, "--name", "isos"]).await.failed();
    assert!(missing.err.contains(&format!("{}: not found", upstream.url("PULP_MANIFEST"))), "{missing:?}");

    upstream.stop().await;
    let down = mirror(home.path(), &[&url, "--name", "isos"]).await.failed();
    assert!(down.err.contains(&format!("{}/PULP_MANIFEST: cannot connect", upstream.base_url())), "{down:?}");

    let other = Upstream::start().await.file("b", "2").manifest();
    let serving = Serving::start(home.path(), &[&other.base_url(), "--name", "other"]).await;
    assert_eq!(serving.client().try_get("/pulp/content/isos/a").await.text(), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_leaves_what_was_stored() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await.generate(20, 5_000, 9).manifest();
    upstream.plan("data/00019.bin", Fault::HoldAt(100).once());
    let url = upstream.base_url();
    let mut child =
        command(home.path()).args(["mirror", &url, "--name", "isos"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    upstream.wait_bytes("data/00019.bin", 100).await;
    press_ctrl_c(&child);
    let code = tokio::task::spawn_blocking(move || child.wait().map(|status| (status.code(), child))).await.unwrap().unwrap();
    let mut told = String::new();
    code.1.stderr.unwrap().read_to_string(&mut told).unwrap();
    assert_eq!(code.0, Some(130), "{told}");
    assert!(told.contains("run the same command again"), "{told}");
    let again = mirror(home.path(), &[&url, "--name", "isos"]).await.ok();
    assert!(again.out.contains("isos: version 1: 20 added"), "{again:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_not_taken_over_by_another_source() {
    let home = tempfile::tempdir().unwrap();
    let tree = Tree::new().file("a", "1").file("d/isos/PULP_MANIFEST", "").file("e/isos/b", Blob::from("2"));
    let [first, second] = ["d/isos", "e/isos"].map(|path| tree.path().join(path).to_str().unwrap().to_owned());
    mirror(home.path(), &[&first]).await.ok();
    let refused = mirror(home.path(), &[&second]).await.failed();
    assert!(refused.err.contains("--name isos") && refused.err.contains("/d/isos/"), "{refused:?}");
    mirror(home.path(), &[&second, "--name", "isos"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_in_the_url_is_used_and_not_shown() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await.file("a", "1").manifest().require_basic("user", "s3cret:word");
    let url = upstream.base_url().replace("http://", "http://user:s3cret%3Aword@");
    let run = mirror(home.path(), &[&url, "--name", "isos"]).await.ok();
    assert!(!run.out.contains("s3cret") && !run.err.contains("s3cret"), "{run:?}");
    let wrong = mirror(home.path(), &[&url.replace("word", "wrong"), "--name", "isos"]).await.failed();
    assert!(wrong.err.contains("401") && !wrong.err.contains("s3cret"), "{wrong:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_additive_mirror_removes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let upstream = Upstream::start().await.file("a", "1").file("b", "2").manifest();
    let url = upstream.base_url();
    mirror(home.path(), &[&url, "--name", "isos"]).await.ok();
    upstream.remove("a");
    upstream.put("c", "3");
    upstream.write_manifest();
    let run = mirror(home.path(), &[&url, "--name", "isos", "--additive"]).await.ok();
    assert!(run.out.contains("version 2: 1 added, 0 removed, 2 unchanged"), "{run:?}");
    let run = mirror(home.path(), &[&url, "--name", "isos"]).await.ok();
    assert!(run.out.contains("version 3: 0 added, 1 removed, 2 unchanged"), "{run:?}");
}
