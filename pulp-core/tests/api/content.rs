//! Content units: which versions have them, and lists that ask so.

use pulp_core::db::{ExecutorExt, Sql};
use pulp_core::ids::new_id;
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{DISTRIBUTIONS, REPOSITORIES, World, nowhere, prn};

const BOOKS: &str = "content/shelf/books/";

fn titles(list: &Json) -> Vec<&str> {
    list["results"].as_array().unwrap().iter().map(|book| book["title"].as_str().unwrap()).collect()
}

both_databases! {
    async fn units_are_listed_by_version(world: World) {
        let books = world.books(&["a", "b", "c", "d", "e"]).await;
        let repository = world.repository("r").await;
        let other = world.repository("other").await;
        let first = world.version(&repository, &books[..3], &[]).await;
        let second = world.version(&repository, &books[3..4], &books[..1]).await;
        // One that goes and comes again is in the last once.
        let third = world.version(&repository, &books[..1], &books[1..2]).await;
        let elsewhere = world.version(&other, &books, &[]).await;
        for (query, wanted) in [
            (format!("repository_version={first}"), vec!["c", "b", "a"]),
            (format!("repository_version={second}"), vec!["d", "c", "b"]),
            (format!("repository_version={third}"), vec!["d", "c", "a"]),
            (format!("repository_version={repository}versions/0/"), vec![]),
            (format!("repository_version={elsewhere}"), vec!["e", "d", "c", "b", "a"]),
            (format!("repository_version_added={second}"), vec!["d"]),
            (format!("repository_version_added={third}"), vec!["a"]),
            (format!("repository_version_removed={second}"), vec!["a"]),
            (format!("repository_version_removed={first}"), vec![]),
            (format!("added_between={first},{third}"), vec!["d"]),
            (format!("removed_between={first},{third}"), vec!["b"]),
            (format!("repository_version={second}&title__in=b,d,e"), vec!["d", "b"]),
            (format!("repository_version={second}&ordering=title"), vec!["b", "c", "d"]),
            (format!("repository_version={second}&repository_version_removed={third}"), vec!["b"]),
            (format!("q={}", url::form_urlencoded::byte_serialize(format!("repository_version=\"{first}\" AND NOT repository_version=\"{third}\"").as_bytes()).collect::<String>()), vec!["b"]),
        ] {
            let list = world.get(&format!("{BOOKS}?{query}")).await.with(200);
            assert_eq!(titles(&list), wanted, "{query}");
            assert_eq!(list["count"], wanted.len(), "{query}");
            // The count does not depend on the page.
            if wanted.len() > 1 {
                let page = world.get(&format!("{BOOKS}?{query}&limit=1")).await.with(200);
                assert_eq!((&page["count"], titles(&page)), (&json!(wanted.len()), vec![wanted[0]]), "{query}");
                let page = world.get(&format!("{BOOKS}?{query}&limit=1&offset=1")).await.with(200);
                assert_eq!((&page["count"], titles(&page)), (&json!(wanted.len()), vec![wanted[1]]), "{query}");
            }
        }
        let all = world.get(&format!("content/?repository_version={second}&limit=2")).await.with(200);
        assert_eq!((&all["count"], all["results"].as_array().unwrap().len()), (&json!(3), 2));
        assert_eq!(all["results"][0]["artifacts"], json!({}));
        let version = world.get(&second).await.with(200);
        assert_eq!(version["content_summary"], json!({
            "added": {"shelf.book": {"count": 1, "href": format!("/pulp/api/v3/{BOOKS}?repository_version_added={second}")}},
            "removed": {"shelf.book": {"count": 1, "href": format!("/pulp/api/v3/{BOOKS}?repository_version_removed={second}")}},
            "present": {"shelf.book": {"count": 3, "href": format!("/pulp/api/v3/{BOOKS}?repository_version={second}")}},
        }));
    }

    async fn lists_of_content_are_read_by_key(world: World) {
        let books = world.books(&["a", "b", "c", "d", "e"]).await;
        let repository = world.repository("r").await;
        let version = world.version(&repository, &books[..4], &[]).await;
        for (list, wanted) in [
            (format!("{BOOKS}?after=&limit=2&repository_version={version}"), vec!["d", "c", "b", "a"]),
            (format!("{BOOKS}?after=&limit=2&title__in=e,c,b,a"), vec!["e", "c", "b", "a"]),
            (format!("{BOOKS}?after=&limit=2"), vec!["e", "d", "c", "b", "a"]),
            (format!("{BOOKS}?after="), vec!["e", "d", "c", "b", "a"]),
        ] {
            let (mut read, mut next) = (Vec::new(), Some(format!("/pulp/api/v3/{list}")));
            while let Some(path) = next {
                let page = world.get(&path).await.with(200);
                assert_eq!((&page["count"], &page["previous"]), (&json!(wanted.len()), &json!(null)), "{path}");
                read.extend(titles(&page).into_iter().map(str::to_owned));
                next = page["next"].as_str().map(|url| url.strip_prefix("http://pulp.example").unwrap().to_owned());
            }
            assert_eq!(read, wanted, "{list}");
        }
        // From behind any unit, however it is named, and be it gone.
        let page = world.get(&format!("{BOOKS}?limit=2&after=/pulp/api/v3/{BOOKS}{}/", books[3])).await.with(200);
        assert_eq!((titles(&page), &page["count"]), (vec!["c", "b"], &json!(5)));
        assert!(page["next"].as_str().unwrap().ends_with(&format!("?after={}&count=5&limit=2", books[1])), "{page}");
        let page = world.get(&format!("{BOOKS}?after=prn:shelf.book:{}", books[1])).await.with(200);
        assert_eq!(titles(&page), ["a"]);
        let page = world.get(&format!("content/?limit=1&after={}", books[2])).await.with(200);
        assert_eq!((page["results"].as_array().unwrap().len(), &page["count"]), (1, &json!(5)));
        let page = world.get(&format!("{BOOKS}?after={}", uuid::Uuid::max())).await.with(200);
        assert_eq!(titles(&page).len(), 5);
        for odd in ["after=x", "after=/pulp/api/v3/nothing/", "after=&ordering=title", "after=&offset=1"] {
            assert!(world.get(&format!("{BOOKS}?{odd}")).await.with(400)["after"].is_array(), "{odd}");
        }
        // Other lists have no such pages.
        world.get(&format!("{REPOSITORIES}?after=")).await.with(400);
        world.get(&format!("{BOOKS}?count=5")).await.with(400);
    }

    async fn what_has_a_unit_is_found(world: World) {
        let books = world.books(&["a", "b"]).await;
        let repository = world.repository("r").await;
        world.repository("empty").await;
        let first = world.version(&repository, &books[..1], &[]).await;
        let second = world.version(&repository, &books[1..], &books[..1]).await;
        world.made(&world.post(DISTRIBUTIONS, json!({"name": "latest", "base_path": "latest", "repository": repository})).await).await;
        world.made(&world.post(DISTRIBUTIONS, json!({"name": "first", "base_path": "first", "repository_version": first})).await).await;
        let href = |at: usize| format!("/pulp/api/v3/{BOOKS}{}/", books[at]);
        let count = async |path: String| world.get(&path).await.with(200)["count"].clone();
        assert_eq!(count(format!("{REPOSITORIES}?with_content={}", href(0))).await, 1);
        assert_eq!(count(format!("{REPOSITORIES}?latest_with_content={}", href(0))).await, 0);
        assert_eq!(count(format!("{REPOSITORIES}?latest_with_content={}", href(1))).await, 1);
        let versions = world.get(&format!("repository_versions/?content={}", href(0))).await.with(200);
        assert_eq!((&versions["count"], &versions["results"][0]["pulp_href"]), (&json!(1), &json!(first)));
        assert_eq!(count(format!("repository_versions/?content__in={},{}", href(0), href(1))).await, 2);
        assert_eq!(count(format!("{repository}versions/?number__gt=0")).await, 2);
        // Of a type that is published, nothing is served before.
        assert_eq!(count(format!("{DISTRIBUTIONS}?with_content={}", href(1))).await, 0);
        let published = "insert into core_publication (pulp_id, pulp_created, pulp_type, complete, repository_version_id, pulp_domain_id) \
                         values ($1, $2, 'shelf.shelf', $3, $4, $5)";
        let (pulp, version) = (world.pulp(), prn(&world.get(&second).await.json()).id);
        let published = Sql::new(published).bind(new_id()).bind(pulp.now()).bind(true).bind(version).bind(pulp.default_domain().pulp_id);
        pulp.db().execute(published).await.unwrap();
        let served = world.get(&format!("{DISTRIBUTIONS}?with_content={}", href(1))).await.with(200);
        assert_eq!((&served["count"], &served["results"][0]["name"]), (&json!(1), &json!("latest")));
        assert_eq!(count(format!("{BOOKS}?orphaned_for=0")).await, 0);
    }

    async fn versions_that_are_not_there_are_refused(world: World) {
        let gone = format!("{}versions/0/", nowhere(REPOSITORIES));
        for (query, wanted) in [
            ("repository_version=x".to_owned(), json!(["URI not valid: x"])),
            (format!("repository_version={gone}"), json!([format!("URI {gone} not found for repositoryversion.")])),
            ("added_between=x".to_owned(), json!({"added_between": ["Range query expects two values."]})),
            ("added_between=x,y".to_owned(), json!(["URI not valid: x"])),
        ] {
            assert_eq!(world.get(&format!("{BOOKS}?{query}")).await.with(400), wanted, "{query}");
        }
    }
}
