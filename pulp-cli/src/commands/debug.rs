//! `pulp debug`

use std::path::PathBuf;

use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::status;
use crate::args;
use crate::client::Query;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::output;
use crate::progress;
use crate::specifier::{Specifier, Version};
use crate::upload::{self, LocalFile};

/// The version of the Python client whose commands and options are followed here; what `has-cli-plugin` answers with.
const INTERFACE_VERSION: &str = "0.41.1";

/// The groups of commands of the Python client that are here.
const INTERFACES: [&str; 3] = ["common", "core", "file"];

#[derive(Debug, Subcommand)]
pub(crate) enum DebugCommand {
    /// Tell whether the server has a plugin, of a version: prints true or false, and fails for false
    HasPlugin(HasPlugin),
    /// Tell whether this client has the commands of a plugin of the Python client
    HasCliPlugin(HasPlugin),
    /// Show parts of the server's API document
    #[command(subcommand)]
    Openapi(OpenapiCommand),
}

#[derive(Debug, Args)]
pub(crate) struct HasPlugin {
    /// Name of the plugin, like core or file
    #[arg(long)]
    name: String,
    /// Range of its version, like >=3.63.0,<4
    #[arg(long, default_value = "", hide_default_value = true)]
    specifier: Specifier,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OpenapiCommand {
    /// Show the whole document
    Spec,
    /// Show what the document says about itself
    Info,
    /// List the ids of all operations
    OperationIds,
    /// Show an operation
    Operation(Operation),
    /// List the names of all schemas
    SchemaNames,
    /// Show a schema
    Schema(Schema),
    /// Show the ways to sign in
    SecuritySchemes,
    /// Call an operation
    Call(Call),
}

#[derive(Debug, Args)]
pub(crate) struct Operation {
    /// Operation id, like tasks_list
    #[arg(long)]
    id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Name of the schema
    #[arg(long)]
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Call {
    /// Operation id, like tasks_list
    #[arg(long)]
    id: String,
    /// Parameter of the path or the query, written name=value; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    parameter: Vec<String>,
    /// Body of the call: JSON, or @FILE with it
    #[arg(long, value_name = "JSON", value_parser = args::json)]
    body: Option<Value>,
    /// File to send as the field `file` of a form, whose other fields are those of the body
    #[arg(long, value_name = "FILE")]
    upload: Option<PathBuf>,
}

impl DebugCommand {
    pub(crate) async fn exec(&self, cx: &Context) -> Result<()> {
        match self {
            Self::HasPlugin(question) => {
                let status = status::fetch(cx).await?;
                answer(component(&status, &question.name).is_some_and(|version| question.specifier.matches(&version)))
            }
            Self::HasCliPlugin(question) => {
                let version: Option<Version> = INTERFACE_VERSION.parse().ok();
                answer(INTERFACES.contains(&question.name.as_str()) && version.is_some_and(|version| question.specifier.matches(&version)))
            }
            Self::Openapi(command) => command.exec(cx).await,
        }
    }
}

/// The version of a component in the server's status.
fn component(status: &Value, name: &str) -> Option<Version> {
    status
        .get("versions")?
        .as_array()?
        .iter()
        .find(|entry| entry.get("component").and_then(Value::as_str) == Some(name))?
        .get("version")?
        .as_str()?
        .parse()
        .ok()
}

fn answer(yes: bool) -> Result<()> {
    output::line(if yes { "true" } else { "false" })?;
    if yes { Ok(()) } else { Err(Error::No) }
}

impl OpenapiCommand {
    async fn exec(&self, cx: &Context) -> Result<()> {
        let document = cx.client.get_public("docs/api.json", &Query::new()).await?;
        let part = |pointer: &str| document.pointer(pointer).cloned().unwrap_or(Value::Null);
        match self {
            Self::Spec => cx.print(&document),
            Self::Info => cx.print(&part("/info")),
            Self::OperationIds => {
                let ids: Vec<&str> = operations(&document).filter_map(|(_, _, operation)| operation.get("operationId")?.as_str()).collect();
                cx.print(&json!(ids))
            }
            Self::Operation(wanted) => {
                let (path, method, operation) = operation(&document, &wanted.id)?;
                cx.print(&json!({ "method": method, "path": path, "operation": operation }))
            }
            Self::SchemaNames => {
                let schemas = part("/components/schemas");
                let names: Vec<&String> = schemas.as_object().into_iter().flat_map(|schemas| schemas.keys()).collect();
                cx.print(&json!(names))
            }
            Self::Schema(wanted) => {
                let schemas = part("/components/schemas");
                let schema = schemas
                    .get(&wanted.name)
                    .ok_or_else(|| Error::NotFound { noun: "schema".to_owned(), criteria: format!("name '{}'", wanted.name) })?;
                cx.print(schema)
            }
            Self::SecuritySchemes => cx.print(&part("/components/securitySchemes")),
            Self::Call(call) => call.exec(cx, &document).await,
        }
    }
}

/// All operations of the document: path, method, description.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document.get("paths").and_then(Value::as_object).into_iter().flatten().flat_map(|(path, methods)| {
        methods.as_object().into_iter().flatten().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

fn operation<'a>(document: &'a Value, id: &str) -> Result<(&'a str, &'a str, &'a Value)> {
    operations(document)
        .find(|(_, _, operation)| operation.get("operationId").and_then(Value::as_str) == Some(id))
        .ok_or_else(|| Error::NotFound { noun: "operation".to_owned(), criteria: format!("id '{id}'") })
}

impl Call {
    async fn exec(&self, cx: &Context, document: &Value) -> Result<()> {
        let (path, method, operation) = operation(document, &self.id)?;
        let (path, query) = self.place(path, operation)?;
        let method = Method::from_bytes(method.to_ascii_uppercase().as_bytes())
            .map_err(|_| Error::usage(format!("'{method}' of operation '{}' is no method", self.id)))?;
        let answer = match &self.upload {
            Some(file) => {
                let file = LocalFile::open(file).await?;
                let bar = progress::bytes(cx.quiet, file.size, "Uploading");
                let fields = self.body.as_ref().unwrap_or(&Value::Null);
                let form = upload::form(fields).part("file", file.part(0, file.size, &bar).await?);
                let answer = cx.client.any_form(method, &path, &query, form).await?;
                bar.finish_and_clear();
                answer
            }
            None => cx.client.any(method, &path, &query, self.body.clone()).await?,
        };
        cx.print(&answer.body)
    }

