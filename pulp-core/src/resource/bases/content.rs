//! What every content unit has, and the filters that ask what is in a version.

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use super::super::access::app_of;
use super::super::{
    AccessPolicy, ActionHandler, Condition, Context, Drive, Field, Filter, FilterKind, FilterValue, Fragment, Joined, Kind, Lookup,
    NamedVersion, Noun, Resource, Returns, Scope, Shape, Target,
};
use crate::clock::Timestamp;
use crate::db::{Executor as _, ExecutorExt, Sql};
use crate::version::CountType;
use crate::{CORE, Error, Result};

impl Resource {
    /// A type of content unit: `pulp_type` is its type’s name (`file.file`), `schema` the name of its schema. `create` gets
    /// the validated body.
    pub fn content(path: &'static str, pulp_type: &'static str, schema: &'static str, create: impl ActionHandler + 'static) -> Self {
        let mut resource = Self::new(path, "core_content", schema);
        resource.noun = Noun::Content;
        resource.pulp_type = Some(pulp_type);
        resource.labels = Some(201);
        // Units have no roles of their own; those of core itself are for administrators.
        if app_of(&resource.model) != CORE.label {
            resource.policy = Some(AccessPolicy::usual().scope(Scope::InViewedRepositories));
        }
        resource
            .create_by(Returns::Task, create)
            .field(super::labels())
            .joined(Joined::new("core_vulnerabilityreport", "vr", "vr.content_id = b.pulp_id"))
            .field(vulnerability_report())
            .ordered_by(["pulp_labels", "pulp_type", "timestamp_of_interest", "upstream_id"])
            .filters(version_filters())
    }

    /// Its units have one file each: `artifact` and its digests are shown, null where nobody has fetched it.
    #[must_use]
    pub fn of_one_file(self) -> Self {
        let digest = |name, stored| {
            Field::new(name, Kind::Computed(Shape::Text)).joined(stored).help("A digest of the unit's file, where it is known.")
        };
        let artifact = Field::href("artifact", Target::ARTIFACT).joined("a.pulp_id");
        self.joined(Joined::new("core_contentartifact", "ca", "ca.content_id = b.pulp_id").to("core_artifact", "a", "ca.artifact_id"))
            .field(artifact.keyword("readOnly", Json::Null).help("The unit's file."))
            .field(digest("md5", "a.md5"))
            .field(digest("sha1", "a.sha1"))
            .field(digest("sha224", "a.sha224"))
            .field(digest("sha256", "a.sha256"))
            .field(digest("sha384", "a.sha384"))
            .field(digest("sha512", "a.sha512"))
    }
}

/// The filters that every list of content has.
pub(crate) fn version_filters() -> Vec<Filter> {
    let version = FilterKind::Href(Target::REPOSITORY_VERSION);
    vec![
        Filter::custom("added_between", FilterKind::Text, Between { added: true })
            .several()
            .help("Units that the second of two versions (hrefs, separated by a comma) has and the first has not."),
        Filter::custom("orphaned_for", FilterKind::Number, OrphanedFor).help("Units that no repository has had for this many minutes."),
        Filter::custom("removed_between", FilterKind::Text, Between { added: false })
            .several()
            .help("Units that the first of two versions (hrefs, separated by a comma) has and the second has not."),
        Filter::custom("repository_version", version, InVersion(VersionPart::Present)).help("Units that this version has."),
        Filter::custom("repository_version_added", version, InVersion(VersionPart::Added)).help("Units that this version added."),
        Filter::custom("repository_version_removed", version, InVersion(VersionPart::Removed)).help("Units that this version removed."),
    ]
}

/// The report of a unit, if somebody has looked for vulnerabilities and found some.
fn vulnerability_report() -> Field {
    let report = Target::plain("core_vulnerabilityreport", "vuln_report", "vulnerability report");
    Field::href("vuln_report", report).joined("vr.pulp_id").help("Where known vulnerabilities of this unit are told.")
}

/// Which units of a version.
#[derive(Debug, Clone, Copy)]
enum VersionPart {
    Present,
    Added,
    Removed,
}

impl VersionPart {
    /// The condition that a row `rc` of `core_repositorycontent` is about one of them; `is` says that a column has a key.
    fn of(self, version: &NamedVersion, is: impl Fn(&str, Uuid) -> Fragment) -> Fragment {
        match self {
            Self::Present => is("rc.repository_id", version.repository).then(held(version.repository, version.number)),
            Self::Added => is("rc.version_added_id", version.id),
            Self::Removed => is("rc.version_removed_id", version.id),
        }
    }

