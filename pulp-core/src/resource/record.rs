//! A row of a resource as it was read.

use std::sync::Arc;

use serde_json::Value as Json;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::Value;

/// One object’s stored values, by the names of their columns.
#[derive(Debug, Clone)]
pub struct Record {
    pub(crate) id: Uuid,
    /// The names of the columns: the same for all rows of a page.
    pub(crate) columns: Arc<Vec<String>>,
    pub(crate) values: Vec<Value>,
}

impl Record {
    /// The object’s key.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The value of a column that a field or a resource’s `extra` names.
    pub fn get(&self, column: &str) -> Option<&Value> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.values.get(at)
    }

    /// A text that is not null.
    pub fn text(&self, column: &str) -> Option<&str> {
        match self.get(column) {
            Some(Value::Text(value)) => value.as_deref(),
            _ => None,
        }
    }

    /// A whole number that is not null.
    pub fn integer(&self, column: &str) -> Option<i64> {
        match self.get(column) {
            Some(Value::Int(value)) => *value,
            _ => None,
        }
    }

    /// A truth value that is not null.
    pub fn boolean(&self, column: &str) -> Option<bool> {
        match self.get(column) {
            Some(Value::Bool(value)) => *value,
            _ => None,
        }
    }

    /// A key that is not null.
    pub fn uuid(&self, column: &str) -> Option<Uuid> {
        match self.get(column) {
            Some(Value::Uuid(value)) => *value,
            _ => None,
        }
    }

    /// A moment that is not null.
    pub fn time(&self, column: &str) -> Option<Timestamp> {
        match self.get(column) {
            Some(Value::Time(value)) => *value,
            _ => None,
        }
    }

    /// JSON that is not null.
    pub fn json(&self, column: &str) -> Option<&Json> {
        match self.get(column) {
            Some(Value::Json(value)) => value.as_ref(),
            _ => None,
        }
    }
}
