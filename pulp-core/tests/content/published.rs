//! Which file lies at which path.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::Method;
use pulp_core::content::{Change, ContentGuard, Denied, GuardRequest, PassThroughHandler, grace};
use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::new_id;
use pulp_core::plugin::{Plugin, PluginDescriptor, Registry};
use pulp_testkit::{Engine, Kit, Prepare, both_databases};

use crate::world::{Timed, World, days};

both_databases! {
    async fn a_published_file_is_served(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("cnt/repo", &[("a.txt", b"a text"), ("dir/b.bin", b"bytes")]).await;
        let answer = world.get("/cnt/repo/a.txt").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "a text"));
        assert_eq!(world.get("/cnt/repo/dir/b.bin").await.text(), "bytes");
        assert_eq!(world.get("/cnt/repo/dir%2fb.bin").await.text(), "bytes");
        assert_eq!(world.get("/cnt/repo//dir/b.bin").await.text(), "bytes");
        // A second time, from memory.
        assert_eq!(world.get("/cnt/repo/a.txt").await.text(), "a text");
    }

    async fn slashes_lead_where_a_real_server_leads(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("cnt/repo", &[("a.txt", b"a"), ("dir/b.bin", b"b")]).await;
        world.distribution("cnt/empty", &[]).await;
        for (path, status, location) in [
            // As a proxy before Pulp does it.
            ("", 301, "/pulp/content/"),
            ("/", 200, ""),
            ("/cnt", 301, "/pulp/content/cnt/"),
            ("/cnt/", 200, ""),
            ("/cnt/repo", 301, "/pulp/content/cnt/repo/"),
            ("/cnt/repo/", 200, ""),
            ("/cnt/repo/dir", 301, "/pulp/content/cnt/repo/dir/"),
            ("/cnt/repo/dir?x=1", 301, "/pulp/content/cnt/repo/dir/"),
            ("/cnt/repo/dir/", 200, ""),
            ("/cnt/repo/di", 404, ""),
            ("/cnt/repo/dir/nope", 404, ""),
            ("/cnt/repo/nope/", 404, ""),
            ("/cnt/repo/a.txt/", 404, ""),
            ("/cnt/rep/", 404, ""),
            ("/cnt/repository", 404, ""),
            ("//cnt/repo/", 404, ""),
            ("/cnt/repo/dir/../a.txt", 404, ""),
            ("/cnt/repo/a%00b", 404, ""),
            ("/cnt/repo/%ff", 404, ""),
            ("/cnt/empty", 301, "/pulp/content/cnt/empty/"),
            ("/cnt/empty/", 404, ""),
            ("/nope", 404, ""),
        ] {
            // Twice: remembered decisions are the same.
            for _ in 0..2 {
                let answer = world.get(path).await;
                assert_eq!((answer.status.as_u16(), answer.header("location")), (status, location), "{path}");
            }
        }
        assert!(world.get("/cnt/empty/x").await.text().contains("not pointing to a publication"));
        assert!(world.get("/nope/x").await.text().contains("no distribution"));
        assert!(world.get("/cnt/repo/x").await.text().contains("no file \"x\""));
    }

    async fn the_newest_publication_of_the_newest_published_version_counts(kit: Kit) {
        let world = World::new(kit.pulp());
        let (one, two) = (world.file("one", b"1").await, world.file("two", b"2").await);
        let repository = world.repository("r").await;
        let first = world.version(repository, 1, &[one], &[]).await;
        world.distribution("d", &[("repository_id", repository)]).await;
        world.distribution("v1", &[("repository_version_id", first)]).await;
        assert_eq!(world.status("/d/one").await, 404);
        assert_eq!(world.status("/v1/one").await, 404);
        let publication = world.publication(first).await;
        world.changed(repository).await;
        assert_eq!(world.status("/d/one").await, 200);
        assert_eq!(world.status("/v1/one").await, 200);
        // Not published yet: nobody sees it.
        let second = world.version(repository, 2, &[two], &[one]).await;
        world.changed(repository).await;
        assert_eq!((world.status("/d/one").await, world.status("/d/two").await), (200, 404));
        world.publication(second).await;
        // A later publication of the older version does not win.
        let again = world.publication(first).await;
        world.changed(repository).await;
        assert_eq!((world.status("/d/one").await, world.status("/d/two").await), (404, 200));
        assert_eq!(world.status("/v1/one").await, 200);
        world.distribution("p", &[("publication_id", publication)]).await;
        assert_eq!((world.status("/p/one").await, world.status("/p/two").await), (200, 404));
        // Not complete: as if it were not there.
        world.sql(Sql::new("update core_publication set complete = $1 where pulp_id in ($2, $3)").bind(false).bind(publication).bind(again)).await;
        world.changed(repository).await;
        assert_eq!((world.status("/p/one").await, world.status("/v1/one").await), (404, 404));
    }

    async fn what_a_publication_names_wins_over_what_passes_through(kit: Kit) {
        let world = World::new(kit.pulp());
        let artifact = world.artifact(b"unit").await;
        let (unit, file) = world.unit("index.html", Some(artifact)).await;
        let repository = world.repository("r").await;
        let version = world.version(repository, 1, &[unit], &[]).await;
        let publication = world.publication(version).await;
        world.distribution("d", &[("publication_id", publication)]).await;
        // As with a real server, only a published index is shown in place of a listing.
        assert!(world.get("/d/").await.text().contains("Index of"));
        assert_eq!(world.get("/d/index.html").await.text(), "unit");
        world.metadata(publication, "PULP_MANIFEST", b"generated").await;
        world.metadata(publication, "sub/index.html", b"<p>sub").await;
        world.metadata(publication, "index.html", b"generated index").await;
        world.published(publication, "renamed/x", file).await;
        world.changed(repository).await;
        assert_eq!(world.get("/d/PULP_MANIFEST").await.text(), "generated");
        assert_eq!(world.get("/d/sub/").await.text(), "<p>sub");
        assert_eq!(world.get("/d/sub/").await.header("content-type"), "text/html");
        assert_eq!(world.get("/d/index.html").await.text(), "generated index");
        assert_eq!(world.get("/d/renamed/x").await.text(), "unit");
        world.sql(Sql::new("update core_publication set pass_through = $1").bind(false)).await;
        world.sql(Sql::new("delete from core_publishedmetadata where relative_path = 'index.html'")).await;
        world.changed(repository).await;
        assert_eq!(world.status("/d/index.html").await, 404);
    }

    async fn a_remembered_decision_is_forgotten_with_what_it_rests_on(kit: Kit) {
        let world = World::new(kit.pulp());
        // A listener that begins to listen late makes everything be forgotten.
        world.listens().await;
        let repository = world.served("d", &[("one", b"1")]).await;
        assert_eq!((world.status("/d/one").await, world.status("/d/two").await), (200, 404));
        let two = world.file("two", b"2").await;
        let version = world.version(repository, 2, &[two], &[]).await;
        world.publication(version).await;
        // Nothing was announced: what is remembered stays.
        assert_eq!(world.status("/d/two").await, 404);
        // Another repository is not this one.
        world.changed(new_id()).await;
        assert_eq!(world.status("/d/two").await, 404);
        world.changed(repository).await;
        assert_eq!(world.status("/d/two").await, 200);
        world.sql(Sql::new("update core_distribution set base_path = 'e'")).await;
        Change::Distributions.announce(&world.pulp).await;
        assert_eq!((world.status("/d/two").await, world.status("/e/two").await), (404, 200));
    }

    async fn what_may_have_changed_unheard_is_confirmed_where_that_is_possible(kit: Kit) {
        let world = World::new(kit.pulp());
        world.listens().await;
        world.served("d", &[("one", b"1")]).await;
        world.served("e", &[("one", b"1")]).await;
        assert_eq!((world.status("/d/one").await, world.status("/e/one").await), (200, 200));
        let gap = async || {
            let mut told = world.pulp.db().notifications();
            world.pulp.db().notify("", "").await.unwrap();
            while !told.recv().await.unwrap().channel.is_empty() {}
            // Whoever else is told has had its turn when this one comes back.
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        world.sql(Sql::new("update core_distribution set base_path = 'f' where base_path = 'd'")).await;
        assert_eq!(world.status("/d/one").await, 200, "nobody said that it has changed");
        gap().await;
        assert_eq!((world.status("/d/one").await, world.status("/f/one").await), (404, 200));
        let unchanged = world.get("/e/one").await;
        assert_eq!((unchanged.status.as_u16(), unchanged.header("x-pulp-cache")), (200, "MISS"));
        // Without a database to ask, what was true when there was one is better than nothing.
        gap().await;
        world.pulp.db().close().await;
        let old = world.get("/e/one").await;
        assert_eq!((old.status.as_u16(), old.header("x-pulp-cache")), (200, "HIT"));
        assert_eq!(world.status("/e/two").await, 503);
    }

    async fn a_distribution_is_remembered_for_all_paths_that_are_its_own(kit: Kit) {
        let world = World::new(kit.pulp());
        world.listens().await;
        world.served("d", &[("one", b"outer"), ("two", b"outer")]).await;
        world.served("d2", &[("one", b"beside")]).await;
        assert_eq!(world.get("/d/one").await.text(), "outer");
        // It still is where nobody was told that it is not: the path was not asked for before.
        world.sql(Sql::new("update core_distribution set base_path = 'e' where base_path = 'd'")).await;
        assert_eq!(world.get("/d/two").await.text(), "outer");
        assert_eq!(world.status("/e/two").await, 200);
        world.sql(Sql::new("update core_distribution set base_path = 'd' where base_path = 'e'")).await;
        // Of two that lie in each other, the inner one has what lies below it, whichever was asked first.
        world.served("d/in/ner", &[("one", b"inner")]).await;
        for _ in 0..2 {
            assert_eq!(world.get("/d/one").await.text(), "outer");
            assert_eq!(world.get("/d/in/ner/one").await.text(), "inner");
            assert_eq!(world.status("/d/in/ner/two").await, 404);
            assert_eq!(world.get("/d2/one").await.text(), "beside");
        }
    }

    async fn an_answer_tells_whether_it_was_remembered(kit: Kit) {
        let world = World::new(kit.pulp());
        world.listens().await;
        let repository = world.served("d", &[("a", b"1"), ("dir/b", b"2")]).await;
        for word in ["MISS", "HIT"] {
            for (path, status) in [("/d/a", 200), ("/d/dir", 301), ("/d/nope", 404)] {
                let answer = world.get(path).await;
                assert_eq!((answer.status.as_u16(), answer.header("x-pulp-cache")), (status, word), "{path}");
            }
            // What is found anew each time.
            let long = format!("/d/{}", "x".repeat(600));
            for path in ["/", "/d", "/d/dir/", "/nope", long.as_str()] {
                assert_eq!(world.get(path).await.header("x-pulp-cache"), "", "{path}");
            }
        }
        let etag = world.get("/d/a").await.header("etag").to_owned();
        let unchanged = world.ask(Method::GET, "/d/a", &[("if-none-match", etag.as_str())]).await;
        assert_eq!((unchanged.status.as_u16(), unchanged.header("x-pulp-cache")), (304, "HIT"));
        world.changed(repository).await;
        assert_eq!(world.get("/d/a").await.header("x-pulp-cache"), "MISS");
    }

    async fn what_is_at_hand_is_what_would_be_served(kit: Kit) {
        let world = World::new(kit.pulp());
        world.listens().await;
        let large = vec![7; 64 << 10];
        let repository = world.served("d", &[("a b", b"1"), ("dir/b", b"2"), ("large", &large)]).await;
        let at_hand = |path: &str, headers: &[(&str, &str)]| world.at_hand(Method::GET, path, headers);
        assert_eq!(at_hand("/d/a%20b", &[]), None, "nobody has asked for it yet");
        let etag = world.get("/d/a%20b").await.header("etag").to_owned();
        let served = world.get("/d/a%20b").await;
        let (lines, bytes) = at_hand("/d/a%20b", &[]).unwrap();
        let told: BTreeSet<_> = lines.split_terminator("\r\n").map(str::to_owned).collect();
        let expected = served.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        assert_eq!((told, bytes), (expected, b"1".to_vec()));
        // Whatever is not the whole of a small file takes longer.
        assert_eq!(at_hand("/d/a%20b", &[("if-none-match", "\"other\"")]).unwrap().1, b"1");
        for headers in [("if-none-match", etag.as_str()), ("range", "bytes=0-0"), ("if-match", "\"other\"")] {
            assert_eq!(at_hand("/d/a%20b", &[headers]), None, "{headers:?}");
        }
        assert_eq!(world.at_hand(Method::HEAD, "/d/a%20b", &[]), None);
        for path in ["/d/large", "/d/nope", "/d/dir", "/d/", "/"] {
            for _ in 0..2 {
                world.get(path).await;
            }
            assert_eq!(at_hand(path, &[]), None, "{path}");
        }
        world.changed(repository).await;
        assert_eq!(at_hand("/d/a%20b", &[]), None);
        world.get("/d/a%20b").await;
        assert!(at_hand("/d/a%20b", &[]).is_some());
    }

    async fn what_is_at_hand_is_guarded(kit: Kit) {
        let world = World::new(kit.pulp());
        world.listens().await;
        let repository = world.served("open", &[("a", b"1")]).await;
        let (guard, now, domain) = (new_id(), world.pulp.now(), world.pulp.default_domain().pulp_id);
        let sql = Sql::new("insert into core_contentguard (pulp_id, pulp_created, pulp_type, name, pulp_domain_id) values ($1, $2, $3, $4, $5)");
        world.sql(sql.bind(guard).bind(now).bind("core.header").bind("word").bind(domain)).await;
        let sql = Sql::new("insert into core_headercontentguard (contentguard_ptr_id, header_name, header_value) values ($1, 'x-word', 'w')");
        world.sql(sql.bind(guard)).await;
        world.distribution("d", &[("repository_id", repository), ("content_guard_id", guard)]).await;
        let ask = async |word: &str| {
            let served = world.ask(Method::GET, "/d/a", &[("x-word", word)]).await.status.as_u16();
            (served, world.at_hand(Method::GET, "/d/a", &[("x-word", word)]).is_some())
        };
        // "w", and "x".
        assert_eq!(ask("dw==").await, (200, true));
        assert_eq!(ask("eA==").await, (403, false));
        assert_eq!(world.at_hand(Method::GET, "/d/a", &[]), None);
        // It is asked anew when it has changed.
        world.sql(Sql::new("update core_headercontentguard set header_value = 'x'")).await;
        Change::Distributions.announce(&world.pulp).await;
        assert_eq!(world.at_hand(Method::GET, "/d/a", &[("x-word", "dw==")]), None);
        assert_eq!(ask("dw==").await, (403, false));
        assert_eq!(ask("eA==").await, (200, true));
        // What a filter finds has to be looked for.
        world.sql(Sql::new("update core_headercontentguard set header_value = 'w', jq_filter = '.'")).await;
        Change::Distributions.announce(&world.pulp).await;
        // `"w"`.
        assert_eq!(ask("Inci").await, (200, false));
    }

    async fn another_process_hears_of_a_change(kit: Kit) {
        if kit.database().engine() == Engine::Sqlite {
            return; // One process to a SQLite directory.
        }
        let world = World::new(kit.pulp());
        let repository = world.served("d", &[("one", b"1")]).await;
        let dir = kit.database().dir();
        let other = pulp_core::Pulp::builder().data_dir(dir).database(kit.database().url()).build().await.unwrap();
        let other = World::new(&other);
        assert_eq!((other.status("/d/one").await, other.status("/d/two").await), (200, 404));
        let two = world.file("two", b"2").await;
        let version = world.version(repository, 2, &[two], &[]).await;
        world.publication(version).await;
        world.changed(repository).await;
        // No moment is promised, but it comes.
        let heard = async {
            while other.status("/d/two").await != 200 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(30), heard).await.expect("the other process hears of it");
    }

    async fn a_file_that_vanished_is_looked_up_again(kit: Kit) {
        let world = World::new(kit.pulp());
        let big = vec![7; 100_000];
        world.served("d", &[("big", &big)]).await;
        assert_eq!(world.status("/d/big").await, 200);
        let path: String = world.pulp.db().scalar("select file from core_artifact").await.unwrap();
        world.pulp.storage().delete(&path.parse().unwrap()).await.unwrap();
        let answer = world.get("/d/big").await;
        assert_eq!(answer.status, 500);
        assert!(!answer.text().contains("artifact"), "nothing of the store is told: {}", answer.text());
        // Cut behind our back: it is not served either.
        let local = world.pulp.storage().local_file(&path.parse().unwrap()).unwrap();
        std::fs::write(local, &big[..99_999]).unwrap();
        assert_eq!(world.status("/d/big").await, 500);
    }
}

