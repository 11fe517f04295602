//! `POST …/{repository}/compose/`. Pulp has none.

use async_trait::async_trait;
use serde_json::Value as Json;
use uuid::Uuid;

use super::super::{Action, ActionHandler, Context, Field, Input, Kind, Reply, Target};
use crate::ids::Prn;
use crate::model::{Model, Repository, RepositoryVersion};
use crate::version::{ComposeVersion, SetOperation};
use crate::{Error, Result};

/// Making a version of others by hand: an action of every type of repository that allows it, for whoever may modify.
pub fn compose() -> Action {
    let versions = Field::list("versions", Kind::Href(Target::REPOSITORY_VERSION));
    Action::post("compose", Compose)
        .like("modify")
        .body(
            "RepositoryCompose",
            [
                Field::choice("operation", "SetOperationEnum", &SetOperation::NAMES).required().help(
                    "`union`: what any of the versions has; `intersection`: what all have; `difference`: what the first has, and none of the others.",
                ),
                versions.required().help("Versions of repositories of the same type."),
                Field::integer("newest").nullable().at_least(1).at_most(u32::MAX).help(
                    "Of units that are versions of one thing (files of one path), how many of those that were made last are kept; without it, all.",
                ),
            ],
        )
        .help("Makes a new version of versions, as sets are made of sets.")
}

struct Compose;

#[async_trait]
impl ActionHandler for Compose {
    async fn handle(&self, cx: &Context, id: Option<Uuid>, input: Input) -> Result<Reply> {
        let id = id.ok_or_else(|| Error::Internal("compose is done to a repository".to_owned()))?;
        let db = cx.pulp().db();
        let repository = Repository::find(db, id).await?;
        let rules = cx.pulp().registry().repository_type(&repository.pulp_type);
        let rules = rules.ok_or_else(|| Error::Internal(format!("the repository type {} is not registered", repository.pulp_type)))?;
        let operation = input.text("operation").and_then(SetOperation::named);
        let operation = operation.ok_or_else(|| Error::field("operation", "This field is required."))?;
        let named = input.get("versions").and_then(Json::as_array).into_iter().flatten();
        let mut versions = Vec::new();
        for prn in named.filter_map(Json::as_str).filter_map(|prn| prn.parse::<Prn>().ok()) {
            let gone = || Error::field("versions", format!("There is no version {prn}."));
            let version = RepositoryVersion::find(db, prn.id).await.map_err(|_| gone())?;
            if !version.complete || !cx.sees_repository(version.repository_id).await? {
                return Err(gone());
            }
            let (owner, kind) = RepositoryVersion::owner(db, version.pulp_id).await?.ok_or_else(gone)?;
            if kind != repository.pulp_type {
                let message = format!("{prn} is a version of a repository of type {kind}, not of {}.", repository.pulp_type);
                return Err(Error::field("versions", message));
            }
            versions.push((version.pulp_id, Prn::new(rules.model(), owner)));
        }
        if versions.is_empty() {
            return Err(Error::field("versions", "Name at least one version."));
        }
        let newest = input.integer("newest").and_then(|count| u32::try_from(count).ok());
        cx.dispatch(ComposeVersion { repository: Prn::new(rules.model(), id), operation, versions, newest }).await
    }
}
