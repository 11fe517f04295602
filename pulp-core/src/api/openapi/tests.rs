use std::collections::{BTreeSet, HashSet};

use http::Method;
use serde_json::{Value as Json, json};

use super::operation::Base;
use super::{Options, document};
use crate::Result;
use crate::api::{register, routes};
use crate::plugin::Registry;
use crate::resource::{Compute, Context, Create, Field, Kind, Record, Resource, Shape};

fn registry() -> Registry {
    let mut registry = Registry::default();
    crate::resource::register(&mut registry);
    register(&mut registry);
    registry.resource(
        Resource::repository("repositories/shelf/shelf", "shelf.shelf", "shelf.ShelfRepository")
            .detail("shelf_shelfrepository", "repository_ptr_id")
            .field(Field::text("motto").max_length(9).default("none").help("What is written on it."))
            .field(Field::choice("policy", "PolicyEnum", &["immediate"]).required())
            .field(Field::secret("key"))
            .field(Field::new("box", Kind::Object("shelf.Box", vec![Field::integer("size").required().at_least(1)]))),
    );
    registry.resource(
        Resource::new("content/shelf/books", "shelf_book", "shelf.Book").field(Field::file("file").required()).create(Create::Now),
    );
    registry
}

fn made(options: &Options, domains: bool) -> Json {
    let registry = registry();
    let (router, _) = routes::all(&registry);
    let answered: HashSet<(String, Method)> = router.answered().collect();
    let base = Base::new("/pulp/", domains);
    Json::Object(document(&registry, &base, &answered, options).unwrap())
}

fn whole() -> Json {
    made(&Options::default(), false)
}

/// Every operation: method, path, and itself.
fn operations(document: &Json) -> Vec<(String, String, Json)> {
    document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(|(method, operation)| (method.clone(), path.clone(), operation.clone())).collect::<Vec<_>>()
        })
        .collect()
}

fn operation(document: &Json, id: &str) -> Json {
    operations(document).into_iter().find(|(_, _, operation)| operation["operationId"] == id).map(|(_, _, operation)| operation).unwrap()
}

