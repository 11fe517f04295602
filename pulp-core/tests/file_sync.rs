//! Sync, publish and modify of file repositories, on both databases, against upstreams that misbehave as planned.

use std::collections::BTreeSet;

use pulp_core::db::{DbError, ExecutorExt, Sql};
use pulp_core::model::save::{ContentKind, Unit, save_units};
use pulp_core::model::{Policy, ProgressRow, RepositoryVersion};
use pulp_core::plugins::file::{Files, Repo};
use pulp_core::storage::ArtifactPath;
use pulp_core::{Error, Pulp};
use pulp_testkit::{Blob, Fault, Kit, ManifestFault, Tree, Upstream, bad_manifest, both_databases};

/// What a version has: paths, and whether each file is stored.
async fn content(pulp: &Pulp, version: &RepositoryVersion) -> Vec<(String, bool)> {
    let mut sql = Sql::new(
        "select file.relative_path, case when file.artifact_id is null then 0 else 1 end as stored from core_repositorycontent rc \
         join core_contentartifact file on file.content_id = rc.content_id",
    );
    pulp_core::version::Members::of(version).push_where(&mut sql);
    sql.push(" order by file.relative_path");
    let rows: Vec<(String, i32)> = pulp.db().all(sql).await.unwrap();
    rows.into_iter().map(|(path, stored)| (path, stored == 1)).collect()
}

async fn count(pulp: &Pulp, table: &str) -> i64 {
    pulp.db().scalar(format!("select count(*) from {table}")).await.unwrap()
}

async fn reports(pulp: &Pulp, outcome: &pulp_core::plugins::file::SyncOutcome) -> BTreeSet<(String, String, i64)> {
    let sql = Sql::new("select * from core_progressreport where task_id = $1").bind(outcome.task.pulp_id);
    let rows: Vec<ProgressRow> = pulp.db().all(sql).await.unwrap();
    rows.into_iter().map(|row| (row.code, row.state, row.done)).collect()
}

/// What was given up is removed by threads that nobody waits for.
async fn spool_empties(pulp: &Pulp) {
    while pulp.spool().used() > 0 {
        tokio::task::yield_now().await;
    }
}

async fn repository(pulp: &Pulp) -> Repo {
    Files::of(pulp).repository("isos").await.unwrap()
}

fn has(set: &BTreeSet<(String, String, i64)>, code: &str, done: i64) -> bool {
    set.contains(&(code.to_owned(), "completed".to_owned(), done))
}

