//! The content guards of core. None keeps anything of its own: each asks for its row at every request, which is remembered for it until
//! a guard changes.

mod composite;
mod header;
pub(crate) mod rbac;
mod redirect;
mod variable;

pub(crate) use redirect::{new_secret, sign};

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use subtle::ConstantTimeEq as _;

use super::{Denied, GuardRequest};
use crate::db::{DbError, ExecutorExt, Record, Sql};
use crate::plugin::Registry;

pub(crate) fn register(registry: &mut Registry) {
    registry.guard("core.header", header::Header);
    registry.guard("core.envvar_header", variable::Variable);
    registry.guard("core.composite", composite::Composite);
    registry.guard("core.content_redirect", redirect::SignedUrl);
    registry.guard("core.rbac", rbac::Rbac);
}

/// What a guard says that does not say why.
fn denied() -> Denied {
    Denied("Access denied.".to_owned())
}

/// The guard’s own row. One that cannot be read guards: nobody passes.
async fn row<T: Record + Sync + 'static>(request: &GuardRequest<'_>, columns: &str, table: &str) -> Result<Arc<T>, Denied> {
    let read = async {
        let sql = Sql::new(format!("select {columns} from {table} where contentguard_ptr_id = $1")).bind(request.guard);
        request.pulp.db().optional(sql).await
    };
    found(request, request.pulp.content_state().row(request.guard, read).await)
}

fn found<T>(request: &GuardRequest<'_>, found: Result<Option<T>, DbError>) -> Result<T, Denied> {
    match found {
        Ok(Some(row)) => Ok(row),
        Ok(None) => Err(denied()),
        Err(error) => {
            tracing::error!(%error, guard = %request.guard, "a content guard cannot be read");
            Err(denied())
        }
    }
}

/// The first value of a header, base64 decoded: nothing without the header, an error if it is no base64.
fn decoded(request: &GuardRequest<'_>, name: &str) -> Option<Result<Vec<u8>, base64::DecodeError>> {
    Some(BASE64.decode(request.headers.get(name)?.as_bytes().trim_ascii()))
}

/// Compares without telling by time how much is equal.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}
