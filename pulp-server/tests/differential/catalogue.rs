//! What there is in a world, and what may be asked of it.
//!
//! In bodies `@` is a name of the run's own, and `<remote>` any remote of the world.

use http::Method;
use serde_json::{Value as Json, json};

/// A password that no rule objects to.
pub const PASSWORD: &str = "correct-horse-9";

/// Objects of one list.
pub struct Kind {
    pub name: &'static str,
    /// The list, below the API's root.
    pub path: &'static str,
    pub model: &'static str,
    /// How many are there from the beginning.
    pub count: usize,
    /// How one is made; null where nobody can.
    pub body: Json,
    pub actions: Vec<Action>,
}

/// Something to ask of an object, or of the list.
#[derive(Clone)]
pub struct Action {
    pub method: Method,
    pub on_object: bool,
    /// What follows the path.
    pub suffix: &'static str,
    pub body: Json,
}

impl Kind {
    fn new(name: &'static str, path: &'static str, model: &'static str, count: usize, body: Json) -> Self {
        let kind = Self { name, path, model, count, body: body.clone(), actions: Vec::new() };
        let kind = kind.on_list(Method::GET, "", Json::Null).on_list(Method::POST, "", body);
        kind.get("").with(Method::DELETE, "", Json::Null)
    }

    fn list(name: &'static str, path: &'static str) -> Self {
        Self { name, path, model: "", count: 0, body: Json::Null, actions: Vec::new() }.on_list(Method::GET, "", Json::Null)
    }

    fn on_list(mut self, method: Method, suffix: &'static str, body: Json) -> Self {
        self.actions.push(Action { method, on_object: false, suffix, body });
        self
    }

    fn with(mut self, method: Method, suffix: &'static str, body: Json) -> Self {
        self.actions.push(Action { method, on_object: true, suffix, body });
        self
    }

    fn get(self, suffix: &'static str) -> Self {
        self.with(Method::GET, suffix, Json::Null)
    }

    fn post(self, suffix: &'static str, body: Json) -> Self {
        self.with(Method::POST, suffix, body)
    }

    /// That can be changed, so; a whole new one has the fields of the body.
    fn changed(self, change: Json) -> Self {
        let body = self.body.clone();
        self.with(Method::PATCH, "", change).with(Method::PUT, "", body)
    }

    /// On which roles are given.
    fn roles(self) -> Self {
        let to_user = json!({"role": "<role of it>", "users": ["<username>"]});
        let to_group = json!({"role": "<role of it>", "groups": ["<groupname>"]});
        let both = |kind: Self, suffix| kind.post(suffix, to_user.clone()).post(suffix, to_group.clone());
        both(both(self.get("my_permissions/").get("list_roles/"), "add_role/"), "remove_role/")
    }

    fn labels(self) -> Self {
        self.post("set_label/", json!({"key": "a", "value": "b"})).post("unset_label/", json!({"key": "a"}))
    }
}