    /// The order in which an index has them.
    fn order(self) -> &'static str {
        match self {
            Self::Present => "rc.repository_id desc, rc.content_id desc",
            Self::Added => "rc.version_added_id desc, rc.content_id desc",
            Self::Removed => "rc.version_removed_id desc, rc.content_id desc",
        }
    }

    /// What counts them.
    fn counted(self) -> CountType {
        match self {
            Self::Present => CountType::Present,
            Self::Added => CountType::Added,
            Self::Removed => CountType::Removed,
        }
    }
}

/// Units of a version.
struct InVersion(VersionPart);

#[async_trait]
impl Condition for InVersion {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        // Of what is in another domain there is nothing here.
        let FilterValue::Version(version) = value else { return Ok(Fragment::never()) };
        let units = self.0.of(version, equals);
        Ok(Fragment::new("b.pulp_id in (select rc.content_id from core_repositorycontent rc where ").then(units).text(")"))
    }

    async fn drive(&self, cx: &Context, value: &FilterValue) -> Result<Option<Drive>> {
        let dialect = cx.pulp().db().dialect();
        let leads = |column: &str, key: Uuid| {
            let (before, after) = dialect.leads(column);
            Fragment::new(before).bind(key).text(after)
        };
        let (condition, counts) = match value {
            FilterValue::Version(version) => {
                (self.0.of(version, leads), version.counts.get(&self.0.counted()).cloned().unwrap_or_default())
            }
            _ => (Fragment::never(), Vec::new()),
        };
        let (from, key, order) = ("core_repositorycontent rc", "rc.content_id", self.0.order());
        Ok(Some(Drive { from, key, condition, order, counts: Some(counts) }))
    }
}

fn equals(column: &str, key: Uuid) -> Fragment {
    Fragment::new(format!("{column} = ")).bind(key)
}

/// A statement that gives the keys of a version’s units.
pub(crate) async fn members(cx: &Context, version: Uuid) -> Result<Fragment> {
    let found: Option<(Uuid, i64)> = cx
        .pulp()
        .db()
        .optional(Sql::new("select repository_id, number from core_repositoryversion where pulp_id = $1").bind(version))
        .await?;
    let of = |(repository, number)| equals("rc.repository_id", repository).then(held(repository, number));
    let condition = found.map_or_else(Fragment::never, of);
    Ok(Fragment::new("select rc.content_id from core_repositorycontent rc where ").then(condition))
}

/// Appended to the condition that a row `rc` of `core_repositorycontent` is of a repository: that the version of this number has the unit.
fn held(repository: Uuid, number: i64) -> Fragment {
    let later = || {
        Fragment::new("in (select pulp_id from core_repositoryversion where repository_id = ")
            .bind(repository)
            .text(" and number > ")
            .bind(number)
            .text(")")
    };
    Fragment::new(" and rc.version_added_id not ")
        .then(later())
        .text(" and (rc.version_removed_id is null or rc.version_removed_id ")
        .then(later())
        .text(")")
}

/// Units that one of two versions has, and the other has not.
struct Between {
    added: bool,
}

#[async_trait]
impl Condition for Between {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let name = if self.added { "added_between" } else { "removed_between" };
        let hrefs: Vec<&str> = value.as_text().unwrap_or_default().split(',').map(str::trim).collect();
        let &[first, second] = hrefs.as_slice() else {
            return Err(Error::field(name, "Range query expects two values."));
        };
        let not_valid = |href: &str| Error::Refused(json!([format!("URI not valid: {href}")]));
        let first = cx.resolve(Target::REPOSITORY_VERSION, first).await.map_err(|_| not_valid(first))?;
        let second = cx.resolve(Target::REPOSITORY_VERSION, second).await.map_err(|_| not_valid(second))?;
        let (has, has_not) = if self.added { (second.id, first.id) } else { (first.id, second.id) };
        Ok(Fragment::new("b.pulp_id in (")
            .then(members(cx, has).await?)
            .text(") and b.pulp_id not in (")
            .then(members(cx, has_not).await?)
            .text(")"))
    }
}

