//! The conditions that statements of access policies know.
//!
//! They read `has_<subject>_<levels>_perms:<permission>[,<permission>]`: what is looked at, and on which levels a role may have been
//! given. `has_remote_param_model_or_obj_perms:file.view_fileremote` is met by who may view all file remotes, or the one that the body
//! names.

use serde_json::{Value as Json, json};
use uuid::Uuid;

use crate::Error;
use crate::api::crud;
use crate::api::error::ApiError;
use crate::api::request::Request;
use crate::api::router::Guarded;
use crate::ids::Prn;
use crate::model::RepositoryVersion;
use crate::resource::{Grants, Noun, Purpose, Resource, Target};

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    /// The object that the path names.
    Object,
    /// The object above it: the repository of a version, the group of a member.
    Parent,
    /// The repository of the object that the path names.
    Attribute(&'static str),
    /// An object that the body names; the others are looked at where it does not.
    Parameter(&'static [&'static str], Target),
    /// The repository that the body of a new unit names: it must name one.
    Destination,
}

/// On which levels a role counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Levels {
    model: bool,
    domain: bool,
    object: bool,
}

/// A condition, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Has(Subject, Levels, Vec<String>),
    Superuser,
}

const SUBJECTS: &[(&str, Subject)] = &[
    ("remote_param_", Subject::Parameter(&["remote"], Target::REMOTE)),
    ("upload_param_", Subject::Parameter(&["upload"], Target::UPLOAD)),
    ("publication_param_", Subject::Parameter(&["publication"], Target::PUBLICATION)),
    ("repository_param_", Subject::Parameter(&["repository"], Target::REPOSITORY)),
    ("repo_or_repo_ver_param_", Subject::Parameter(&["repository", "repository_version"], Target::REPOSITORY)),
    ("repo_attr_", Subject::Attribute("repository_id")),
    ("repository_", Subject::Parent),
    ("group_", Subject::Parent),
];

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`Error::Internal`] if it is not known: who made the policy has to mend it, and until then nobody gets in by it.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let unknown = || Error::Internal(format!("an access policy has a condition that is not known: `{text}`"));
        let (name, permissions) = text.split_once(':').unwrap_or((text, ""));
        if name == "is_superuser" {
            return Ok(Self::Superuser);
        }
        let permissions: Vec<String> = permissions.split(',').map(str::trim).filter(|one| !one.is_empty()).map(str::to_owned).collect();
        if permissions.is_empty() {
            return Err(unknown());
        }
        if name == "has_required_repo_perms_on_upload" {
            let levels = Levels { model: true, domain: true, object: true };
            return Ok(Self::Has(Subject::Destination, levels, permissions));
        }
        let rest = name.strip_prefix("has_").and_then(|rest| rest.strip_suffix("_perms")).ok_or_else(unknown)?;
        let (subject, levels) =
            SUBJECTS.iter().find_map(|(prefix, subject)| Some((*subject, rest.strip_prefix(prefix)?))).unwrap_or((Subject::Object, rest));
        Ok(Self::Has(subject, Levels::parse(levels).ok_or_else(unknown)?, permissions))
    }

    /// Whether a request meets it.
    ///
    /// # Errors
    /// 404 if the asker cannot see the object that the path names; a failure of the database.
    pub(super) async fn is_met(&self, request: &mut Request, guarded: &Guarded) -> Result<bool, ApiError> {
        if request.cx.user().is_some_and(|user| user.is_superuser) {
            return Ok(true);
        }
        let Self::Has(subject, levels, permissions) = self else { return Ok(false) };
        match subject {
            Subject::Object => {
                if general(request, *levels, permissions) {
                    return Ok(true);
                }
                let Some(resource) = guarded.resource.as_ref().filter(|_| levels.object) else { return Ok(false) };
                let id = match request.parameter("id") {
                    // What is done to a domain is done to the one that the path is in.
                    "" if resource.table == Target::DOMAIN.table => request.cx.domain().pulp_id,
                    "" => return Ok(false),
                    _ => crud::find(request, resource).await?.id(),
                };
                on_object(request, &resource.model, id, permissions).await
            }
            Subject::Parent => {
                let Some(parent) = &guarded.parent else { return Ok(false) };
                let id = exists(request, parent).await?;
                Ok(general(request, *levels, permissions) || (levels.object && on_object(request, &parent.model, id, permissions).await?))
            }
            Subject::Attribute(column) => {
                let Some(resource) = &guarded.resource else { return Ok(false) };
                let row = crud::find(request, resource).await?;
                let owner = row.uuid(column).zip(related_model(request, row.text("repository__type")));
                let Some((id, model)) = owner else { return Ok(true) };
                Ok(general(request, *levels, permissions) || (levels.object && on_object(request, &model, id, permissions).await?))
            }
            Subject::Parameter(fields, target) => {
                // Of several, each is looked at.
                for named in parameters(request, fields, *target).await? {
                    let may = general(request, *levels, permissions)
                        || (levels.object && on_object(request, &named.model, named.id, permissions).await?);
                    if !may {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Subject::Destination => {
                let given = text(request.peek().await?.values.get("repository"));
                if given.is_none() {
                    return Err(no_destination(request, guarded).await);
                }
                let Some(named) = parameters(request, &["repository"], Target::REPOSITORY).await?.pop() else { return Ok(true) };
                Ok(general(request, *levels, permissions) || on_object(request, &named.model, named.id, permissions).await?)
            }
        }
    }
}

impl Levels {
    fn parse(text: &str) -> Option<Self> {
        let mut levels = Self::default();
        for level in text.split("_or_") {
            match level {
                "model" => levels.model = true,
                "domain" => levels.domain = true,
                "obj" => levels.object = true,
                _ => return None,
            }
        }
        Some(levels)
    }
}

fn grants(request: &Request) -> Option<&Grants> {
    request.cx.grants()
}

/// Whether the asker has one of these permissions on everything, or on everything in the domain.
fn general(request: &Request, levels: Levels, permissions: &[String]) -> bool {
    let Some(grants) = grants(request) else { return false };
    let access = request.cx.pulp().access();
    permissions.iter().any(|one| (levels.model && grants.everywhere(access, one)) || (levels.domain && grants.in_domain(access, one)))
}

/// Whether the asker has one of these permissions on an object.
async fn on_object(request: &Request, model: &str, id: Uuid, permissions: &[String]) -> Result<bool, ApiError> {
    let Some(grants) = grants(request) else { return Ok(false) };
    let pulp = request.cx.pulp();
    for one in permissions {
        if grants.on_object(pulp.db(), pulp.access(), (model, id), one).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The key of the object above, whether the asker may see it or not: the condition tells.
async fn exists(request: &Request, parent: &Resource) -> Result<Uuid, ApiError> {
    let id = parent.key_of(request.parameter("id")).ok_or_else(ApiError::not_found)?;
    if parent.is_there(&request.cx, id).await? { Ok(id) } else { Err(ApiError::no_match(parent.model_name())) }
}

fn related_model(request: &Request, pulp_type: Option<&str>) -> Option<String> {
    let resource = request.cx.pulp().registry().resource_of_type(Target::REPOSITORY.table, pulp_type?)?;
    Some(resource.model.clone())
}

fn text(value: Option<&Json>) -> Option<String> {
    value.and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The objects that these fields name; of a version, its repository. What cannot be resolved is for validation to refuse.
async fn parameters(request: &mut Request, fields: &[&str], target: Target) -> Result<Vec<Prn>, ApiError> {
    let values = &request.peek().await?.values;
    let named: Vec<(&str, String)> = fields.iter().filter_map(|field| Some((*field, text(values.get(*field))?))).collect();
    let mut all = Vec::new();
    for (field, named) in named {
        if field != "repository_version" {
            all.extend(request.cx.resolve(target, &named).await.ok());
        } else if let Ok(version) = request.cx.resolve(Target::REPOSITORY_VERSION, &named).await {
            let owner = RepositoryVersion::owner(request.cx.pulp().db(), version.id).await?;
            all.extend(owner.and_then(|(id, pulp_type)| Some(Prn::new(related_model(request, Some(&pulp_type))?, id))));
        }
    }
    Ok(all)
}

/// Who is no administrator puts new units into a repository.
async fn no_destination(request: &mut Request, guarded: &Guarded) -> ApiError {
    if let Some(resource) = guarded.resource.as_ref().filter(|resource| resource.noun == Noun::Content)
        && let Some(body) = request.read.take()
        && let Err(error) = resource.validate(&request.cx, &body, Purpose::Create, None).await
    {
        return error.into();
    }
    Error::Refused(json!(["Destination upload repository was not provided."])).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(model: bool, domain: bool, object: bool) -> Levels {
        Levels { model, domain, object }
    }

    #[test]
    fn names_say_subject_and_levels() {
        let one = |text: &str| vec![text.to_owned()];
        for (text, wanted) in [
            ("has_model_perms:core.add_group", Condition::Has(Subject::Object, levels(true, false, false), one("core.add_group"))),
            ("has_model_or_domain_or_obj_perms:a.view_b", Condition::Has(Subject::Object, levels(true, true, true), one("a.view_b"))),
            ("has_obj_perms:a.b", Condition::Has(Subject::Object, levels(false, false, true), one("a.b"))),
            ("has_group_model_or_obj_perms:a.b", Condition::Has(Subject::Parent, levels(true, false, true), one("a.b"))),
            ("has_repo_attr_obj_perms:a.b", Condition::Has(Subject::Attribute("repository_id"), levels(false, false, true), one("a.b"))),
            (
                "has_remote_param_model_or_domain_or_obj_perms:a.b,a.c",
                Condition::Has(
                    Subject::Parameter(&["remote"], Target::REMOTE),
                    levels(true, true, true),
                    vec!["a.b".to_owned(), "a.c".to_owned()],
                ),
            ),
            ("is_superuser", Condition::Superuser),
        ] {
            assert_eq!(Condition::parse(text).unwrap(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_not_known_lets_nobody_in() {
        for text in ["", "nope:x", "has_model_perms", "has_model_perms:", "has_model_or_perms:x", "has_moon_perms:x", "model_perms:x"] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }
}
