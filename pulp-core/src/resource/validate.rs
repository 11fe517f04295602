//! Bodies: from what a client sent to an [`Input`], or to the errors that clients of Pulp parse.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::query::moment;
use super::{Context, Field, Fragment, Input, Kind, Record, Resource};
use crate::clock::to_wire;
use crate::db::{DbError, Executor, Sql};
use crate::storage::Spooled;
use crate::{Error, Result};

const REQUIRED: &str = "This field is required.";
const NOT_NULL: &str = "This field may not be null.";
const NOT_BLANK: &str = "This field may not be blank.";
const UNIQUE: &str = "This field must be unique.";

/// The values of a body before validation.
#[derive(Debug, Default)]
pub(crate) struct RawBody {
    /// By field.
    pub values: Map<String, Json>,
    /// Whether it was a form: its values are texts then, and an empty one means nothing.
    pub form: bool,
    /// Files of a multipart body, by field.
    pub files: BTreeMap<String, Spooled>,
}

impl RawBody {
    /// Of a JSON object.
    pub fn json(values: Map<String, Json>) -> Self {
        Self { values, ..Self::default() }
    }
}

impl RawBody {
    /// Without what none of these fields wants: some actions pass over it.
    pub fn only(mut self, fields: &[Field]) -> Self {
        let known = |name: &str| fields.iter().any(|field| field.name == name);
        self.values.retain(|name, _| known(name));
        self.files.retain(|name, _| known(name));
        self
    }
}

/// What an input is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A new object, or an action.
    Create,
    /// All that can be set.
    Replace,
    /// Only what is given.
    Change,
}

impl Resource {
    /// Validates a body for one of its objects: `current` is the object that is to be changed.
    ///
    /// # Errors
    /// [`Error::Refused`], or a failure of the database.
    pub(crate) async fn validate(&self, cx: &Context, body: &RawBody, purpose: Purpose, current: Option<&Record>) -> Result<Input> {
        let mut errors = Map::new();
        let mut input = read(cx, &self.fields, body, purpose, &mut errors).await?;
        for field in self.fields.iter().filter(|field| field.unique && field.is_input()) {
            if let Some(value) = input.text(field.name)
                && !errors.contains_key(field.name)
                && self.is_taken(cx, field, value, current.map(Record::id)).await?
            {
                errors.insert(field.name.to_owned(), json!([UNIQUE]));
            }
        }
        finish(&self.fields, body, errors)?;
        self.hooks.validate(cx, &mut input, current).await?;
        Ok(input)
    }

    async fn is_taken(&self, cx: &Context, field: &Field, value: &str, except: Option<Uuid>) -> Result<bool, DbError> {
        let Some(column) = field.sql() else { return Ok(false) };
        let mut condition = Fragment::new(format!("{column} = ")).bind(value);
        if self.in_domain {
            condition = condition.and(Fragment::new("b.pulp_domain_id = ").bind(cx.domain().pulp_id));
        }
        if let Some(id) = except {
            let key = Fragment::new(format!("b.{} <> ", self.key));
            condition = condition.and(if self.integer_key { key.bind(super::select::key_number(id)) } else { key.bind(id) });
        }
        // Over all types: a name is unique in its base table.
        let join = self
            .detail
            .filter(|_| column.starts_with("d."))
            .map(|(table, pointer)| format!(" join {table} d on d.{pointer} = b.{}", self.key));
        let mut sql = Sql::new(format!("select 1 from {} b{} where ", self.table, join.unwrap_or_default()));
        condition.write(&mut sql);
        sql.push(" limit 1");
        Ok(!cx.pulp().db().rows(sql).await?.is_empty())
    }
}

/// Validates the body of an action.
///
/// # Errors
/// [`Error::Refused`], or a failure of the database.
pub(crate) async fn action_body(cx: &Context, fields: &[Field], body: &RawBody) -> Result<Input> {
    let mut errors = Map::new();
    let input = read(cx, fields, body, Purpose::Create, &mut errors).await?;
    finish(fields, body, errors)?;
    Ok(input)
}

