//! Reports of known vulnerabilities.

use std::collections::HashMap;

use async_trait::async_trait;
use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::db::{ExecutorExt, Sql};
use crate::ids::Prn;
use crate::plugin::Registry;
use crate::resource::{
    Change, Compute, Condition, Context, Field, Filter, FilterKind, FilterValue, Fragment, Kind, Lookup, Record, Resource, Target,
};
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    let mut versions = Field::list("repo_versions", Kind::Href(Target::REPOSITORY_VERSION)).nowhere();
    versions.compute = Some(std::sync::Arc::new(Versions));
    let mut reports = Resource::new("vuln_report", "core_vulnerabilityreport", "VulnerabilityReport")
        .field(Field::json("vulns").required().help("What is known, as the source tells it."))
        .field(versions.help("Versions in which the unit was when it was looked up."))
        .field(Field::href("content", Target::CONTENT).read_only().help("The unit."))
        .filter(Filter::custom("repo_versions", FilterKind::Text, OfVersion))
        .ordered_by(["vulns"]);
    reports.delete = Change::Now;
    registry.resource(reports);
}

struct Versions;

#[async_trait]
impl Compute for Versions {
    async fn compute(&self, cx: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        let mut sql = Sql::new(
            "select m.vulnerabilityreport_id, r.pulp_id, r.pulp_type, v.number from core_vulnerabilityreport_repo_versions m \
             join core_repositoryversion v on v.pulp_id = m.repositoryversion_id join core_repository r on r.pulp_id = v.repository_id \
             where m.vulnerabilityreport_id in ",
        );
        sql.push_list(rows.iter().map(Record::id)).push(" order by m.id");
        let mut of: HashMap<Uuid, Vec<Json>> = HashMap::new();
        for (report, repository, kind, number) in cx.pulp().db().all::<(Uuid, Uuid, String, i64)>(sql).await? {
            if let Some(resource) = cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, &kind) {
                of.entry(report).or_default().push(json!(cx.pulp().hrefs().version(&cx.domain().name, resource.path, repository, number)));
            }
        }
        Ok(rows.iter().map(|row| vec![Json::Array(of.remove(&row.id()).unwrap_or_default())]).collect())
    }
}

/// Reports of units that were looked up in a version; PRNs of versions that are gone find nothing.
struct OfVersion;

#[async_trait]
impl Condition for OfVersion {
    async fn condition(&self, cx: &Context, _: Lookup, value: &FilterValue) -> Result<Fragment> {
        let text = value.as_text().unwrap_or_default();
        let id = match text.parse::<Prn>() {
            Ok(prn) => prn.id,
            Err(_) => match cx.resolve(Target::REPOSITORY_VERSION, text).await {
                Ok(prn) => prn.id,
                Err(_) => return Err(Error::Refused(json!([format!("URI couldn't be resolved: {text}")]))),
            },
        };
        let of = "b.pulp_id in (select vulnerabilityreport_id from core_vulnerabilityreport_repo_versions where repositoryversion_id = ";
        Ok(Fragment::new(of).bind(id).text(")"))
    }
}
