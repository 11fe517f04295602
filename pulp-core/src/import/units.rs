//! From rows of an archive to units and their columns.

use serde_json::Value as Json;

use super::list::{Row, text};
use super::tape::bad;
use crate::Result;
use crate::db::Value;
use crate::model::save::Unit;
use crate::plugin::{ExportedColumn, ExportedContent, ExportedKind};

/// The value of a column; an empty text is null unless the column is part of a key.
pub(super) fn value(row: &Row, column: &ExportedColumn, key: bool) -> Result<Value> {
    let text = text(row, column.name)?;
    let empty = text.is_empty() && !key;
    let wrong = || bad(&format!("\"{}\" is no {}", text.chars().take(100).collect::<String>().escape_debug(), column.name));
    Ok(match column.kind {
        ExportedKind::Text => Value::Text((!empty).then(|| text.clone().into_owned())),
        ExportedKind::Boolean => match text.as_ref() {
            "1" | "true" | "True" => Value::Bool(Some(true)),
            "0" | "false" | "False" => Value::Bool(Some(false)),
            "" => Value::Bool(None),
            _ => return Err(wrong()),
        },
        ExportedKind::Integer if empty => Value::Int(None),
        ExportedKind::Integer => Value::Int(Some(text.parse().map_err(|_| wrong())?)),
        ExportedKind::Json if empty => Value::Json(None),
        ExportedKind::Json => Value::Json(Some(serde_json::from_str::<Json>(&text).map_err(|_| wrong())?)),
    })
}

/// A unit of a row.
pub(super) fn unit(row: &Row, content: &ExportedContent) -> Result<Unit> {
    let mut values = Vec::with_capacity(content.kind.columns.len());
    for name in content.kind.columns {
        let key = content.kind.key.contains(name);
        values.push(match content.columns.iter().find(|column| column.name == *name) {
            Some(column) => value(row, column, key)?,
            None => Value::Text(None),
        });
    }
    let unit = Unit::new(content.kind, values);
    (content.check)(&unit).map_err(|reason| bad(&reason))?;
    Ok(unit)
}
