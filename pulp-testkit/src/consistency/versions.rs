//! Repositories, their versions, what these say of themselves; publications.

use std::collections::BTreeMap;

use pulp_core::db::{ExecutorExt, Sql};
use uuid::Uuid;

use super::{Checker, Findings};

/// The stays of units with the numbers of the versions where they begin and end.
const STAYS: &str = "core_repositorycontent stay join core_repositoryversion came on came.pulp_id = stay.version_added_id \
     left join core_repositoryversion went on went.pulp_id = stay.version_removed_id";

/// What is broken, a name, and a statement that gives the keys of those that break it.
fn rules() -> Vec<(&'static str, &'static str, String)> {
    vec![
        (
            "a repository has no version",
            "core_repository",
            "select pulp_id from core_repository where not exists (select 1 from core_repositoryversion version \
             where version.repository_id = core_repository.pulp_id and version.complete)"
                .to_owned(),
        ),
        (
            "the next version has a number that is taken",
            "core_repository",
            "select pulp_id from core_repository where next_version <= (select max(number) from core_repositoryversion version \
             where version.repository_id = core_repository.pulp_id and version.complete)"
                .to_owned(),
        ),
        (
            "a draft is older than a version",
            "core_repositoryversion",
            "select draft.pulp_id from core_repositoryversion draft where not draft.complete and exists (select 1 \
             from core_repositoryversion later where later.repository_id = draft.repository_id and later.pulp_id <> draft.pulp_id \
             and later.number > draft.number)"
                .to_owned(),
        ),
        (
            "a stay ends before it begins",
            "core_repositorycontent",
            format!("select stay.pulp_id from {STAYS} where went.number <= came.number"),
        ),
        (
            "a stay is in the version of another repository",
            "core_repositorycontent",
            format!(
                "select stay.pulp_id from {STAYS} where came.repository_id <> stay.repository_id or went.repository_id <> stay.repository_id"
            ),
        ),
        (
            "a unit is twice in a version",
            "core_repositorycontent",
            // The later of two stays begins before the earlier one ends.
            format!(
                "select stay.pulp_id from {STAYS} join core_repositorycontent other on other.repository_id = stay.repository_id \
                 and other.content_id = stay.content_id and other.pulp_id <> stay.pulp_id \
                 join core_repositoryversion othercame on othercame.pulp_id = other.version_added_id \
                 left join core_repositoryversion otherwent on otherwent.pulp_id = other.version_removed_id \
                 where othercame.number <= came.number and (otherwent.number is null or otherwent.number > came.number)"
            ),
        ),
        (
            "a unit of another domain is in a repository",
            "core_repositorycontent",
            "select stay.pulp_id from core_repositorycontent stay join core_content content on content.pulp_id = stay.content_id \
             join core_repository repository on repository.pulp_id = stay.repository_id \
             where repository.pulp_domain_id <> content.pulp_domain_id"
                .to_owned(),
        ),
        (
            "a publication is of a version that is none",
            "core_publication",
            "select publication.pulp_id from core_publication publication join core_repositoryversion version \
             on version.pulp_id = publication.repository_version_id where not version.complete"
                .to_owned(),
        ),
        (
            "a distribution serves a publication that is not complete",
            "core_distribution",
            "select distribution.pulp_id from core_distribution distribution join core_publication publication \
             on publication.pulp_id = distribution.publication_id where not publication.complete"
                .to_owned(),
        ),
    ]
}

pub(super) async fn check(checker: &Checker, findings: &mut Findings) {
    for (rule, name, sql) in rules() {
        findings.rows(&checker.db, rule, name, sql.as_str()).await;
    }
    for (rule, table) in
        [("a draft of a version was left", "core_repositoryversion"), ("a draft of a publication was left", "core_publication")]
    {
        let sql = Sql::new(format!("select pulp_id from {table} where not complete and pulp_created <= $1"));
        findings.rows(&checker.db, rule, table, sql.bind(checker.before())).await;
    }
    counts(checker, findings).await;
}

/// What versions say they added, removed and have, beside what they do.
async fn counts(checker: &Checker, findings: &mut Findings) {
    type Counts = BTreeMap<(Uuid, String, String), i64>;
    let said = "select version.pulp_id, said.count_type, said.content_type, said.count from core_repositoryversioncontentdetails said \
         join core_repositoryversion version on version.pulp_id = said.repository_version_id";
    let count = |code: &str, condition: &str| {
        format!(
            "select version.pulp_id, '{code}', content.pulp_type, count(*) from core_repositoryversion version \
             join core_repositorycontent stay on stay.repository_id = version.repository_id \
             join core_repositoryversion came on came.pulp_id = stay.version_added_id \
             left join core_repositoryversion went on went.pulp_id = stay.version_removed_id \
             join core_content content on content.pulp_id = stay.content_id \
             where version.complete and {condition} group by version.pulp_id, content.pulp_type"
        )
    };
    let read = async |sql: &str| -> Counts {
        let rows: Vec<(Uuid, String, String, i64)> = checker.db.all(sql).await.expect("counts");
        rows.into_iter().map(|(version, code, of, count)| ((version, code, of), count)).collect()
    };
    let said = read(said).await;
    let mut counted = read(&count("A", "came.pulp_id = version.pulp_id")).await;
    counted.extend(read(&count("R", "went.pulp_id = version.pulp_id")).await);
    counted.extend(read(&count("P", "came.number <= version.number and (went.number is null or went.number > version.number)")).await);
    let mut all: Vec<_> = said.keys().chain(counted.keys()).collect();
    all.sort();
    all.dedup();
    for key in all {
        let (said, counted) = (said.get(key).copied().unwrap_or_default(), counted.get(key).copied().unwrap_or_default());
        if said != counted {
            let (version, code, of) = key;
            let what = format!("core_repositoryversion {version} says {said} of {of} ({code}), and has {counted}");
            findings.add("a version counts wrong", what);
        }
    }
}
