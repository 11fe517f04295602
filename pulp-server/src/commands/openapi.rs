//! `pulp-server openapi`: the document that `docs/api.json` serves.

use pulp_core::Pulp;

use crate::Failure;
use crate::cli::OpenapiArgs;

pub async fn exec(pulp: &Pulp, args: &OpenapiArgs) -> Result<(), Failure> {
    let document = pulp.api().openapi(args.component.as_deref(), args.bindings, args.pk_path)?;
    println!("{}", serde_json::to_string_pretty(&document)?);
    Ok(())
}
