//! What the code of a resource is given.

use std::sync::Arc;

use uuid::Uuid;

use super::access::{Grants, Limit, Overrides};
use super::relation::Link;
use super::{Reply, Target};
use crate::Pulp;
use crate::db::{Dialect, Executor, ExecutorExt, Sql};
use crate::ids::Prn;
use crate::model::{Domain, User};
use crate::tasks::{DispatchOptions, Plan, Task};

/// Why a text is no reference at all.
pub(crate) const NO_MATCH: &str = "Invalid hyperlink - No URL match.";

/// Who asks, where, and through which Pulp: of a request, or of a task that goes on with it.
#[derive(Debug, Clone)]
pub struct Context {
    pulp: Pulp,
    domain: Arc<Domain>,
    user: Option<Arc<User>>,
    creator: Option<i64>,
    limit: Option<Limit>,
    grants: Option<Arc<Grants>>,
    overrides: Option<Arc<Overrides>>,
    correlation_id: Option<String>,
    origin: Option<String>,
    diagnostics: Vec<String>,
    plan: Option<Plan>,
}

impl Context {
    /// Of nobody in particular.
    pub fn new(pulp: Pulp, domain: Arc<Domain>) -> Self {
        Self {
            pulp,
            domain,
            user: None,
            creator: None,
            limit: None,
            grants: None,
            overrides: None,
            correlation_id: None,
            origin: None,
            diagnostics: Vec::new(),
            plan: None,
        }
    }

    /// Of this user: what is asked for shows what the user may see. Without [`Context::load_access`] that is nothing, unless the user
    /// may do everything.
    #[must_use]
    pub fn with_user(mut self, user: Arc<User>) -> Self {
        self.creator = Some(user.id);
        self.user = Some(user);
        self
    }

    /// Of somebody who asks with a token that lets its user have some permissions at most. Nobody may do everything then.
    #[must_use]
    pub(crate) fn within(mut self, limit: Option<Limit>) -> Self {
        self.limit = limit;
        self
    }

    /// Of the system, on behalf of a user who was checked before: whoever dispatched a task, say. What is made is the user's.
    #[must_use]
    pub fn made_by(mut self, user: Option<i64>) -> Self {
        self.creator = user;
        self
    }

    /// Where no administrator has changed a policy: none need be read.
    #[must_use]
    pub(crate) fn with_policies_as_described(mut self) -> Self {
        self.overrides = Some(Arc::default());
        self
    }

