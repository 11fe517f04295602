//! What of a policy follows from a description.

use serde_json::{Value as Json, json};

use super::policy::{AccessPolicy, LockedRole, Rule, Scope};
use crate::plugin::Registry;
use crate::resource::{Action, Change, Create, Kind, Noun, On, Resource, Target};

/// The first half of a model's label: `file` of `file.filerepository`.
pub(crate) fn app_of(model: &str) -> &str {
    model.split_once('.').map_or(model, |(app, _)| app)
}

/// The permission to do something with objects of a model: `file.view_filerepository`.
pub(crate) fn permission(model: &str, verb: &str) -> String {
    match model.split_once('.') {
        Some((app, name)) => format!("{app}.{verb}_{name}"),
        None => format!("{verb}_{model}"),
    }
}

/// Names a role of a model: `file.filerepository_owner`.
fn role(model: &str, of: &str) -> String {
    format!("{model}_{of}")
}

impl Resource {
    /// Its policy: the one that it says, or the usual one where objects have roles. Without one it is for administrators alone.
    pub(crate) fn own_policy(&self) -> Option<AccessPolicy> {
        match &self.policy {
            Some(policy) => Some(policy.clone()),
            None if self.roles => Some(AccessPolicy::usual()),
            None => None,
        }
    }

    /// The permissions that there are on its objects: codenames without their app.
    pub(super) fn codenames(&self) -> Vec<String> {
        let name = self.model.split_once('.').map_or(self.model.as_str(), |(_, name)| name);
        let mut all: Vec<String> = ["add", "change", "delete", "view"].map(|verb| format!("{verb}_{name}")).to_vec();
        if self.roles {
            all.push(format!("manage_roles_{name}"));
        }
        all.extend(self.verbs().into_iter().map(|verb| format!("{verb}_{name}")));
        all.extend(self.policy.iter().flat_map(|policy| &policy.permissions).map(|codename| (*codename).to_owned()));
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The actions on an object that need a permission of their own name.
    fn verbs(&self) -> Vec<&'static str> {
        let Some(policy) = self.own_policy().filter(|policy| policy.derived) else { return Vec::new() };
        let of_object = |on: On| self.noun != Noun::Content && on == On::Object;
        let mut verbs: Vec<&'static str> =
            self.actions.iter().filter(|action| of_object(action.on) && !policy.covers(action.name)).map(Action::permission).collect();
        if self.noun == Noun::Repository {
            verbs.push("repair");
        }
        verbs.sort_unstable();
        verbs.dedup();
        verbs
    }

    /// The roles that are there from the beginning.
    pub(super) fn locked_roles(&self) -> Vec<LockedRole> {
        let Some(policy) = self.own_policy() else { return Vec::new() };
        let mut all = policy.roles.clone();
        let mut add = |of: &str, verbs: &[&str]| {
            let name = role(&self.model, of);
            if !all.iter().any(|known| known.name == name) {
                let permissions = verbs.iter().map(|verb| permission(&self.model, verb)).collect();
                all.push(LockedRole { name, description: None, permissions });
            }
        };
        if policy.derived && self.roles {
            if !matches!(self.create, Create::No) {
                add("creator", &["add"]);
            }
            let mut owner = vec!["manage_roles", "view"];
            owner.extend((self.update != Change::No).then_some("change"));
            owner.extend((self.delete != Change::No).then_some("delete"));
            owner.extend(self.verbs());
            add("owner", &owner);
            add("viewer", &["view"]);
        }
        all
    }

    /// What happens when one is made.
    pub(super) fn creation_hooks(&self, policy: &AccessPolicy) -> Json {
        let roles = match &policy.creator {
            Some(roles) => roles.clone(),
            None if self.roles => vec![role(&self.model, "owner")],
            None => return Json::Null,
        };
        let roles = if let [only] = roles.as_slice() { json!(only) } else { json!(roles) };
        json!([{"function": "add_roles_for_object_creator", "parameters": {"roles": roles}}])
    }

    /// The statements of its policy.
    pub(super) fn statements(&self, registry: &Registry, policy: &AccessPolicy) -> Json {
        let mut rules = policy.rules.clone();
        if policy.derived {
            rules.extend(self.derived(registry).into_iter().filter_map(|mut rule| {
                rule.actions.retain(|action| !policy.covers(action));
                (!rule.actions.is_empty()).then_some(rule)
            }));
        }
        statements(&rules)
    }

