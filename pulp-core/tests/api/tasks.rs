//! Tasks over the API.

use http::Method;
use pulp_core::db::{ExecutorExt, Sql};
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};
use sqlx::types::Json as Column;

use super::world::{DISTRIBUTIONS, World, basic, nowhere, prn};

both_databases! {
    async fn tasks_are_found_by_what_they_are(world: World) {
        let repository = world.repository("a").await;
        let remote = world.remote("r").await;
        world.task(&world.patch(&repository, json!({"description": "x"})).await);
        world.task(&world.patch(&remote, json!({"url": "http://y/"})).await);
        let made = world.made(&world.post(DISTRIBUTIONS, json!({"name": "d", "base_path": "d"})).await).await;
        let count = async |query: &str| world.get(&format!("tasks/?{query}")).await.with(200)["count"].clone();
        let prn = world.get(&repository).await.json()["prn"].as_str().unwrap().to_owned();
        for (query, wanted) in [
            ("state=completed".to_owned(), 3),
            ("state__ne=completed".to_owned(), 0),
            ("state__in=completed,foo".to_owned(), 3),
            ("name=pulpcore.app.tasks.base.ageneral_update".to_owned(), 2),
            ("name__contains=general_create".to_owned(), 1),
            ("name__ne=pulpcore.app.tasks.base.ageneral_update".to_owned(), 1),
            (format!("reserved_resources={repository}"), 1),
            (format!("exclusive_resources={prn}"), 1),
            (format!("exclusive_resources__in={repository},{remote}"), 0),
            (format!("exclusive_resources__in={repository},{prn}"), 1),
            (format!("shared_resources={repository}"), 0),
            ("reserved_resources=x".to_owned(), 0),
            (format!("created_resources={}", made["pulp_href"].as_str().unwrap()), 1),
            (format!("created_resources={}", made["prn"].as_str().unwrap()), 1),
            ("worker=x".to_owned(), 0),
            ("started_at__isnull=false".to_owned(), 3),
            ("finished_at__gt=2020-01-01".to_owned(), 3),
        ] {
            assert_eq!(count(&query).await, wanted, "{query}");
        }
        for (query, wanted) in [
            ("state=foo", json!({"state": ["Select a valid choice. foo is not one of the available choices."]})),
            ("pulp_created__gt=foo", json!({"pulp_created__gt": ["Enter a valid date/time."]})),
            ("parent_task=x", json!(["URI couldn't be resolved: x"])),
            ("created_resources=x", json!(["URI not valid: x"])),
        ] {
            assert_eq!(world.get(&format!("tasks/?{query}")).await.with(400), wanted, "{query}");
        }
    }

    async fn who_dispatched_a_task_is_not_for_others_to_say(world: World) {
        let repository = world.repository("a").await;
        let href = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        let body = json!({"role": "core.task_user_dispatcher", "users": ["admin"]});
        for task in [href.clone(), nowhere("tasks/")] {
            for action in ["add_role", "remove_role"] {
                let refused = world.post(&format!("{task}{action}/"), body.clone()).await;
                assert_eq!(refused.with(400), json!(["core.task_user_dispatcher can not be added/removed from a task."]), "{task} {action}");
            }
        }
        world.post(&format!("{href}add_role/"), json!({"role": "core.task_viewer", "users": ["admin"]})).await.with(201);
    }

    async fn a_task_that_has_ended_is_not_canceled_but_deleted(world: World) {
        let repository = world.repository("a").await;
        let href = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        assert_eq!(world.patch(&href, json!({})).await.with(400), json!({"state": ["This field is required."]}));
        assert_eq!(world.patch(&href, json!({"state": "foo"})).await.with(400), json!({"state": ["The only acceptable value for 'state' is 'canceled'."]}));
        let refused = world.patch(&href, json!({"state": "canceled"})).await.with(409);
        assert_eq!((&refused["pulp_href"], &refused["state"]), (&json!(href), &json!("completed")));
        world.delete(&href).await.with(204);
        assert_eq!(world.get(&href).await.with(404), json!({"detail": "No Task matches the given query."}));
        world.patch(&nowhere("tasks/"), json!({"state": "canceled"})).await.with(404);
    }

    async fn a_waiting_task_is_canceled(world: World) {
        let repository = world.repository("a").await;
        // No worker runs here.
        let href = world.task(&world.delete(&repository).await);
        assert_eq!(world.get(&href).await.with(200)["state"], "waiting");
        assert_eq!(world.delete(&href).await.status, 409);
        let canceled = world.patch(&href, json!({"state": "canceled"})).await.with(200);
        assert_eq!(canceled["state"], "canceled");
        world.get(&repository).await.with(200);
    }

    async fn purging_checks_what_it_is_asked(world: World) {
        assert_eq!(world.post("tasks/purge/", json!({"states": ["completed", "foo"]})).await.with(400), json!({"states": ["\"foo\" is not a valid choice."]}));
        assert_eq!(world.post("tasks/purge/", json!({"states": ["waiting"]})).await.with(400), json!({"states": ["\"waiting\" is not a valid choice."]}));
        assert_eq!(world.post("tasks/purge/", json!({"finished_before": "x"})).await.with(400), json!({"finished_before": [
            "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."
        ]}));
        let repository = world.repository("a").await;
        let done = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        let purge = world.task(&world.post("tasks/purge/", json!({"finished_before": "2999-01-01"})).await);
        assert_eq!(world.ended(&purge).await["state"], "completed");
        world.get(&done).await.with(404);
    }

    async fn a_task_can_be_shown_in_short(world: World) {
        let repository = world.repository("a").await;
        let task = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        let fields = async |query: &str| -> Vec<String> {
            world.get(&format!("{task}?{query}")).await.with(200).as_object().unwrap().keys().cloned().collect()
        };
        let short = fields("minimal=true").await;
        assert_eq!(short.len(), 11);
        for left_out in ["error", "progress_reports", "parent_task", "result"] {
            assert!(!short.iter().any(|field| field == left_out), "{left_out}");
        }
        assert_eq!(fields("minimal=True&fields=name,error").await, ["name"]);
        assert!(fields("minimal=false").await.len() > 11);
        let list = world.get("tasks/?minimal=true").await.with(200);
        assert_eq!(list["results"][0].as_object().unwrap().len(), 11);
        // Others have no short form, and pass over it.
        assert_eq!(world.get("repositories/shelf/shelf/?minimal=true").await.with(200)["count"], 1);
    }

    async fn what_a_task_made_is_asked_for_while_it_is_there(world: World) {
        let made = world.made(&world.post(DISTRIBUTIONS, json!({"name": "d", "base_path": "d"})).await).await;
        let (href, prn) = (made["pulp_href"].as_str().unwrap(), made["prn"].as_str().unwrap());
        world.task(&world.delete(href).await);
        for name in [href, prn] {
            let refused = world.get(&format!("tasks/?created_resources={name}")).await.with(400);
            assert_eq!(refused, json!([format!("URI {name} not found for shelfdistribution.")]));
        }
    }

    async fn upkeep_passes_over_what_it_does_not_know(world: World) {
        for path in ["orphans/cleanup/", "tasks/purge/", "datarepair/7272/"] {
            assert_eq!(world.post(path, json!({"unknown": [1]})).await.status, 202, "{path}");
        }
        for (body, wanted) in [
            (json!({"content_hrefs": ["/a/b/"]}), json!({"content_hrefs": ["URI not valid: /a/b/"]})),
            (json!({"content_hrefs": []}), json!({"content_hrefs": ["Must not be []."]})),
        ] {
            assert_eq!(world.post("orphans/cleanup/", body).await.with(400), wanted);
        }
    }

    async fn a_request_names_its_tasks_and_what_they_record(world: World) {
        let authorization = basic("admin", "password");
        let given = "0b73ffec-88d9-497b-9294-35b94dfd7170";
        let headers = [
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
            ("correlation-id", given),
            ("x-task-diagnostics", "memory, logs"),
        ];
        let answer = world.send(Method::POST, "orphans/cleanup/", &headers, "{}").await;
        assert_eq!(answer.header("correlation-id"), Some(given));
        let task = world.get(&world.task(&answer)).await.with(200);
        assert_eq!(task["logging_cid"], given);
        let options: Column<Json> = world.pulp().db().scalar("select profile_options from core_task").await.unwrap();
        assert_eq!(options.0, json!(["memory", "logs"]));
    }

    async fn what_a_task_recorded_can_be_fetched(world: World) {
        let repository = world.repository("a").await;
        let task = world.task(&world.patch(&repository, json!({"description": "x"})).await);
        let urls = async || world.get(&format!("{task}profile_artifacts/")).await.with(200)["urls"].clone();
        assert_eq!(urls().await, json!({}));
        let artifact = prn(&world.form(Method::POST, "artifacts/", &[], Some(b"# Seconds"), None).await.with(201)).id;
        let id = prn(&world.get(&task).await.with(200)).id;
        let insert = "insert into core_profileartifact (pulp_id, pulp_created, name, artifact_id, task_id) values ($1, $2, 'memory_profile', $1, $3)";
        world.pulp().db().execute(Sql::new(insert).bind(artifact).bind(world.pulp().now()).bind(id)).await.unwrap();
        let urls = urls().await;
        let url = urls["memory_profile"].as_str().unwrap();
        assert!(url.starts_with("http://pulp.example/pulp/content/") && url.contains("validate_token="), "{url}");
        let served = world.pulp().content().handle(http::Request::get(url).body(()).unwrap()).await;
        assert_eq!(served.status(), 200);
        let unsigned = url.split('?').next().unwrap();
        let refused = world.pulp().content().handle(http::Request::get(unsigned).body(()).unwrap()).await;
        assert_eq!(refused.status(), 403);
        assert_eq!(world.get(&format!("{}profile_artifacts/", nowhere("tasks/"))).await.with(404), json!({"detail": "No Task matches the given query."}));
    }

    async fn schedules_are_shown(world: World) {
        assert_eq!(world.get("task-schedules/").await.with(200)["count"], 0);
        // Workers set those of Pulp’s own.
        let cleanup = world.task(&world.post("orphans/cleanup/", json!({})).await);
        world.ended(&cleanup).await;
        let list = world.get("task-schedules/?name__contains=stale").await.with(200);
        assert_eq!(list["count"], 1);
        let schedule = &list["results"][0];
        assert_eq!(schedule["name"], "Clean up stale content periodically");
        assert_eq!(schedule["task_name"], "pulpcore.app.tasks.orphan.orphan_cleanup");
        assert_eq!(schedule["dispatch_interval"], "1 00:00:00");
        let href = schedule["pulp_href"].as_str().unwrap();
        assert_eq!(world.get(href).await.with(200)["name"], schedule["name"]);
        assert_eq!(world.get("task-schedules/?task_name=x").await.with(200)["count"], 0);
        assert_eq!(world.get("task-schedules/?foo=x").await.with(400), json!({"errors": ["Invalid Filter: 'foo'"]}));
        assert_eq!(world.get(&nowhere("task-schedules/")).await.with(404), json!({"detail": "No TaskSchedule matches the given query."}));
        assert_eq!(world.delete(href).await.status, 409);
        assert_eq!(world.patch(href, json!({"enabled": false})).await.status, 409);
    }

    async fn reclaiming_checks_what_it_is_asked(world: World) {
        let gone = nowhere("repositories/shelf/shelf/");
        let (task, version) = (nowhere("tasks/"), format!("{gone}versions/1/"));
        for (body, wanted) in [
            (json!({}), json!({"repo_hrefs": ["This field is required."]})),
            (json!({"repo_hrefs": []}), json!({"repo_hrefs": ["Must not be []."]})),
            (json!({"repo_hrefs": "*"}), json!({"repo_hrefs": ["Expected a list of items but got type \"str\"."]})),
            (json!({"repo_hrefs": null}), json!({"repo_hrefs": ["This field may not be null."]})),
            (json!({"repo_hrefs": ["*", "a"]}), json!({"repo_hrefs": ["Can not specify other HREFs when using '*'"]})),
            (json!({"repo_hrefs": ["a"], "unknown": 1}), json!({"repo_hrefs": ["URI not valid: a"]})),
            (json!({"repo_hrefs": ["/pulp/api/v3/users/1/"]}), json!({"repo_hrefs": ["ID invalid: 1"]})),
            (json!({"repo_hrefs": [gone]}), json!({"repo_hrefs": [format!("URI {gone} not found for repository.")]})),
            (json!({"repo_hrefs": [task]}), json!({"repo_hrefs": [format!("URI {task} not found for repository.")]})),
            (json!({"repo_hrefs": ["a"], "repo_versions_keeplist": ["/x/"]}), json!({
                "repo_hrefs": ["URI not valid: a"], "repo_versions_keeplist": ["Invalid hyperlink - No URL match."]
            })),
            (json!({"repo_hrefs": ["*"], "repo_versions_keeplist": [version]}), json!({
                "repo_versions_keeplist": ["Invalid hyperlink - Object does not exist."]
            })),
        ] {
            assert_eq!(world.post("repositories/reclaim_space/", body.clone()).await.with(400), wanted, "{body}");
        }
        let (a, b) = (world.repository("a").await, world.repository("b").await);
        let prns = [world.get(&a).await.json()["prn"].clone(), world.get(&b).await.json()["prn"].clone()];
        let needs = async |body| {
            let task = world.task(&world.post("repositories/reclaim_space/", body).await);
            let record = world.ended(&task).await["reserved_resources_record"].clone();
            let last = record.as_array().unwrap().last().unwrap().as_str().unwrap();
            assert!(last.starts_with("shared:prn:core.domain:"), "{record}");
            prns.each_ref().map(|prn| record.as_array().unwrap().contains(&json!(format!("shared:{}", prn.as_str().unwrap()))))
        };
        assert_eq!(needs(json!({"repo_hrefs": ["*"]})).await, [true, true]);
        assert_eq!(needs(json!({"repo_hrefs": [prns[1]]})).await, [false, true]);
        // Those whose versions are kept must stay as they are, too.
        assert_eq!(needs(json!({"repo_hrefs": [a], "repo_versions_keeplist": [format!("{b}versions/0/")]})).await, [true, true]);
    }

    async fn wrong_counts_of_versions_are_told_and_mended(world: World) {
        let repository = world.repository("a").await;
        let books = world.books(&["one", "two", "three"]).await;
        world.version(&repository, &books[..2], &[]).await;
        let version = world.version(&repository, &books[2..], &books[..1]).await;
        let summary = async || world.get(&version).await.with(200)["content_summary"].clone();
        let right = summary().await;
        let check = async |body| {
            let task = world.task(&world.post("datarepair/7272/", body).await);
            let reports = world.ended(&task).await["progress_reports"].clone();
            reports.as_array().unwrap().iter().map(|report| (report["total"].as_i64().unwrap(), report["done"].as_i64().unwrap())).collect::<Vec<_>>()
        };
        assert_eq!(check(json!({})).await, [(1, 1), (3, 3), (0, 0)]);
        world.pulp().db().execute("update core_repositoryversioncontentdetails set count = count + 7 where count_type = 'P' and count = 2").await.unwrap();
        let wrong = summary().await;
        assert_ne!(wrong, right);
        assert_eq!(check(json!({"dry_run": true})).await, [(1, 1), (3, 3), (2, 0)]);
        assert_eq!(summary().await, wrong);
        assert_eq!(check(json!({})).await, [(1, 1), (3, 3), (2, 2)]);
        assert_eq!(summary().await, right);
        assert_eq!(check(json!({})).await, [(1, 1), (3, 3), (0, 0)]);
        assert_eq!(world.post("datarepair/7272/", json!({"dry_run": "maybe"})).await.with(400), json!({"dry_run": ["Must be a valid boolean."]}));
    }
}