both_databases! {
    async fn files_of_a_superseded_publication_stay_for_a_while(timed: Timed) {
        let world = World::new(timed.kit.pulp());
        let db = timed.kit.pulp().db();
        let (one, two) = (world.file("one", b"1").await, world.file("two", b"2").await);
        let repository = world.repository("r").await;
        let first = world.version(repository, 1, &[one], &[]).await;
        world.publication(first).await;
        world.distribution("d", &[("repository_id", repository)]).await;
        grace::note_repository(db, repository, world.pulp.now(), 3 * 24 * 3_600).await.unwrap();
        let second = world.version(repository, 2, &[two], &[one]).await;
        world.publication(second).await;
        for _ in 0..2 {
            // Noting the same again does not lengthen anything.
            grace::note_repository(db, repository, world.pulp.now(), 3 * 24 * 3_600).await.unwrap();
        }
        let rows: i64 = db.scalar("select count(*) from core_distributedpublication").await.unwrap();
        assert_eq!(rows, 2);
        world.changed(repository).await;
        assert_eq!((world.status("/d/one").await, world.status("/d/two").await), (200, 200));
        assert!(!world.get("/d/").await.text().contains("./one"), "what is not current is not listed");
        timed.clock.advance(days(3));
        world.changed(repository).await;
        assert_eq!((world.status("/d/one").await, world.status("/d/two").await), (404, 200));
        // A rollback: the first is served again, for good.
        grace::note_served(db, one, None, world.pulp.now(), 3 * 24 * 3_600).await.unwrap();
        grace::note_repository(db, repository, world.pulp.now(), 3 * 24 * 3_600).await.unwrap();
        let rows: i64 = db.scalar("select count(*) from core_distributedpublication").await.unwrap();
        assert_eq!(rows, 1);
    }
}

