//! Directories.

use http::Method;
use pulp_core::db::Sql;
use pulp_testkit::{Kit, both_databases};
use serde_json::Value as Json;

use crate::world::World;

async fn names(world: &World, path: &str) -> Vec<String> {
    let answer = world.ask(Method::GET, path, &[("accept", "application/json")]).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "application/json"), "{path}");
    let json: Json = serde_json::from_str(&answer.text()).unwrap();
    let slash = |entry: &Json| if entry["type"] == "directory" { "/" } else { "" };
    json["entries"].as_array().unwrap().iter().map(|entry| format!("{}{}", entry["name"].as_str().unwrap(), slash(entry))).collect()
}

both_databases! {
    async fn a_directory_shows_what_lies_directly_in_it(kit: Kit) {
        let world = World::new(kit.pulp());
        let files: &[(&str, &[u8])] = &[
            ("a.txt", b"12345"), ("dir/b", b"1"), ("dir/sub/c", b"1"), ("dir/sub/d", b"1"), ("dir-x", b"1"), ("dirz/e", b"1"),
            ("q\"u<o>t'e &.txt", b"1"), ("colon:x/a:b", b"1"), ("\u{e9}/\u{4e2d}", b"1"), ("a%2fb", b"1"), ("z//hole", b"1"),
        ];
        world.served("d", files).await;
        assert_eq!(
            names(&world, "/d/").await,
            ["a%2fb", "a.txt", "colon:x/", "dir-x", "dir/", "dirz/", "q\"u<o>t'e &.txt", "z/", "\u{e9}/"]
        );
        assert_eq!(names(&world, "/d/dir/").await, ["b", "sub/"]);
        assert_eq!(names(&world, "/d/dir/sub/?format=json").await, ["c", "d"]);
        assert_eq!(names(&world, "/d/%C3%A9/").await, ["\u{4e2d}"]);
        let page = world.get("/d/").await;
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
        let text = page.text();
        assert!(text.contains("<title>Index of /pulp/content/d/</title>"), "{text}");
        assert!(text.contains("<a href=\"../\">") && text.contains("5 Bytes"), "{text}");
        // Every link leads to what it names.
        for href in text.split("href=\"./").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            let status = world.status(&format!("/d/{href}")).await;
            assert_eq!(status, 200, "{href}");
        }
        let head = world.ask(Method::HEAD, "/d/", &[]).await;
        assert_eq!((head.status.as_u16(), head.body), (200, Ok(Vec::new())));
    }

    async fn a_listing_is_compressed_for_whoever_takes_it(kit: Kit) {
        let world = World::new(kit.pulp());
        let text = "a long text, ".repeat(1_000);
        world.served("d", &[("a.txt", text.as_bytes()), ("b", b"b")]).await;
        for path in ["/d/", "/d/?format=json"] {
            let plain = world.get(path).await;
            assert_eq!(plain.headers.get_all("vary").iter().collect::<Vec<_>>(), ["accept", "accept-encoding"], "{path}");
            let gzip = world.ask(Method::GET, path, &[("accept-encoding", "gzip")]).await;
            assert_eq!((gzip.header("content-encoding"), gzip.header("content-length")), ("gzip", ""), "{path}");
            let mut read = String::new();
            std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(gzip.body.unwrap().as_slice()), &mut read).unwrap();
            assert_eq!(read, plain.text());
        }
        let elsewhere = world.ask(Method::GET, "/d/", &[("accept-encoding", "gzip"), ("sec-fetch-site", "cross-site")]).await;
        assert_eq!(elsewhere.header("content-encoding"), "");
        // What is stored goes out as it is, in parts or whole.
        for range in [None, Some(("range", "bytes=0-4000"))] {
            let asked: Vec<(&str, &str)> = std::iter::once(("accept-encoding", "gzip, zstd")).chain(range).collect();
            let file = world.ask(Method::GET, "/d/a.txt", &asked).await;
            assert_eq!((file.header("content-encoding"), file.header("vary")), ("", ""));
            assert!(file.header("etag").starts_with('"') && text.starts_with(&file.text()));
        }
    }

    async fn pages_lead_to_each_other_in_both_orders_of_names(kit: Kit) {
        let world = World::new(kit.pulp());
        let files: &[(&str, &[u8])] = &[
            ("a", b"1"), ("b/1", b"1"), ("b/2", b"1"), ("b/3", b"1"), ("b/4", b"1"), ("b-", b"1"), ("b0", b"1"), ("c", b"1"), ("d/x/y", b"1"),
            ("e", b"1"), ("\u{e9}/f", b"1"),
        ];
        world.served("d", files).await;
        let lines = async |query: &str| {
            let text = world.get(&format!("/d/{query}")).await.text();
            let link = |rel: &str| {
                let rest = text.split(&format!("rel=\"{rel}\" href=\"")).nth(1)?;
                Some(rest.split('"').next()?.replace("&amp;", "&"))
            };
            let lines = text.lines().filter(|line| line.starts_with("<a href=\"./")).map(str::to_owned).collect::<Vec<_>>();
            (lines, link("prev"), link("next"))
        };
        let (all, ..) = lines("").await;
        assert_eq!(all.len(), 8);
        for order in ["asc", "desc"] {
            let mut expected = all.clone();
            if order == "desc" {
                expected.reverse();
            }
            for limit in [1, 3, 4] {
                let (mut seen, mut pages) = (Vec::new(), Vec::new());
                let mut next = Some(format!("?order={order}&limit={limit}"));
                while let Some(query) = next {
                    let (page, previous, after) = lines(&query).await;
                    assert_eq!(previous.is_some(), !pages.is_empty(), "{query}");
                    if let Some(previous) = previous {
                        assert_eq!(lines(&previous).await.0, pages[pages.len() - 1], "back from {query}");
                    }
                    seen.extend(page.clone());
                    pages.push(page);
                    next = after;
                }
                assert_eq!(seen, expected, "{order} {limit}");
            }
        }
    }

    async fn a_large_directory_is_listed_whole_and_once(kit: Kit) {
        let world = World::new(kit.pulp());
        let repository = world.repository("r").await;
        let artifact = world.artifact(b"x").await;
        let mut units = Vec::new();
        let mut expected = Vec::new();
        for i in 0..700 {
            units.push(world.unit(&format!("big/{i:04}"), Some(artifact)).await.0);
            if i < 520 {
                units.push(world.unit(&format!("m{i:04}/file"), Some(artifact)).await.0);
                expected.push(format!("m{i:04}/"));
            }
        }
        expected.insert(0, "big/".to_owned());
        let version = world.version(repository, 1, &units, &[]).await;
        let publication = world.publication(version).await;
        // Named twice, listed once.
        let (_, file) = world.unit("n", Some(artifact)).await;
        world.published(publication, "m0000/file", file).await;
        world.metadata(publication, "PULP_MANIFEST", b"m").await;
        world.published(publication, "PULP_MANIFEST", file).await;
        expected.insert(0, "PULP_MANIFEST".to_owned());
        world.distribution("d", &[("repository_id", repository)]).await;
        assert_eq!(names(&world, "/d/").await, expected);
        assert_eq!(names(&world, "/d/big/").await.len(), 700);
        assert_eq!(names(&world, "/d/m0000/").await, ["file"]);
    }

    async fn distributions_are_listed_unless_hidden(kit: Kit) {
        let world = World::new(kit.pulp());
        assert!(names(&world, "/").await.is_empty());
        for base_path in ["one", "cnt/repo", "cnt/pub", "cnt2/x", "nest/deep/er", "nest/deep-x", "secret/hidden"] {
            world.distribution(base_path, &[]).await;
        }
        world.sql(Sql::new("update core_distribution set hidden = $1 where base_path = 'secret/hidden'").bind(true)).await;
        assert_eq!(names(&world, "/").await, ["cnt/", "cnt2/", "nest/", "one/"]);
        assert_eq!(names(&world, "/cnt/").await, ["pub/", "repo/"]);
        assert_eq!(names(&world, "/nest/").await, ["deep-x/", "deep/"]);
        assert_eq!(names(&world, "/nest/deep/").await, ["er/"]);
        assert_eq!((world.status("/secret/").await, world.status("/secret").await), (404, 404));
        assert!(world.get("/cnt/").await.text().contains("<title>Index of cnt/</title>"));
        assert!(!world.get("/").await.text().contains("../"));
    }

    async fn a_page_shows_a_part_in_the_order_that_is_asked_for(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("d", &[("a", b"333"), ("b&\"<", b"22"), ("c:d", b"4444"), ("dir/x", b"1"), ("e", b"")]).await;
        let hrefs = |page: &str, before: &str| -> Vec<String> {
            page.split(before).skip(1).map(|rest| rest.split('"').next().unwrap().replace("&amp;", "&")).collect()
        };
        let entries = |page: &str| hrefs(page, "<a href=\"./");
        let all = world.get("/d/").await.text();
        assert_eq!(entries(&all), ["a", "b%26%22%3C", "c%3Ad", "dir/", "e"]);
        assert_eq!(entries(&world.get("/d/?sort=size&order=desc").await.text()), ["c%3Ad", "a", "b%26%22%3C", "e", "dir/"]);
        // By the headings, and from page to page, and back.
        let headings = hrefs(&all, "<a rel=\"nofollow\" href=\"");
        assert_eq!(headings, ["?sort=name&order=desc", "?sort=date&order=asc", "?sort=size&order=asc"]);
        assert_eq!(entries(&world.get(&format!("/d/{}", headings[0])).await.text()), ["e", "dir/", "c%3Ad", "b%26%22%3C", "a"]);
        let first = world.get("/d/?limit=2").await.text();
        assert_eq!((entries(&first), hrefs(&first, "rel=\"prev\" href=\"").len()), (vec!["a".to_owned(), "b%26%22%3C".to_owned()], 0));
        let second = world.get(&format!("/d/{}", hrefs(&first, "rel=\"next\" href=\"")[0])).await.text();
        assert_eq!(entries(&second), ["c%3Ad", "dir/"]);
        let back = world.get(&format!("/d/{}", hrefs(&second, "rel=\"prev\" href=\"")[0])).await.text();
        assert_eq!(entries(&back), entries(&first));
        // Programs get everything.
        assert_eq!(names(&world, "/d/?format=json&limit=2&sort=size").await.len(), 5);
    }

    async fn a_page_leads_up_and_runs_nothing_but_its_own(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("one/two", &[("<b>/c d/e", b"x")]).await;
        let page = world.get("/one/two/%3Cb%3E/c%20d/").await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
        let text = page.text();
        assert!(!text.contains("<b>"), "{text}");
        let nav = text.lines().find(|line| line.starts_with("<nav")).unwrap();
        let links: Vec<&str> = nav.split("href=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert_eq!(links, ["/pulp/content/", "/pulp/content/one/", "/pulp/content/one/two/", "/pulp/content/one/two/%3Cb%3E/"]);
        for link in links {
            assert_eq!(world.status(link.strip_prefix("/pulp/content").unwrap()).await, 200, "{link}");
        }
        assert_eq!(world.ask(Method::GET, "/one/?format=json", &[]).await.header("content-security-policy"), "");
    }

    async fn a_page_tells_how_to_use_its_repository(kit: Kit) {
        let world = World::new(kit.pulp());
        world.served("content/two", &[("dir/a", b"x")]).await;
        for path in ["/content/two/", "/content/two/dir/"] {
            let text = world.ask(Method::GET, path, &[("host", "pulp.example.org"), ("x-forwarded-proto", "https")]).await.text();
            assert!(text.contains("<code>curl -O https://pulp.example.org/pulp/content/content/two/PULP_MANIFEST</code>"), "{text}");
            let text = world.ask(Method::GET, path, &[("host", "\"><script>")]).await.text();
            assert!(text.contains("<code>pulp mirror /pulp/content/content/two/PULP_MANIFEST</code>"), "{text}");
        }
        assert!(!world.get("/content/").await.text().contains("<code>"));
    }
}