/// The moment that lies so many minutes in the past.
pub(crate) fn minutes_ago(cx: &Context, filter: &str, value: &FilterValue) -> Result<Timestamp> {
    let minutes = match value {
        FilterValue::Integer(minutes) => *minutes,
        // A fraction of a minute does not count.
        FilterValue::Number(minutes) => *minutes as i64,
        _ => 0,
    };
    chrono::TimeDelta::try_minutes(minutes)
        .and_then(|span| cx.pulp().now().checked_sub_signed(span))
        .ok_or_else(|| Error::field(filter, "Enter a number of minutes that is not out of reach."))
}

/// Units in no repository, for long enough.
struct OrphanedFor;

#[async_trait]
impl Condition for OrphanedFor {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let until = minutes_ago(cx, "orphaned_for", value)?;
        Ok(Fragment::new(
            "not exists (select 1 from core_repositorycontent rc where rc.content_id = b.pulp_id) and b.timestamp_of_interest < ",
        )
        .bind(until))
    }
}

/// In which versions of a repository a unit must be.
#[derive(Debug, Clone, Copy)]
pub(super) enum Membership {
    Any,
    Latest,
}

/// Repositories that have a unit.
pub(super) struct WithContent(pub(super) Membership);

#[async_trait]
impl Condition for WithContent {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let having =
            Fragment::new("b.pulp_id in (select repository_id from core_repositorycontent where content_id = ").bind(value.to_sql());
        Ok(match self.0 {
            Membership::Any => having,
            Membership::Latest => having.text(" and version_removed_id is null"),
        }
        .text(")"))
    }
}

/// The condition that a version, `v`, has one of these units.
fn version_has(units: &FilterValue) -> Fragment {
    Fragment::new(
        "exists (select 1 from core_repositorycontent rc join core_repositoryversion added on added.pulp_id = rc.version_added_id \
         left join core_repositoryversion removed on removed.pulp_id = rc.version_removed_id \
         where rc.repository_id = v.repository_id and added.number <= v.number and (removed.number is null or removed.number > v.number) and rc.content_id in ",
    )
    .list(units.all().iter().map(FilterValue::to_sql))
    .text(")")
}

/// Versions that have a unit.
pub(crate) struct VersionContent;

#[async_trait]
impl Condition for VersionContent {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        Ok(Fragment::new("b.pulp_id in (select v.pulp_id from core_repositoryversion v where ").then(version_has(value)).text(")"))
    }
}

/// Publications of versions that have a unit.
pub(super) struct PublishedContent;

#[async_trait]
impl Condition for PublishedContent {
    async fn condition(&self, _: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        Ok(Fragment::new("b.repository_version_id in (select v.pulp_id from core_repositoryversion v where ")
            .then(version_has(value))
            .text(")"))
    }
}

/// Distributions that serve a unit, whichever way.
pub(super) struct DistributedContent;

#[async_trait]
impl Condition for DistributedContent {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        // Types that can serve a publication serve nothing else: of a repository its newest, of a version one of it.
        let resources = cx.pulp().registry().resources().iter();
        let published = resources.filter(|one| one.noun == Noun::Distribution && one.find_field("publication").is_some());
        let published: Vec<&'static str> = published.filter_map(|one| one.pulp_type).collect();
        Ok(Fragment::new(
            "exists (select 1 from core_repositoryversion v where (\
                v.pulp_id = (select p.repository_version_id from core_publication p where p.pulp_id = b.publication_id) \
                or (b.pulp_type in ",
        )
        .list(published.iter().copied())
        .text(
            " and ((v.pulp_id = b.repository_version_id \
                  and exists (select 1 from core_publication p where p.repository_version_id = v.pulp_id and p.complete)) \
                or (v.repository_id = b.repository_id and v.number = (\
                    select max(l.number) from core_repositoryversion l join core_publication p on p.repository_version_id = l.pulp_id \
                    where p.complete and l.repository_id = b.repository_id)))) \
                or (b.pulp_type not in ",
        )
        .list(published.iter().copied().chain([""]))
        .text(
            " and (v.pulp_id = b.repository_version_id \
                or (v.repository_id = b.repository_id and v.number = (\
                    select max(l.number) from core_repositoryversion l where l.complete and l.repository_id = b.repository_id))))) and ",
        )
        .then(version_has(value))
        .text(")"))
    }
}
