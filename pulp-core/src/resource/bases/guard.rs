//! What every content guard has.

use async_trait::async_trait;
use uuid::Uuid;

use super::super::{Change as Changed, Context, Create, Field, Filter, Hooks, Noun, Resource};
use crate::content::Change;

impl Resource {
    /// A type of content guards: `pulp_type` is its type’s name (`core.header`), `schema` the name of its schema. What lets requests
    /// pass is registered beside it, with [`Registry::guard`](crate::plugin::Registry::guard).
    pub fn content_guard(path: &'static str, pulp_type: &'static str, schema: &'static str) -> Self {
        let mut resource = Self::new(path, "core_contentguard", schema);
        resource.noun = Noun::ContentGuard;
        resource.pulp_type = Some(pulp_type);
        resource.create = Create::Now;
        resource.update = Changed::Now;
        resource.delete = Changed::Now;
        resource.roles = true;
        resource
            .hooks(Rules)
            .fields([super::name("The unique name."), Field::text("description").nullable().in_base().help("For people.")])
            .filter(Filter::name("name"))
            .ordered_by(["description", "name", "pulp_type"])
    }
}

struct Rules;

#[async_trait]
impl Hooks for Rules {
    async fn committed(&self, cx: &Context, _: Uuid) {
        // A distribution whose guard is gone has none.
        Change::Distributions.announce(cx.pulp()).await;
    }
}