/// All kinds; what refers to others comes after them.
pub fn kinds() -> Vec<Kind> {
    let described = json!({"description": "another"});
    let assignment = json!({"role": "<role>", "content_object": "<repository>"});
    let mut all = vec![
        Kind::new("remote", "remotes/file/file", "file.fileremote", 3, json!({"name": "@", "url": "<manifest>", "policy": "on_demand"}))
            .changed(json!({"max_retries": 1}))
            .roles()
            .labels(),
        Kind::new("git-remote", "remotes/file/git", "file.filegitremote", 1, json!({"name": "@", "url": "<nowhere>"}))
            .changed(json!({"git_ref": "main"}))
            .roles()
            .labels(),
        Kind::new("repository", "repositories/file/file", "file.filerepository", 3, json!({"name": "@", "remote": "<remote>"}))
            .changed(json!({"description": "another"}))
            .with(Method::PATCH, "", json!({"remote": "<remote>"}))
            .roles()
            .labels()
            .post("sync/", json!({"remote": "<remote>"}))
            .post("sync/", json!({}))
            .post("modify/", json!({"add_content_units": ["<file>"]}))
            .get("versions/")
            .get("versions/0/")
            .with(Method::DELETE, "versions/1/", Json::Null)
            .post("versions/0/repair/", json!({"verify_checksums": true})),
        Kind::new("upload", "uploads", "core.upload", 2, json!({"size": 5}))
            .roles()
            .post("commit/", json!({"sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"})),
        Kind::new(
            "file",
            "content/file/files",
            "file.filecontent",
            2,
            json!({"relative_path": "@", "file_url": "<url>", "repository": "<repository>"}),
        )
        .labels()
        .on_list(Method::POST, "", json!({"relative_path": "@", "file_url": "<url>"}))
        .on_list(Method::POST, "", json!({"relative_path": "@", "upload": "<upload>", "repository": "<repository>"})),
        Kind::new("publication", "publications/file/file", "file.filepublication", 1, json!({"repository": "<repository>"}))
            .roles()
            .on_list(Method::POST, "", json!({"repository_version": "<repository>versions/0/"})),
        Kind::new("rbac-guard", "contentguards/core/rbac", "core.rbaccontentguard", 2, json!({"name": "@"}))
            .changed(described.clone())
            .roles(),
        Kind::new(
            "header-guard",
            "contentguards/core/header",
            "core.headercontentguard",
            1,
            json!({"name": "@", "header_name": "x", "header_value": "y"}),
        )
        .changed(described.clone())
        .roles(),
        Kind::new(
            "envvar-guard",
            "contentguards/core/envvar_header",
            "core.envvarheadercontentguard",
            0,
            json!({"name": "@", "header_name": "x", "env_var": "X"}),
        )
        .changed(described.clone())
        .roles(),
        Kind::new("redirect-guard", "contentguards/core/content_redirect", "core.contentredirectcontentguard", 1, json!({"name": "@"}))
            .changed(described.clone())
            .roles(),
        Kind::new(
            "composite-guard",
            "contentguards/core/composite",
            "core.compositecontentguard",
            1,
            json!({"name": "@", "guards": ["<rbac-guard>"]}),
        )
        .changed(described.clone())
        .roles(),
        Kind::new(
            "distribution",
            "distributions/file/file",
            "file.filedistribution",
            2,
            json!({"name": "@", "base_path": "@", "repository": "<repository>"}),
        )
        .changed(json!({"publication": "<publication>", "repository": null}))
        .with(Method::PATCH, "", json!({"content_guard": "<rbac-guard>"}))
        .on_list(Method::POST, "", json!({"name": "@", "base_path": "@", "publication": "<publication>"}))
        .roles()
        .labels(),
        Kind::new("acs", "acs/file/file", "file.filealternatecontentsource", 1, json!({"name": "@", "remote": "<remote>"}))
            .changed(json!({"paths": ["a/"]}))
            .roles()
            .post("refresh/", json!({})),
        Kind::new("keyring", "repositories/core/openpgp_keyring", "core.openpgpkeyring", 1, json!({"name": "@"}))
            .changed(described)
            .roles()
            .labels()
            .post("modify/", json!({"add_content_units": []})),
        Kind::new(
            "key-distribution",
            "distributions/core/openpgp",
            "core.openpgpdistribution",
            1,
            json!({"name": "@", "base_path": "@", "repository": "<keyring>"}),
        )
        .changed(json!({"hidden": true}))
        .labels(),
        Kind::new(
            "exporter",
            "exporters/core/pulp",
            "core.pulpexporter",
            1,
            json!({"name": "@", "path": "<directory>", "repositories": ["<repository>"]}),
        )
        .changed(json!({"path": "<directory>"}))
        .get("exports/")
        .post("exports/", json!({})),
        Kind::new(
            "directory-exporter",
            "exporters/core/filesystem",
            "core.filesystemexporter",
            1,
            json!({"name": "@", "path": "<directory>"}),
        )
        .changed(json!({"method": "write"}))
        .get("exports/"),
        Kind::new("importer", "importers/core/pulp", "core.pulpimporter", 1, json!({"name": "@"}))
            .changed(json!({"repo_mapping": {}}))
            .get("imports/"),
        Kind::new(
            "upstream",
            "upstream-pulps",
            "core.upstreampulp",
            1,
            json!({"name": "@", "base_url": "<nowhere>", "api_root": "pulp", "username": "a", "password": "b"}),
        )
        .changed(json!({"policy": "nodelete"}))
        .roles()
        .post("replicate/", json!({})),
        Kind::new("group", "groups", "core.group", 2, json!({"name": "@"}))
            .roles()
            .get("users/")
            .post("users/", json!({"username": "<username>"}))
            .get("roles/")
            .post("roles/", assignment.clone()),
        Kind::new("user", "users", "auth.user", 4, json!({"username": "@", "password": PASSWORD}))
            .with(Method::PATCH, "", json!({"first_name": "Ann"}))
            .get("roles/")
            .post("roles/", assignment),
        Kind::new("role", "roles", "core.role", 2, json!({"name": "@", "permissions": ["<permission>", "<permission>", "<permission>"]}))
            .changed(json!({"description": "another"})),
        Kind::new("task", "tasks", "core.task", 0, Json::Null).roles().get("profile_artifacts/").with(
            Method::PATCH,
            "",
            json!({"state": "canceled"}),
        ),
    ];
    all.extend(LISTS.iter().map(|(name, path)| Kind::list(name, path)));
    all
}

/// Lists of many types, and those of the administrators.
const LISTS: &[(&str, &str)] = &[
    ("repositories", "repositories"),
    ("remotes", "remotes"),
    ("distributions", "distributions"),
    ("publications", "publications"),
    ("contents", "content"),
    ("guards", "contentguards"),
    ("versions", "repository_versions"),
    ("groups of tasks", "task-groups"),
    ("schedules", "task-schedules"),
    ("artifacts", "artifacts"),
    ("workers", "workers"),
    ("policies", "access_policies"),
    ("services", "signing-services"),
    ("domains", "domains"),
    ("keys", "content/core/openpgp_publickey"),
    ("reports", "vuln_report"),
    ("artifact distributions", "distributions/core/artifacts"),
];
