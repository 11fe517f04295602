//! The lists that go over all types: repositories, remotes, publications, distributions, content, guards.

use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use super::content::Artifacts;
use crate::plugin::Registry;
use crate::resource::{AccessPolicy, ActionHandler, Context, Field, Input, Noun, Reply, Resource, Scope, Shape, bases};
use crate::{Error, Result};

pub(super) fn register(registry: &mut Registry) {
    registry.resource(Resource::repository("repositories", "", "Repository").all_types());
    registry.resource(Resource::remote("remotes", "", "GenericRemote").model("core.remote").all_types().field(bases::policy(&[
        "immediate",
        "on_demand",
        "streamed",
    ])));
    let mut publications = Resource::publication("publications", "", "Publication", NoHandler).all_types();
    publications.fields.retain(|field| !matches!(field.name, "checkpoint" | "distributions"));
    registry.resource(publications);
    registry.resource(
        Resource::distribution("distributions", "", "Distribution")
            .all_types()
            .field(bases::repository())
            .field(bases::repository_version()),
    );
    let artifacts = Field::computed("artifacts", Shape::Schema(json!({"type": "object"})), Artifacts).required();
    let mut content = Resource::content("content", "", "MultipleArtifactContent", NoHandler)
        .model("core.content")
        .all_types()
        .visible_if("b.pulp_type <> 'core.publishedmetadata'")
        .field(artifacts.help("The files of the unit, by their paths."));
    content.ordering.clear();
    content.policy = Some(AccessPolicy::usual().scope(Scope::InViewedRepositories).permission("manage_content_labels").role(
        "core.content_labeler",
        None,
        &["core.manage_content_labels"],
    ));
    registry.resource(content);
    let mut guards = Resource::new("contentguards", "core_contentguard", "ContentGuard");
    guards.noun = Noun::ContentGuard;
    registry.resource(
        guards
            .all_types()
            .field(Field::text("name").required().help("The unique name."))
            .field(Field::text("description").nullable().help("For people."))
            .filter(crate::resource::Filter::name("name"))
            .ordered_by(["description", "name", "pulp_type"]),
    );
}

/// The lists over all types make nothing.
struct NoHandler;

#[async_trait]
impl ActionHandler for NoHandler {
    async fn handle(&self, _: &Context, _: Option<Uuid>, _: Input) -> Result<Reply> {
        Err(Error::not_found("the end point"))
    }
}
