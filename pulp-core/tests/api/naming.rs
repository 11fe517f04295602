//! Filters that name other objects, and what they say of those that they cannot follow; labels.

use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{REMOTES, REPOSITORIES, World, names, nowhere, prn};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

impl World {
    /// The answer of a list to a filter: names, or the refusal.
    async fn filtered(&self, list: &str, filter: &str, value: &str) -> Result<Vec<String>, Json> {
        let answer = self.get(&format!("{list}?{filter}={}", encoded(value))).await;
        match answer.status {
            200 => Ok(names(&answer.json()).into_iter().map(str::to_owned).collect()),
            _ => Err(answer.with(400)),
        }
    }
}

fn refused(message: impl std::fmt::Display) -> Result<Vec<String>, Json> {
    Err(json!([message.to_string()]))
}

fn found(names: &[&str]) -> Result<Vec<String>, Json> {
    Ok(names.iter().map(|name| (*name).to_owned()).collect())
}

both_databases! {
    async fn what_a_column_points_to_may_be_gone_or_a_whole_list(world: World) {
        let (one, other) = (world.remote("one").await, world.remote("other").await);
        world.repository("without").await;
        let with = world.repository("with").await;
        world.patch(&with, json!({"remote": one})).await;
        let remote_prn = prn(&world.get(&one).await.json()).to_string();
        for (value, wanted) in [
            (one.as_str(), found(&["with"])),
            (&remote_prn, found(&["with"])),
            (&format!("http://pulp.example{one}"), found(&["with"])),
            (&other, found(&[])),
            (&nowhere(REMOTES), found(&[])),
            ("null", found(&["without"])),
            ("", found(&["with", "without"])),
            // Every remote of a type, and every one.
            (&format!("/pulp/api/v3/{REMOTES}"), found(&["with"])),
            ("/pulp/api/v3/remotes/", found(&["with"])),
            ("foo", refused("URI couldn't be resolved: foo")),
            ("prn:foo", refused("PRN must be of the form 'prn:app_label.model_label:pk': prn:foo")),
            ("prn:x.y:00000000-0000-7000-8000-000000000000", refused("Model x.y does not exist")),
            (&with, refused(format!("URI/PRN is not a valid href for remote model: {with}"))),
            (&format!("{with}versions/0/"), refused(format!("URI/PRN is not a valid href for remote model: {with}versions/0/"))),
        ] {
            let mut answer = world.filtered(REPOSITORIES, "remote", value).await;
            if let Ok(names) = &mut answer {
                names.sort();
            }
            assert_eq!(answer, wanted, "{value}");
        }
    }

    async fn a_repository_stands_for_its_latest_version(world: World) {
        let repository = world.repository("r").await;
        let books = world.books(&["a", "b"]).await;
        let first = world.version(&repository, &books[..1], &[]).await;
        world.version(&repository, &books[1..], &books[..1]).await;
        let remote = world.remote("remote").await;
        let of = prn(&world.get(&repository).await.json()).to_string();
        let count = async |filter: &str, value: &str| {
            let answer = world.get(&format!("content/shelf/books/?{filter}={}", encoded(value))).await;
            if answer.status == 200 { Ok(answer.json()["count"].as_i64().unwrap()) } else { Err(answer.with(400)[0].as_str().unwrap().to_owned()) }
        };
        for value in [repository.as_str(), &of] {
            assert_eq!(count("repository_version", value).await, Ok(1));
            assert_eq!(count("repository_version_removed", value).await, Ok(1));
        }
        assert_eq!(count("repository_version_added", &first).await, Ok(1));
        let gone = nowhere(REPOSITORIES);
        for (value, wanted) in [
            ("", "No value supplied for repository version filter".to_owned()),
            ("foo", "URI not valid: foo".to_owned()),
            (&gone, format!("URI {gone} not found for shelfrepository.")),
            (&format!("{repository}versions/9/"), format!("URI {repository}versions/9/ not found for repositoryversion.")),
            (&remote, format!("URI {remote} not found for repositoryversion.")),
            (&format!("/pulp/api/v3/{REPOSITORIES}"), format!("URI /pulp/api/v3/{REPOSITORIES} matches more than one shelfrepository.")),
        ] {
            assert_eq!(count("repository_version", value).await, Err(wanted), "{value}");
        }
    }

    async fn units_are_named_one_by_one_or_together(world: World) {
        let repository = world.repository("r").await;
        let books = world.books(&["a", "b"]).await;
        world.version(&repository, &books, &[]).await;
        let unit = format!("/pulp/api/v3/content/shelf/books/{}/", books[0]);
        let gone = nowhere("content/shelf/books/");
        assert_eq!(world.filtered(REPOSITORIES, "with_content", &unit).await, found(&["r"]));
        assert_eq!(world.filtered(REPOSITORIES, "with_content", &gone).await, refused(format!("URI {gone} not found for content.")));
        assert_eq!(world.filtered(REPOSITORIES, "with_content", "").await, refused("No value supplied for content filter"));
        assert_eq!(
            world.filtered(REPOSITORIES, "with_content", &repository).await,
            refused(format!("URI {repository} not found for content."))
        );
        let version = format!("{repository}versions/0/");
        assert_eq!(
            world.filtered(REPOSITORIES, "with_content", &version).await,
            refused(format!("URI {version} is not a valid content."))
        );
        let versions = format!("{repository}versions/");
        assert_eq!(world.get(&format!("{versions}?content={}", encoded(&unit))).await.with(200)["count"], 1);
        for (filter, value, wanted) in [
            ("content", gone.clone(), format!("Could not find the following content units: ['{gone}']")),
            ("content__in", format!("{unit},{gone},{repository}"), format!("Could not find the following content units: ['{gone}', '{repository}']")),
            ("content", "foo".to_owned(), "URI not valid: foo".to_owned()),
            ("content", "prn:foo".to_owned(), "PRN not valid: ['prn', 'foo']".to_owned()),
        ] {
            assert_eq!(world.filtered(&versions, filter, &value).await, refused(wanted), "{value}");
        }
    }

    async fn labels_are_selected_by_terms(world: World) {
        for (name, labels) in [
            ("both", json!({"a": "b", "c": "d"})),
            ("comma", json!({"a": "b,c", "a-b": "c"})),
            ("null", json!({"a": null})),
            ("padded", json!({"a": "  b "})),
            ("none", json!({})),
        ] {
            world.post(REPOSITORIES, json!({"name": name, "pulp_labels": labels})).await.with(201);
        }
        for (terms, wanted) in [
            ("a", found(&["both", "comma", "null", "padded"])),
            ("!a", found(&["none"])),
            ("a=b", found(&["both", "padded"])),
            ("a!=b", found(&["comma", "null"])),
            ("a~B", found(&["both", "comma", "padded"])),
            ("a=b,c=d", found(&["both"])),
            ("a=b,!c", found(&["padded"])),
            ("a=b\\,c", found(&["comma"])),
            ("a=b\\,c,a-b=c", found(&["comma"])),
            ("a= b", found(&[])),
            ("a/b", found(&["both", "comma", "null", "padded"])),
            ("", refused("Invalid search term: ''.")),
            ("a,", refused("Invalid search term: ''.")),
            ("!a=b", refused("Cannot use an operator with '!a'.")),
        ] {
            let mut answer = world.filtered(REPOSITORIES, "pulp_label_select", terms).await;
            if let Ok(names) = &mut answer {
                names.sort();
            }
            assert_eq!(answer, wanted, "{terms}");
        }
        let packed = world.filtered("repositories/", "q", "pulp_type=\"é.y\"").await.unwrap_err();
        let inner = "{\"pulp_type\": [{\"message\": \"Select a valid choice. \\u00e9.y is not one of the available choices.\", \"code\": \"invalid_choice\"}]}";
        assert_eq!(packed, json!({"q": [inner]}));
    }
}
