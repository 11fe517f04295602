//! What a description says about access.

/// Which rows a list shows to somebody who is no administrator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Scope {
    /// Those that the asker may view; of a list over all types, likewise by type.
    #[default]
    Viewed,
    /// Units of repositories that the asker may view.
    InViewedRepositories,
    /// Versions of repositories that the asker may view.
    VersionsOfViewedRepositories,
    /// Groups of tasks that the asker may view.
    OfViewedTasks,
    /// One's own: this column holds the key of the user.
    Own(&'static str),
    /// All.
    Everything,
}

/// A rule of a policy: who is logged in and meets all conditions may take these actions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) actions: Vec<&'static str>,
    /// Who: `authenticated`, `admin`.
    pub(crate) principal: &'static str,
    pub(crate) conditions: Vec<String>,
}

/// A role that is there from the beginning, and cannot be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockedRole {
    pub(crate) name: String,
    pub(crate) description: Option<&'static str>,
    pub(crate) permissions: Vec<String>,
}

/// Who may do what, unless an administrator says otherwise.
///
/// [`AccessPolicy::usual`] is what objects with roles have; what differs is added. Conditions read as on the wire:
/// `has_model_or_domain_or_obj_perms:file.view_filerepository`.
///
/// ```
/// use pulp_core::resource::{AccessPolicy, Resource};
///
/// let shelf = Resource::repository("repositories/shelf/shelf", "shelf.shelf", "shelf.ShelfRepository")
///     .policy(AccessPolicy::usual().rule(&["count"], &["has_model_or_domain_or_obj_perms:shelf.view_shelfrepository"]));
/// # drop(shelf);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessPolicy {
    /// Whether rules follow from what the resource can do, beside those that are said.
    pub(crate) derived: bool,
    pub(crate) rules: Vec<Rule>,
    pub(crate) roles: Vec<LockedRole>,
    /// Permissions beyond those that follow from actions: codenames, as `upload_files`.
    pub(crate) permissions: Vec<&'static str>,
    /// Roles that whoever makes an object gets on it; nothing means the owner's, if there is one.
    pub(crate) creator: Option<Vec<String>>,
    /// Roles that nobody gives or takes on an object: the server does.
    pub(crate) reserved: Vec<&'static str>,
    pub(crate) scope: Scope,
    /// Whether `access_policies/` shows it.
    pub(crate) listed: bool,
}

impl AccessPolicy {
    /// What objects with roles have: everybody who is logged in may list those that they may view; making, changing, removing and each
    /// action need the permission of that name.
    pub fn usual() -> Self {
        Self {
            derived: true,
            rules: Vec::new(),
            roles: Vec::new(),
            permissions: Vec::new(),
            creator: None,
            reserved: Vec::new(),
            scope: Scope::Viewed,
            listed: true,
        }
    }

    /// Nothing but the rules that are said.
    pub fn explicit() -> Self {
        Self { derived: false, ..Self::usual() }
    }

    /// Whoever is logged in may take these actions, if all conditions are met.
    #[must_use]
    pub fn rule(self, actions: &[&'static str], conditions: &[&str]) -> Self {
        self.rule_for("authenticated", actions, conditions)
    }

    /// As [`rule`](Self::rule), for `admin` or `*`.
    #[must_use]
    pub fn rule_for(mut self, principal: &'static str, actions: &[&'static str], conditions: &[&str]) -> Self {
        let conditions = conditions.iter().map(|one| (*one).to_owned()).collect();
        self.rules.push(Rule { actions: actions.to_vec(), principal, conditions });
        self
    }

    /// There is another locked role, with these permissions: `core.view_task`.
    #[must_use]
    pub fn role(mut self, name: &str, description: Option<&'static str>, permissions: &[&str]) -> Self {
        let permissions = permissions.iter().map(|one| (*one).to_owned()).collect();
        self.roles.push(LockedRole { name: name.to_owned(), description, permissions });
        self
    }

    /// There is a permission that follows from no action: its codename.
    #[must_use]
    pub fn permission(mut self, codename: &'static str) -> Self {
        self.permissions.push(codename);
        self
    }

    /// Whoever makes an object gets these roles on it.
    #[must_use]
    pub fn creator(mut self, roles: &[&str]) -> Self {
        self.creator = Some(roles.iter().map(|one| (*one).to_owned()).collect());
        self
    }

    /// Nobody gives or takes this role on an object: the server does.
    #[must_use]
    pub fn reserved(mut self, role: &'static str) -> Self {
        self.reserved.push(role);
        self
    }

    /// Which rows a list shows.
    #[must_use]
    pub fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// `access_policies/` does not show it: it cannot be changed.
    #[must_use]
    pub fn fixed(mut self) -> Self {
        self.listed = false;
        self
    }

    pub(crate) fn covers(&self, action: &str) -> bool {
        self.rules.iter().any(|rule| rule.actions.contains(&action))
    }
}