/// Refuses what is wrong, and what no field wants: that only once the rest is right, as Pulp does.
fn finish(fields: &[Field], body: &RawBody, errors: Map<String, Json>) -> Result<()> {
    if !errors.is_empty() {
        return Err(Error::Refused(Json::Object(errors)));
    }
    let unexpected: Map<String, Json> = body
        .values
        .keys()
        .chain(body.files.keys())
        .filter(|name| !fields.iter().any(|field| field.name == name.as_str()))
        .map(|name| (name.clone(), json!(["Unexpected field"])))
        .collect();
    if unexpected.is_empty() { Ok(()) } else { Err(Error::Refused(Json::Object(unexpected))) }
}

async fn read(cx: &Context, fields: &[Field], body: &RawBody, purpose: Purpose, errors: &mut Map<String, Json>) -> Result<Input> {
    let mut input = Input::default();
    for field in fields.iter().filter(|field| field.is_input()) {
        if body.files.contains_key(field.name) {
            if !matches!(field.kind, Kind::File) {
                errors.insert(field.name.to_owned(), json!(["Not a valid string."]));
            }
            continue;
        }
        let given = body.values.get(field.name).and_then(|value| given(field, value, body.form));
        match given {
            None => match &field.default {
                Some(default) if purpose != Purpose::Change => input.set(field.name, default.clone()),
                _ if field.required && purpose != Purpose::Change => {
                    let message = if matches!(field.kind, Kind::File) { "No file was submitted." } else { REQUIRED };
                    errors.insert(field.name.to_owned(), json!([message]));
                }
                _ => {}
            },
            Some(_) if field.create_only && purpose != Purpose::Create => {}
            Some(Json::Null) => {
                if field.nullable {
                    input.set(field.name, Json::Null);
                } else {
                    errors.insert(field.name.to_owned(), json!([NOT_NULL]));
                }
            }
            Some(value) => match check(cx, field, &value, body.form).await? {
                Ok(value) => input.set(field.name, value),
                Err(error) => {
                    let elsewhere = error[0].as_str().is_some_and(|message| message.starts_with(super::context::ELSEWHERE));
                    let (name, error) = match field.elsewhere {
                        Some(message) if elsewhere => (field.name, json!([message])),
                        None if elsewhere => ("non_field_errors", error),
                        _ => (field.name, error),
                    };
                    errors.insert(name.to_owned(), error);
                }
            },
        }
    }
    Ok(input)
}

/// A form has no null and no “not given”: an empty text stands for them.
fn given(field: &Field, value: &Json, form: bool) -> Option<Json> {
    let empty = form && value.as_str() == Some("");
    if empty && !field.blank {
        if field.nullable {
            return Some(Json::Null);
        }
        if !field.required {
            return None;
        }
    }
    if !form && matches!(field.kind, Kind::Href(_)) && field.nullable && value.as_str() == Some("") {
        return Some(Json::Null);
    }
    Some(value.clone())
}

/// A value as its field has it, or the messages about it.
async fn check(cx: &Context, field: &Field, value: &Json, form: bool) -> Result<Result<Json, Json>> {
    let value = match convert(cx, &field.kind, field, value, form).await? {
        Ok(value) => value,
        Err(error) => return Ok(Err(error)),
    };
    let number = value.as_f64();
    if let (Some(least), Some(number)) = (field.minimum, number)
        && number < least
    {
        return Ok(Err(json!([format!("Ensure this value is greater than or equal to {}.", bound(&field.kind, least))])));
    }
    if let (Some(most), Some(number)) = (field.maximum, number)
        && number > most
    {
        return Ok(Err(json!([format!("Ensure this value is less than or equal to {}.", bound(&field.kind, most))])));
    }
    if let Some(check) = field.check
        && let Err(message) = check(&value)
    {
        return Ok(Err(json!([message])));
    }
    if matches!(field.kind, Kind::Secret) {
        let text = value.as_str().unwrap_or_default();
        return Ok(Ok(Json::String(cx.pulp().seal(text)?)));
    }
    Ok(Ok(value))
}

/// A bound as Pulp writes it: `1`, or `0.0` of a number that need not be whole.
fn bound(kind: &Kind, number: f64) -> String {
    if matches!(kind, Kind::Float) { format!("{number:?}") } else { format!("{number}") }
}

type Converted<'a> = Pin<Box<dyn Future<Output = Result<Result<Json, Json>>> + Send + 'a>>;

