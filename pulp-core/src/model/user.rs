//! Users.

use std::fmt;

use sqlx::FromRow;

use crate::clock::Timestamp;

/// A row of `auth_user`.
#[derive(Clone, FromRow)]
pub struct User {
    /// Key.
    pub id: i64,
    /// Hash, in Django’s format.
    pub password: String,
    /// When a session was last opened.
    pub last_login: Option<Timestamp>,
    /// May do everything.
    pub is_superuser: bool,
    /// Unique.
    pub username: String,
    /// For people.
    pub first_name: String,
    /// For people.
    pub last_name: String,
    /// For people.
    pub email: String,
    /// Kept for Django’s sake.
    pub is_staff: bool,
    /// Whether the user may log in.
    pub is_active: bool,
    /// When it was made.
    pub date_joined: Timestamp,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("id", &self.id).field("username", &self.username).finish_non_exhaustive()
    }
}
