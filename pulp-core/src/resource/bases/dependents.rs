//! Who would lose what, if a remote were deleted. Pulp has no such thing.

use std::collections::HashMap;

use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Map, Value as Json, json};
use sqlx::FromRow;
use uuid::Uuid;

use super::super::{Action, ActionHandler, Context, Field, Input, Kind, Noun, Reply, Returns, Target};
use crate::db::{Db, DbError, ExecutorExt, Sql, Value};
use crate::model::dependents::{LOSS, Loss, with_lost};
use crate::model::{Distribution, PublishedVersion};
use crate::plugin::Registry;
use crate::{Error, Result};

/// How many repositories, and how many distributions, an answer names.
const NAMED: i64 = 100;
/// How many distributions are looked at.
const LOOKED_AT: i64 = 1_000;

const COMPONENT: &str = "RemoteDependents";

/// Adds what the action answers to the API document.
pub(crate) fn register(registry: &mut Registry) {
    let loss = || {
        let count = |name| Field::integer(name).required();
        [
            count("units").help("Content units that could not be fetched any more."),
            count("artifacts").help("Their files."),
            count("bytes").help("The bytes of those whose size is known."),
            count("artifacts_of_unknown_size").help("Files whose size is not known."),
        ]
    };
    let named = || {
        [
            Field::text("pulp_href").required().keyword("format", json!("uri")).help("Its href."),
            Field::text("prn").required().help("Its PRN."),
            Field::text("name").required().help("Its name."),
        ]
    };
    let repository: Vec<Field> = named().into_iter().chain(loss()).collect();
    let served = [
        Field::text("base_path").required().help("The path under which it serves."),
        Field::boolean("pull_through").required().help("Whether it passes on what the remote has, whatever that is."),
    ];
    let distribution: Vec<Field> = named().into_iter().chain(served).chain(loss()).collect();
    registry.component(
        COMPONENT,
        loss().into_iter().chain([
            Field::integer("repository_count").required().help("Repositories that you may see that would lose something."),
            Field::list("repositories", Kind::Object("RemoteDependentRepository", repository))
                .required()
                .help("Those that would lose the most, a hundred of them at most: in any of their versions."),
            Field::list("distributions", Kind::Object("RemoteDependentDistribution", distribution))
                .required()
                .help("Distributions that you may see of what would be lost, likewise: in what they serve now."),
        ]),
    );
}

/// `GET …/{id}/dependents/`.
pub(super) fn action() -> Action {
    Action::get("dependents", Returns::Component(200, COMPONENT), Dependents)
        .help("Which repositories and distributions would lose which content that is not stored, if the remote were deleted.")
}

struct Dependents;

#[async_trait]
impl ActionHandler for Dependents {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, _: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::not_found("remote"))?;
        let mut answer = numbers(&Loss::of_remote(cx.pulp().db(), id).await?);
        let (count, repositories) = repositories(cx, id).await?;
        answer.insert("repository_count".to_owned(), json!(count));
        answer.insert("repositories".to_owned(), json!(repositories));
        answer.insert("distributions".to_owned(), json!(distributions(cx, id).await?));
        Ok(Reply::Json(StatusCode::OK, Json::Object(answer)))
    }
}

fn numbers(loss: &Loss) -> Map<String, Json> {
    let fields = [
        ("units", loss.units),
        ("artifacts", loss.artifacts),
        ("bytes", loss.bytes),
        ("artifacts_of_unknown_size", loss.artifacts_of_unknown_size),
    ];
    fields.into_iter().map(|(name, number)| (name.to_owned(), json!(number))).collect()
}

/// The condition on `b` that the asker may see a row, whatever its type.
fn push_seen(cx: &Context, sql: &mut Sql, noun: Noun) -> Result<()> {
    let all = cx.pulp().registry().resources().iter().find(|resource| resource.noun == noun && resource.pulp_type.is_none());
    let all = all.ok_or_else(|| Error::Internal("no list shows objects of all types".to_owned()))?;
    all.scope(cx).write(sql);
    Ok(())
}

#[derive(FromRow)]
struct Loser {
    id: Uuid,
    pulp_type: String,
    name: String,
    of_all: i64,
    #[sqlx(flatten)]
    loss: Loss,
}

/// How many repositories would lose something, and those that would lose the most.
async fn repositories(cx: &Context, remote: Uuid) -> Result<(i64, Vec<Json>)> {
    let mut sql = with_lost(remote);
    sql.push(format!(
        " select b.pulp_id as id, b.pulp_type, b.name, count(*) over () as of_all, {LOSS} \
         from (select distinct repository_id, content_id from core_repositorycontent \
            where content_id in (select unit from lost)) member \
         join lost on lost.unit = member.content_id join core_repository b on b.pulp_id = member.repository_id where "
    ));
    push_seen(cx, &mut sql, Noun::Repository)?;
    sql.push(format!(" group by b.pulp_id, b.pulp_type, b.name order by artifacts desc, b.pulp_id limit {NAMED}"));
    let losers: Vec<Loser> = cx.pulp().db().all(sql).await?;
    let count = losers.first().map_or(0, |first| first.of_all);
    let named = losers.iter().map(|loser| named(cx, Target::REPOSITORY, (loser.id, &loser.pulp_type, &loser.name), &loser.loss));
    Ok((count, named.map(Json::Object).collect()))
}

