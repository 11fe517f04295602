//! Who may do what: permissions, roles, access policies, and what of it follows from a resource's description.
//!
//! A resource whose objects have roles gets the usual [`AccessPolicy`] by itself: permissions, locked roles, statements, the role of whoever
//! makes an object, and lists that show what the asker may view. A resource that says nothing is for administrators alone. What an
//! administrator changes of a policy lies in `core_accesspolicy`, and counts from the next request on.

mod catalogue;
mod creation;
mod defaults;
mod derive;
mod grants;
mod policy;
mod scope;
mod statement;
mod sync;

pub(crate) use catalogue::{Catalogue, Overrides};
pub(crate) use creation::{forget, give_role, give_to_creator};
pub(crate) use derive::{app_of, permission};
pub use grants::Grants;
pub(crate) use grants::Limit;
pub use policy::{AccessPolicy, Scope};
pub(crate) use scope::visible;
pub(crate) use statement::{Effect, Statement};
pub(crate) use sync::set_permissions;
