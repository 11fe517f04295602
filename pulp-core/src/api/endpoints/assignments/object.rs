//! Any object on which a role can be given.

use std::collections::HashMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::db::{ExecutorExt, Sql, Value};
use crate::resource::{Context, Resource, key_number};
use crate::{Error, Result};

/// An object that exists, of whatever kind.
#[derive(Debug, Clone)]
pub(super) struct Named {
    /// The key of its model.
    pub(super) model: i64,
    /// Its own.
    pub(super) id: Uuid,
    pub(super) href: String,
    pub(super) prn: String,
}

impl Named {
    /// The object of an href.
    ///
    /// # Errors
    /// A validation error about `content_object`.
    pub(super) async fn by_href(cx: &Context, href: &str) -> Result<Self> {
        let wrong = || Error::field("content_object", format!("Invalid value: {href}."));
        let (domain, path) = cx.pulp().hrefs().split(href).ok_or_else(wrong)?;
        let (resource, rest) = cx.pulp().registry().split_path(path).ok_or_else(wrong)?;
        let id = resource.key_of(rest).ok_or_else(wrong)?;
        let found = Self::of(cx, resource, &[id]).await?.remove(&id).ok_or_else(wrong)?;
        // An href leads into one domain only.
        if cx.pulp().hrefs().split(&found.href).is_some_and(|(own, _)| own == domain) { Ok(found) } else { Err(wrong()) }
    }

    /// The object of a PRN.
    ///
    /// # Errors
    /// A validation error about `content_object_prn`.
    pub(super) async fn by_prn(cx: &Context, prn: &str) -> Result<Self> {
        let wrong = |message: String| Error::field("content_object_prn", message);
        let rest = prn.strip_prefix("prn:").ok_or_else(|| wrong(format!("PRN must start with 'prn:': {prn}")))?;
        let (model, key) =
            rest.split_once(':').ok_or_else(|| wrong(format!("PRN must be of the form 'prn:app_label.model_label:pulp_id': {prn}")))?;
        let resource = of_model(cx, model).ok_or_else(|| wrong(format!("Model {model} does not exist")))?;
        let id = resource.key_of(key).ok_or_else(|| wrong(format!("PK invalid: {key}")))?;
        Self::of(cx, &resource, &[id]).await?.remove(&id).ok_or_else(|| wrong(format!("{prn} does not exist")))
    }

    /// Objects by the keys of their models and their own; those that are gone are missing.
    pub(super) async fn all(cx: &Context, objects: impl Iterator<Item = &(i64, Uuid)>) -> Result<HashMap<(i64, Uuid), Self>> {
        let mut by_model: HashMap<i64, Vec<Uuid>> = HashMap::new();
        for (model, id) in objects {
            by_model.entry(*model).or_default().push(*id);
        }
        let mut all = HashMap::new();
        for (model, ids) in by_model {
            let Some(resource) = cx.pulp().access().model_of(model).and_then(|name| of_model(cx, name)) else { continue };
            all.extend(Self::of(cx, &resource, &ids).await?.into_iter().map(|(id, object)| ((model, id), object)));
        }
        Ok(all)
    }

    /// Objects of one resource, in whatever domain.
    async fn of(cx: &Context, resource: &Resource, ids: &[Uuid]) -> Result<HashMap<Uuid, Self>> {
        let Some(model) = cx.pulp().access().model(&resource.model) else { return Ok(HashMap::new()) };
        let (domain, join) = match resource.in_domain {
            true => ("d.name", " join core_domain d on d.pulp_id = b.pulp_domain_id"),
            false => ("'default'", ""),
        };
        let mut found: Vec<(Uuid, String)> = Vec::new();
        if resource.integer_key {
            let mut sql = Sql::new(format!("select b.{} from {} b where b.{0} in ", resource.key, resource.table));
            sql.push_list(ids.iter().map(|id| Value::from(key_number(*id))));
            let keys: Vec<i64> = cx.pulp().db().column(sql).await?;
            found.extend(keys.into_iter().map(|key| (crate::resource::integer_key(key), "default".to_owned())));
        } else {
            let mut sql = Sql::new(format!("select b.{}, {domain} from {} b{join} where b.{0} in ", resource.key, resource.table));
            sql.push_list(ids);
            if let Some(pulp_type) = resource.pulp_type {
                sql.push(" and b.pulp_type = ").push_bind(pulp_type);
            }
            found = cx.pulp().db().all(sql).await?;
        }
        let shown = |(id, domain): (Uuid, String)| {
            let key = if resource.integer_key { key_number(id).to_string() } else { id.to_string() };
            let href = format!("{}{}/{key}/", cx.pulp().hrefs().base(&domain), resource.path);
            (id, Self { model, id, href, prn: format!("prn:{}:{key}", resource.model) })
        };
        Ok(found.into_iter().map(shown).collect())
    }
}

/// The resource of a model; not the list over all types.
fn of_model(cx: &Context, model: &str) -> Option<Arc<Resource>> {
    let one = |resource: &&Arc<Resource>| resource.model == model && (!resource.typed() || resource.pulp_type.is_some());
    cx.pulp().registry().resources().iter().find(one).cloned()
}
