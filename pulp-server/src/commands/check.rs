//! `pulp-server check`: whether everything that the configuration names can be used.

use pulp_core::Pulp;
use pulp_core::storage::ArtifactPath;

use crate::Failure;

pub async fn exec(pulp: &Pulp) -> Result<(), Failure> {
    println!("configuration  ok");
    if !pulp.db().is_alive().await {
        return Err(Failure("the database does not answer".to_owned()));
    }
    println!("database       ok");
    // What a sync does with every file: spool, adopt, read, delete.
    let probe = pulp.spool().store("pulp-server check").await?;
    let path: ArtifactPath = format!("check/{}", probe.sha256()?).parse()?;
    pulp.storage().adopt(probe, &path).await?;
    let size = pulp.storage().size(&path).await?;
    pulp.storage().delete(&path).await?;
    if size != 17 {
        return Err(Failure(format!("the storage gave back {size} bytes of 17")));
    }
    println!("storage        ok");
    Ok(())
}