    /// Reads what the user may do.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn load_access(mut self) -> crate::Result<Self> {
        let db = self.pulp.db();
        if self.overrides.is_none() {
            self.overrides = Some(Arc::new(Overrides::load(db).await?));
        }
        if let Some(user) = &self.user {
            let grants = Grants::load(db, user, self.domain.pulp_id).await?;
            self.grants = Some(Arc::new(grants.within(self.limit.clone())));
            if self.limit.is_some() {
                self.user = Some(Arc::new(User { is_superuser: false, is_staff: false, ..User::clone(user) }));
            }
        }
        Ok(self)
    }

    /// The same, of nobody in particular: to show what was just made to whoever made it, who need not have a role on it.
    pub(crate) fn of_nobody(&self) -> Self {
        Self { user: None, grants: None, ..self.clone() }
    }

    /// What the user may do, if that was read.
    pub(crate) fn grants(&self) -> Option<&Grants> {
        self.grants.as_deref()
    }

    /// What administrators have changed of policies, if that was read.
    pub(crate) fn overrides(&self) -> Option<&Overrides> {
        self.overrides.as_deref()
    }

    /// The key of the user to whom what is made belongs.
    pub fn creator(&self) -> Option<i64> {
        self.creator
    }

    /// Of the request that carries this correlation id.
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Of a request to this scheme, host and port: `https://pulp.example`.
    #[must_use]
    pub fn with_origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Whose tasks are to record this while they run (`memory`), where the settings allow it.
    #[must_use]
    pub fn with_diagnostics(mut self, diagnostics: Vec<String>) -> Self {
        self.diagnostics = diagnostics;
        self
    }

    /// The library.
    pub fn pulp(&self) -> &Pulp {
        &self.pulp
    }

    /// The domain.
    pub fn domain(&self) -> &Arc<Domain> {
        &self.domain
    }

    /// Who asks; nobody in a task of the system’s own.
    pub fn user(&self) -> Option<&Arc<User>> {
        self.user.as_ref()
    }

    /// What logs and tasks of the request carry.
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// Scheme, host and port under which the client reached us.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Dispatches a task in the name of whoever asks: what an [`ActionHandler`](super::ActionHandler) answers with.
    ///
    /// # Errors
    /// As [`Tasks::dispatch`](crate::tasks::Tasks::dispatch).
    pub async fn dispatch<T: Task>(&self, task: T) -> crate::Result<Reply> {
        self.dispatch_with(task, self.dispatch_options()).await
    }

    /// As [`dispatch`](Self::dispatch), with [`dispatch_options`](Self::dispatch_options) that were changed.
    ///
    /// # Errors
    /// As `dispatch`.
    pub async fn dispatch_with<T: Task>(&self, task: T, options: DispatchOptions) -> crate::Result<Reply> {
        if let Some(plan) = &self.plan {
            plan.put(self.pulp.tasks().plan(task, options)?);
            return Ok(Reply::Task(Uuid::nil()));
        }
        let row = self.pulp.tasks().dispatch(task, options).await?;
        Ok(Reply::Task(row.pulp_id))
    }

    /// The same, but that the task is not dispatched: it is put there.
    pub(crate) fn planning(mut self, plan: &Plan) -> Self {
        self.plan = Some(plan.clone());
        self
    }

    /// Whether the asker may do a part only of what the user may.
    pub(crate) fn is_limited(&self) -> bool {
        self.limit.is_some()
    }

    /// How a task is dispatched in the name of whoever asks.
    pub fn dispatch_options(&self) -> DispatchOptions {
        DispatchOptions {
            domain: Some(Arc::clone(&self.domain)),
            cid: self.correlation_id.clone(),
            user: self.user.as_ref().map(|user| user.id),
            diagnostics: self.diagnostics.clone(),
            ..DispatchOptions::default()
        }
    }

    /// The href of an object, where its type is known; `pulp_type` is needed where one table holds several types. Versions,
    /// and what lies below another object, have hrefs of another make: [`Hrefs::version`](crate::ids::Hrefs::version).
    pub fn href_of(&self, target: Target, id: Uuid, pulp_type: Option<&str>) -> Option<String> {
        let collection = match target.link {
            Link::Plain(collection) => collection,
            Link::Typed => self.pulp.registry().resource_of_type(target.table, pulp_type?)?.path,
            Link::Version | Link::Nested(..) => return None,
        };
        Some(self.pulp.hrefs().object(&self.domain.name, collection, id))
    }

    /// The PRN of an object, likewise.
    pub fn prn_of(&self, target: Target, id: Uuid, pulp_type: Option<&str>) -> Option<Prn> {
        let model = match target.link {
            Link::Plain(collection) => self.pulp.registry().resource_at(collection)?.model.as_str(),
            Link::Typed => self.pulp.registry().resource_of_type(target.table, pulp_type?)?.model.as_str(),
            Link::Version => "core.repositoryversion",
            Link::Nested(parent, segment, _) => self.pulp.registry().resource_below(parent, segment)?.model.as_str(),
        };
        Some(Prn::new(model, id))
    }

    /// The object that an href or a PRN names, if there is one of the right kind in this domain.
    ///
    /// # Errors
    /// The message for the client.
    pub async fn resolve(&self, target: Target, text: &str) -> Result<Prn, String> {
        const WRONG_MATCH: &str = "Invalid hyperlink - Incorrect URL match.";
        const GONE: &str = "Invalid hyperlink - Object does not exist.";
        let registry = self.pulp.registry();
        let domain_column = self.domain_column(target);
        let sql = if let Ok(prn) = text.parse::<Prn>() {
            let known = match target.link {
                Link::Version => prn.model == "core.repositoryversion",
                _ => registry.resources().iter().any(|resource| resource.table == target.table && resource.model == prn.model),
            };
            if !known {
                return Err(WRONG_MATCH.to_owned());
            }
            Sql::new(select(domain_column, target, "t.pulp_id = $1")).bind(prn.id)
        } else {
            let Some((domain, path)) = self.pulp.hrefs().split(text) else { return Err(NO_MATCH.to_owned()) };
            let (collection, rest) = registry.split_path(path).ok_or(NO_MATCH)?;
            let mut rest = rest.split('/');
            let id: Uuid = rest.next().and_then(|id| id.parse().ok()).ok_or(NO_MATCH)?;
            if domain != self.domain.name && collection.in_domain {
                return Err(self.elsewhere());
            }
            match (target.link, rest.next(), rest.next(), rest.next()) {
                (Link::Version, Some("versions"), Some(number), None) if collection.table == Target::REPOSITORY.table => {
                    let number: i64 = number.parse().map_err(|_| NO_MATCH)?;
                    Sql::new(select(domain_column, target, "t.repository_id = $1 and t.number = $2")).bind(id).bind(number)
                }
                (Link::Nested(parent, segment, column), Some(below), Some(own), None) if collection.path == parent && below == segment => {
                    let own: Uuid = own.parse().map_err(|_| NO_MATCH)?;
                    Sql::new(select(domain_column, target, &format!("t.pulp_id = $1 and t.{column} = $2"))).bind(own).bind(id)
                }
                (Link::Typed | Link::Plain(_), None, None, None) if collection.table == target.table => {
                    Sql::new(select(domain_column, target, "t.pulp_id = $1")).bind(id)
                }
                _ => return Err(WRONG_MATCH.to_owned()),
            }
        };
        let found: Option<(Uuid, Option<String>, Option<Uuid>)> = self.pulp.db().optional(sql).await.map_err(|error| {
            tracing::error!(%error, "an href could not be looked up");
            GONE.to_owned()
        })?;
        let (id, pulp_type, domain) = found.ok_or(GONE)?;
        if domain.is_some_and(|domain| domain != self.domain.pulp_id) {
            return Err(self.elsewhere());
        }
        self.prn_of(target, id, pulp_type.as_deref()).ok_or_else(|| WRONG_MATCH.to_owned())
    }
}

