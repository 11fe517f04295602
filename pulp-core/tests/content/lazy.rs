//! Files that are fetched when somebody asks for them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::TimeDelta;
use http::{Method, Response};
use pulp_core::body::Body;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::{Fault, Kit, Server, Upstream, both_databases};
use tokio::sync::Notify;

use crate::world::{Timed, World, sha256};

const TEXT: &[u8] = b"fetched when asked for";

/// A unit at `/d/<path>` that only `upstream` has.
async fn lazy(world: &World, upstream: &Upstream, path: &str, policy: &str, says: &[u8]) {
    let (unit, file) = world.unit(path, None).await;
    let remote = world.remote(&upstream.url(""), policy).await;
    world.source(file, remote, &upstream.url(path), says).await;
    world.publish(&[unit]).await;
}

both_databases! {
    async fn a_lazy_file_is_fetched_once_and_kept(kit: Kit) {
        let world = World::new(kit.pulp());
        let upstream = Upstream::start().await.file("a.txt", TEXT);
        lazy(&world, &upstream, "a.txt", "on_demand", TEXT).await;
        // Looking costs nothing.
        let head = world.ask(Method::HEAD, "/d/a.txt", &[]).await;
        assert_eq!((head.status.as_u16(), head.header("content-length")), (200, TEXT.len().to_string().as_str()));
        let etag = format!("\"{}\"", sha256(TEXT));
        assert_eq!(head.header("etag"), etag);
        assert_eq!(world.ask(Method::GET, "/d/a.txt", &[("if-none-match", &etag)]).await.status, 304);
        assert!(world.get("/d/").await.text().contains(&format!("{} Bytes", TEXT.len())));
        assert_eq!(upstream.hits("a.txt"), 0);
        let first = world.get("/d/a.txt").await;
        assert_eq!((first.status.as_u16(), first.header("content-type")), (200, "text/plain"));
        assert_eq!(first.header("etag"), etag, "a small file is verified before its first byte");
        assert_eq!(first.body.unwrap(), TEXT);
        wait_until_idle(&world).await;
        assert_eq!(world.count("core_artifact").await, 1);
        assert_eq!(world.count("core_contentartifact where artifact_id is not null").await, 1);
        let second = world.ask(Method::GET, "/d/a.txt", &[("range", "bytes=0-6")]).await;
        assert_eq!((second.status.as_u16(), second.text().as_str()), (206, "fetched"));
        assert_eq!(upstream.hits("a.txt"), 1);
    }

    async fn every_path_of_a_file_is_stored_with_the_first(kit: Kit) {
        let world = World::new(kit.pulp());
        let upstream = Upstream::start().await.file("a", TEXT).file("b", TEXT).file("c", TEXT).file("d", "another");
        let (kept, passed) = (world.remote(&upstream.url(""), "on_demand").await, world.remote(&upstream.url(""), "streamed").await);
        let mut units = Vec::new();
        for (path, remote, says) in [("a", kept, TEXT), ("b", kept, TEXT), ("c", passed, TEXT), ("d", kept, &b"another"[..])] {
            let (unit, file) = world.unit(path, None).await;
            world.source(file, remote, &upstream.url(path), says).await;
            units.push(unit);
        }
        world.publish(&units).await;
        let (a, b) = futures::join!(world.get("/d/a"), world.get("/d/b"));
        assert_eq!((a.body.unwrap().as_slice(), b.body.unwrap().as_slice()), (TEXT, TEXT));
        wait_until_idle(&world).await;
        assert_eq!(upstream.hits("a") + upstream.hits("b"), 1);
        let paths = Sql::new("select relative_path from core_contentartifact where artifact_id is not null order by relative_path");
        let stored: Vec<String> = world.pulp.db().column(paths).await.unwrap();
        assert_eq!(stored, ["a", "b"]);
    }

    async fn a_file_that_was_stored_and_removed_is_fetched_again(kit: Kit) {
        let world = World::new(kit.pulp());
        let big: Vec<u8> = (0..100_000u32).map(|i| (i % 253) as u8).collect();
        let upstream = Upstream::start().await.file("big", big.clone());
        lazy(&world, &upstream, "big", "on_demand", &big).await;
        assert!(world.get("/d/big").await.body.unwrap() == big);
        wait_until_idle(&world).await;
        // As reclaiming space does.
        let path: String = world.pulp.db().scalar("select file from core_artifact").await.unwrap();
        world.sql("update core_contentartifact set artifact_id = null".into()).await;
        world.sql("delete from core_artifact".into()).await;
        world.pulp.storage().delete(&path.parse().unwrap()).await.unwrap();
        assert!(world.get("/d/big").await.body.unwrap() == big);
        assert_eq!(upstream.hits("big"), 2);
    }

    async fn many_clients_share_one_fetch(kit: Kit) {
        let world = World::new(kit.pulp());
        let big: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
        let upstream = Upstream::start().await.file("big", big.clone());
        lazy(&world, &upstream, "big", "on_demand", &big).await;
        let whole = futures::future::join_all((0..20).map(|_| world.get("/d/big")));
        let range = [("range", "bytes=2000000-2000099")];
        let (whole, part) = futures::join!(whole, world.ask(Method::GET, "/d/big", &range));
        for answer in whole {
            assert_eq!(answer.status, 200);
            assert!(answer.body.unwrap() == big);
        }
        assert_eq!((part.status.as_u16(), part.header("content-range")), (206, "bytes 2000000-2000099/3000000"));
        assert_eq!(part.body.unwrap(), big[2_000_000..2_000_100]);
        wait_until_idle(&world).await;
        assert_eq!(upstream.hits("big"), 1);
    }

    async fn streamed_files_are_kept_by_nobody(kit: Kit) {
        let world = World::new(kit.pulp());
        let upstream = Upstream::start().await.file("a.txt", TEXT);
        lazy(&world, &upstream, "a.txt", "streamed", TEXT).await;
        for hits in 1..3 {
            assert_eq!(world.get("/d/a.txt").await.body.unwrap(), TEXT);
            wait_until_idle(&world).await;
            assert_eq!(upstream.hits("a.txt"), hits);
        }
        assert_eq!(world.count("core_artifact").await, 0);
    }

    async fn what_another_unit_has_stored_is_not_fetched(kit: Kit) {
        let world = World::new(kit.pulp());
        let upstream = Upstream::start().await.file("a.txt", TEXT);
        world.artifact(TEXT).await;
        lazy(&world, &upstream, "a.txt", "on_demand", TEXT).await;
        assert_eq!(world.get("/d/a.txt").await.body.unwrap(), TEXT);
        assert_eq!(upstream.hits("a.txt"), 0);
        assert_eq!(world.count("core_contentartifact where artifact_id is not null").await, 1);
    }

    async fn a_source_that_gives_a_wrong_file_is_left_alone_for_a_while(timed: Timed) {
        let world = World::new(timed.kit.pulp());
        let upstream = Upstream::start().await.file("a.txt", TEXT).fault("a.txt", Fault::FlipByte(3).once());
        lazy(&world, &upstream, "a.txt", "on_demand", TEXT).await;
        let wrong = world.get("/d/a.txt").await;
        assert_eq!((wrong.status.as_u16(), wrong.header("content-length"), wrong.header("etag")), (200, "", ""));
        assert!(wrong.body.is_err(), "the answer is cut");
        wait_until_idle(&world).await;
        for _ in 0..2 {
            assert_eq!(world.status("/d/a.txt").await, 404);
        }
        assert_eq!(upstream.hits("a.txt"), 1, "while it cools down nobody asks");
        timed.clock.advance(TimeDelta::seconds(301));
        assert_eq!(world.get("/d/a.txt").await.body.unwrap(), TEXT);
    }

    async fn the_next_source_is_asked_when_one_fails(kit: Kit) {
        let world = World::new(kit.pulp());
        let bad = Upstream::start().await.file("a.txt", TEXT).fault("a.txt", Fault::FlipByte(3).times(9));
        let good = Upstream::start().await.file("a.txt", TEXT);
        let (unit, file) = world.unit("a.txt", None).await;
        for upstream in [&bad, &good] {
            let remote = world.remote(&upstream.url(""), "on_demand").await;
            world.source(file, remote, &upstream.url("a.txt"), TEXT).await;
        }
        // Another file under the same name: left out.
        let other = world.remote(&good.url(""), "on_demand").await;
        world.source(file, other, &good.url("other.txt"), b"something else").await;
        world.publish(&[unit]).await;
        assert_eq!(world.get("/d/a.txt").await.body.unwrap(), TEXT);
        wait_until_idle(&world).await;
        assert_eq!((bad.hits("a.txt"), good.hits("a.txt"), good.hits("other.txt")), (1, 1, 0));
        assert_eq!(world.count("core_remoteartifact where failed_at is not null").await, 1);
    }

    async fn the_source_that_does_best_is_asked_first(kit: Kit) {
        let world = World::new(kit.pulp());
        let first = Upstream::start().await.file("a", "first").file("b", "next").fault("a", Fault::Status(503));
        let second = Upstream::start().await.file("a", "first").file("b", "next");
        let mut units = Vec::new();
        let remotes = [world.remote(&first.url(""), "on_demand").await, world.remote(&second.url(""), "on_demand").await];
        for (path, says) in [("a", "first"), ("b", "next")] {
            let (unit, file) = world.unit(path, None).await;
            for (upstream, remote) in [&first, &second].into_iter().zip(remotes) {
                world.source(file, remote, &upstream.url(path), says.as_bytes()).await;
            }
            units.push(unit);
        }
        world.publish(&units).await;
        assert_eq!(world.get("/d/a").await.text(), "first");
        assert_eq!((first.hits("a"), second.hits("a")), (1, 1));
        assert_eq!(world.get("/d/b").await.text(), "next");
        assert_eq!((first.hits("b"), second.hits("b")), (0, 1));
    }

    async fn one_client_at_a_time_asks_a_host_in_trouble(kit: Kit) {
        let world = World::new(kit.pulp());
        let (asked, answer_now) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let upstream = Server::start({
            let (asked, answer_now) = (Arc::clone(&asked), Arc::clone(&answer_now));
            move |request| {
                let (asked, answer_now) = (Arc::clone(&asked), Arc::clone(&answer_now));
                async move {
                    let path = request.uri().path().trim_start_matches('/').to_owned();
                    asked.lock().unwrap().push(path.clone());
                    match path.as_str() {
                        "a0" => return Response::builder().status(503).body(Body::empty()).unwrap(),
                        "a1" => answer_now.notified().await,
                        _ => {}
                    }
                    Response::new(Body::from(path))
                }
            }
        })
        .await;
        let hits = |path: &str| asked.lock().unwrap().iter().filter(|asked| *asked == path).count();
        let mut units = Vec::new();
        for path in ["a0", "a1", "a2"] {
            let (unit, file) = world.unit(path, None).await;
            let remote = world.remote(&upstream.url(), "on_demand").await;
            world.source(file, remote, &format!("{}/{path}", upstream.url()), path.as_bytes()).await;
            units.push(unit);
        }
        world.publish(&units).await;
        for _ in 0..10 {
            assert_eq!(world.status("/d/a0").await, 502);
            wait_until_idle(&world).await;
        }
        assert_eq!(world.pulp.hosts().in_trouble(), 1);
        let others = async {
            while hits("a1") == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let refused = world.get("/d/a2").await;
            answer_now.notify_one();
            refused
        };
        let (answer, refused) = futures::join!(world.get("/d/a1"), others);
        assert_eq!(refused.status, 502);
        assert!(refused.text().contains("the host has failed 10 times in a row"), "{}", refused.text());
        assert_eq!((answer.text().as_str(), hits("a2")), ("a1", 0));
        assert_eq!(world.pulp.hosts().in_trouble(), 0);
        assert_eq!(world.get("/d/a2").await.text(), "a2");
    }

    async fn sources_that_fail_otherwise_are_asked_again(kit: Kit) {
        let world = World::new(kit.pulp());
        let upstream = Upstream::start().await.file("a.txt", TEXT).fault("a.txt", Fault::Status(404).once());
        lazy(&world, &upstream, "a.txt", "on_demand", TEXT).await;
        assert_eq!(world.status("/d/a.txt").await, 404);
        wait_until_idle(&world).await;
        let upstream = upstream.fault("a.txt", Fault::Status(503).once());
        let broken = world.get("/d/a.txt").await;
        assert_eq!(broken.status, 502);
        assert!(broken.text().contains("503"), "{}", broken.text());
        wait_until_idle(&world).await;
        assert_eq!(world.get("/d/a.txt").await.body.unwrap(), TEXT);
        assert_eq!(upstream.hits("a.txt"), 3);
    }

    async fn nobody_completes_a_wrong_file(kit: Kit) {
        let world = World::new(kit.pulp());
        let big: Vec<u8> = (0..3_000_000u32).map(|i| (i % 253) as u8).collect();
        let upstream = Upstream::start().await.file("big", big.clone()).fault("big", Fault::FlipByte(2_900_000).once());
        lazy(&world, &upstream, "big", "on_demand", &big).await;
        let answer = world.get("/d/big").await;
        assert_eq!(answer.status, 200);
        assert!(answer.body.is_err(), "the response is cut");
        assert_eq!(answer.header("etag"), "", "nothing to join the rest of the right file to");
        wait_until_idle(&world).await;
        assert_eq!(world.status("/d/big").await, 404);
        assert_eq!(world.count("core_artifact").await, 0);
    }
}

/// A file is kept a moment after its last byte was sent.
async fn wait_until_idle(world: &World) {
    while world.pulp.fetcher().pending() > 0 {
        tokio::task::yield_now().await;
    }
}