fn convert<'a>(cx: &'a Context, kind: &'a Kind, field: &'a Field, value: &'a Json, form: bool) -> Converted<'a> {
    Box::pin(async move {
        let one = |message: &str| Ok(Err(json!([message])));
        Ok(match kind {
            Kind::Text | Kind::Secret => text(field, value),
            Kind::Integer => integer(value),
            Kind::Float => float(value),
            Kind::Boolean => match truth(value) {
                Some(truth) => Ok(Json::Bool(truth)),
                None => return one("Must be a valid boolean."),
            },
            Kind::Time => match value.as_str().and_then(moment) {
                Some(moment) => Ok(json!(to_wire(moment))),
                None => {
                    return one(
                        "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].",
                    );
                }
            },
            Kind::Uuid => match value.as_str().and_then(|text| Uuid::try_parse(text).ok()) {
                Some(id) => Ok(json!(id)),
                None => return one("Must be a valid UUID."),
            },
            Kind::Choice(_, words) => {
                let word = plain(value).unwrap_or_else(|| value.to_string());
                if words.contains(&word.as_str()) { Ok(json!(word)) } else { return one(&format!("\"{word}\" is not a valid choice.")) }
            }
            Kind::Href(target) => match value.as_str() {
                Some(text) => match cx.resolve(*target, text).await {
                    Ok(prn) => Ok(json!(prn.to_string())),
                    Err(message) => return one(&message),
                },
                None => return one(&format!("Incorrect type. Expected URL string, received {}.", type_name(value))),
            },
            Kind::Json => Ok(unpacked(value, form)),
            Kind::Dictionary => match unpacked(value, form) {
                Json::Object(object) => Ok(Json::Object(object)),
                other => return one(&format!("Expected a dictionary of items but got type \"{}\".", type_name(&other))),
            },
            Kind::Labels => labels(&unpacked(value, form)),
            Kind::List(of) => {
                let unpacked = unpacked(value, form);
                let Json::Array(items) = unpacked else {
                    if form && unpacked.is_string() {
                        return Ok(match convert(cx, of, field, value, form).await? {
                            Ok(value) => Ok(json!([value])),
                            Err(error) => Err(json!({"0": error})),
                        });
                    }
                    return one(&format!("Expected a list of items but got type \"{}\".", type_name(&unpacked)));
                };
                let mut all = Vec::with_capacity(items.len());
                let mut errors = Map::new();
                for (at, item) in items.iter().enumerate() {
                    let read = if item.is_null() { Err(json!([NOT_NULL])) } else { convert(cx, of, field, item, form).await? };
                    match read {
                        Ok(value) => all.push(value),
                        // Related objects are told of without their places.
                        Err(error) if matches!(**of, Kind::Href(_)) => return Ok(Err(error)),
                        Err(error) => {
                            errors.insert(at.to_string(), error);
                        }
                    }
                }
                if errors.is_empty() { Ok(Json::Array(all)) } else { Err(Json::Object(errors)) }
            }
            Kind::Object(_, fields) => match unpacked(value, form) {
                Json::Object(values) => {
                    let mut errors = Map::new();
                    let input = read(cx, fields, &RawBody::json(values), Purpose::Create, &mut errors).await?;
                    if errors.is_empty() {
                        Ok(Json::Object(input.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()))
                    } else {
                        Err(Json::Object(errors))
                    }
                }
                other => Err(json!({"non_field_errors": [format!("Invalid data. Expected a dictionary, but got {}.", type_name(&other))]})),
            },
            // Files travel beside the values.
            Kind::File => return one("The submitted data was not a file. Check the encoding type on the form."),
            Kind::OwnHref | Kind::OwnPrn | Kind::Computed(_) => Ok(value.clone()),
        })
    })
}

/// In a form, JSON comes as text.
fn unpacked(value: &Json, form: bool) -> Json {
    match value.as_str() {
        Some(text) if form => serde_json::from_str(text).unwrap_or_else(|_| value.clone()),
        _ => value.clone(),
    }
}

