//! Many values at once.

use sqlx::Arguments as _;
use sqlx::postgres::PgArguments;
use sqlx::types::Json;
use uuid::Uuid;

use super::{DbError, Value};
use crate::clock::Timestamp;

/// Values of one kind, as PostgreSQL takes a column of many rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Array {
    /// `boolean[]`.
    Bool(Vec<Option<bool>>),
    /// `bigint[]`.
    Int(Vec<Option<i64>>),
    /// `double precision[]`.
    Float(Vec<Option<f64>>),
    /// `text[]`.
    Text(Vec<Option<String>>),
    /// `uuid[]`.
    Uuid(Vec<Option<Uuid>>),
    /// `timestamptz[]`.
    Time(Vec<Option<Timestamp>>),
    /// `jsonb[]`.
    Json(Vec<Option<Json<serde_json::Value>>>),
}

impl Array {
    /// An empty one for values of this kind.
    fn like(value: &Value, rows: usize) -> Result<Self, DbError> {
        Ok(match value {
            Value::Bool(_) => Self::Bool(Vec::with_capacity(rows)),
            Value::Int(_) => Self::Int(Vec::with_capacity(rows)),
            Value::Float(_) => Self::Float(Vec::with_capacity(rows)),
            Value::Text(_) => Self::Text(Vec::with_capacity(rows)),
            Value::Uuid(_) => Self::Uuid(Vec::with_capacity(rows)),
            Value::Time(_) => Self::Time(Vec::with_capacity(rows)),
            Value::Json(_) => Self::Json(Vec::with_capacity(rows)),
            Value::Array(_) => return Err(refused("of many values")),
        })
    }

    fn push(&mut self, value: Value) -> Result<(), DbError> {
        match (self, value) {
            (Self::Bool(column), Value::Bool(value)) => column.push(value),
            (Self::Int(column), Value::Int(value)) => column.push(value),
            (Self::Float(column), Value::Float(value)) => column.push(value),
            (Self::Text(column), Value::Text(value)) => column.push(value),
            (Self::Uuid(column), Value::Uuid(value)) => column.push(value),
            (Self::Time(column), Value::Time(value)) => column.push(value),
            (Self::Json(column), Value::Json(value)) => column.push(value.map(Json)),
            (column, value) => {
                // Of which kind it is, and not what: it may be a secret.
                let kind = Self::like(&value, 0)?.kind();
                return Err(refused(&format!("of {kind} in a column of {}", column.kind())));
            }
        }
        Ok(())
    }

    /// PostgreSQL’s name of the type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "boolean",
            Self::Int(_) => "bigint",
            Self::Float(_) => "double precision",
            Self::Text(_) => "text",
            Self::Uuid(_) => "uuid",
            Self::Time(_) => "timestamptz",
            Self::Json(_) => "jsonb",
        }
    }

    pub(super) fn add_to(self, arguments: &mut PgArguments) -> Result<(), sqlx::error::BoxDynError> {
        match self {
            Self::Bool(column) => arguments.add(column),
            Self::Int(column) => arguments.add(column),
            Self::Float(column) => arguments.add(column),
            Self::Text(column) => arguments.add(column),
            Self::Uuid(column) => arguments.add(column),
            Self::Time(column) => arguments.add(column),
            Self::Json(column) => arguments.add(column),
        }
    }
}

pub(super) fn refused(what: &str) -> DbError {
    sqlx::Error::Encode(format!("a value {what}").into()).into()
}

/// Rows as columns.
pub(super) fn columns(values: impl Iterator<Item = Value>, width: usize) -> Result<Vec<Array>, DbError> {
    let rows = values.size_hint().0.checked_div(width).unwrap_or(0);
    let mut columns: Vec<Array> = Vec::with_capacity(width);
    for (at, value) in values.enumerate() {
        if at < width {
            columns.push(Array::like(&value, rows)?);
        }
        columns[at % width].push(value)?;
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows = [1, 2, 3].map(|number| [Value::from(number), Value::from((number != 2).then_some("text"))]);
        let columns = columns(rows.into_iter().flatten(), 2).unwrap();
        assert_eq!(columns.iter().map(Array::kind).collect::<Vec<_>>(), ["bigint", "text"]);
        assert!(matches!(&columns[0], Array::Int(values) if *values == [Some(1), Some(2), Some(3)]));
        let text = Some("text".to_owned());
        assert!(matches!(&columns[1], Array::Text(values) if *values == [text.clone(), None, text]));
    }

    #[test]
    fn a_column_holds_one_kind() {
        let mixed = [Value::from(1), Value::from("secret")];
        let error = columns(mixed.into_iter(), 1).err().unwrap().to_string();
        assert!(error.contains("of text in a column of bigint") && !error.contains("secret"), "{error}");
        assert!(columns([Value::Array(Array::Int(Vec::new()))].into_iter(), 1).is_err());
    }
}
