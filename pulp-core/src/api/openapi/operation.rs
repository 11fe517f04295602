//! One operation, and where it lies.

use http::Method;
use serde_json::{Map, Value as Json, json};

use super::{Options, names, parameters, schema};
use crate::resource::{Parent, Resource};

/// What comes before every path.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// `/pulp/`.
    root: String,
    pub(super) domains: bool,
}

impl Base {
    /// `root` is Pulp’s `API_ROOT`, with a slash at both ends.
    pub(super) fn new(root: impl Into<String>, domains: bool) -> Self {
        Self { root: root.into(), domains }
    }

    /// What comes before paths that are in no domain.
    fn without_domains(&self) -> Self {
        Self { root: self.root.clone(), domains: false }
    }

    /// `/pulp/api/v3/`, or with domains `/pulp/{pulp_domain}/api/v3/`.
    fn path(&self) -> String {
        let domain = if self.domains { "{pulp_domain}/" } else { "" };
        format!("{}{domain}api/v3/", self.root)
    }
}

/// A key in a path.
#[derive(Debug, Clone)]
pub(super) struct Key {
    name: &'static str,
    /// As the routes call it.
    route: &'static str,
    schema: Json,
}

impl Key {
    /// The key of an object of a resource.
    fn of(resource: &Resource) -> Self {
        if resource.integer_key {
            Self { name: "id", route: "id", schema: json!({"type": "integer", "format": "int64"}) }
        } else {
            Self { name: "pulp_id", route: "id", schema: json!({"type": "string", "format": "uuid"}) }
        }
    }
}

/// Where an operation lies: below the base, or below an object that its href names.
#[derive(Debug, Clone)]
pub(super) struct Location {
    object: Option<Object>,
    rest: String,
}

#[derive(Debug, Clone)]
struct Object {
    /// The parameter of the href, without `_href`.
    parameter: String,
    /// Its path with `{name}` for each of the keys, as they are called in the document.
    path: String,
    keys: Vec<Key>,
}

impl Location {
    /// A fixed path below the base, with a slash at its end.
    pub(super) fn fixed(path: impl Into<String>) -> Self {
        Self { object: None, rest: path.into() }
    }

    /// The list of a resource.
    pub(super) fn collection(resource: &Resource) -> Self {
        Self::fixed(format!("{}/", resource.path))
    }

    /// The list of a resource whose objects lie below those of `owner`.
    pub(super) fn nested(owner: &Resource, parent: Parent) -> Self {
        let key = Key { name: parent.key, route: "id", schema: json!({"type": "string", "format": "uuid"}) };
        let path = format!("{}/{{{}}}/", owner.path, parent.key);
        Self { object: Some(Object { parameter: owner.parameter.clone(), path, keys: vec![key] }), rest: format!("{}/", parent.segment) }
    }

    /// An object of such a resource.
    pub(super) fn nested_object(resource: &Resource, owner: &Resource, parent: Parent) -> Self {
        let own = Key { name: "pulp_id", route: "key", schema: json!({"type": "string", "format": "uuid"}) };
        let mut of = Self::nested(owner, parent);
        if let Some(object) = &mut of.object {
            object.parameter.clone_from(&resource.parameter);
            object.path.push_str(&format!("{}/{{pulp_id}}/", parent.segment));
            object.keys.push(own);
        }
        of.rest.clear();
        of
    }

    /// An object of a resource.
    pub(super) fn object(resource: &Resource) -> Self {
        let key = Key::of(resource);
        let path = format!("{}/{{{}}}/", resource.path, key.name);
        Self { object: Some(Object { parameter: resource.parameter.clone(), path, keys: vec![key] }), rest: String::new() }
    }

    /// The versions of a repository.
    pub(super) fn versions(repository: &Resource) -> Self {
        let key = Key { name: "repository_pk", route: "id", schema: json!({"type": "string", "format": "uuid"}) };
        let path = format!("{}/{{repository_pk}}/", repository.path);
        Self { object: Some(Object { parameter: repository.parameter.clone(), path, keys: vec![key] }), rest: "versions/".to_owned() }
    }