fn named(cx: &Context, target: Target, (id, pulp_type, name): (Uuid, &str, &str), loss: &Loss) -> Map<String, Json> {
    let mut one = Map::new();
    one.insert("pulp_href".to_owned(), json!(cx.href_of(target, id, Some(pulp_type))));
    one.insert("prn".to_owned(), json!(cx.prn_of(target, id, Some(pulp_type)).map(|prn| prn.to_string())));
    one.insert("name".to_owned(), json!(name));
    one.extend(numbers(loss));
    one
}

/// Distributions that serve something that would be lost, or whatever the remote has; those that would lose the most.
async fn distributions(cx: &Context, remote: Uuid) -> Result<Vec<Json>> {
    let db = cx.pulp().db();
    let mut sql = with_lost(remote);
    sql.push(
        " select b.* from core_distribution b left join core_repositoryversion v on v.pulp_id = b.repository_version_id \
         left join core_publication p on p.pulp_id = b.publication_id \
         left join core_repositoryversion pv on pv.pulp_id = p.repository_version_id \
         where (b.remote_id = ",
    );
    sql.push_bind(remote).push(
        " or coalesce(b.repository_id, v.repository_id, pv.repository_id) in \
         (select repository_id from core_repositorycontent where content_id in (select unit from lost))) and ",
    );
    push_seen(cx, &mut sql, Noun::Distribution)?;
    sql.push(format!(" order by b.pulp_id limit {LOOKED_AT}"));
    let candidates: Vec<Distribution> = db.all(sql).await?;
    let losses = losses(db, remote, &candidates).await?;
    let mut losers: Vec<(&Distribution, Loss)> = candidates
        .iter()
        .map(|candidate| (candidate, losses.get(&candidate.pulp_id).copied().unwrap_or_default()))
        .filter(|(candidate, loss)| candidate.remote_id == Some(remote) || loss.artifacts > 0)
        .collect();
    losers.sort_by_key(|(_, loss)| std::cmp::Reverse(loss.artifacts));
    losers.truncate(usize::try_from(NAMED).unwrap_or(usize::MAX));
    let shown = losers.into_iter().map(|(distribution, loss)| {
        let own = (distribution.pulp_id, distribution.pulp_type.as_str(), distribution.name.as_str());
        let mut one = named(cx, Target::DISTRIBUTION, own, &loss);
        one.insert("base_path".to_owned(), json!(distribution.base_path));
        one.insert("pull_through".to_owned(), json!(distribution.remote_id == Some(remote)));
        Json::Object(one)
    });
    Ok(shown.collect())
}

/// What each distribution would lose of the version that it serves.
async fn losses(db: &Db, remote: Uuid, distributions: &[Distribution]) -> Result<HashMap<Uuid, Loss>, DbError> {
    #[derive(FromRow)]
    struct Row {
        distribution: Uuid,
        #[sqlx(flatten)]
        loss: Loss,
    }
    let mut served: Vec<[Value; 3]> = Vec::new();
    for distribution in distributions {
        if let Some((repository, number)) = served_version(db, distribution).await? {
            served.push([distribution.pulp_id.into(), repository.into(), number.into()]);
        }
    }
    if served.is_empty() {
        return Ok(HashMap::new());
    }
    let mut sql = with_lost(remote);
    sql.push(", served (distribution, repository, number) as (values ").push_rows(served).push(format!(
        ") select served.distribution, {LOSS} from served \
         join core_repositorycontent member on member.repository_id = served.repository \
         join core_repositoryversion added on added.pulp_id = member.version_added_id \
         left join core_repositoryversion removed on removed.pulp_id = member.version_removed_id \
         join lost on lost.unit = member.content_id \
         where added.number <= served.number and (removed.number is null or removed.number > served.number) \
         group by served.distribution"
    ));
    Ok(db.all::<Row>(sql).await?.into_iter().map(|row| (row.distribution, row.loss)).collect())
}

/// The repository and number of the version that a distribution serves: of what is published, or, where it publishes nothing, of the latest.
async fn served_version(db: &Db, distribution: &Distribution) -> Result<Option<(Uuid, i64)>, DbError> {
    if let Some(published) = PublishedVersion::of_distribution(db, distribution).await? {
        return Ok(Some((published.repository_id, published.number)));
    }
    let (condition, id) = match (distribution.repository_version_id, distribution.repository_id) {
        (Some(version), _) => ("pulp_id = $1", version),
        (None, Some(repository)) => ("repository_id = $1 and complete order by number desc limit 1", repository),
        (None, None) => return Ok(None),
    };
    db.optional(Sql::new(format!("select repository_id, number from core_repositoryversion where {condition}")).bind(id)).await
}
