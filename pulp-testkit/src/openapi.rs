//! Compares an API document with a reference: what clients depend on, and not the prose.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// What a comparison found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    /// What is not the same, one line each, for operations that both documents have.
    pub differences: Vec<String>,
    /// Ids of operations that only the reference has.
    pub lacking: Vec<String>,
    /// Ids of operations that only the document has.
    pub added: Vec<String>,
}

/// Compares the operations that both documents have, by their ids: path, method, parameters, bodies, answers, security, and
/// all components that they speak of.
///
/// # Panics
/// If one of them is no API document.
#[must_use]
pub fn compare(reference: &Value, document: &Value) -> Comparison {
    let (theirs, ours) = (operations(reference), operations(document));
    let mut found = Comparison {
        lacking: theirs.keys().filter(|id| !ours.contains_key(*id)).cloned().collect(),
        added: ours.keys().filter(|id| !theirs.contains_key(*id)).cloned().collect(),
        differences: Vec::new(),
    };
    let mut components = BTreeSet::new();
    for (id, their) in &theirs {
        let Some(our) = ours.get(id) else { continue };
        differ(id, their, our, &mut found.differences);
        names(their, &mut components);
    }
    let mut waiting: Vec<String> = components.iter().cloned().collect();
    while let Some(name) = waiting.pop() {
        let (their, our) = (component(reference, &name), component(document, &name));
        differ(&format!("component {name}"), &their, &our, &mut found.differences);
        let mut more = BTreeSet::new();
        names(&their, &mut more);
        waiting.extend(more.into_iter().filter(|name| components.insert(name.clone())));
    }
    found.differences.sort();
    found
}

/// Operations by their ids, in a form that can be compared.
fn operations(document: &Value) -> BTreeMap<String, Value> {
    let paths = document["paths"].as_object().expect("an API document has paths");
    let mut all = BTreeMap::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("a path has methods") {
            let id = operation["operationId"].as_str().expect("an operation has an id").to_owned();
            let mut parameters = Map::new();
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let mut parameter = plain(parameter);
                // What is not required need not say so.
                if parameter["required"] == Value::Bool(false)
                    && let Some(parameter) = parameter.as_object_mut()
                {
                    parameter.remove("required");
                }
                parameters.insert(
                    format!("{} {}", parameter["in"].as_str().unwrap_or_default(), parameter["name"].as_str().unwrap_or_default()),
                    parameter,
                );
            }
            let shown = serde_json::json!({
                "at": format!("{method} {path}"),
                "parameters": parameters,
                "body": plain(&operation["requestBody"]),
                "answers": plain(&operation["responses"]),
                "security": operation["security"],
            });
            assert!(all.insert(id.clone(), shown).is_none(), "two operations are called `{id}`");
        }
    }
    all
}

fn component(document: &Value, name: &str) -> Value {
    plain(&document["components"]["schemas"][name])
}

/// Without prose, and with lists sorted whose order means nothing.
fn plain(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut kept = Map::new();
            for (name, field) in fields {
                // A property may be called like a keyword: then it is an object.
                if matches!(name.as_str(), "description" | "title" | "example") && field.is_string()
                    || name == "example" && !field.is_object()
                {
                    continue;
                }
                let mut field = plain(field);
                if name == "required"
                    && let Value::Array(names) = &mut field
                {
                    names.sort_by_key(|name| name.as_str().unwrap_or_default().to_owned());
                }
                kept.insert(name.clone(), field);
            }
            Value::Object(kept)
        }
        Value::Array(items) => Value::Array(items.iter().map(plain).collect()),
        Value::Number(number) => number.as_f64().and_then(serde_json::Number::from_f64).map_or_else(|| value.clone(), Value::Number),
        other => other.clone(),
    }
}

/// The components that a value refers to.
fn names(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            if let Some(name) =
                fields.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/components/schemas/"))
            {
                all.insert(name.to_owned());
            }
            fields.values().for_each(|field| names(field, all));
        }
        Value::Array(items) => items.iter().for_each(|item| names(item, all)),
        _ => {}
    }
}

fn differ(place: &str, theirs: &Value, ours: &Value, all: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(their), Value::Object(our)) => {
            let keys: BTreeSet<&String> = their.keys().chain(our.keys()).collect();
            for key in keys {
                let place = format!("{place}: {key}");
                match (their.get(key), our.get(key)) {
                    (Some(their), Some(our)) => differ(&place, their, our, all),
                    (Some(their), None) => all.push(format!("{place}: is not there; the reference has {their}")),
                    (None, Some(our)) => all.push(format!("{place}: is too much: {our}")),
                    (None, None) => {}
                }
            }
        }
        _ if theirs == ours => {}
        _ => all.push(format!("{place}: is {ours}; the reference has {theirs}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document() -> Value {
        json!({
            "paths": {
                "/things/": {
                    "get": {
                        "operationId": "things_list",
                        "description": "Lists things.",
                        "parameters": [{"in": "query", "name": "limit", "required": false, "schema": {"type": "integer"}}],
                        "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Thing"}}}}},
                    },
                },
            },
            "components": {"schemas": {
                "Thing": {"type": "object", "properties": {"part": {"$ref": "#/components/schemas/Part"}}, "required": ["b", "a"]},
                "Part": {"type": "number", "minimum": 0},
                "Unused": {"type": "string"},
            }},
        })
    }

    #[test]
    fn prose_and_order_do_not_count() {
        let mut other = document();
        other["paths"]["/things/"]["get"]["description"] = json!("Other words.");
        other["paths"]["/things/"]["get"]["parameters"][0].as_object_mut().unwrap().remove("required");
        other["components"]["schemas"]["Thing"]["required"] = json!(["a", "b"]);
        other["components"]["schemas"]["Part"]["minimum"] = json!(0.0);
        other["components"]["schemas"]["Unused"] = json!({"type": "integer"});
        assert_eq!(compare(&document(), &other), Comparison::default());
    }

    #[test]
    fn every_difference_is_found() {
        let mut other = document();
        other["components"]["schemas"]["Part"]["type"] = json!("string");
        other["components"]["schemas"]["Thing"]["properties"]["more"] = json!({"type": "string"});
        other["paths"]["/things/"]["get"]["parameters"] = json!([]);
        other["paths"]["/things/"]["post"] = json!({"operationId": "things_create", "responses": {}});
        let found = compare(&document(), &other);
        assert_eq!(
            found.differences,
            [
                "component Part: type: is \"string\"; the reference has \"number\"",
                "component Thing: properties: more: is too much: {\"type\":\"string\"}",
                "things_list: parameters: query limit: is not there; the reference has {\"in\":\"query\",\"name\":\"limit\",\"schema\":{\"type\":\"integer\"}}",
            ]
        );
        assert_eq!(found.added, ["things_create"]);
        assert_eq!(compare(&other, &document()).lacking, ["things_create"]);
    }
}
