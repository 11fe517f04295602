//! `pulp-server reset-admin-password`.

use std::io::BufRead as _;

use pulp_core::Pulp;

use crate::cli::PasswordArgs;
use crate::{Failure, admin};

pub async fn exec(pulp: &Pulp, args: PasswordArgs) -> Result<(), Failure> {
    let password = match args.password {
        Some(password) => password,
        None if args.random => {
            let password = admin::made_up();
            println!("{password}");
            password
        }
        None => {
            eprintln!("New password of the user admin (one line):");
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line)?;
            line.trim_end_matches(['\r', '\n']).to_owned()
        }
    };
    if password.is_empty() {
        return Err(Failure("the password must not be empty".to_owned()));
    }
    admin::reset(pulp, &password).await?;
    eprintln!("The password of the user admin is set.");
    Ok(())
}
