//! Parameters of operations.

use serde_json::{Value as Json, json};

use crate::plugin::Registry;
use crate::resource::{Filter, FilterKind, Lookup, Resource, Target};

/// A part of the path.
pub(super) fn path(name: &str, schema: &Json) -> Json {
    json!({"in": "path", "name": name, "schema": schema, "required": true})
}

/// The header that every operation takes.
pub(super) fn diagnostics() -> Json {
    json!({
        "in": "header",
        "name": "X-Task-Diagnostics",
        "schema": {"type": "array", "items": {"type": "string"}},
        "description": "What the tasks of the request record while they run: `memory`, where the setting `TASK_DIAGNOSTICS` allows it.",
    })
}

/// Which bytes a chunk has.
pub(super) fn range() -> Json {
    json!({
        "in": "header",
        "name": "Content-Range",
        "schema": {"type": "string"},
        "required": true,
        "description": "Which bytes of the whole the chunk has: `bytes 0-1048575/4194304`, or `*` for a size that is not known.",
    })
}

/// Which fields an answer shows.
pub(super) fn masks() -> [Json; 2] {
    let of = |name: &str, help: &str| json!({"in": "query", "name": name, "schema": {"type": "array", "items": {"type": "string"}}, "description": help});
    [of("fields", "Show these fields only."), of("exclude_fields", "Show all fields but these.")]
}

fn one(name: impl Into<String>, schema: &Json, help: &str) -> Json {
    let mut json = json!({"in": "query", "name": name.into(), "schema": schema});
    if !help.is_empty() {
        json["description"] = json!(help);
    }
    json
}

/// Several values, separated by commas.
fn many(name: impl Into<String>, of: &Json, help: &str) -> Json {
    let mut json = one(name, &json!({"type": "array", "items": of}), help);
    json["explode"] = json!(false);
    json["style"] = json!("form");
    json
}

/// Which page of a list.
pub(super) fn pages() -> Vec<Json> {
    let page = |name: &str, help: &str| json!({"in": "query", "name": name, "required": false, "schema": {"type": "integer"}, "description": help});
    vec![page("limit", "How many results a page has at most."), page("offset", "How many results come before the page.")]
}

/// What two versions are compared by.
pub(super) fn difference() -> Vec<Json> {
    vec![
        one("base", &json!({"type": "string"}), "The version to compare with, by href or PRN; the one before it by default."),
        one("limit", &json!({"type": "integer"}), "How many units the answer tells of at most."),
        one("after", &json!({"type": "string"}), "Where to go on, as `next` of the answer before says."),
    ]
}

/// All that a list can be asked.
pub(super) fn list(registry: &Registry, resource: &Resource) -> Vec<Json> {
    let text = json!({"type": "string"});
    let mut all = pages();
    if !resource.filterable {
        return all;
    }
    if resource.pages_by_key() {
        all.push(one("after", &text, "Read the list by key, from behind this unit (href, PRN or key) on; from the first, if it is empty."));
        all.push(one("count", &json!({"type": "integer"}), "What `next` of a page by key has: the count, which is not made again."));
    }
    all.push(many("ordering", &ordering(resource), "The fields to sort by; a minus turns the order round."));
    all.push(many("prn__in", &text, "Objects with these PRNs."));
    all.push(many("pulp_href__in", &text, "Objects with these hrefs."));
    all.push(one("q", &text, "Several filters, put together with NOT, AND and OR."));
    if resource.table != Target::REPOSITORY_VERSION.table {
        all.push(many("pulp_id__in", &json!({"type": "string", "format": "uuid"}), "Objects with these keys."));
    }
    if resource.has_labels() {
        all.push(one("pulp_label_select", &text, "Terms on labels, separated by commas: key, !key, key=value, key!=value, key~part."));
    }
    if resource.typed() && resource.pulp_type.is_none() {
        let known = types(registry, resource);
        let types = if known.is_empty() { text.clone() } else { json!({"type": "string", "enum": known}) };
        all.push(one("pulp_type", &types, "Objects of this type."));
        all.push(many("pulp_type__in", &types, "Objects of these types."));
    }
    all.extend(resource.filters.iter().flat_map(filter));
    all
}

/// The types of objects that a list over all types shows.
fn types<'a>(registry: &'a Registry, resource: &Resource) -> Vec<&'a str> {
    let mut types: Vec<&str> =
        registry.resources().iter().filter(|other| other.table == resource.table).filter_map(|other| other.pulp_type).collect();
    types.sort_unstable();
    types
}

fn ordering(resource: &Resource) -> Json {
    let expressions = resource.order_expressions.iter().map(|(name, _)| *name);
    let columns = resource.ordering.iter().copied().chain(expressions).chain(["pk"]);
    let mut words: Vec<String> = columns.flat_map(|column| [column.to_owned(), format!("-{column}")]).collect();
    words.sort_unstable();
    words.dedup();
    json!({"type": "string", "enum": words})
}

/// One parameter for each way in which a filter compares.
fn filter(filter: &Filter) -> Vec<Json> {
    filter
        .lookups
        .iter()
        .map(|lookup| {
            let name = format!("{}{}", filter.name, lookup.suffix());
            if filter.several {
                let mut several = many(name, &value(filter.kind), filter.help);
                if filter.repeated {
                    several["explode"] = json!(true);
                }
                return several;
            }
            match lookup {
                Lookup::In | Lookup::Range => many(name, &value(filter.kind), told(filter, *lookup)),
                Lookup::IsNull => one(name, &json!({"type": "boolean"}), told(filter, *lookup)),
                Lookup::Exact => one(name, &choice(filter.kind), filter.help),
                _ => one(name, &value(filter.kind), told(filter, *lookup)),
            }
        })
        .collect()
}

/// Equality can tell which words there are.
fn choice(kind: FilterKind) -> Json {
    match kind {
        FilterKind::Choice(words) => {
            let mut words = words.to_vec();
            words.sort_unstable();
            json!({"type": "string", "enum": words})
        }
        other => value(other),
    }
}

fn value(kind: FilterKind) -> Json {
    match kind {
        FilterKind::Integer => json!({"type": "integer"}),
        FilterKind::Number => json!({"type": "number"}),
        FilterKind::Boolean => json!({"type": "boolean"}),
        FilterKind::Time => json!({"type": "string", "format": "date-time"}),
        FilterKind::Uuid => json!({"type": "string", "format": "uuid"}),
        _ => json!({"type": "string"}),
    }
}

/// What a comparison does, where the filter itself says nothing.
fn told(filter: &Filter, lookup: Lookup) -> &'static str {
    if !filter.help.is_empty() {
        return filter.help;
    }
    match lookup {
        Lookup::In => "One of these, separated by commas.",
        Lookup::Range => "Between these two, both included.",
        Lookup::IsNull => "Whether there is none.",
        Lookup::Ne => "Not this.",
        Lookup::Contains => "Holds this.",
        Lookup::IContains => "Holds this, in any case.",
        Lookup::IExact => "This, in any case.",
        Lookup::Regex => "Matches this regular expression.",
        Lookup::IRegex => "Matches this regular expression, in any case.",
        Lookup::StartsWith => "Begins with this.",
        Lookup::IStartsWith => "Begins with this, in any case.",
        Lookup::Lt => "Less than this.",
        Lookup::Lte => "Not more than this.",
        Lookup::Gt => "More than this.",
        Lookup::Gte => "Not less than this.",
        Lookup::Exact => "",
    }
}
