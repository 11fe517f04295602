//! By a header that must carry the value of one of the server’s environment variables.

use async_trait::async_trait;

use super::super::{ContentGuard, Denied, GuardRequest};
use super::{decoded, denied, row, same};

/// `core.envvar_header`.
pub(super) struct Variable;

#[async_trait]
impl ContentGuard for Variable {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        let known = row::<(String, String)>(request, "header_name, env_var", "core_envvarheadercontentguard").await?;
        let (name, variable) = &*known;
        let allowed = &request.pulp.settings().envvar_header_content_guard_allowed_vars;
        if !allowed.contains(variable) {
            tracing::warn!(guard = %request.guard, variable, "envvar_header_content_guard_allowed_vars does not have the variable of a content guard");
            return Err(denied());
        }
        let expected = std::env::var(variable).unwrap_or_default();
        let expected = expected.trim_end_matches(['\r', '\n']);
        if expected.is_empty() {
            tracing::warn!(guard = %request.guard, variable, "the variable of a content guard is not set");
            return Err(denied());
        }
        let sent = decoded(request, name).ok_or_else(|| Denied(format!("Access not allowed. Header {name} not found.")))?;
        let sent = sent.map_err(|_| Denied("Access not allowed - Header content is not Base64 encoded.".to_owned()))?;
        let sent = String::from_utf8(sent).map_err(|_| Denied("Access not allowed - Header content is not valid UTF-8.".to_owned()))?;
        if same(sent.as_bytes(), expected.as_bytes()) { Ok(()) } else { Err(denied()) }
    }
}
