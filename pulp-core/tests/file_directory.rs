//! Local directories without a manifest as sources, on both databases; and the meter of syncs.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use pulp_core::db::ExecutorExt;
use pulp_core::model::{Policy, Remote};
use pulp_core::plugins::file::{Files, Repo};
use pulp_core::sync::Tally;
use pulp_core::{Error, Pulp};
use pulp_testkit::{Blob, Kit, Tree, Upstream, both_databases};

/// A Pulp that may read the tree.
struct World {
    kit: Kit,
    tree: Tree,
}

impl World {
    async fn new(engine: pulp_testkit::Engine, tree: Tree) -> Option<Self> {
        let mut settings = pulp_core::settings::Settings::default();
        settings.allowed_import_paths = vec![tree.path().to_owned()];
        let kit = Kit::built(engine, |builder| builder.settings(settings)).await?;
        Some(Self { kit, tree })
    }

    fn pulp(&self) -> &Pulp {
        self.kit.pulp()
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        self.tree.path().join(path)
    }

    async fn remote(&self, policy: Policy) -> Remote {
        Files::of(self.pulp()).remote("tree", &self.tree.url(), policy).await.unwrap()
    }

    async fn repository(&self) -> Repo {
        Files::of(self.pulp()).repository("tree").await.unwrap()
    }

    /// Takes the directory in as a mirror, which must fail; what the user reads.
    async fn refused(&self) -> String {
        let error = self.repository().await.sync_directory(&self.remote(Policy::Immediate).await, true).await.unwrap_err();
        assert!(matches!(error, Error::Task { .. }), "{error:?}");
        assert_eq!(self.repository().await.latest().await.unwrap().number, 0);
        error.to_string()
    }
}

#[async_trait::async_trait]
impl pulp_testkit::Prepare for World {
    async fn prepare(engine: pulp_testkit::Engine) -> Option<Self> {
        Self::new(engine, Tree::new()).await
    }
}

async fn paths(repository: &Repo) -> Vec<String> {
    let mut paths = repository.some_paths(10_000).await.unwrap();
    paths.sort();
    paths
}

fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

