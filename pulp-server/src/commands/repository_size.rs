//! `pulp-server repository-size`.

use std::sync::Arc;

use pulp_core::ids::Prn;
use pulp_core::model::{Domain, Model, Repository, RepositoryVersion};
use pulp_core::prelude::Uuid;
use pulp_core::resource::{Context, Target};
use pulp_core::version::Usage;
use pulp_core::{Error, Pulp};
use serde_json::{Value as Json, json};

use crate::Failure;
use crate::cli::RepositorySizeArgs;

pub async fn exec(pulp: &Pulp, args: &RepositorySizeArgs) -> Result<(), Failure> {
    let mut reports = Vec::new();
    for repository in chosen(pulp, args).await? {
        reports.push(report(pulp, &repository, args).await?);
    }
    println!("{:#}", Json::from(reports));
    Ok(())
}

/// The repositories that are asked for, by name.
async fn chosen(pulp: &Pulp, args: &RepositorySizeArgs) -> Result<Vec<Repository>, Error> {
    let db = pulp.db();
    let mut chosen = Vec::new();
    for reference in &args.repositories {
        let id = key(reference).ok_or_else(|| Error::BadRequest(format!("{reference} is no href and no PRN of a repository")))?;
        chosen.push(Repository::find(db, id).await?);
    }
    if args.repositories.is_empty() {
        let domain = match &args.domain {
            Some(name) => Some(Domain::named(db, name).await?.ok_or_else(|| Error::not_found(format!("domain \"{name}\"")))?.pulp_id),
            None => None,
        };
        chosen = Repository::of_domain(db, domain).await?;
    }
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(chosen)
}

/// The key in an href or a PRN.
fn key(reference: &str) -> Option<Uuid> {
    match reference.parse::<Prn>() {
        Ok(prn) => Some(prn.id),
        Err(_) => reference.trim_end_matches('/').rsplit('/').next()?.parse().ok(),
    }
}

async fn report(pulp: &Pulp, repository: &Repository, args: &RepositorySizeArgs) -> Result<Json, Error> {
    let db = pulp.db();
    let domain = Domain::find(db, repository.pulp_domain_id).await?;
    let cx = Context::new(pulp.clone(), Arc::new(domain));
    let mut report = sizes(Usage::of_repository(db, repository.pulp_id).await?, args);
    report["name"] = repository.name.as_str().into();
    report["href"] = cx.href_of(Target::REPOSITORY, repository.pulp_id, Some(&repository.pulp_type)).into();
    if args.include_versions {
        let mut versions = Vec::new();
        for version in RepositoryVersion::all_of(db, repository.pulp_id).await? {
            let mut report = sizes(Usage::of_version(db, &version).await?, args);
            report["version"] = version.number.into();
            versions.push(report);
        }
        report["versions"] = versions.into();
    }
    Ok(report)
}

fn sizes(usage: Usage, args: &RepositorySizeArgs) -> Json {
    let mut sizes = json!({"disk-size": usage.stored});
    if args.include_on_demand {
        sizes["on-demand-size"] = usage.remote.into();
    }
    sizes
}
