//! By the value of a header, or by what a jq filter finds in it.

use async_trait::async_trait;

use super::super::{ContentGuard, Denied, GuardRequest};
use super::{decoded, denied, row, same};

/// `core.header`.
pub(super) struct Header;

/// Name and value of the header, and what finds the value in it.
type Row = (String, String, Option<String>);

#[async_trait]
impl ContentGuard for Header {
    async fn permit(&self, request: &GuardRequest<'_>) -> Result<(), Denied> {
        let known = row::<Row>(request, "header_name, header_value, jq_filter", "core_headercontentguard").await?;
        let (name, expected, filter) = &*known;
        let Some(Ok(sent)) = decoded(request, name) else { return Err(denied()) };
        let value = match filter {
            None => sent,
            Some(filter) => match request.pulp.jq().first_text(filter.clone(), sent).await {
                Ok(Some(text)) => text.into_bytes(),
                Ok(None) => return Err(denied()),
                Err(error) => {
                    tracing::warn!(%error, guard = %request.guard, "the jq filter of a content guard gives nothing");
                    return Err(denied());
                }
            },
        };
        if same(&value, expected.as_bytes()) { Ok(()) } else { Err(denied()) }
    }

    fn permits_at_once(&self, request: &GuardRequest<'_>) -> bool {
        let Some(known) = request.pulp.content_state().row_at_hand::<Row>(request.guard) else { return false };
        let (name, expected, filter) = &*known;
        filter.is_none() && decoded(request, name).is_some_and(|sent| sent.is_ok_and(|sent| same(&sent, expected.as_bytes())))
    }
}
