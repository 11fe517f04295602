//! Schemas of fields.

use serde_json::{Map, Value as Json, json};

use super::components::Components;
use crate::resource::{Field, Kind, Shape};

/// Which of its three faces an object shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// What a body can hold.
    Request,
    /// What the body of a partial update can hold: nothing has to be there.
    Patch,
    /// What an answer shows.
    Response,
}

/// A component by its name.
pub(super) fn reference(component: &str) -> Json {
    json!({"$ref": format!("#/components/schemas/{component}")})
}

/// An object of these fields.
pub(super) fn object(fields: &[Field], side: Side, components: &mut Components<'_>) -> Json {
    let shows = |field: &&Field| if side == Side::Response { field.is_output() } else { field.is_input() };
    let mut properties = Map::new();
    let mut required: Vec<&str> = Vec::new();
    for field in fields.iter().filter(shows) {
        properties.insert(field.name.to_owned(), of_field(field, side, components));
        if field.required && side != Side::Patch {
            required.push(field.name);
        }
    }
    required.sort_unstable();
    let mut object = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        object["required"] = json!(required);
    }
    object
}

fn of_field(field: &Field, side: Side, components: &mut Components<'_>) -> Json {
    let request = side != Side::Response;
    let mut schema = of_kind(&field.kind, side, components);
    if schema.contains_key("$ref") {
        // Nothing may stand beside a reference.
        schema = Map::from_iter([("allOf".to_owned(), json!([schema]))]);
    }
    let mut say = |keyword: &str, value: Json| {
        schema.insert(keyword.to_owned(), value);
    };
    if matches!(field.kind, Kind::Text | Kind::Secret) {
        if let Some(most) = field.max_length {
            say("maxLength", json!(most));
        }
        if request && !field.blank {
            say("minLength", json!(1));
        }
    }
    let bound = |value: f64| if matches!(field.kind, Kind::Integer) { json!(value as i64) } else { json!(value) };
    if let Some(least) = field.minimum {
        say("minimum", bound(least));
    }
    if let Some(most) = field.maximum {
        say("maximum", bound(most));
    }
    if field.nullable {
        say("nullable", json!(true));
    }
    // What must always be there is no mere result, whoever sets it.
    if field.read_only && !field.required {
        say("readOnly", json!(true));
    }
    if field.write_only {
        say("writeOnly", json!(true));
    }
    if let Some(default) = field.default.as_ref().filter(|_| field.documented_default) {
        say("default", default.clone());
    }
    if !field.help.is_empty() {
        say("description", json!(field.help));
    }
    for (keyword, value) in &field.keywords {
        if value.is_null() {
            schema.remove(*keyword);
        } else {
            schema.insert((*keyword).to_owned(), value.clone());
        }
    }
    Json::Object(schema)
}

fn of_kind(kind: &Kind, side: Side, components: &mut Components<'_>) -> Map<String, Json> {
    let schema = match kind {
        Kind::OwnHref | Kind::Href(_) => json!({"type": "string", "format": "uri"}),
        Kind::OwnPrn | Kind::Text | Kind::Secret => json!({"type": "string"}),
        Kind::Integer => json!({"type": "integer", "format": "int64"}),
        Kind::Float => json!({"type": "number", "format": "double"}),
        Kind::Boolean => json!({"type": "boolean"}),
        Kind::Time => json!({"type": "string", "format": "date-time"}),
        Kind::Uuid => json!({"type": "string", "format": "uuid"}),
        Kind::Json => json!({}),
        Kind::Dictionary => json!({"type": "object"}),
        Kind::Labels => json!({"type": "object", "additionalProperties": {"type": "string", "nullable": true}}),
        Kind::Choice(name, words) => reference(&components.enumeration(name, words)),
        Kind::List(of) => {
            let mut items = of_kind(of, side, components);
            if side != Side::Response && matches!(**of, Kind::Text) {
                items.insert("minLength".to_owned(), json!(1));
            }
            json!({"type": "array", "items": items})
        }
        Kind::Object(name, fields) => reference(&components.object(name, fields, side)),
        Kind::File => json!({"type": "string", "format": "binary"}),
        Kind::Computed(shape) => of_shape(shape, components),
    };
    match schema {
        Json::Object(schema) => schema,
        _ => Map::new(),
    }
}

fn of_shape(shape: &Shape, components: &mut Components<'_>) -> Json {
    match shape {
        Shape::Text => json!({"type": "string"}),
        Shape::Uri => json!({"type": "string", "format": "uri"}),
        Shape::Time => json!({"type": "string", "format": "date-time"}),
        Shape::Integer => json!({"type": "integer", "format": "int64"}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::Any => json!({}),
        Shape::Schema(schema) => schema.clone(),
        Shape::Component(name) => {
            components.need(name);
            reference(name)
        }
        Shape::List(of) => json!({"type": "array", "items": of_shape(of, components)}),
    }
}