both_databases! {
    async fn an_immediate_sync_stores_every_file_once(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await.generate(40, 2_000, 7).file("twin-a", "same").file("twin-b", "same").manifest();
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        let isos = repository(pulp).await;
        let first = isos.sync(&remote, false).await.unwrap();
        let version = first.version.clone().unwrap();
        assert_eq!(version.number, 1);
        let content = content(pulp, &version).await;
        assert_eq!(content.len(), 42);
        assert!(content.iter().all(|(_, stored)| *stored));
        assert_eq!(upstream.hits("twin-a") + upstream.hits("twin-b"), 1, "equal files are fetched once");
        let reports = reports(pulp, &first).await;
        assert!(has(&reports, "sync.downloading.metadata", 1) && has(&reports, "sync.parsing.metadata", 42), "{reports:?}");
        assert!(has(&reports, "sync.downloading.artifacts", 41) && has(&reports, "associating.content", 42), "{reports:?}");
        for (file, size) in pulp.db().all::<(String, i64)>("select file, size from core_artifact").await.unwrap() {
            let path: ArtifactPath = file.parse().unwrap();
            assert_eq!(pulp.storage().size(&path).await.unwrap(), size as u64);
        }
        spool_empties(pulp).await;
    }

    async fn a_sync_that_would_change_nothing_is_skipped(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await.generate(3, 100, 1).manifest();
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        let isos = repository(pulp).await;
        isos.sync(&remote, false).await.unwrap();
        upstream.forget();
        let again = isos.sync(&remote, false).await.unwrap();
        assert!(again.version.is_none());
        assert!(has(&reports(pulp, &again).await, "sync.was_skipped", 1));
        assert_eq!(upstream.requests().len(), 1, "only the manifest is looked at");
        // With other options nothing changes either, but it is looked at.
        let mirrored = isos.sync(&remote, true).await.unwrap();
        assert!(mirrored.version.is_none());
        assert!(has(&reports(pulp, &mirrored).await, "sync.parsing.metadata", 3));
        assert_eq!(isos.latest().await.unwrap().number, 1);
        // A change by hand undoes what the sync knew.
        isos.modify(|change| pulp_core::version::AddAndRemove { remove_all: true, ..change }).await.unwrap();
        assert!(isos.sync(&remote, true).await.unwrap().version.is_some());
    }

    async fn a_mirror_follows_the_upstream_and_an_additive_sync_keeps(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await.file("a", "1").file("b", "1").file("c", "1 too").manifest();
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::OnDemand).await.unwrap();
        let isos = repository(pulp).await;
        isos.sync(&remote, false).await.unwrap();
        upstream.remove("b");
        upstream.put("c", "2");
        upstream.put("d", "1");
        upstream.write_manifest();
        let paths = |content: Vec<(String, bool)>| content.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
        let added = isos.sync(&remote, false).await.unwrap().version.unwrap();
        assert_eq!(paths(content(pulp, &added).await), ["a", "b", "c", "d"]);
        let mirrored = isos.sync(&remote, true).await.unwrap();
        assert_eq!(paths(content(pulp, &mirrored.version.clone().unwrap()).await), ["a", "c", "d"]);
        assert!(has(&reports(pulp, &mirrored).await, "unassociating.content", 1));
        assert_eq!(upstream.hits("a") + upstream.hits("c") + upstream.hits("d"), 0, "on demand fetches nothing");
        assert_eq!(count(pulp, "core_artifact").await, 1, "the manifest that the mirror publishes");
        let sources: Vec<(String, Option<i64>)> = pulp.db().all("select url, size from core_remoteartifact order by url").await.unwrap();
        assert_eq!(sources.len(), 5);
        assert_eq!(sources[0], (upstream.url("a"), Some(1)));
    }

    async fn on_demand_becomes_immediate(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await.generate(5, 100, 3).manifest();
        let files = Files::of(pulp);
        let lazy = files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::OnDemand).await.unwrap();
        let isos = repository(pulp).await;
        let version = isos.sync(&lazy, false).await.unwrap().version.unwrap();
        assert!(content(pulp, &version).await.iter().all(|(_, stored)| !stored));
        let eager = files.remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        assert!(isos.sync(&eager, false).await.unwrap().version.is_none(), "the units are the same");
        assert!(content(pulp, &version).await.iter().all(|(_, stored)| *stored), "their files are here now");
        assert_eq!(count(pulp, "core_remoteartifact").await, 5);
    }

    async fn what_is_not_as_declared_any_more_is_put_right(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await.generate(4, 100, 3).file("same", "known").manifest();
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::OnDemand).await.unwrap();
        let isos = repository(pulp).await;
        let version = isos.sync(&remote, false).await.unwrap().version.unwrap();
        let paths: Vec<String> = content(pulp, &version).await.into_iter().map(|(path, _)| path).filter(|path| path != "same").collect();
        let change = async |what: &str, path: &str| {
            let of_path = "(select pulp_id from core_contentartifact where relative_path = $1)";
            let sql = what.replace("OF_PATH", of_path).replace("UNIT", &of_path.replace("pulp_id from", "content_id from"));
            assert_eq!(pulp.db().execute(Sql::new(sql).bind(path)).await.unwrap(), 1, "{what}");
        };
        change("update core_remoteartifact set failed_at = pulp_created where content_artifact_id in OF_PATH", &paths[0]).await;
        change("update core_remoteartifact set url = 'http://elsewhere.invalid/' where content_artifact_id in OF_PATH", &paths[1]).await;
        change("delete from core_remoteartifact where content_artifact_id in OF_PATH", &paths[2]).await;
        let long_ago = pulp.now() - chrono::TimeDelta::hours(2);
        let age = Sql::new("update core_content set timestamp_of_interest = $1").bind(long_ago);
        pulp.db().execute(age).await.unwrap();
        // The same bytes come by another way, in a unit of its own.
        let other = Upstream::start().await.file("other", "known").manifest();
        let eager = Files::of(pulp).remote("o", &other.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        let elsewhere = Files::of(pulp).repository("elsewhere").await.unwrap();
        elsewhere.sync(&eager, false).await.unwrap();

        let mirrored = isos.sync(&remote, true).await.unwrap();
        assert!(mirrored.version.is_none() && !has(&reports(pulp, &mirrored).await, "unassociating.content", 1), "all are there");
        let sources: Vec<(String,)> =
            pulp.db().all("select url from core_remoteartifact where failed_at is null and size = 100 order by url").await.unwrap();
        let mut urls: Vec<(String,)> = paths.iter().map(|path| (upstream.url(path),)).collect();
        urls.sort();
        assert_eq!(sources, urls);
        let stored: Vec<String> =
            content(pulp, &version).await.into_iter().filter(|(_, stored)| *stored).map(|(path, _)| path).collect();
        assert_eq!(stored, ["same"]);
        let idle = Sql::new("select count(*) from core_content where timestamp_of_interest <= $1").bind(long_ago);
        assert_eq!(pulp.db().scalar::<i64>(idle).await.unwrap(), 0, "what is in use counts as in use");
        assert_eq!(upstream.hits("same"), 0);
    }

    async fn a_unit_that_is_just_being_removed_is_not_taken_for_one_that_is_there(kit: Kit) {
        static KIND: ContentKind =
            ContentKind { pulp_type: "file.file", table: "file_filecontent", columns: &["relative_path", "digest"], key: &["relative_path", "digest"] };
        let pulp = kit.pulp();
        let (domain, now) = (pulp.default_domain().pulp_id, pulp.now());
        let units: Vec<Unit> = (0..40).map(|n| Unit::new(&KIND, vec![format!("{n}").into(), "0".repeat(64).into()])).collect();
        let units: Vec<&Unit> = units.iter().collect();
        let saved = save_units(pulp.db(), &KIND, &units, domain, now, now).await.unwrap();
        assert!(saved.len() == 40 && saved.values().all(|unit| unit.new));
        let again = save_units(pulp.db(), &KIND, &units, domain, now, now).await.unwrap();
        assert!(again.len() == 40 && again.iter().all(|(key, unit)| !unit.new && unit.id == saved[key].id));
        let gone = Sql::new("delete from core_content where pulp_id = $1").bind(saved[&units[7].key()].id);
        pulp.db().execute(gone).await.unwrap();
        let lost = save_units(pulp.db(), &KIND, &units, domain, now, now).await;
        assert!(matches!(lost, Err(DbError::Retry(_))), "{lost:?}");
    }

    async fn a_sync_that_fails_makes_no_version_and_the_next_fetches_only_what_is_missing(kit: Kit) {
        let pulp = kit.pulp();
        let mut upstream = Upstream::start().await;
        for index in 0..30 {
            upstream = upstream.file(&format!("{index:02}"), format!("file {index}"));
        }
        let upstream = upstream.manifest().fault("29", Fault::Status(404));
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        pulp.db().execute("update core_remote set download_concurrency = 1").await.unwrap();
        let remote = Files::of(pulp).remote("r", &remote.url, Policy::Immediate).await.unwrap();
        let isos = repository(pulp).await;
        let error = isos.sync(&remote, false).await.unwrap_err();
        assert!(matches!(&error, Error::Task { description } if description.contains("/29") && description.contains("not found")), "{error}");
        assert_eq!(isos.latest().await.unwrap().number, 0);
        assert_eq!(count(pulp, "core_repositoryversion").await, 1, "nothing incomplete is left");
        assert_eq!(count(pulp, "core_repositorycontent").await, 0);
        spool_empties(pulp).await;
        let stored = count(pulp, "core_artifact").await;
        upstream.heal("29");
        upstream.forget();
        let version = isos.sync(&remote, false).await.unwrap().version.unwrap();
        assert_eq!((version.number, content(pulp, &version).await.len()), (1, 30));
        assert_eq!(upstream.requests().len() as i64, 1 + 30 - stored);
    }

    async fn what_may_heal_is_tried_again(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start()
            .await
            .file("cut", Blob::seeded(1, 50_000))
            .file("busy", "b")
            .file("reset", Blob::seeded(2, 50_000))
            .file("moved", "m")
            .manifest()
            .fault("cut", Fault::CutAt(20_000).once())
            .fault("busy", Fault::Status(503).once())
            .fault("reset", Fault::ResetAt(20_000).once())
            .fault("moved", Fault::Redirect("/elsewhere".to_owned()).once())
            .fault("PULP_MANIFEST", Fault::Status(502).once());
        upstream.put("elsewhere", "m");
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::Immediate).await.unwrap();
        let version = repository(pulp).await.sync(&remote, false).await.unwrap().version.unwrap();
        assert_eq!(content(pulp, &version).await.len(), 4);
    }

    async fn every_bad_manifest_is_refused_by_name_and_leaves_nothing(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await;
        let isos = repository(pulp).await;
        let blob = Blob::from("content");
        for fault in ManifestFault::ALL {
            let name = format!("{fault:?}/PULP_MANIFEST");
            upstream.put(&name, bad_manifest(*fault, "1.iso", &blob));
            upstream.put(&format!("{fault:?}/1.iso"), blob.clone());
            // Of two files that want one path, one would be found out while it is fetched.
            let policy = if *fault == ManifestFault::DuplicatePath { Policy::OnDemand } else { Policy::Immediate };
            Files::of(pulp).remote("r", &upstream.url(&name), policy).await.unwrap();
            pulp.db().execute("update core_remote set max_retries = 0, pulp_last_updated = null").await.unwrap();
            let remote = Files::of(pulp).remote("r", &upstream.url(&name), policy).await.unwrap();
            let outcome = isos.sync(&remote, true).await;
            if *fault == ManifestFault::DuplicateLine {
                assert_eq!(content(pulp, &outcome.unwrap().version.unwrap()).await.len(), 1);
                isos.modify(|change| pulp_core::version::AddAndRemove { remove_all: true, ..change }).await.unwrap();
                continue;
            }
            let error = outcome.expect_err(&name).to_string();
            match fault {
                ManifestFault::WrongDigest => assert!(error.starts_with("[PLP0003]") && error.contains("1.iso"), "{error}"),
                ManifestFault::WrongSize => assert!(error.starts_with("[PLP0004]") && error.contains("1.iso"), "{error}"),
                ManifestFault::DuplicatePath => assert!(error.starts_with("[PLP0022]") && error.contains("1.iso"), "{error}"),
                _ => assert!(error.contains(&name) && error.contains("manifest"), "{fault:?}: {error}"),
            }
            assert!(!error.contains("/tmp"), "{error}");
            let complete: i64 = pulp.db().scalar("select count(*) from core_repositoryversion where not complete").await.unwrap();
            assert_eq!(complete, 0, "{fault:?}");
        }
        spool_empties(pulp).await;
    }

    async fn a_publication_lists_what_the_version_has(kit: Kit) {
        let pulp = kit.pulp();
        let upstream = Upstream::start().await.file("b,c.iso", "12").file("a/é.iso", "123").manifest();
        let remote = Files::of(pulp).remote("r", &upstream.url("PULP_MANIFEST"), Policy::OnDemand).await.unwrap();
        let isos = repository(pulp).await;
        isos.sync(&remote, false).await.unwrap();
        let publication = isos.publish().await.unwrap();
        assert!(publication.complete && publication.pass_through);
        let file: String = pulp
            .db()
            .scalar(
                "select artifact.file from core_publishedmetadata metadata \
                 join core_contentartifact file on file.content_id = metadata.content_ptr_id \
                 join core_artifact artifact on artifact.pulp_id = file.artifact_id where metadata.relative_path = 'PULP_MANIFEST'",
            )
            .await
            .unwrap();
        use futures::TryStreamExt;
        let bytes = pulp.storage().open(&file.parse().unwrap(), None).await.unwrap();
        let text: Vec<u8> = bytes.map_ok(|chunk| chunk.to_vec()).try_concat().await.unwrap();
        let mut lines: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_owned).collect();
        lines.sort();
        let line = |path: &str, content: &str| Blob::from(content).manifest_line(path).trim_end().to_owned();
        assert_eq!(lines, [line("a/é.iso", "123"), line("b,c.iso", "12")]);
        let distribution = isos.distribute("isos").await.unwrap();
        assert_eq!(distribution.repository_id, Some(isos.repository().pulp_id));
        assert_eq!(isos.distribute("isos").await.unwrap().pulp_id, distribution.pulp_id);
    }

    async fn a_tree_on_disk_is_synced_only_where_it_is_allowed(kit: Kit) {
        let tree = Tree::new().odd_names().manifest();
        let url = format!("{}PULP_MANIFEST", tree.url());
        let remote = Files::of(kit.pulp()).remote("r", &url, Policy::Immediate).await.unwrap();
        let error = repository(kit.pulp()).await.sync(&remote, false).await.unwrap_err().to_string();
        assert!(error.contains("ALLOWED_IMPORT_PATHS"), "{error}");
        let engine = kit.database().engine();
        let allowed = tree.path().to_owned();
        let mut settings = pulp_core::settings::Settings::default();
        settings.allowed_import_paths = vec![allowed];
        let Some(kit) = Kit::built(engine, |builder| builder.settings(settings)).await else { return };
        let remote = Files::of(kit.pulp()).remote("r", &url, Policy::Immediate).await.unwrap();
        let version = repository(kit.pulp()).await.sync(&remote, false).await.unwrap().version.unwrap();
        let paths: Vec<String> = content(kit.pulp(), &version).await.into_iter().map(|(path, _)| path).collect();
        assert_eq!(BTreeSet::from_iter(paths), BTreeSet::from_iter(tree.files()));
    }
}