/// A path without the names of its variables: the router's are not those of the document.
fn unnamed(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn whatever_a_route_answers_is_told_and_nothing_else() {
    let registry = registry();
    let (router, _) = routes::all(&registry);
    let answered: BTreeSet<String> = router
        .answered()
        .filter(|(path, _)| !path.is_empty() && !path.starts_with("docs/"))
        .map(|(path, method)| format!("{} {}", method.as_str().to_ascii_lowercase(), unnamed(&path)))
        .collect();
    let document = made(&Options { pk_path: true, ..Options::default() }, false);
    let told: BTreeSet<String> = operations(&document)
        .into_iter()
        .map(|(method, path, _)| format!("{method} {}", unnamed(path.trim_start_matches("/pulp/api/v3/"))))
        .collect();
    assert_eq!(answered.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new(), "answered, and not told");
    assert_eq!(told.difference(&answered).collect::<Vec<_>>(), Vec::<&String>::new(), "told, and not answered");
}

#[test]
fn ids_are_unique_and_every_parameter_of_a_path_is_told() {
    for pk_path in [false, true] {
        let mut ids = BTreeSet::new();
        for (method, path, operation) in operations(&made(&Options { pk_path, ..Options::default() }, true)) {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(ids.insert(id.clone()), "{id} is there twice");
            let told: BTreeSet<String> = operation["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
                .collect();
            let named: BTreeSet<String> = path.split('{').skip(1).map(|rest| rest.split('}').next().unwrap().to_owned()).collect();
            assert_eq!(told, named, "{method} {path}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_left_over() {
    fn references(value: &Json, all: &mut BTreeSet<String>) {
        match value {
            Json::Object(fields) => {
                if let Some(Json::String(reference)) = fields.get("$ref") {
                    all.insert(reference.trim_start_matches("#/components/schemas/").to_owned());
                }
                fields.values().for_each(|field| references(field, all));
            }
            Json::Array(items) => items.iter().for_each(|item| references(item, all)),
            _ => {}
        }
    }
    for components in [vec![], vec!["core".to_owned()], vec!["shelf".to_owned()]] {
        let document = made(&Options { components, ..Options::default() }, false);
        let mut wanted = BTreeSet::new();
        references(&document, &mut wanted);
        let there: BTreeSet<String> = document["components"]["schemas"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(wanted, there);
    }
}

#[test]
fn a_resource_has_three_faces() {
    let schemas = &whole()["components"]["schemas"];
    let (request, patch, response) =
        (&schemas["shelf.ShelfRepository"], &schemas["Patchedshelf.ShelfRepository"], &schemas["shelf.ShelfRepositoryResponse"]);
    assert_eq!(request["required"], json!(["name", "policy"]));
    assert_eq!(patch["required"], Json::Null);
    assert_eq!(response["required"], json!(["name", "policy"]));
    let motto = json!({"type": "string", "maxLength": 9, "minLength": 1, "default": "none", "description": "What is written on it."});
    assert_eq!(request["properties"]["motto"], motto);
    assert_eq!(patch["properties"]["motto"], motto);
    assert_eq!(response["properties"]["motto"]["minLength"], Json::Null);
    assert_eq!(request["properties"]["key"]["writeOnly"], true);
    assert_eq!(response["properties"]["key"], Json::Null);
    assert_eq!(request["properties"]["pulp_href"], Json::Null);
    assert_eq!(response["properties"]["pulp_href"], json!({"type": "string", "format": "uri", "readOnly": true}));
    assert_eq!(request["properties"]["box"]["allOf"], json!([{"$ref": "#/components/schemas/shelf.Box"}]));
    assert_eq!(response["properties"]["box"]["allOf"], json!([{"$ref": "#/components/schemas/shelf.BoxResponse"}]));
    assert_eq!(schemas["shelf.Box"]["required"], json!(["size"]));
    assert_eq!(schemas["shelf.Box"]["properties"]["size"], json!({"type": "integer", "format": "int64", "minimum": 1}));
}

#[test]
fn a_body_with_a_file_is_a_form() {
    let document = whole();
    let kinds =
        |id: &str| -> Vec<String> { operation(&document, id)["requestBody"]["content"].as_object().unwrap().keys().cloned().collect() };
    assert_eq!(kinds("content_shelf_books_create"), ["application/x-www-form-urlencoded", "multipart/form-data"]);
    assert_eq!(kinds("repositories_shelf_shelf_create"), ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]);
}

#[test]
fn a_component_is_alone_but_for_what_it_needs() {
    let document = made(&Options { components: vec!["shelf".to_owned()], ..Options::default() }, false);
    assert!(operations(&document).iter().all(|(_, _, operation)| operation["operationId"].as_str().unwrap().contains("_shelf_")));
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.contains_key("AsyncOperationResponse") && !schemas.contains_key("StatusResponse"));
    // Core knows a second policy, so with core the first has a longer name.
    assert!(schemas.contains_key("PolicyEnum") && !schemas.contains_key("Policy692Enum"));
    assert_eq!(document["info"]["x-pulp-app-versions"], json!({"core": crate::CORE.version}));
}

#[test]
fn enumerations_of_one_name_and_other_words_have_two_names() {
    let document = whole();
    let schemas = &document["components"]["schemas"];
    let name = |schema: &str| -> String {
        let reference = schemas[schema]["properties"]["policy"]["allOf"][0]["$ref"].as_str().unwrap();
        reference.trim_start_matches("#/components/schemas/").to_owned()
    };
    let (core, shelf) = (name("GenericRemoteResponse"), name("shelf.ShelfRepositoryResponse"));
    assert_eq!(core, "Policy692Enum");
    assert_eq!(schemas[&core]["enum"], json!(["immediate", "on_demand", "streamed"]));
    assert_eq!(schemas[&shelf]["enum"], json!(["immediate"]));
    assert_eq!(name("shelf.ShelfRepository"), shelf);
}

#[test]
fn a_component_that_nobody_described_is_a_mistake_that_is_told() {
    let mut registry = registry();
    let field = Field::computed("part", Shape::Component("shelf.PartResponse"), Nothing);
    registry.resource(Resource::new("shelves", "shelf_shelf", "shelf.Shelf").field(field));
    let (router, _) = routes::all(&registry);
    let answered = router.answered().collect();
    let found = document(&registry, &Base::new("/pulp/", false), &answered, &Options::default());
    assert!(found.unwrap_err().to_string().contains("shelf.PartResponse"));
}

struct Nothing;

#[async_trait::async_trait]
impl Compute for Nothing {
    async fn compute(&self, _: &Context, _: &[&'static str], rows: &[Record]) -> Result<Vec<Vec<Json>>> {
        Ok(rows.iter().map(|_| vec![Json::Null]).collect())
    }
}

#[test]
fn bindings_and_keys_change_names_and_paths() {
    let by_href = whole();
    assert_eq!(by_href["paths"]["{shelf_shelf_repository_version_href}"]["get"]["operationId"], "repositories_shelf_shelf_versions_read");
    let by_key = made(&Options { pk_path: true, bindings: true, ..Options::default() }, false);
    let read = &by_key["paths"]["/pulp/api/v3/repositories/shelf/shelf/{repository_pk}/versions/{number}/"]["get"];
    assert_eq!(read["operationId"], "read");
    assert_eq!(read["tags"], json!(["Repositories: Shelf Versions"]));
    assert_eq!(by_key["paths"]["/pulp/api/v3/status/"]["get"]["operationId"], "status_read");
}

#[test]
fn domains_are_part_of_paths() {
    let document = made(&Options::default(), true);
    let list = &document["paths"]["/pulp/{pulp_domain}/api/v3/tasks/"]["get"];
    assert!(
        list["parameters"].as_array().unwrap().iter().any(|parameter| parameter["name"] == "pulp_domain" && parameter["required"] == true)
    );
    assert_eq!(document["info"]["x-pulp-domain-enabled"], true);
    // What everybody may ask for is in no domain.
    assert!(document["paths"]["/pulp/api/v3/status/"]["get"].is_object());
}

#[test]
fn only_existing_components_can_be_asked_for() {
    let registry = registry();
    assert!(Options::new(&registry, Some("nope"), false, false).is_err());
    assert!(Options::new(&registry, Some(""), false, false).is_err());
    let both = Options::new(&registry, Some("core,core"), false, false).unwrap();
    assert_eq!(both.components, ["core"]);
}