    /// One version of a repository.
    pub(super) fn version(repository: &Resource) -> Self {
        let number = Key { name: "number", route: "number", schema: json!({"type": "integer", "format": "int64"}) };
        let mut of = Self::versions(repository);
        if let Some(object) = &mut of.object {
            object.parameter.push_str("_version");
            object.path.push_str("versions/{number}/");
            object.keys.insert(0, number);
        }
        of.rest.clear();
        of
    }

    /// What lies below each object of a numbered resource: `groups/{group_pk}/users/`. `key` is what the document calls the key.
    pub(super) fn of_each(resource: &Resource, key: &'static str, below: &str) -> Self {
        let key = Key { name: key, route: "id", schema: json!({"type": "integer", "format": "int64"}) };
        let path = format!("{}/{{{}}}/", resource.path, key.name);
        Self { object: Some(Object { parameter: resource.parameter.clone(), path, keys: vec![key] }), rest: format!("{below}/") }
    }

    /// One of those: `parameter` is what its href is called, `inner` its key, and `route` what the routes call that.
    pub(super) fn one_of_each(
        resource: &Resource,
        key: &'static str,
        below: &str,
        parameter: &str,
        (inner, route, kind): (&'static str, &'static str, &'static str),
    ) -> Self {
        let format = if kind == "integer" { "int64" } else { "uuid" };
        let mut of = Self::of_each(resource, key, "");
        if let Some(object) = &mut of.object {
            object.parameter = parameter.to_owned();
            object.path.push_str(&format!("{below}/{{{inner}}}/"));
            // First: the key above may get the name that this one has.
            object.keys.insert(0, Key { name: inner, route, schema: json!({"type": kind, "format": format}) });
        }
        of.rest.clear();
        of
    }

    /// A path below this one; with a slash at its end.
    pub(super) fn below(mut self, rest: &str) -> Self {
        self.rest.push_str(rest);
        self
    }

    /// As the routes know it.
    pub(super) fn route(&self) -> String {
        let Some(object) = &self.object else { return self.rest.clone() };
        let named = object
            .keys
            .iter()
            .fold(object.path.clone(), |path, key| path.replace(&format!("{{{}}}", key.name), &format!("{{{}}}", key.route)));
        format!("{named}{}", self.rest)
    }

    /// As the document shows it.
    fn shown(&self, base: &Base, pk_path: bool) -> String {
        match &self.object {
            Some(object) if !pk_path => format!("{{{}_href}}{}", object.parameter, self.rest),
            Some(object) => format!("{}{}{}", base.path(), object.path, self.rest),
            None => format!("{}{}", base.path(), self.rest),
        }
    }

    /// The parameters of the path.
    fn parameters(&self, base: &Base, pk_path: bool) -> Vec<Json> {
        let mut all = Vec::new();
        match &self.object {
            Some(object) if !pk_path => {
                all.push(parameters::path(&format!("{}_href", object.parameter), &json!({"type": "string"})));
                return all;
            }
            Some(object) => all.extend(object.keys.iter().map(|key| parameters::path(key.name, &key.schema))),
            None => {}
        }
        if base.domains {
            all.push(parameters::path("pulp_domain", &json!({"type": "string", "pattern": "^[-a-zA-Z0-9_]+$"})));
        }
        all
    }
}

/// One operation.
#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub(super) location: Location,
    pub(super) method: Method,
    /// By which clients call it.
    pub(super) id: String,
    /// What is left of it for bindings.
    verb: String,
    tag: String,
    summary: String,
    description: String,
    query: Vec<Json>,
    /// The component of the body, and whether it must be a form.
    body: Option<(String, bool)>,
    responses: Vec<(u16, Option<String>)>,
    /// An answer that is no JSON: its status and media type.
    text: Option<(u16, &'static str)>,
    open: bool,
}

impl Operation {
    /// An operation whose id is the two parts together.
    pub(super) fn new(method: Method, location: Location, prefix: &str, verb: &str) -> Self {
        Self {
            tag: names::tag(&location.route()),
            location,
            method,
            id: format!("{prefix}_{verb}"),
            verb: verb.to_owned(),
            summary: String::new(),
            description: String::new(),
            query: Vec::new(),
            body: None,
            responses: Vec::new(),
            text: None,
            open: false,
        }
    }

