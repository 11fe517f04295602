//! The first user.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use pulp_core::crypto::Secret;
use pulp_core::model::User;
use pulp_core::{Error, Pulp, Result};

const NAME: &str = "admin";

/// Makes the user admin with a made-up password if there is no user at all; gives the file that holds it, none if there was a user.
///
/// # Errors
/// If the database cannot be reached, or the file cannot be written.
pub async fn ensure(pulp: &Pulp) -> Result<Option<PathBuf>> {
    if User::any(pulp.db()).await? {
        return Ok(None);
    }
    let password = made_up();
    let path = pulp.data_dir().join("admin-password");
    write_private(&path, &password).map_err(|source| Error::io("the file of the admin's password cannot be written", source))?;
    reset(pulp, &password).await?;
    Ok(Some(path))
}

/// Sets the password of the user admin, who is made if missing.
pub async fn reset(pulp: &Pulp, password: &str) -> Result<()> {
    let hash = pulp.credentials().hash(&Secret::from(password)).await?;
    if !User::set_password(pulp.db(), NAME, &hash).await? {
        User::create_superuser(pulp.db(), NAME, &hash, pulp.now()).await?;
    }
    Ok(())
}

/// 24 letters and digits: 142 bits.
pub fn made_up() -> String {
    use rand::RngExt as _;
    rand::rng().sample_iter(rand::distr::Alphanumeric).take(24).map(char::from).collect()
}

fn write_private(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    writeln!(file, "{text}")
}
