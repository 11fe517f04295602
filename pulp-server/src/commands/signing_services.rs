//! `pulp-server add-signing-service`, `remove-signing-service` and `list-signing-services`.

use pulp_core::Pulp;
use pulp_core::crypto::NewSigningService;

use crate::Failure;
use crate::cli::{AddSigningServiceArgs, RemoveSigningServiceArgs};

pub async fn add(pulp: &Pulp, args: AddSigningServiceArgs) -> Result<(), Failure> {
    let new = NewSigningService {
        name: args.name,
        script: args.script,
        key: args.key,
        class: args.class,
        backend: args.backend,
        home: args.home.or(args.gnupghome),
        keyring: args.keyring,
    };
    let service = pulp.add_signing_service(new).await?;
    println!("Successfully added signing service {} for key {}.", service.name, service.pubkey_fingerprint);
    Ok(())
}

pub async fn remove(pulp: &Pulp, args: RemoveSigningServiceArgs) -> Result<(), Failure> {
    pulp.remove_signing_service(&args.name, &args.class).await?;
    println!("Signing service '{}' has been successfully removed.", args.name);
    Ok(())
}

pub async fn list(pulp: &Pulp) -> Result<(), Failure> {
    for service in pulp.signing_services().await? {
        println!("{}", service.name);
    }
    Ok(())
}