impl Context {
    /// Whether whoever asks may see a repository, of whatever type.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub(crate) async fn sees_repository(&self, id: Uuid) -> crate::Result<bool> {
        let sql = Sql::new("select pulp_type from core_repository where pulp_id = $1").bind(id);
        let kind: Option<(String,)> = self.pulp.db().optional(sql).await?;
        let of_type = kind.and_then(|(kind,)| self.pulp.registry().resource_of_type(Target::REPOSITORY.table, &kind));
        match of_type {
            Some(resource) => Ok(resource.find(self, self.pulp.db(), id).await?.is_some()),
            None => Ok(false),
        }
    }

    /// As [`resolve`](Self::resolve), with the messages that Pulp has where an object is named outside a field for its kind.
    ///
    /// # Errors
    /// The message for the client.
    pub async fn resolve_any(&self, target: Target, text: &str) -> Result<Prn, String> {
        if text.parse::<Prn>().is_err() {
            let (_, path) = self.pulp.hrefs().split(text).ok_or_else(|| format!("URI not valid: {text}"))?;
            let (_, rest) = self.pulp.registry().split_path(path).ok_or_else(|| format!("URI not valid: {text}"))?;
            let key = rest.split('/').next().unwrap_or_default();
            if key.is_empty() {
                return Err(format!("URI not valid: {text}"));
            }
            if Uuid::try_parse(key).is_err() {
                return Err(format!("ID invalid: {key}"));
            }
        }
        let noun = target.table.trim_start_matches("core_");
        self.resolve(target, text).await.map_err(|_| format!("URI {text} not found for {noun}."))
    }

    /// The column that says in which domain an object is; null for what is in none.
    fn domain_column(&self, target: Target) -> &'static str {
        let registry = self.pulp.registry();
        let in_domain = match target.link {
            Link::Version => return "r.pulp_domain_id",
            Link::Nested(..) => true,
            Link::Plain(collection) => registry.resource_at(collection).is_some_and(|resource| resource.in_domain),
            Link::Typed => registry.resources().iter().any(|resource| resource.table == target.table && resource.in_domain),
        };
        match (in_domain, self.pulp.db().dialect()) {
            (true, _) => "t.pulp_domain_id",
            (false, Dialect::Postgres) => "cast(null as uuid)",
            (false, Dialect::Sqlite) => "cast(null as blob)",
        }
    }

    /// Below this lies what is in no domain, whatever domain it is asked for in.
    pub(crate) fn shared_base(&self) -> String {
        self.pulp.hrefs().base(&self.pulp.default_domain().name)
    }

    /// What is said of an object of another domain.
    fn elsewhere(&self) -> String {
        format!("{ELSEWHERE} {} domain.", self.domain.name)
    }
}

/// How the message about objects of another domain begins: it concerns no single field.
pub(crate) const ELSEWHERE: &str = "Objects must all be a part of the";

/// A statement that gives key, type and domain of the object that meets the condition on `t`.
fn select(domain: &str, target: Target, condition: &str) -> String {
    let kind = if target.link == Link::Typed { "t.pulp_type" } else { "cast(null as text)" };
    let join = if target.link == Link::Version { " join core_repository r on r.pulp_id = t.repository_id" } else { "" };
    // A remote that was deleted may be there still: nobody is to name it.
    let there = if target == Target::REMOTE { " and t.deleted_at is null" } else { "" };
    format!("select t.pulp_id, {kind}, {domain} from {} t{join} where {condition}{there}", target.table)
}
