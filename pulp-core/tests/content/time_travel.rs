//! Distributions below which earlier moments of their repository can be read.

use async_trait::async_trait;
use chrono::TimeDelta;
use http::Method;
use pulp_core::Pulp;
use pulp_core::clock::{ManualClock, Timestamp};
use pulp_core::content::{Change, ContentGuard, Denied, GuardRequest, PassThroughHandler};
use pulp_core::db::{ExecutorExt as _, Sql};
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_migrations::MigrationSet;
use pulp_testkit::{Engine, Kit, Prepare, both_databases};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::world::{Timed, World, days};

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const MOVING: &str = "public, max-age=0, must-revalidate";

impl World {
    /// Lets earlier moments be read below every distribution.
    async fn travels(&self) {
        self.sql(Sql::new("update core_distribution set time_travel = $1").bind(true)).await;
        Change::Distributions.announce(&self.pulp).await;
    }

    /// A new version in which a file's content is its number, published with a manifest that says so.
    async fn published_version(&self, repository: Uuid, number: i64, replaced: &[Uuid]) -> Uuid {
        let unit = self.file("dir/file", format!("{number}").as_bytes()).await;
        let version = self.version(repository, number, &[unit], replaced).await;
        self.published_again(repository, version, &format!("manifest {number}")).await;
        unit
    }

    async fn published_again(&self, repository: Uuid, version: Uuid, manifest: &str) -> Uuid {
        let publication = self.publication(version).await;
        self.metadata(publication, "MANIFEST", manifest.as_bytes()).await;
        self.changed(repository).await;
        publication
    }

    async fn version_id(&self, repository: Uuid, number: i64) -> Uuid {
        let sql = Sql::new("select pulp_id from core_repositoryversion where repository_id = $1 and number = $2");
        self.pulp.db().scalar(sql.bind(repository).bind(number)).await.unwrap()
    }

    async fn says(&self, path: &str) -> (u16, String) {
        let answer = self.get(path).await;
        (answer.status.as_u16(), answer.text())
    }
}

fn at(time: Timestamp) -> String {
    format!("@{}", time.format("%Y-%m-%dT%H:%M:%S%.6fZ"))
}

/// Three versions, a day apart, and a distribution of their repository at `/d/`; the moments at which they were made.
async fn three(timed: &Timed) -> (World, Uuid, Vec<Timestamp>) {
    let world = World::new(timed.kit.pulp());
    let repository = world.repository("r").await;
    world.distribution("d", &[("repository_id", repository)]).await;
    let (mut before, mut made) = (Vec::new(), Vec::new());
    for number in 1..=3 {
        made.push(world.pulp.now());
        before = vec![world.published_version(repository, number, &before).await];
        timed.clock.advance(days(1));
    }
    (world, repository, made)
}

