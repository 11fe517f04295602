//! Rules that concern a whole object.

use std::sync::Arc;

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

    /// Before a task is made that removes an object.
    ///
    /// # Errors
    /// Any; nothing is removed then.
    async fn may_delete(&self, _cx: &Context, _current: &Record) -> Result<()> {
        Ok(())
    }

    /// After the transaction of a change, in the task that made it: what takes more than one transaction.
    ///
    /// # Errors
    /// Any; the change itself stays.
    async fn settle(&self, _cx: &Context, _before: &Record, _input: &Input) -> Result<()> {
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

/// Two sets of rules, one after the other.
pub(super) struct Both(pub(super) Arc<dyn Hooks>, pub(super) Arc<dyn Hooks>);

#[async_trait]
impl Hooks for Both {
    async fn validate(&self, cx: &Context, input: &mut Input, current: Option<&Record>) -> Result<()> {
        self.0.validate(cx, input, current).await?;
        self.1.validate(cx, input, current).await
    }

    async fn created(&self, cx: &Context, tx: &Tx, id: Uuid, input: &Input) -> Result<()> {
        self.0.created(cx, tx, id, input).await?;
        self.1.created(cx, tx, id, input).await
    }

    async fn updated(&self, cx: &Context, tx: &Tx, before: &Record, input: &Input) -> Result<()> {
        self.0.updated(cx, tx, before, input).await?;
        self.1.updated(cx, tx, before, input).await
    }

    async fn may_delete(&self, cx: &Context, current: &Record) -> Result<()> {
        self.0.may_delete(cx, current).await?;
        self.1.may_delete(cx, current).await
    }

    async fn settle(&self, cx: &Context, before: &Record, input: &Input) -> Result<()> {
        self.0.settle(cx, before, input).await?;
        self.1.settle(cx, before, input).await
    }

    async fn deleting(&self, cx: &Context, tx: &Tx, id: Uuid) -> Result<()> {
        self.0.deleting(cx, tx, id).await?;
        self.1.deleting(cx, tx, id).await
    }

    async fn committed(&self, cx: &Context, id: Uuid) {
        self.0.committed(cx, id).await;
        self.1.committed(cx, id).await;
    }
}