/// A text or number as text.
fn plain(value: &Json) -> Option<String> {
    match value {
        Json::String(text) => Some(text.clone()),
        Json::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn text(field: &Field, value: &Json) -> Result<Json, Json> {
    let Some(text) = plain(value) else { return Err(json!(["Not a valid string."])) };
    if text.contains('\0') {
        return Err(json!(["Null characters are not allowed."]));
    }
    let text = if field.keep_space { text.as_str() } else { text.trim() };
    if text.is_empty() && !field.blank {
        return Err(json!([NOT_BLANK]));
    }
    if let Some(most) = field.max_length
        && text.chars().count() > most
    {
        return Err(json!([format!("Ensure this field has no more than {most} characters.")]));
    }
    Ok(json!(text))
}

fn integer(value: &Json) -> Result<Json, Json> {
    let bad = || json!(["A valid integer is required."]);
    let text = plain(value).ok_or_else(bad)?;
    let text = text.trim();
    // `5.0` is a whole number, as in Pulp.
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.chars().all(|c| c == '0') => whole,
        Some(_) => return Err(bad()),
        None => text,
    };
    if whole.strip_prefix(['-', '+']).unwrap_or(whole).chars().any(|c| !c.is_ascii_digit()) || whole.is_empty() {
        return Err(bad());
    }
    whole.parse::<i64>().map(Json::from).map_err(|_| {
        let message = if whole.starts_with('-') {
            format!("Ensure this value is greater than or equal to {}.", i64::MIN)
        } else {
            format!("Ensure this value is less than or equal to {}.", i64::MAX)
        };
        json!([message])
    })
}

fn float(value: &Json) -> Result<Json, Json> {
    let number = plain(value).and_then(|text| text.trim().parse::<f64>().ok()).filter(|number| number.is_finite());
    number.map(Json::from).ok_or_else(|| json!(["A valid number is required."]))
}

fn truth(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(truth) => Some(*truth),
        Json::Number(number) if number.as_f64() == Some(1.0) => Some(true),
        Json::Number(number) if number.as_f64() == Some(0.0) => Some(false),
        Json::String(text) => match text.trim() {
            "t" | "T" | "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" | "1" => Some(true),
            "f" | "F" | "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" | "0" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn labels(value: &Json) -> Result<Json, Json> {
    let Json::Object(values) = value else {
        return Err(json!([format!("Expected a dictionary of items but got type \"{}\".", type_name(value))]));
    };
    let mut all = Map::new();
    let mut errors = Map::new();
    for (key, value) in values {
        match plain(value) {
            Some(text) if text.contains('\0') || key.contains('\0') => {
                errors.insert(key.clone(), json!(["Null characters are not allowed."]));
            }
            Some(text) => {
                all.insert(key.clone(), Json::String(text.trim().to_owned()));
            }
            None if value.is_null() => {
                all.insert(key.clone(), Json::Null);
            }
            None => {
                errors.insert(key.clone(), json!(["Not a valid string."]));
            }
        }
    }
    if !errors.is_empty() {
        return Err(Json::Object(errors));
    }
    for (key, value) in &all {
        super::labels::check(key, value.as_str()).map_err(|message| json!([message]))?;
    }
    Ok(Json::Object(all))
}

/// What Pulp, which is written in Python, calls the type of a value.
pub(crate) fn type_name(value: &Json) -> &'static str {
    match value {
        Json::Null => "NoneType",
        Json::Bool(_) => "bool",
        Json::Number(number) if number.is_f64() => "float",
        Json::Number(_) => "int",
        Json::String(_) => "str",
        Json::Array(_) => "list",
        Json::Object(_) => "dict",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_forms_and_programs_write_them() {
        for (value, wanted) in [(json!(5), 5), (json!("5"), 5), (json!(" -5 "), -5), (json!(5.0), 5), (json!("5.00"), 5)] {
            assert_eq!(integer(&value), Ok(json!(wanted)), "{value}");
        }
        for value in [json!("x"), json!(1.5), json!(true), json!(""), json!([1]), json!("1e3"), json!("--1")] {
            assert_eq!(integer(&value), Err(json!(["A valid integer is required."])), "{value}");
        }
        let huge: Json = serde_json::from_str("99999999999999999999999").unwrap();
        assert!(integer(&huge).is_err());
        assert!(float(&json!("inf")).is_err() && float(&json!("nan")).is_err());
        assert_eq!(float(&json!("2.5")), Ok(json!(2.5)));
    }

    #[test]
    fn labels_are_texts_or_nothing() {
        assert_eq!(labels(&json!({"a": "b", "n": null, "i": 5})), Ok(json!({"a": "b", "n": null, "i": "5"})));
        assert_eq!(labels(&json!({"a": {"b": 1}})), Err(json!({"a": ["Not a valid string."]})));
        assert_eq!(labels(&json!(5)), Err(json!(["Expected a dictionary of items but got type \"int\"."])));
    }
}
