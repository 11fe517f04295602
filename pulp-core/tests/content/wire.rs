//! How what is served looks on the wire.

use async_trait::async_trait;
use http::Method;
use pulp_core::db::{ExecutorExt as _, Sql};
use pulp_core::settings::Settings;
use pulp_testkit::{Engine, Kit, Prepare, both_databases};
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::world::{Timed, World, days, sha256};

/// A Pulp whose settings say how long some files may be kept.
struct Kept(Kit);

#[async_trait]
impl Prepare for Kept {
    async fn prepare(engine: Engine) -> Option<Self> {
        let mut settings = Settings::default();
        for (pattern, value) in [("release/*", "public, max-age=60"), ("release/1/*", "public, max-age=600"), ("whole", "no-store")] {
            settings.content_cache_control.insert(pattern.to_owned(), value.to_owned());
        }
        Some(Self(Kit::built(engine, |builder| builder.settings(settings)).await?))
    }
}

both_databases! {
    async fn caches_keep_files_for_as_long_as_the_settings_say(kept: Kept) {
        let world = World::new(kept.0.pulp());
        for (base_path, expected) in [
            ("release/2", "public, max-age=60"),
            ("release/1/x", "public, max-age=600"),
            ("whole", "no-store"),
            ("whole2", "public, max-age=0, must-revalidate"),
        ] {
            world.served(base_path, &[("a", base_path.as_bytes())]).await;
            let answer = world.get(&format!("/{base_path}/a")).await;
            assert_eq!(answer.header("cache-control"), expected, "{base_path}");
            let etag = answer.header("etag").to_owned();
            let again = world.ask(Method::GET, &format!("/{base_path}/a"), &[("if-none-match", &etag)]).await;
            assert_eq!((again.status.as_u16(), again.header("cache-control")), (304, expected), "{base_path}");
        }
    }

    async fn what_is_missing_is_named(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("e", &[("a.txt", b"hello")]).await;
        // No source is left.
        let (unit, _) = world.unit("lazy", None).await;
        world.publish(&[unit]).await;
        for (path, part, detail) in [
            ("/nope/x", "distribution", "no distribution has a base path that \"nope/x\" lies under"),
            ("/e/nope", "path", "the distribution has no file \"nope\""),
            ("/e/dir/", "path", "the distribution has no directory \"dir/\""),
        ] {
            // Twice: what is remembered is the same.
            for _ in 0..2 {
                let words = world.get(path).await;
                assert_eq!((words.status.as_u16(), words.header("content-type")), (404, "text/plain; charset=utf-8"));
                assert_eq!(words.text(), format!("404: {detail}"));
                let answer = world.ask(Method::GET, path, &[("accept", "application/json")]).await;
                assert_eq!((answer.status.as_u16(), answer.header("content-type"), answer.header("vary")), (404, "application/json", "accept"));
                assert_eq!(answer.header("content-length"), answer.text().len().to_string());
                assert_eq!(serde_json::from_str::<Json>(&answer.text()).unwrap(), json!({"detail": detail, "unresolved": part}), "{path}");
            }
        }
        let gone = world.ask(Method::GET, "/d/lazy?format=json", &[]).await;
        assert_eq!(gone.status, 404);
        assert_eq!(serde_json::from_str::<Json>(&gone.text()).unwrap()["unresolved"], "source");
    }

    async fn headers_of_a_file(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("d", &[("a.txt", b"hello"), ("empty", b"")]).await;
        let mut answer = world.get("/d/a.txt").await;
        assert_eq!(answer.header("content-type"), "text/plain");
        assert_eq!(answer.header("content-length"), "5");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("x-pulp-artifact-size"), "5");
        assert_eq!(answer.header("cache-control"), "public, max-age=0, must-revalidate");
        assert_eq!(answer.header("etag"), format!("\"{}\"", sha256(b"hello")));
        assert_eq!(answer.header("repr-digest"), "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:");
        assert!(answer.header("last-modified").ends_with(" GMT"));
        let mut head = world.ask(Method::HEAD, "/d/a.txt", &[]).await;
        assert_eq!(head.body, Ok(Vec::new()));
        for answer in [&mut head, &mut answer] {
            answer.headers.remove("x-pulp-cache").unwrap();
        }
        assert_eq!(head.headers, answer.headers);
        let empty = world.get("/d/empty").await;
        assert_eq!((empty.status.as_u16(), empty.header("content-length"), empty.body.clone()), (200, "0", Ok(Vec::new())));
    }

    async fn a_file_that_takes_the_place_of_another_is_younger(timed: Timed) {
        let world = World::new(timed.kit.pulp());
        let repository = world.repository("r").await;
        let (old, new) = (world.file("x", b"old").await, world.file("x", b"new").await);
        timed.clock.advance(days(1));
        world.distribution("d", &[("repository_id", repository)]).await;
        let mut seen: Vec<chrono::DateTime<chrono::FixedOffset>> = Vec::new();
        for (number, add, remove) in [(1, old, None), (2, new, Some(old)), (3, old, Some(new))] {
            let version = world.version(repository, number, &[add], &remove.into_iter().collect::<Vec<_>>()).await;
            let joined = world.pulp.now();
            let publication = world.publication(version).await;
            world.metadata(publication, "LIST", if number == 2 { b"two" } else { b"one" }).await;
            let file = Sql::new("select pulp_id from core_contentartifact where content_id = $1").bind(add);
            let file: Uuid = world.pulp.db().scalar(file).await.unwrap();
            world.published(publication, "named", file).await;
            world.changed(repository).await;
            let modified = async |path: &str| {
                let answer = world.get(path).await;
                chrono::DateTime::parse_from_rfc2822(answer.header("last-modified")).unwrap()
            };
            for path in ["/d/x", "/d/named", "/d/LIST"] {
                assert_eq!(modified(path).await.timestamp(), joined.timestamp(), "{path} of version {number}");
            }
            seen.push(modified("/d/x").await);
            timed.clock.advance(days(1));
            // Publishing it again changes nothing for what stays.
            let again = world.publication(version).await;
            world.published(again, "named", file).await;
            world.changed(repository).await;
            assert_eq!(modified("/d/named").await.timestamp(), joined.timestamp());
            timed.clock.advance(days(1));
        }
        assert!(seen.is_sorted() && seen[0] < seen[2], "{seen:?}");
    }

    async fn only_reading_is_allowed(kit: Kit) {
        let world = World::new(kit.pulp());
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = world.ask(method, "/anything", &[]).await;
            assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET,HEAD"));
        }
    }

    async fn ranges_small_and_large(kit: Kit) {
        let world = World::new(kit.pulp());
        let large: Vec<u8> = (0..700_000u32).map(|i| (i % 251) as u8).collect();
        world.served("d", &[("small", &large[..1000]), ("large", &large)]).await;
        for (path, size) in [("/d/small", 1000), ("/d/large", 700_000)] {
            let all = &large[..size];
            assert_eq!(world.get(path).await.body.unwrap(), all);
            let last = size - 1;
            for (range, from, to) in
                [("0-3".to_owned(), 0, 3), ("-5".to_owned(), size - 5, last), (format!("7-{last}"), 7, last), (format!("{last}-"), last, last)]
            {
                let part = world.ask(Method::GET, path, &[("range", &format!("bytes={range}"))]).await;
                assert_eq!(part.status, 206, "{range}");
                assert_eq!(part.header("content-range"), format!("bytes {from}-{to}/{size}"));
                assert_eq!(part.header("content-length"), (to - from + 1).to_string());
                assert_eq!(part.body.unwrap(), all[from..=to], "{range}");
            }
            let beyond = world.ask(Method::GET, path, &[("range", "bytes=900000-")]).await;
            assert_eq!((beyond.status.as_u16(), beyond.header("content-range")), (416, format!("bytes */{size}").as_str()));
            let head = world.ask(Method::HEAD, path, &[("range", "bytes=0-3")]).await;
            assert_eq!((head.status.as_u16(), head.header("content-length")), (200, size.to_string().as_str()));
        }
    }

    async fn several_ranges_come_in_parts(kit: Kit) {
        let world = World::new(kit.pulp());
        let large: Vec<u8> = (0..300_000u32).map(|i| b'a' + (i % 26) as u8).collect();
        world.served("d", &[("x.txt", &large)]).await;
        let answer = world.ask(Method::GET, "/d/x.txt", &[("range", "bytes=0-3,270000-270002")]).await;
        assert_eq!(answer.status, 206);
        let boundary = answer.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap().to_owned();
        let text = answer.text();
        assert_eq!(answer.header("content-length"), text.len().to_string());
        let expected = format!(
            "\r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-3/300000\r\n\r\nabcd\
             \r\n--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 270000-270002/300000\r\n\r\n{}\r\n--{boundary}--\r\n",
            String::from_utf8_lossy(&large[270_000..270_003])
        );
        assert_eq!(text, expected);
    }

    async fn conditions(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("d", &[("a.txt", b"hello")]).await;
        let first = world.get("/d/a.txt").await;
        let (etag, modified) = (first.header("etag").to_owned(), first.header("last-modified").to_owned());
        let status = async |headers: &[(&str, &str)]| world.ask(Method::GET, "/d/a.txt", headers).await.status.as_u16();
        let same = world.ask(Method::GET, "/d/a.txt", &[("if-none-match", &etag)]).await;
        assert_eq!((same.status.as_u16(), same.header("etag"), same.body.clone()), (304, etag.as_str(), Ok(Vec::new())));
        assert_eq!(status(&[("if-modified-since", &modified)]).await, 304);
        assert_eq!(status(&[("if-none-match", "\"x\""), ("if-modified-since", &modified)]).await, 200);
        assert_eq!(status(&[("if-match", "\"x\"")]).await, 412);
        assert_eq!(status(&[("if-match", &etag)]).await, 200);
        assert_eq!(status(&[("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT")]).await, 412);
        assert_eq!(status(&[("range", "bytes=0-0"), ("if-range", &etag)]).await, 206);
        assert_eq!(status(&[("range", "bytes=0-0"), ("if-range", &modified)]).await, 206);
        assert_eq!(status(&[("range", "bytes=0-0"), ("if-range", "\"x\"")]).await, 200);
    }
}
