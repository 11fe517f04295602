//! `pulp-server rotate-db-key`.

use pulp_core::Pulp;

use crate::Failure;

pub async fn exec(pulp: &Pulp) -> Result<(), Failure> {
    let done = pulp.rotate_secrets().await?;
    println!("{} secrets are encrypted anew, {} were encrypted with the first key before.", done.changed, done.current);
    if done.unreadable.is_empty() {
        return Ok(());
    }
    for place in &done.unreadable {
        eprintln!("No key decrypts {place}.");
    }
    Err(Failure("some secrets cannot be decrypted: add their key to the key file and run this again, or set them anew".to_owned()))
}