/// A guard that can be told what to say, and a type that needs no publication.
struct Extras {
    open: Arc<AtomicBool>,
}

struct Door(Arc<AtomicBool>);

#[async_trait]
impl ContentGuard for Door {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        if self.0.load(Ordering::Relaxed) { Ok(()) } else { Err(Denied(format!("{} is closed.", request.distribution.name))) }
    }
}

impl Plugin for Extras {
    fn descriptor(&self) -> PluginDescriptor {
        PluginDescriptor { label: "extras", version: "1.0.0", package: "extras", module: "extras", domain_compatible: false }
    }

    fn migrations(&self) -> pulp_migrations::MigrationSet {
        pulp_migrations::MigrationSet { component: "extras", migrations: &[] }
    }

    fn register(&self, registry: &mut Registry) {
        registry.guard("extras.door", Door(Arc::clone(&self.open)));
        registry.distribution("extras.version", PassThroughHandler);
    }
}

struct Extended {
    kit: Kit,
    open: Arc<AtomicBool>,
}

#[async_trait]
impl Prepare for Extended {
    async fn prepare(engine: Engine) -> Option<Self> {
        let open = Arc::new(AtomicBool::new(true));
        let kit = Kit::built(engine, |builder| builder.plugin(Extras { open: Arc::clone(&open) })).await?;
        Some(Self { kit, open })
    }
}

