//! Users, groups and roles: who may do what.

use http::Method;
use pulp_testkit::both_databases;
use serde_json::{Value as Json, json};

use super::world::{Answer, DISTRIBUTIONS, REMOTES, REPOSITORIES, World, basic, nowhere};

/// Somebody who has logged in.
pub struct Person<'w> {
    world: &'w World,
    name: String,
    id: i64,
}

const PASSWORD: &str = "correct-horse-9";

impl World {
    /// A user without any role.
    pub async fn person(&self, name: &str) -> Person<'_> {
        let made = self.post("users/", json!({"username": name, "password": PASSWORD})).await.with(201);
        Person { world: self, name: name.to_owned(), id: made["id"].as_i64().unwrap() }
    }

    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let group = self.post("groups/", json!({"name": name})).await.with(201)["pulp_href"].as_str().unwrap().to_owned();
        for member in members {
            self.post(&format!("{group}users/"), json!({"username": member})).await.with(201);
        }
        group
    }
}

impl Person<'_> {
    pub async fn ask(&self, method: Method, path: &str, body: Option<Json>) -> Answer {
        let authorization = basic(&self.name, PASSWORD);
        let headers = [("authorization", authorization.as_str()), ("content-type", "application/json"), ("host", "pulp.example")];
        self.world.send(method, path, &headers, body.map(|body| body.to_string()).unwrap_or_default()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, None).await
    }

    async fn post(&self, path: &str, body: Json) -> Answer {
        self.ask(Method::POST, path, Some(body)).await
    }

    async fn count(&self, path: &str) -> i64 {
        self.get(path).await.with(200)["count"].as_i64().unwrap()
    }

    /// Gives a role on everything.
    async fn may(&self, role: &str) -> &Self {
        let body = json!({"role": role, "content_object": null});
        self.world.post(&format!("users/{}/roles/", self.id), body).await.with(201);
        self
    }

    /// Gives a role on an object.
    pub async fn may_with(&self, role: &str, object: &str) -> &Self {
        self.world.post(&format!("{object}add_role/"), json!({"role": role, "users": [self.name]})).await.with(201);
        self
    }
}

const FORBIDDEN: &str = "You do not have permission to perform this action.";

