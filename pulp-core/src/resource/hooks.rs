//! Rules that concern a whole object.

use async_trait::async_trait;
use uuid::Uuid;

use super::{Context, Input, Record};
use crate::Result;
use crate::db::Tx;

/// What happens around the writing of an object; everything has a default that does nothing.
#[async_trait]
pub trait Hooks: Send + Sync {
    /// Checks what concerns several fields, before anything is written; may change the input. `current` is the object as it
    /// is, if there is one. Called again when a task makes the change.
    ///
    /// # Errors
    /// A [validation error](crate::Error::Validation).
    async fn validate(&self, _cx: &Context, _input: &mut Input, _current: Option<&Record>) -> Result<()> {
        Ok(())
    }

    /// After the object’s rows are written, in the same transaction.
    ///
    /// # Errors
    /// Any; nothing is written then.
    async fn created(&self, _cx: &Context, _tx: &Tx, _id: Uuid, _input: &Input) -> Result<()> {
        Ok(())
    }

    /// After the object’s rows are changed, in the same transaction. `before` is the object as it was.
    ///
    /// # Errors
    /// Any; nothing is changed then.
    async fn updated(&self, _cx: &Context, _tx: &Tx, _before: &Record, _input: &Input) -> Result<()> {
        Ok(())
    }

    /// Before the object’s rows are removed, in the same transaction.
    ///
    /// # Errors
    /// Any; nothing is removed then.
    async fn deleting(&self, _cx: &Context, _tx: &Tx, _id: Uuid) -> Result<()> {
        Ok(())
    }

    /// After the transaction of a write, a change or a removal: caches, notifications.
    async fn committed(&self, _cx: &Context, _id: Uuid) {}
}

/// No rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHooks;

impl Hooks for NoHooks {}