    /// Puts the parameters into the path and the query.
    fn place(&self, template: &str, operation: &Value) -> Result<(String, Query)> {
        let declared = operation.get("parameters").and_then(Value::as_array);
        let mut path = template.to_owned();
        let mut query = Query::new();
        for parameter in &self.parameter {
            let (name, value) =
                parameter.split_once('=').ok_or_else(|| Error::usage(format!("--parameter: '{parameter}' must be name=value")))?;
            let place = declared
                .into_iter()
                .flatten()
                .find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
                .and_then(|entry| entry.get("in")?.as_str())
                .ok_or_else(|| Error::usage(format!("operation '{}' has no parameter '{name}'", self.id)))?;
            match place {
                // An href stands in place of a whole path; it is checked when the URL is made.
                "path" => path = path.replace(&format!("{{{name}}}"), value),
                "query" => query = query.with(name, Some(value)),
                _ => {
                    return Err(Error::usage(format!("parameter '{name}' goes into the {place}: use --header")));
                }
            }
        }
        if path.contains('{') {
            return Err(Error::usage(format!("operation '{}' needs more parameters: {path}", self.id)));
        }
        Ok((path, query))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(parameters: &[&str]) -> Result<String> {
        let operation = json!({"parameters": [
            {"name": "task_href", "in": "path"},
            {"name": "fields", "in": "query"},
            {"name": "X-Header", "in": "header"},
        ]});
        let call =
            Call { id: "x".to_owned(), parameter: parameters.iter().map(|text| (*text).to_owned()).collect(), body: None, upload: None };
        call.place("{task_href}", &operation).map(|(path, query)| format!("{path} {query:?}"))
    }

    #[test]
    fn parameters_find_their_place() {
        let placed = call(&["task_href=/pulp/api/v3/tasks/1/", "fields=name"]).unwrap();
        assert!(placed.starts_with("/pulp/api/v3/tasks/1/ ") && placed.contains("\"fields\", \"name\""), "{placed}");
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (parameters, hint) in
            [(&["nope=1"][..], "'nope'"), (&["fields"], "name=value"), (&["X-Header=1"], "--header"), (&["fields=name"], "{task_href}")]
        {
            let error = call(parameters).unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