    fn derived(&self, registry: &Registry) -> Vec<Rule> {
        let mut all: Vec<Rule> = Vec::new();
        let mut add = |actions: Vec<&'static str>, conditions: Vec<String>| {
            all.push(Rule { actions, principal: "authenticated", conditions });
        };
        let (general, object) = if self.in_domain { ("model_or_domain", "model_or_domain_or_obj") } else { ("model", "model_or_obj") };
        let may = |verb: &str| format!("has_{general}_perms:{}", permission(&self.model, verb));
        let may_with = |verb: &str| format!("has_{object}_perms:{}", permission(&self.model, verb));
        // A content type's objects are to be seen by whoever changes them; those of core need not be.
        let seen = |verb: &str| {
            let mut conditions = vec![may_with(verb)];
            conditions.extend((app_of(&self.model) != "core").then(|| may_with("view")));
            conditions
        };
        let shown = ["list", "retrieve"].into_iter().chain(self.roles.then_some("my_permissions"));
        add(shown.filter(|action| self.read || *action != "retrieve").collect(), Vec::new());
        if self.noun == Noun::Content {
            self.derive_content(registry, &mut add);
            return all;
        }
        let related = self.related(registry);
        if !matches!(self.create, Create::No) {
            add(vec!["create"], std::iter::once(may("add")).chain(related.clone()).collect());
        }
        if self.update != Change::No {
            let labels = if self.labels.is_some() { &["set_label", "unset_label"] as &[&str] } else { &[] };
            let actions = ["update", "partial_update"].iter().chain(labels).copied().collect();
            add(actions, seen("change").into_iter().chain(related).collect());
        }
        if self.delete != Change::No {
            add(vec!["destroy"], seen("delete"));
        }
        for action in &self.actions {
            let named = |target: Target| {
                let mut fields = action.body.iter().flat_map(|body| &body.fields);
                fields.any(|field| matches!(field.kind, Kind::Href(of) if of == target))
            };
            let mut conditions = match action.on {
                On::Object => seen(action.permission()),
                On::Collection => vec![may(action.permission())],
            };
            if named(Target::REMOTE) {
                let all = self.siblings(registry, Noun::Remote).join(",");
                conditions.push(format!("has_remote_param_model_or_domain_or_obj_perms:{all}"));
            }
            add(vec![action.name], conditions);
        }
        if self.roles {
            add(vec!["list_roles", "add_role", "remove_role"], vec![may_with("manage_roles")]);
        }
        all
    }

    /// Units come with a repository that the asker may change.
    fn derive_content(&self, registry: &Registry, add: &mut impl FnMut(Vec<&'static str>, Vec<String>)) {
        if !matches!(self.create, Create::No) {
            let mut conditions = Vec::new();
            if let Some(repository) = self.sibling(registry, Noun::Repository) {
                for verb in ["modify", "view"] {
                    conditions.push(format!("has_required_repo_perms_on_upload:{}", permission(repository, verb)));
                }
            }
            conditions.push("has_upload_param_model_or_domain_or_obj_perms:core.change_upload".to_owned());
            add(vec!["create"], conditions);
        }
        if self.labels.is_some() {
            add(vec!["set_label", "unset_label"], vec!["has_model_or_domain_perms:core.manage_content_labels".to_owned()]);
        }
        for action in &self.actions {
            add(vec![action.name], vec![format!("has_model_or_domain_perms:{}", permission(&self.model, action.name))]);
        }
    }

    /// Objects that a body names are to be seen by whoever names them.
    fn related(&self, registry: &Registry) -> Vec<String> {
        let has = |target: Target| self.fields.iter().any(|field| field.is_input() && matches!(field.kind, Kind::Href(of) if of == target));
        let view = |subject: &str, noun: Noun| {
            let model = self.sibling(registry, noun)?;
            Some(format!("has_{subject}_param_model_or_domain_or_obj_perms:{}", permission(model, "view")))
        };
        let mut all = Vec::new();
        if has(Target::REMOTE) && self.noun != Noun::Distribution {
            all.extend(view("remote", Noun::Remote));
        }
        if has(Target::REPOSITORY) {
            all.extend(view("repo_or_repo_ver", Noun::Repository));
        }
        if has(Target::PUBLICATION) {
            all.extend(view("publication", Noun::Publication));
        }
        all
    }

    /// The first model of a noun that comes from the same component.
    fn sibling<'r>(&self, registry: &'r Registry, noun: Noun) -> Option<&'r str> {
        self.of_app(registry, noun).next()
    }

    /// The permissions to view objects of a noun that come from the same component.
    fn siblings(&self, registry: &Registry, noun: Noun) -> Vec<String> {
        self.of_app(registry, noun).map(|model| permission(model, "view")).collect()
    }

    fn of_app<'r>(&self, registry: &'r Registry, noun: Noun) -> impl Iterator<Item = &'r str> {
        let app = app_of(&self.model).to_owned();
        registry
            .resources()
            .iter()
            .filter(move |other| other.noun == noun && other.pulp_type.is_some() && app_of(&other.model) == app)
            .map(|other| other.model.as_str())
    }

    /// The policy of a repository type's versions: they are as their repository.
    pub(super) fn versions_policy(&self, registry: &Registry) -> AccessPolicy {
        let may = |verb: &str| format!("has_repository_model_or_domain_or_obj_perms:{}", permission(&self.model, verb));
        let (view, delete, repair) = (may("view"), may("delete"), may("repair"));
        let policy = AccessPolicy::explicit()
            .rule(&["list", "retrieve"], &[&view])
            .rule(&["destroy"], &[&delete, &view])
            .rule(&["repair"], &[&repair, &view])
            .scope(Scope::Everything);
        if self.can_be_scanned(registry) { policy.rule(&["scan"], &[&view]) } else { policy }
    }
}

/// Rules as they are stored and shown.
pub(super) fn statements(rules: &[Rule]) -> Json {
    let one = |rule: &Rule| {
        let mut statement = json!({"action": rule.actions, "effect": "allow", "principal": rule.principal});
        if !rule.conditions.is_empty() {
            statement["condition"] = json!(rule.conditions);
        }
        statement
    };
    rules.iter().map(one).collect()
}
