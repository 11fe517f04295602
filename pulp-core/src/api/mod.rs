//! The REST API.
pub(crate) fn register(_: &mut crate::plugin::Registry) {}