both_databases! {
    async fn a_directory_becomes_content_whatever_its_names(world: World) {
        let mut world = world;
        world.tree = std::mem::take(&mut world.tree).odd_names().file("empty", "").generate(20, 3_000, 5);
        let isos = world.repository().await;
        let meter = isos.meter();
        let outcome = isos.sync_directory(&world.remote(Policy::Immediate).await, true).await.unwrap();
        assert_eq!(paths(&isos).await, world.tree.files());
        let changes = isos.changes(&outcome.version.unwrap()).await.unwrap();
        assert_eq!((changes.added, changes.removed, changes.replaced, changes.unchanged), (world.tree.files().len() as i64, 0, 0, 0));
        let stored: i64 = world.pulp().db().scalar("select count(*) from core_artifact").await.unwrap();
        assert_eq!(stored, world.tree.files().len() as i64);
        let reading = meter.read();
        assert_eq!(reading.announced.files, world.tree.files().len() as u64);
        assert_eq!((reading.fetched, reading.done(), reading.skipped), (reading.announced, reading.announced, 0));
    }

    async fn the_next_run_takes_what_has_changed(world: World) {
        for (path, text) in [("same", "1"), ("gone", "2"), ("d/other", "3")] {
            write(&world.path(path), text);
        }
        let (isos, remote) = (world.repository().await, world.remote(Policy::Immediate).await);
        isos.sync_directory(&remote, true).await.unwrap();
        assert!(isos.sync_directory(&remote, true).await.unwrap().version.is_none(), "nothing has changed");
        std::fs::remove_file(world.path("gone")).unwrap();
        write(&world.path("d/other"), "33");
        write(&world.path("new"), "same content as");
        let meter = isos.meter();
        let version = isos.sync_directory(&remote, true).await.unwrap().version.unwrap();
        let changes = isos.changes(&version).await.unwrap();
        assert_eq!((changes.added, changes.removed, changes.replaced, changes.unchanged), (1, 1, 1, 1));
        assert_eq!(meter.read().fetched, Tally { files: 2, bytes: 17 }, "what is stored is not stored again");
        assert_eq!(meter.read().settled, Tally { files: 1, bytes: 1 });
        std::fs::remove_file(world.path("new")).unwrap();
        assert!(isos.sync_directory(&remote, false).await.unwrap().version.is_none(), "an additive run removes nothing");
    }

    async fn on_demand_copies_nothing(world: World) {
        write(&world.path("a"), "1");
        let isos = world.repository().await;
        let meter = isos.meter();
        isos.sync_directory(&world.remote(Policy::OnDemand).await, true).await.unwrap();
        let stored: i64 = world.pulp().db().scalar("select count(*) from core_artifact").await.unwrap();
        assert_eq!(stored, 0);
        assert_eq!(meter.read().done(), Tally { files: 1, bytes: 1 });
        assert_eq!(paths(&isos).await, ["a"]);
    }

    async fn what_is_not_of_the_tree_is_passed_over(world: World) {
        let outside = Tree::new().file("secret", "secret");
        write(&world.path("d/file"), "1");
        symlink("d/file", world.path("inside")).unwrap();
        symlink(outside.path().join("secret"), world.path("outside")).unwrap();
        symlink(outside.path(), world.path("outside-directory")).unwrap();
        symlink("..", world.path("d/circle")).unwrap();
        symlink("nowhere", world.path("broken")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(world.path("socket")).unwrap();
        let isos = world.repository().await;
        let meter = isos.meter();
        isos.sync_directory(&world.remote(Policy::Immediate).await, true).await.unwrap();
        assert_eq!(paths(&isos).await, ["d/file", "inside"]);
        assert_eq!(meter.read().skipped, 5);
    }

    async fn names_that_cannot_be_published_are_refused_by_name(world: World) {
        write(&world.path("fine"), "1");
        write(&world.path("d/line\nbreak"), "1");
        let message = world.refused().await;
        assert!(message.contains("line\\nbreak") && message.contains("rename"), "{message}");
        std::fs::remove_file(world.path("d/line\nbreak")).unwrap();
        std::fs::write(world.path("d").join(std::ffi::OsStr::from_bytes(b"not-\xff")), "1").unwrap();
        let message = world.refused().await;
        assert!(message.contains("d/not-") && message.contains("UTF-8"), "{message}");
    }

    async fn only_allowed_directories_are_read(kit: Kit) {
        let tree = Tree::new().file("a", "1");
        let files = Files::of(kit.pulp());
        let isos = files.repository("isos").await.unwrap();
        let remote = files.remote("tree", &tree.url(), Policy::Immediate).await.unwrap();
        let message = isos.sync_directory(&remote, true).await.unwrap_err().to_string();
        assert!(message.contains("ALLOWED_IMPORT_PATHS"), "{message}");
        let upstream = Upstream::start().await;
        let remote = files.remote("web", &upstream.base_url(), Policy::Immediate).await.unwrap();
        let message = isos.sync_directory(&remote, true).await.unwrap_err().to_string();
        assert!(message.contains("file://"), "{message}");
    }

    async fn a_meter_counts_what_is_fetched_of_a_manifest(kit: Kit) {
        let upstream = Upstream::start().await.file("a", Blob::seeded(1, 700_000)).file("b", "1").file("same-as-b", "1").manifest();
        let files = Files::of(kit.pulp());
        let isos = files.repository("isos").await.unwrap();
        let remote = files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        let remote = files.sign_in(&remote, None).await.unwrap();
        let meter = isos.meter();
        isos.sync(&remote, true).await.unwrap();
        let reading = meter.read();
        assert_eq!(reading.announced, Tally { files: 3, bytes: 700_002 });
        assert_eq!(reading.fetched, Tally { files: 2, bytes: 700_001 });
        assert_eq!(reading.settled, Tally { files: 1, bytes: 1 });
        assert_eq!(reading.done(), reading.announced);
    }

    async fn a_remote_signs_in(kit: Kit) {
        let upstream = Upstream::start().await.file("a", "1").manifest().require_basic("user", "pass:word");
        let files = Files::of(kit.pulp());
        let isos = files.repository("isos").await.unwrap();
        let remote = files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        assert!(isos.sync(&remote, true).await.unwrap_err().to_string().contains("401"));
        let remote = files.sign_in(&remote, Some(("user", "pass:word"))).await.unwrap();
        isos.sync(&remote, true).await.unwrap();
        assert!(!remote.password.as_deref().unwrap().contains("pass:word"), "stored encrypted");
        let remote = files.sign_in(&remote, None).await.unwrap();
        assert_eq!((remote.username, remote.password), (None, None));
    }
}

#[tokio::test]
async fn the_data_directory_is_not_taken_into_itself() {
    let tree = Tree::new().file("a", "1");
    let mut settings = pulp_core::settings::Settings::default();
    settings.allowed_import_paths = vec![tree.path().to_owned()];
    let pulp = Pulp::builder().data_dir(tree.path().join("pulp-data")).settings(settings).build().await.unwrap();
    let files = Files::of(&pulp);
    let isos = files.repository("isos").await.unwrap();
    let remote = files.remote("tree", &tree.url(), Policy::Immediate).await.unwrap();
    isos.sync_directory(&remote, true).await.unwrap();
    assert_eq!(paths(&isos).await, ["a"]);
}