both_databases! {
    async fn nobody_travels_unless_the_distribution_says_so(timed: Timed) {
        let (world, _, made) = three(&timed).await;
        assert_eq!(world.status("/d/@1/dir/file").await, 404);
        assert_eq!(world.status(&format!("/d/{}/dir/file", at(made[0]))).await, 404);
        world.travels().await;
        assert_eq!(world.says("/d/@1/dir/file").await, (200, "1".to_owned()));
    }

    async fn a_version_is_read_by_its_number(timed: Timed) {
        let (world, repository, _) = three(&timed).await;
        // A listener that starts late forgets what is remembered.
        world.listens().await;
        world.travels().await;
        for number in 1..=3 {
            // Remembered the second time.
            for word in ["MISS", "HIT"] {
                let file = world.get(&format!("/d/@{number}/dir/file")).await;
                assert_eq!((file.text(), file.header("x-pulp-cache")), (number.to_string(), word));
                assert_eq!(file.header("cache-control"), IMMUTABLE);
                let manifest = world.get(&format!("/d/@{number}/MANIFEST")).await;
                assert_eq!(manifest.text(), format!("manifest {number}"));
                // The version may be published again.
                assert_eq!(manifest.header("cache-control"), MOVING);
            }
        }
        assert_eq!(world.says("/d/dir/file").await.1, "3");
        let head = world.ask(Method::HEAD, "/d/@1/MANIFEST", &[]).await;
        assert_eq!((head.status.as_u16(), head.header("content-length"), head.header("accept-ranges")), (200, "10", "bytes"));
        let part = world.ask(Method::GET, "/d/@2/MANIFEST", &[("range", "bytes=9-")]).await;
        assert_eq!((part.status.as_u16(), part.text().as_str()), (206, "2"));
        let tag = head.header("etag").to_owned();
        assert_eq!(world.ask(Method::GET, "/d/@1/MANIFEST", &[("if-none-match", &tag)]).await.status, 304);
        world.published_again(repository, world.version_id(repository, 1).await, "again").await;
        assert_eq!(world.says("/d/@1/MANIFEST").await, (200, "again".to_owned()));
        assert_eq!(world.says("/d/MANIFEST").await, (200, "manifest 3".to_owned()));
    }

    async fn a_time_leads_to_what_there_was_then(timed: Timed) {
        let (world, repository, made) = three(&timed).await;
        world.travels().await;
        let second = TimeDelta::seconds(1);
        for (time, expected) in [(made[0], "1"), (made[1] - second, "1"), (made[1], "2"), (made[2] + second, "3")] {
            for _ in 0..2 {
                let file = world.get(&format!("/d/{}/dir/file", at(time))).await;
                assert_eq!((file.text().as_str(), file.header("cache-control")), (expected, IMMUTABLE), "{time}");
                let manifest = world.get(&format!("/d/{}/MANIFEST", at(time))).await;
                assert_eq!((manifest.text(), manifest.header("cache-control")), (format!("manifest {expected}"), IMMUTABLE));
            }
        }
        // Of a version that was published once more, what was published by then.
        world.published_again(repository, world.version_id(repository, 1).await, "again").await;
        assert_eq!(world.says(&format!("/d/{}/MANIFEST", at(made[0]))).await.1, "manifest 1");
        // What is being made counts as made when it was begun, so caches must ask.
        let version = world.version_id(repository, 3).await;
        let publication = world.published_again(repository, version, "late").await;
        world.sql(Sql::new("update core_publication set complete = $2 where pulp_id = $1").bind(publication).bind(false)).await;
        let begun = world.pulp.now();
        timed.clock.advance(days(1));
        world.changed(repository).await;
        let path = format!("/d/{}/MANIFEST", at(begun));
        let early = world.get(&path).await;
        assert_eq!((early.text().as_str(), early.header("cache-control"), early.header("x-pulp-cache")), ("manifest 3", MOVING, ""));
        world.sql(Sql::new("update core_publication set complete = $2 where pulp_id = $1").bind(publication).bind(true)).await;
        world.changed(repository).await;
        let late = world.get(&path).await;
        assert_eq!((late.text().as_str(), late.header("cache-control")), ("late", IMMUTABLE));
    }

    async fn a_404_says_what_is_wrong_with_the_moment(timed: Timed) {
        let (world, repository, made) = three(&timed).await;
        world.travels().await;
        let tomorrow = world.pulp.now() + days(1);
        for (path, reason) in [
            ("@4/dir/file".to_owned(), "the repository has no version 4"),
            ("@1/nothing".to_owned(), "the distribution has no file \"nothing\""),
            ("@1/nothing/".to_owned(), "the distribution has no directory \"nothing/\""),
            (format!("{}/dir/file", at(made[0] - days(1))), "no version of 20"),
            (format!("{}/dir/file", at(tomorrow)), "is still to come"),
            ("@12x/dir/file".to_owned(), "the distribution has no file \"@12x/dir/file\""),
            ("@1//dir/file".to_owned(), "the distribution has no file"),
        ] {
            for _ in 0..2 {
                let (status, text) = world.says(&format!("/d/{path}")).await;
                assert!(status == 404 && text.contains(reason), "{path}: {status} {text}");
            }
        }
        // What was still to come has come.
        timed.clock.advance(days(2));
        assert_eq!(world.says(&format!("/d/{}/dir/file", at(tomorrow))).await.1, "3");
        // What is not there any more is not passed over.
        world.sql(Sql::new("delete from core_publication where repository_version_id = $1").bind(world.version_id(repository, 2).await)).await;
        world.changed(repository).await;
        let (status, text) = world.says("/d/@2/MANIFEST").await;
        assert!(status == 404 && text.contains("version 2 of the repository has no publication"), "{text}");
        world.sql(Sql::new("delete from core_repositoryversion where number = 2")).await;
        world.changed(repository).await;
        for time in [made[0], made[1]] {
            let (status, text) = world.says(&format!("/d/{}/dir/file", at(time))).await;
            assert!(status == 404 && text.contains("may be one that was deleted"), "{text}");
        }
        assert_eq!(world.says(&format!("/d/{}/dir/file", at(made[2]))).await.1, "3");
    }

    async fn what_is_called_like_a_moment_stays_what_it_is(timed: Timed) {
        let (world, repository, _) = three(&timed).await;
        world.travels().await;
        assert_eq!(world.says("/d/@1/dir/file").await.1, "1");
        let real = [world.file("@1/real", b"real").await, world.file("@2", b"a file").await];
        let version = world.version(repository, 4, &real, &[]).await;
        world.published_again(repository, version, "manifest 4").await;
        assert_eq!(world.says("/d/@1/real").await, (200, "real".to_owned()));
        assert_eq!(world.status("/d/@1/dir/file").await, 404, "that directory is the repository's own");
        assert!(world.get("/d/@1/").await.text().contains("./real"));
        assert_eq!(world.says("/d/@2").await, (200, "a file".to_owned()));
        assert_eq!(world.says("/d/@2/dir/file").await, (200, "2".to_owned()));
        // Of the version itself, it is read below the version's number.
        assert_eq!(world.says("/d/@4/@1/real").await, (200, "real".to_owned()));
        assert_eq!(world.status("/d/@4/@3/dir/file").await, 404, "nobody travels twice");
        assert_eq!(world.says("/d/@3/dir/file").await, (200, "3".to_owned()));
    }

    async fn directories_of_the_past_are_listed(timed: Timed) {
        let (world, _, made) = three(&timed).await;
        world.travels().await;
        let bare = world.get("/d/@2").await;
        assert_eq!((bare.status.as_u16(), bare.header("location")), (301, "/pulp/content/d/@2/"));
        assert_eq!(world.status("/d/@9").await, 404);
        let root = world.get("/d/@2/").await.text();
        assert!(root.contains("./dir/") && root.contains("./MANIFEST") && root.contains("<h1>Index of /pulp/content/d/@2/</h1>"), "{root}");
        // The commands are for the repository as it was.
        assert!(root.contains("/pulp/content/d/%402/"), "{root}");
        let time = world.ask(Method::GET, &format!("/d/{}/dir/?format=json", at(made[1])), &[]).await;
        let listed: Json = serde_json::from_str(&time.text()).unwrap();
        assert_eq!(listed["entries"][0]["name"], "file");
        assert!(world.ask(Method::HEAD, "/d/@2/", &[]).await.body.unwrap().is_empty());
        let moved = world.get("/d/@2/dir").await;
        assert_eq!((moved.status.as_u16(), moved.header("location")), (301, "/pulp/content/d/@2/dir/"));
    }

    async fn what_was_served_until_lately_is_not_of_the_past(timed: Timed) {
        let (world, repository, _) = three(&timed).await;
        world.travels().await;
        let gone = world.published_again(repository, world.version_id(repository, 3).await, "gone").await;
        world.metadata(gone, "only-then", b"x").await;
        let newest = world.published_again(repository, world.version_id(repository, 3).await, "new").await;
        let distribution: Uuid = world.pulp.db().scalar(Sql::new("select pulp_id from core_distribution")).await.unwrap();
        for publication in [gone, newest] {
            pulp_core::content::grace::note_served(world.pulp.db(), distribution, Some(publication), world.pulp.now(), 3_600).await.unwrap();
        }
        assert_eq!(world.status("/d/only-then").await, 200);
        assert_eq!(world.status("/d/@3/only-then").await, 404);
    }

    async fn a_distribution_of_a_version_or_a_publication_travels_too(timed: Timed) {
        let (world, repository, _) = three(&timed).await;
        let version = world.version_id(repository, 2).await;
        let publication = Sql::new("select pulp_id from core_publication where repository_version_id = $1").bind(version);
        let publication: Uuid = world.pulp.db().scalar(publication).await.unwrap();
        world.distribution("v", &[("repository_version_id", version)]).await;
        world.distribution("p", &[("publication_id", publication)]).await;
        world.travels().await;
        for base in ["v", "p"] {
            assert_eq!(world.says(&format!("/{base}/dir/file")).await.1, "2");
            assert_eq!(world.says(&format!("/{base}/@1/MANIFEST")).await.1, "manifest 1");
        }
        let checkpoints = Sql::new("update core_distribution set checkpoint = $1 where base_path = 'd'").bind(true);
        world.sql(checkpoints).await;
        Change::Distributions.announce(&world.pulp).await;
        assert_eq!(world.status("/d/@1/dir/file").await, 404, "checkpoints are moments themselves");
    }

    async fn versions_pass_through_where_nothing_is_published(others: Others) {
        let world = World::new(others.kit.pulp());
        let repository = world.repository("r").await;
        let one = world.file("file", b"one").await;
        let made = world.pulp.now();
        world.version(repository, 1, &[one], &[]).await;
        others.clock.advance(days(1));
        let two = world.file("file", b"two").await;
        world.version(repository, 2, &[two], &[one]).await;
        others.clock.advance(days(1));
        world.distribution("d", &[("repository_id", repository)]).await;
        world.sql(Sql::new("update core_distribution set pulp_type = 'plain.plain'")).await;
        world.travels().await;
        assert_eq!(world.says("/d/file").await.1, "two");
        for path in ["@1".to_owned(), at(made), at(made + TimeDelta::hours(1))] {
            let answer = world.get(&format!("/d/{path}/file")).await;
            assert_eq!((answer.text().as_str(), answer.header("cache-control")), ("one", IMMUTABLE), "{path}");
        }
    }

    async fn guards_are_asked_about_the_path_below_the_moment_too(others: Others) {
        let world = World::new(others.kit.pulp());
        let repository = world.served("d", &[("open", b"open"), ("closed/a", b"closed")]).await;
        let guard = pulp_core::ids::new_id();
        let insert = Sql::new(
            "insert into core_contentguard (pulp_id, pulp_created, pulp_type, name, pulp_domain_id) values ($1, $2, 'plain.paths', 'g', $3)",
        );
        world.sql(insert.bind(guard).bind(world.pulp.now()).bind(world.pulp.default_domain().pulp_id)).await;
        world.sql(Sql::new("update core_distribution set content_guard_id = $1").bind(guard)).await;
        world.travels().await;
        world.changed(repository).await;
        for _ in 0..2 {
            assert_eq!((world.status("/d/open").await, world.status("/d/closed/a").await), (200, 403));
            let past = world.get("/d/@1/open").await;
            assert_eq!((past.status.as_u16(), past.header("cache-control")), (200, "private, max-age=31536000, immutable"));
            assert_eq!(world.status("/d/@1/closed/a").await, 403);
            assert_eq!(world.status("/d/@9/closed/a").await, 403, "whoever may not read is not told what there is");
        }
    }

    async fn what_a_distribution_says_of_caches_counts(timed: Timed) {
        let (world, ..) = three(&timed).await;
        world.travels().await;
        world.sql(Sql::new("update core_distribution set cache_control = 'public, max-age=60'")).await;
        Change::Distributions.announce(&world.pulp).await;
        for path in ["/d/MANIFEST", "/d/@1/MANIFEST", "/d/@1/dir/file"] {
            for _ in 0..2 {
                assert_eq!(world.get(path).await.header("cache-control"), "public, max-age=60", "{path}");
            }
        }
    }
}

/// A type whose versions are served as they are, a guard that goes by paths, and a clock that stands still.
struct Others {
    kit: Kit,
    clock: ManualClock,
}

#[async_trait]
impl Prepare for Others {
    async fn prepare(engine: Engine) -> Option<Self> {
        let clock = ManualClock::new(chrono::Utc::now());
        let kit = Kit::built(engine, |builder| builder.clock(clock.clone()).plugin(Plain)).await?;
        Some(Self { kit, clock })
    }
}

struct Plain;

impl Plugin for Plain {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "plain", version: "1", package: "plain", module: "plain", domain_compatible: true }
    }

    fn migrations(&self) -> MigrationSet {
        MigrationSet { component: "plain", migrations: &[] }
    }

    fn register(&self, registry: &mut Registry) {
        registry.distribution("plain.plain", PassThroughHandler);
        registry.guard("plain.paths", Paths);
    }
}

struct Paths;

#[async_trait]
impl ContentGuard for Paths {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        let _: &Pulp = request.pulp;
        if request.path.as_str().starts_with("closed/") { Err(Denied("closed".to_owned())) } else { Ok(()) }
    }
}
