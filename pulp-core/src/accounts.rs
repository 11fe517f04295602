//! Users, as a program that embeds the library or a server at its first start makes them.

use crate::crypto::Secret;
use crate::db::ExecutorExt;
use crate::model::User;
use crate::{Error, Pulp, Result};

impl Pulp {
    /// Whether there is any user: without one, nobody can log in.
    ///
    /// # Errors
    /// If the database cannot be reached.
    pub async fn has_users(&self) -> Result<bool> {
        Ok(self.db().optional::<(i64,)>("select id from auth_user limit 1").await?.is_some())
    }

    /// Makes a user who may do everything, or gives the one of this name another password; sessions that were opened with the
    /// old one end.
    ///
    /// # Errors
    /// If the password cannot be hashed, or the database not be reached.
    pub async fn set_superuser(&self, name: &str, password: &str) -> Result<()> {
        let hash = self.credentials().hash(&Secret::new(password.to_owned())).await.map_err(|error| Error::Internal(error.to_string()))?;
        if User::set_password(self.db(), name, &hash).await? {
            return Ok(());
        }
        User::create_superuser(self.db(), name, &hash, self.now()).await?;
        Ok(())
    }
}