    /// Bindings call it by its whole id, too.
    pub(super) fn whole_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.id);
        id.clone_into(&mut self.verb);
        self
    }

    /// It belongs with the operations of another path.
    pub(super) fn beside(mut self, path: &str) -> Self {
        self.tag = names::tag(path);
        self
    }

    pub(super) fn says(mut self, summary: impl Into<String>, description: impl Into<String>) -> Self {
        self.summary = summary.into();
        self.description = description.into();
        self
    }

    /// The parameters of its query.
    pub(super) fn query(mut self, query: Vec<Json>) -> Self {
        self.query = query;
        self
    }

    /// The component of its body; a body with a file must be a form.
    pub(super) fn body(mut self, component: impl Into<String>, form: bool) -> Self {
        self.body = Some((component.into(), form));
        self
    }

    /// An answer with a body of this component.
    pub(super) fn gives(mut self, status: u16, component: impl Into<String>) -> Self {
        self.responses.push((status, Some(component.into())));
        self
    }

    /// An answer without a body.
    pub(super) fn gives_nothing(mut self, status: u16) -> Self {
        self.responses.push((status, None));
        self
    }

    /// An answer that is text of this media type.
    pub(super) fn gives_text(mut self, status: u16, media_type: &'static str) -> Self {
        self.text = Some((status, media_type));
        self
    }

    /// The task that does it.
    pub(super) fn gives_task(self) -> Self {
        self.gives(202, "AsyncOperationResponse")
    }

    /// Nobody has to log in for it.
    pub(super) fn open(mut self) -> Self {
        self.open = true;
        self
    }

    /// The components that it speaks of.
    pub(super) fn components(&self) -> impl Iterator<Item = &str> {
        let body = self.body.iter().map(|(name, _)| name.as_str());
        body.chain(self.responses.iter().filter_map(|(_, name)| name.as_deref()))
    }

    /// Its path in the document, and itself.
    pub(super) fn to_json(&self, base: &Base, options: &Options) -> (String, Json) {
        // What everybody may ask for is in no domain.
        let plain = base.without_domains();
        let base = if self.open { &plain } else { base };
        let mut json = Map::new();
        let id = if options.bindings { &self.verb } else { &self.id };
        json.insert("operationId".to_owned(), json!(id));
        if !self.description.is_empty() {
            json.insert("description".to_owned(), json!(self.description));
        }
        json.insert("summary".to_owned(), json!(self.summary));
        let mut named = self.location.parameters(base, options.pk_path);
        named.extend(self.query.iter().cloned());
        named.sort_by(|a, b| a["name"].as_str().cmp(&b["name"].as_str()));
        let mut all = vec![parameters::diagnostics()];
        all.extend(named);
        if self.method == Method::GET && self.text.is_none() {
            all.extend(parameters::masks());
        }
        json.insert("parameters".to_owned(), Json::Array(all));
        json.insert("tags".to_owned(), json!([self.tag]));
        if let Some((component, form)) = &self.body {
            let of = json!({"schema": schema::reference(component)});
            let kinds: &[&str] = &["application/json", "application/x-www-form-urlencoded", "multipart/form-data"];
            let content: Map<String, Json> = kinds.iter().skip(usize::from(*form)).map(|kind| ((*kind).to_owned(), of.clone())).collect();
            json.insert("requestBody".to_owned(), json!({"content": content, "required": true}));
        }
        if !self.open {
            json.insert("security".to_owned(), json!([{"basicAuth": []}, {"cookieAuth": []}]));
        }
        let mut responses: Map<String, Json> =
            self.responses.iter().map(|(status, of)| (status.to_string(), response(*status, of.as_deref()))).collect();
        if let Some((status, media_type)) = self.text {
            let content = json!({media_type: {"schema": {"type": "string"}}});
            responses.insert(status.to_string(), json!({"content": content, "description": "It is as shown."}));
        }
        json.insert("responses".to_owned(), Json::Object(responses));
        (self.location.shown(base, options.pk_path), Json::Object(json))
    }
}

fn response(status: u16, component: Option<&str>) -> Json {
    let description = match status {
        201 => "It was made.",
        202 => "A task does it.",
        204 => "It is done.",
        409 => "Its state does not allow it.",
        _ => "It is as shown.",
    };
    match component {
        None => json!({"description": description}),
        Some(name) => json!({"content": {"application/json": {"schema": schema::reference(name)}}, "description": description}),
    }
}