both_databases! {
    async fn who_has_no_role_sees_and_counts_nothing(world: World) {
        let repository = world.repository("a").await;
        world.remote("r").await;
        let books = world.books(&["one"]).await;
        world.version(&repository, &books, &[]).await;
        let nobody = world.person("nobody").await;
        for list in [
            REPOSITORIES, REMOTES, DISTRIBUTIONS, "content/shelf/books/", "repositories/", "remotes/", "distributions/", "publications/",
            "content/", "contentguards/", "tasks/", "task-groups/", "uploads/", "groups/", "repository_versions/",
        ] {
            assert_eq!(nobody.count(list).await, 0, "{list}");
        }
        for list in ["users/", "roles/", "access_policies/", "artifacts/", "workers/"] {
            assert_eq!(nobody.get(list).await.with(403)["detail"], FORBIDDEN, "{list}");
        }
        assert_eq!(nobody.get(&repository).await.with(404)["detail"], "No ShelfRepository matches the given query.");
        assert_eq!(nobody.get(&format!("{repository}versions/")).await.with(403)["detail"], FORBIDDEN);
        assert_eq!(nobody.get(&format!("{repository}versions/1/")).await.with(403)["detail"], FORBIDDEN);
        assert_eq!(nobody.get(&format!("{}versions/", nowhere(REPOSITORIES))).await.status, 404);
        for (method, path) in [(Method::PATCH, repository.clone()), (Method::DELETE, repository.clone()), (Method::POST, format!("{repository}set_label/")), (Method::POST, format!("{repository}add_role/")), (Method::POST, format!("{repository}echo/"))] {
            assert_eq!(nobody.ask(method, &path, Some(json!({}))).await.status, 404, "{path}");
        }
        assert_eq!(nobody.post(REPOSITORIES, json!({})).await.with(403)["detail"], FORBIDDEN);
        for path in ["orphans/cleanup/", "users/", "roles/"] {
            assert_eq!(nobody.post(path, json!({})).await.with(403)["detail"], FORBIDDEN, "{path}");
        }
    }

    async fn whoever_makes_an_object_owns_it(world: World) {
        let ann = world.person("ann").await;
        ann.may("shelf.shelfrepository_creator").await;
        let made = ann.post(REPOSITORIES, json!({"name": "hers"})).await.with(201);
        let href = made["pulp_href"].as_str().unwrap();
        world.repository("other").await;
        assert_eq!(ann.count(REPOSITORIES).await, 1);
        assert_eq!(ann.count("repositories/").await, 1);
        assert_eq!(ann.get(&format!("{href}list_roles/")).await.with(200), json!({"roles": [{"role": "shelf.shelfrepository_owner", "users": ["ann"], "groups": []}]}));
        let mine = ann.get(&format!("{href}my_permissions/")).await.with(200);
        assert_eq!(mine["permissions"].as_array().unwrap().len(), 6, "{mine}");
        // Whoever may do everything has no role on it.
        assert_eq!(world.get(&format!("{href}my_permissions/")).await.with(200), json!({"permissions": []}));
        let changed = ann.ask(Method::PATCH, href, Some(json!({"description": "x"}))).await;
        let task = changed.with(202)["task"].as_str().unwrap().to_owned();
        assert_eq!(ann.count("tasks/").await, 1);
        ann.get(&task).await.with(200);
        let deleted = ann.ask(Method::DELETE, href, None).await.with(202)["task"].as_str().unwrap().to_owned();
        world.ended(&deleted).await;
        // What was given on it is gone with it.
        assert_eq!(world.get(&format!("users/{}/roles/?role__contains=shelfrepository_owner", ann.id)).await.with(200)["count"], 0);
    }

    async fn a_role_on_an_object_lets_do_what_it_says(world: World) {
        let href = world.repository("a").await;
        world.repository("b").await;
        let books = world.books(&["one", "two"]).await;
        world.version(&href, &books[..1], &[]).await;
        let bob = world.person("bob").await;
        bob.may_with("shelf.shelfrepository_viewer", &href).await;
        assert_eq!((bob.count(REPOSITORIES).await, bob.count("repositories/").await, bob.count("repository_versions/").await), (1, 1, 2));
        assert_eq!((bob.count("content/shelf/books/").await, bob.count("content/").await), (1, 1));
        bob.get(&href).await.with(200);
        bob.get(&format!("{href}versions/1/")).await.with(200);
        assert_eq!(bob.get(&format!("{href}my_permissions/")).await.with(200), json!({"permissions": ["shelf.view_shelfrepository"]}));
        for (method, path) in [(Method::PATCH, ""), (Method::DELETE, ""), (Method::POST, "set_label/"), (Method::POST, "add_role/"), (Method::GET, "list_roles/"), (Method::POST, "echo/"), (Method::DELETE, "versions/1/")] {
            let refused = bob.ask(method, &format!("{href}{path}"), Some(json!({}))).await;
            assert_eq!(refused.with(403)["detail"], FORBIDDEN, "{path}");
        }
        world.post(&format!("{href}remove_role/"), json!({"role": "shelf.shelfrepository_viewer", "users": ["bob"]})).await.with(201);
        assert_eq!(bob.count(REPOSITORIES).await, 0);
    }

    async fn members_of_a_group_have_its_roles(world: World) {
        let (one, two) = (world.repository("one").await, world.repository("two").await);
        let cat = world.person("cat").await;
        let group = world.group("readers", &["cat"]).await;
        assert_eq!(cat.count(REPOSITORIES).await, 0);
        world.post(&format!("{one}add_role/"), json!({"role": "shelf.shelfrepository_viewer", "groups": ["readers"]})).await.with(201);
        assert_eq!(cat.count(REPOSITORIES).await, 1);
        world.post(&format!("{group}roles/"), json!({"role": "shelf.shelfrepository_viewer", "content_object": null})).await.with(201);
        assert_eq!(cat.count(REPOSITORIES).await, 2);
        cat.get(&two).await.with(200);
        world.delete(&format!("{group}users/{}/", cat.id)).await.with(204);
        assert_eq!(cat.count(REPOSITORIES).await, 0);
    }

    async fn a_role_in_a_domain_is_for_all_of_it(world: World) {
        world.repository("a").await;
        let dan = world.person("dan").await;
        let domain = world.get("domains/?name=default").await.with(200)["results"][0]["pulp_href"].clone();
        let body = json!({"role": "shelf.shelfrepository_viewer", "content_object": null, "domain": domain});
        let given = world.post(&format!("users/{}/roles/", dan.id), body.clone()).await.with(201);
        assert_eq!((&given["domain"], &given["content_object"]), (&domain, &Json::Null));
        assert_eq!(dan.count(REPOSITORIES).await, 1);
        assert_eq!(world.post(&format!("users/{}/roles/", dan.id), body).await.with(400), json!({"non_field_errors": ["The role is already assigned to this user."]}));
    }

    async fn what_a_body_names_must_be_seen(world: World) {
        let remote = world.remote("r").await;
        let eve = world.person("eve").await;
        eve.may("shelf.shelfrepository_creator").await;
        let body = json!({"name": "a", "remote": remote});
        assert_eq!(eve.post(REPOSITORIES, body.clone()).await.with(403)["detail"], FORBIDDEN);
        // Who may not name it learns first what else is wrong, as in Pulp.
        assert_eq!(eve.post(REPOSITORIES, json!({"name": "", "remote": remote})).await.with(400), json!({"name": ["This field may not be blank."]}));
        assert_eq!(eve.post(REPOSITORIES, json!({"name": "b", "remote": nowhere(REMOTES)})).await.status, 400);
        eve.post(REPOSITORIES, json!({"name": "b", "remote": null})).await.with(201);
        eve.may_with("shelf.shelfremote_viewer", &remote).await;
        eve.post(REPOSITORIES, body).await.with(201);
    }

    async fn new_units_go_into_a_repository_that_one_may_change(world: World) {
        let repository = world.repository("a").await;
        let fay = world.person("fay").await;
        let put = async |body: Json| fay.post("content/shelf/books/", body).await;
        assert_eq!(put(json!({})).await.with(400), json!({"title": ["This field is required."]}));
        assert_eq!(put(json!({"title": "x"})).await.with(400), json!(["Destination upload repository was not provided."]));
        assert_eq!(fay.post(&format!("{repository}add_role/"), json!({})).await.status, 404);
    }

    async fn policies_can_be_changed_and_put_back(world: World) {
        let gus = world.person("gus").await;
        let policy = world.get("access_policies/?viewset_name=repositories/shelf/shelf").await.with(200)["results"][0].clone();
        let href = policy["pulp_href"].as_str().unwrap();
        assert_eq!(policy["customized"], false);
        assert_eq!(policy["permissions_assignment"], policy["creation_hooks"]);
        world.repository("a").await;
        assert_eq!(gus.count(REPOSITORIES).await, 0);
        // A list that shows all.
        let changed = world.patch(href, json!({"queryset_scoping": {}})).await.with(200);
        assert_eq!(changed["customized"], true);
        assert_eq!(gus.count(REPOSITORIES).await, 1);
        assert_eq!(gus.count("repositories/").await, 1);
        // Nobody may do anything, not even who may do everything else.
        world.patch(href, json!({"statements": []})).await.with(200);
        world.get(REPOSITORIES).await.with(403);
        // What cannot be understood lets nobody in.
        world.patch(href, json!({"statements": [{"action": "*", "principal": "*", "effect": "allow", "condition": "nope:x"}]})).await.with(200);
        assert_eq!(gus.get(REPOSITORIES).await.status, 500);
        let deny = json!({"action": "create", "principal": "authenticated", "effect": "deny"});
        let allow = json!({"action": "*", "principal": "authenticated", "effect": "allow"});
        let hooks = json!([{"function": "add_roles_for_users", "parameters": {"roles": ["shelf.shelfrepository_viewer"], "users": "gus"}}]);
        world.patch(href, json!({"statements": [allow, deny], "permissions_assignment": hooks})).await.with(200);
        gus.post(REPOSITORIES, json!({"name": "b"})).await.with(403);
        let reset = world.post(&format!("{href}reset/"), json!({})).await.with(200);
        assert_eq!((&reset["statements"], &reset["customized"], &reset["creation_hooks"]), (&policy["statements"], &policy["customized"], &policy["creation_hooks"]));
        assert_eq!(gus.count(REPOSITORIES).await, 0);
        for body in [json!({"statements": "x"}), json!({"statements": [1]}), json!({"creation_hooks": null}), json!({"foo": 1})] {
            assert_eq!(world.patch(href, body.clone()).await.status, 400, "{body}");
        }
        assert_eq!(world.patch(href, json!({"customized": true, "viewset_name": "x"})).await.with(200)["customized"], false);
        gus.get(href).await.with(403);
        assert_eq!((world.post("access_policies/", json!({})).await.status, world.delete(href).await.status), (405, 405));
    }

    async fn hooks_give_roles_to_whom_they_name(world: World) {
        let hal = world.person("hal").await;
        world.group("all", &["hal"]).await;
        let policy = world.get("access_policies/?viewset_name=repositories/shelf/shelf").await.with(200)["results"][0]["pulp_href"].as_str().unwrap().to_owned();
        let hooks = json!([{"function": "add_roles_for_groups", "parameters": {"roles": "shelf.shelfrepository_viewer", "groups": ["all"]}}]);
        world.patch(&policy, json!({"creation_hooks": hooks})).await.with(200);
        let href = world.repository("a").await;
        assert_eq!(world.get(&format!("{href}list_roles/")).await.with(200), json!({"roles": [{"role": "shelf.shelfrepository_viewer", "users": [], "groups": ["all"]}]}));
        hal.get(&href).await.with(200);
    }

    async fn roles_are_sets_of_known_permissions(world: World) {
        let refused = [
            (json!({}), json!({"name": ["This field is required."], "permissions": ["This field is required."]})),
            (json!({"name": "r", "permissions": ["foo"]}), json!({"permissions": ["Permission 'foo' is not in the format '<app_label>.<codename>'."]})),
            (json!({"name": "r", "permissions": ["core.nope"]}), json!({"permissions": ["Permission 'core.nope' does not exist."]})),
            (json!({"name": "core.task_owner", "permissions": []}), json!({"name": ["This field must be unique."]})),
        ];
        for (body, wanted) in refused {
            assert_eq!(world.post("roles/", body).await.with(400), wanted);
        }
        let made = world.post("roles/", json!({"name": "r", "permissions": ["core.view_task", "core.view_task"]})).await.with(201);
        assert_eq!((&made["permissions"], &made["locked"]), (&json!(["core.view_task"]), &json!(false)));
        let href = made["pulp_href"].as_str().unwrap();
        let changed = world.patch(href, json!({"permissions": ["core.view_group", "core.add_group"]})).await.with(200);
        assert_eq!(changed["permissions"], json!(["core.add_group", "core.view_group"]));
        let count = async |query: &str| world.get(&format!("roles/?{query}")).await.with(200)["count"].as_i64().unwrap();
        assert_eq!(count("name=r&for_object_type=/pulp/api/v3/groups/").await, 1);
        assert_eq!(count("name=r&contains_permission=core.view_task&contains_permission=core.add_group").await, 1);
        assert_eq!(count("name=r&contains_permission=core.view_task").await, 0);
        let locked = world.get("roles/?name=core.task_owner").await.with(200)["results"][0]["pulp_href"].as_str().unwrap().to_owned();
        for answer in [world.patch(&locked, json!({"description": "x"})).await, world.put(&locked, json!({"name": "x", "permissions": []})).await, world.delete(&locked).await] {
            assert_eq!(answer.with(403), json!({"detail": "The role is locked."}));
        }
        world.delete(href).await.with(204);
    }

    async fn roles_are_given_where_they_mean_something(world: World) {
        let ivy = world.person("ivy").await;
        let href = world.repository("a").await;
        let roles = format!("users/{}/roles/", ivy.id);
        let prn = world.get(&href).await.with(200)["prn"].clone();
        let refused = [
            (json!({}), json!({"role": ["This field is required."]})),
            (json!({"role": "nope", "content_object": null}), json!({"role": ["Object with name=nope does not exist."]})),
            (json!({"role": "core.task_viewer"}), json!({"non_field_errors": ["Either 'content_object' or 'content_object_prn' needs to be specified. Use 'null' for global or domain level access."]})),
            (json!({"role": "core.task_viewer", "content_object": "/x/"}), json!({"content_object": ["Invalid value: /x/."]})),
            (json!({"role": "core.task_viewer", "content_object": href}), json!({"non_field_errors": ["The role 'core.task_viewer' does not carry any permission for that object."]})),
            (json!({"role": "core.task_viewer", "content_object_prn": "foo"}), json!({"content_object_prn": ["PRN must start with 'prn:': foo"]})),
            (json!({"role": "core.task_viewer", "content_object_prn": "prn:a.b:1"}), json!({"content_object_prn": ["Model a.b does not exist"]})),
            (json!({"role": "core.task_viewer", "content_object": null, "x": 1}), json!({"x": ["Unexpected field"]})),
        ];
        for (body, wanted) in refused {
            assert_eq!(world.post(&roles, body).await.with(400), wanted);
        }
        let given = world.post(&roles, json!({"role": "shelf.shelfrepository_viewer", "content_object_prn": prn})).await.with(201);
        assert_eq!((&given["content_object"], &given["content_object_prn"]), (&json!(href), &prn));
        let one = given["pulp_href"].as_str().unwrap();
        assert_eq!(world.get(one).await.with(200), given);
        assert_eq!(world.get(&format!("{roles}?content_object={href}")).await.with(200)["count"], 1);
        assert_eq!(world.get(&format!("{roles}?content_object=null")).await.with(200)["count"], 0);
        assert_eq!(world.get(&format!("{roles}?role__contains=shelf&ordering=-role&domain=null")).await.with(200)["count"], 1);
        assert_eq!(ivy.get(one).await.status, 403);
        world.delete(one).await.with(204);
        world.delete(one).await.with(404);
        world.get("users/9999/roles/").await.with(404);
    }

    async fn roles_on_an_object_are_given_by_name(world: World) {
        let href = world.repository("a").await;
        world.person("jim").await;
        world.group("g", &[]).await;
        let add = async |body: Json| world.post(&format!("{href}add_role/"), body).await;
        assert_eq!(add(json!({"role": "shelf.shelfrepository_viewer", "users": ["jim"], "groups": ["g"], "x": 1})).await.with(201), json!({"users": ["jim"], "groups": ["g"], "role": "shelf.shelfrepository_viewer"}));
        let refused = [
            (json!({}), json!({"role": ["This field is required."]})),
            (json!({"role": "nope"}), json!({"role": ["Object with name=nope does not exist."]})),
            (json!({"role": "shelf.shelfrepository_viewer", "users": ["nobody"]}), json!({"users": {"0": ["Object with username=nobody does not exist."]}})),
            (json!({"role": "shelf.shelfrepository_viewer", "groups": ["no"]}), json!({"groups": {"0": ["Object with name=no does not exist."]}})),
            (json!({"role": "core.task_viewer", "users": ["jim"]}), json!({"non_field_errors": ["The role does not contain any permission for that object."]})),
            (json!({"role": "shelf.shelfrepository_viewer", "users": ["jim"]}), json!({"non_field_errors": ["The role is already assigned to user 'jim'."]})),
            (json!({"role": "shelf.shelfrepository_viewer", "groups": ["g"]}), json!({"non_field_errors": ["The role is already assigned to group 'g'."]})),
        ];
        for (body, wanted) in refused {
            assert_eq!(add(body).await.with(400), wanted);
        }
        let taken = world.post(&format!("{href}remove_role/"), json!({"role": "shelf.shelfrepository_owner", "users": ["jim"]})).await;
        assert_eq!(taken.with(400), json!({"non_field_errors": ["The role is not assigned to user 'jim'."]}));
    }

    async fn users_and_groups_are_made_and_changed(world: World) {
        let refused = [
            (json!({}), json!({"username": ["This field is required."]})),
            (json!({"username": "admin"}), json!({"username": ["This field must be unique."]})),
            (json!({"username": "x", "password": "123"}), json!({"non_field_errors": ["This password is too short. It must contain at least 8 characters.", "This password is too common.", "This password is entirely numeric."]})),
            (json!({"username": "x", "email": "foo"}), json!({"email": ["Enter a valid email address."]})),
        ];
        for (body, wanted) in refused {
            assert_eq!(world.post("users/", body).await.with(400), wanted);
        }
        let kim = world.person("kim").await;
        let href = format!("users/{}/", kim.id);
        assert_eq!(kim.get("login/").await.with(200)["username"], "kim");
        assert_eq!(kim.get(&href).await.status, 403);
        let group = world.group("g", &["kim"]).await;
        let shown = world.get(&href).await.with(200);
        assert_eq!(shown["groups"][0]["name"], "g");
        assert_eq!((&shown["hidden_fields"], shown.get("password")), (&json!([{"name": "password", "is_set": true}]), None));
        assert_eq!(world.get(&format!("{group}users/?anything=1")).await.with(200)["results"][0]["username"], "kim");
        assert_eq!(world.post(&format!("{group}users/"), json!({"username": "foo"})).await.with(400), json!(["Could not find user foo"]));
        assert_eq!(kim.get(&format!("{group}users/")).await.status, 403);
        kim.may_with("core.group_viewer", &group).await;
        assert_eq!(kim.get(&format!("{group}users/")).await.with(200)["count"], 1);
        assert_eq!(kim.count("groups/").await, 1);
        // A password that nobody has.
        world.patch(&href, json!({"password": null})).await.with(200);
        kim.get("login/").await.with(401);
        world.patch(&href, json!({"password": PASSWORD, "is_active": false})).await.with(200);
        kim.get("login/").await.with(401);
        world.patch(&href, json!({"is_active": true})).await.with(200);
        kim.get("login/").await.with(200);
        world.delete(&href).await.with(204);
        world.delete(&group).await.with(204);
        world.get(&group).await.with(404);
    }

    async fn people_change_their_passwords(world: World) {
        let lea = world.person("lea").await;
        let change = async |body: Json| lea.ask(Method::PATCH, "login/", Some(body)).await;
        for (body, wanted) in [
            (json!({"new_password": "other-horse-8"}), "Old password is required to update the password."),
            (json!({"old_password": "no", "new_password": "other-horse-8"}), "Old password is incorrect."),
            (json!({"old_password": PASSWORD, "new_password": PASSWORD}), "New password cannot be the same as the old password."),
            (json!({"old_password": PASSWORD, "new_password": "password"}), "This password is too common."),
        ] {
            assert_eq!(change(body).await.with(400), json!({"non_field_errors": [wanted]}));
        }
        assert_eq!(change(json!({"username": "admin"})).await.with(400), json!({"username": ["This field must be unique."]}));
        change(json!({"old_password": PASSWORD, "new_password": "other-horse-8"})).await.with(200);
        lea.get("login/").await.with(401);
    }
}
