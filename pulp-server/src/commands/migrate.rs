//! `pulp-server migrate`: opening the database has brought it up to date; tell what it has.

use pulp_core::{Pulp, db};

use crate::Failure;

pub async fn exec(pulp: &Pulp) -> Result<(), Failure> {
    for step in db::applied(pulp.db()).await? {
        println!("{step}");
    }
    println!("The database is up to date.");
    Ok(())
}
