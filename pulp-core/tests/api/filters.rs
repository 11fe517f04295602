//! Filters of lists.

use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{REMOTES, REPOSITORIES, World, names, nowhere};

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn found(world: &World, query: &str) -> Vec<String> {
    let list = world.get(&format!("{REPOSITORIES}?ordering=name&{query}")).await;
    let list = list.with(200);
    assert_eq!(list["count"], list["results"].as_array().unwrap().len(), "{query}");
    names(&list).into_iter().map(str::to_owned).collect()
}

async fn expression(world: &World, text: &str) -> Vec<String> {
    found(world, &format!("q={}", encoded(text))).await
}

both_databases! {
    async fn names_are_compared_in_every_way(world: World) {
        for name in ["Alpha", "alpha", "beta", "be_a", "be%a", "ßé"] {
            world.repository(name).await;
        }
        for (query, wanted) in [
            ("name=alpha", vec!["alpha"]),
            ("name__iexact=ALPHA", vec!["Alpha", "alpha"]),
            ("name__in=alpha,beta,zz", vec!["alpha", "beta"]),
            ("name__contains=lph", vec!["Alpha", "alpha"]),
            ("name__contains=Alp", vec!["Alpha"]),
            ("name__icontains=ALP", vec!["Alpha", "alpha"]),
            // What is special to `like` is taken as it is.
            ("name__icontains=e_a", vec!["be_a"]),
            ("name__icontains=e%25a", vec!["be%a"]),
            ("name__startswith=al", vec!["alpha"]),
            ("name__istartswith=al", vec!["Alpha", "alpha"]),
            ("name__regex=^[Aa]l.*a$", vec!["Alpha", "alpha"]),
            ("name__regex=^al", vec!["alpha"]),
            ("name__iregex=^AL", vec!["Alpha", "alpha"]),
            ("name=%C3%9F%C3%A9", vec!["ßé"]),
            ("name=", vec!["Alpha", "alpha", "be%a", "be_a", "beta", "ßé"]),
            ("name=a&name=beta", vec!["beta"]),
            ("name='%20or%201=1", vec![]),
        ] {
            let mut found = found(&world, query).await;
            // PostgreSQL sorts by its locale.
            found.sort();
            let mut wanted: Vec<&str> = wanted;
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{query}");
        }
    }

    async fn numbers_moments_and_relations_are_compared(world: World) {
        let remote = world.remote("r").await;
        let other = world.remote("other").await;
        for (name, keep, of) in [("a", json!(1), json!(remote)), ("b", json!(2), json!(null)), ("c", json!(null), json!(null))] {
            world.post(REPOSITORIES, json!({"name": name, "retain_repo_versions": keep, "remote": of})).await.with(201);
        }
        let first = world.get(&format!("{REPOSITORIES}?name=a")).await.json()["results"][0].clone();
        let (href, prn) = (first["pulp_href"].as_str().unwrap(), first["prn"].as_str().unwrap());
        let id = prn.rsplit(':').next().unwrap();
        for (query, wanted) in [
            ("retain_repo_versions=1".to_owned(), vec!["a"]),
            ("retain_repo_versions__ne=1".to_owned(), vec!["b", "c"]),
            ("retain_repo_versions__gt=1".to_owned(), vec!["b"]),
            ("retain_repo_versions__gte=1&retain_repo_versions__lt=2".to_owned(), vec!["a"]),
            ("retain_repo_versions__range=1,2".to_owned(), vec!["a", "b"]),
            ("retain_repo_versions__isnull=true".to_owned(), vec!["c"]),
            ("retain_repo_versions__isnull=false".to_owned(), vec!["a", "b"]),
            ("retain_repo_versions__isnull=x".to_owned(), vec!["a", "b", "c"]),
            (format!("remote={remote}"), vec!["a"]),
            (format!("remote={other}"), vec![]),
            ("remote=null".to_owned(), vec!["b", "c"]),
            (format!("pulp_href__in={href}"), vec!["a"]),
            (format!("pulp_href__in={}", nowhere(REMOTES)), vec![]),
            (format!("prn__in={prn},prn:shelf.shelfremote:{id}"), vec!["a"]),
            (format!("pulp_id__in={id}"), vec!["a"]),
        ] {
            assert_eq!(found(&world, &query).await, wanted, "{query}");
        }
        let remotes = world.get(&format!("{REMOTES}?pulp_last_updated__gt=2020-01-01&pulp_last_updated__range=2020-01-01,2999-01-01%2000:00")).await.with(200);
        assert_eq!(remotes["count"], 2);
        assert_eq!(world.get(&format!("{REMOTES}?pulp_last_updated__lt=2020-01-01T00:00:00Z")).await.with(200)["count"], 0);
    }

    async fn filters_that_make_no_sense_are_refused(world: World) {
        let gone = nowhere("content/shelf/books/");
        for (query, wanted) in [
            ("foo=1", json!({"errors": ["Invalid Filter: 'foo'"]})),
            ("name__foo=1", json!({"errors": ["Invalid Filter: 'name__foo'"]})),
            ("retain_repo_versions=x", json!({"retain_repo_versions": ["Enter a number."]})),
            ("retain_repo_versions__range=1", json!({"retain_repo_versions__range": ["Range query expects two values."]})),
            ("remote=x", json!(["URI couldn't be resolved: x"])),
            ("with_content=x", json!(["URI not valid: x"])),
            ("name__regex=%00", json!({"name__regex": ["Null characters are not allowed."]})),
            ("name__in=a,%00", json!({"name__in": ["Null characters are not allowed."]})),
            ("pulp_label_select=%00", json!(["Invalid search term: '\u{0}'."])),
            (&format!("latest_with_content={gone}"), json!([format!("URI {gone} not found for content.")])),
            ("pulp_href__in=x", json!(["URI not valid: x"])),
            ("pulp_id__in=x", json!({"pulp_id__in": ["Enter a valid UUID."]})),
            ("prn__in=x", json!(["Not a valid PRN: x, must start with 'prn:'"])),
            ("name__regex=(", json!({"name__regex": ["Enter a valid regular expression."]})),
            ("name=%00", json!({"name": ["Null characters are not allowed."]})),
        ] {
            assert_eq!(world.get(&format!("{REPOSITORIES}?{query}")).await.with(400), wanted, "{query}");
        }
        let refused = world.get(&format!("{REMOTES}?pulp_last_updated__gt=foo")).await.with(400);
        assert_eq!(refused, json!({"pulp_last_updated__gt": ["Enter a valid date/time."]}));
    }

    async fn labels_are_selected(world: World) {
        world.post(REPOSITORIES, json!({"name": "lab", "pulp_labels": {"k": "Val", "n": null}})).await.with(201);
        world.repository("plain").await;
        for (select, wanted) in [
            ("k", vec!["lab"]), ("k=Val", vec!["lab"]), ("k=val", vec![]), ("k!=Val", vec![]), ("k!=x", vec!["lab"]), ("k~va", vec!["lab"]),
            ("k~Va", vec!["lab"]), ("!k", vec!["plain"]), ("!zz", vec!["lab", "plain"]), ("n", vec!["lab"]), ("n=", vec![]), ("n!=x", vec!["lab"]),
            ("n~x", vec![]), ("!n", vec!["plain"]), ("k=Val,n", vec!["lab"]), ("zz", vec![]), ("zz!=a", vec![]), ("k=", vec![]), ("k~", vec!["lab"]),
            ("k!=", vec!["lab"]), ("k=a=b", vec![]),
        ] {
            assert_eq!(found(&world, &format!("pulp_label_select={}", encoded(select))).await, wanted, "{select}");
        }
        for bad in ["=", ",", "k,", "!"] {
            let refused: Json = world.get(&format!("{REPOSITORIES}?pulp_label_select={}", encoded(bad))).await.with(400);
            assert!(refused[0].as_str().unwrap().starts_with("Invalid search term: '"), "{bad}: {refused}");
        }
    }

    async fn expressions_join_filters(world: World) {
        for (name, label) in [("ab", "x"), ("bc", "y"), ("cd", "x")] {
            world.post(REPOSITORIES, json!({"name": name, "pulp_labels": {"l": label}})).await.with(201);
        }
        for (text, wanted) in [
            ("name=ab", vec!["ab"]),
            ("name=ab OR name=cd", vec!["ab", "cd"]),
            ("NOT name=ab", vec!["bc", "cd"]),
            ("name__contains=c AND NOT name__contains=d", vec!["bc"]),
            ("NOT (name=ab OR name=bc)", vec!["cd"]),
            ("name__in=\"ab,bc\" AND pulp_label_select=\"l=x\"", vec!["ab"]),
            ("NOT retain_repo_versions=1", vec!["ab", "bc", "cd"]),
            ("name=\"\"", vec!["ab", "bc", "cd"]),
            ("", vec!["ab", "bc", "cd"]),
        ] {
            assert_eq!(expression(&world, text).await, wanted, "{text}");
        }
        // Together with plain filters.
        assert_eq!(found(&world, &format!("name__contains=b&q={}", encoded("NOT name=ab"))).await, ["bc"]);
        for (text, wanted) in [
            ("name=", "Syntax error in expression."),
            ("foo=1", "Filter 'foo' does not exist."),
            ("limit=1", "Filter 'limit' does not exist."),
            ("q=\"name=a\"", "You cannot use 'q' in complex filtering."),
            ("ordering=name", "An ordering filter cannot be used in complex filtering."),
            ("retain_repo_versions=x", "{\"retain_repo_versions\": [{\"message\": \"Enter a number.\", \"code\": \"invalid\"}]}"),
            (&["name=a"; 8].join(" OR "), "Filter expression exceeds allowed complexity."),
        ] {
            let refused = world.get(&format!("{REPOSITORIES}?q={}", encoded(text))).await.with(400);
            assert_eq!(refused, json!({"q": [wanted]}), "{text}");
        }
    }
}