both_databases! {
    async fn a_guard_is_asked_every_time(extended: Extended) {
        let world = World::new(extended.kit.pulp());
        let repository = world.served("open", &[("a.txt", b"a")]).await;
        for (name, guard_type) in [("door", "extras.door"), ("ghost", "extras.ghost")] {
            let guard = new_id();
            let sql = Sql::new("insert into core_contentguard (pulp_id, pulp_created, pulp_type, name, pulp_domain_id) values ($1, $2, $3, $4, $5)");
            let sql = sql.bind(guard).bind(world.pulp.now()).bind(guard_type).bind(name).bind(world.pulp.default_domain().pulp_id);
            world.sql(sql).await;
            world.distribution(name, &[("repository_id", repository), ("content_guard_id", guard)]).await;
        }
        let inside = world.get("/door/a.txt").await;
        assert_eq!((inside.status.as_u16(), inside.header("cache-control")), (200, "public, max-age=0, must-revalidate"));
        extended.open.store(false, Ordering::Relaxed);
        // What is remembered is guarded, too, and nothing is told of what there is.
        for path in ["/door/a.txt", "/door/nope", "/door/", "/door"] {
            let answer = world.get(path).await;
            assert_eq!((answer.status.as_u16(), answer.text().as_str()), (403, "403: door is closed."), "{path}");
        }
        // Of a type that nobody knows: closed.
        assert_eq!(world.status("/ghost/a.txt").await, 403);
        assert_eq!(world.status("/open/a.txt").await, 200);
    }

    async fn a_version_may_be_served_as_it_is(extended: Extended) {
        let world = World::new(extended.kit.pulp());
        let (one, two) = (world.file("one", b"1").await, world.file("dir/two", b"2").await);
        let repository = world.repository("r").await;
        let first = world.version(repository, 1, &[one], &[]).await;
        world.distribution("latest", &[("repository_id", repository)]).await;
        world.distribution("first", &[("repository_version_id", first)]).await;
        world.sql(Sql::new("update core_distribution set pulp_type = 'extras.version'")).await;
        Change::Distributions.announce(&world.pulp).await;
        assert_eq!((world.status("/latest/one").await, world.status("/first/one").await), (200, 200));
        world.version(repository, 2, &[two], &[one]).await;
        world.changed(repository).await;
        assert_eq!((world.status("/latest/one").await, world.status("/first/one").await), (404, 200));
        assert_eq!((world.status("/latest/dir/two").await, world.status("/first/dir/two").await), (200, 404));
        assert_eq!(world.status("/latest/dir").await, 301);
        assert!(world.get("/latest/").await.text().contains("./dir/"));
    }
}
