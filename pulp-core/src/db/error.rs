//! What can go wrong between us and the database.

/// An error of the database layer, by meaning.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// A row that must be there is not.
    #[error("no such row")]
    NoRow,
    /// A unique constraint forbids the write; the name of the constraint or its columns.
    #[error("a row with these values exists already ({constraint})")]
    Unique {
        /// PostgreSQL’s constraint name, or SQLite’s list of columns.
        constraint: String,
    },
    /// A foreign key forbids the write.
    #[error("another row refers to this one, or it refers to a row that is gone")]
    ForeignKey,
    /// The statement lost against a concurrent one and may be tried again: deadlock, serialisation, busy.
    #[error("the database asked for another try: {0}")]
    Retry(String),
    /// The database cannot be reached.
    #[error("the database cannot be reached: {0}")]
    Unavailable(String),
    /// The disk of the database is full.
    #[error("the database has no space left")]
    Full,
    /// The directory is in use by another process.
    #[error("{0}")]
    Locked(String),
    /// The address of the database is not understood.
    #[error("`{url}` is not a database address: {reason}. Use sqlite:///path/to/file or postgres://user@host/name")]
    Address {
        /// The address, without its password.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A migration could not be applied.
    #[error("migration {component}/{name} failed: {source}")]
    Migration {
        /// The component whose step it is.
        component: &'static str,
        /// The step.
        name: String,
        /// Why.
        source: Box<DbError>,
    },
    /// A later release has changed the database so that this one cannot use it.
    #[error(
        "the database has step {component}/{name} of a later release, which took away what this one needs: start that release, or restore a back-up from before it"
    )]
    Newer {
        /// The component whose step it is.
        component: String,
        /// The step.
        name: String,
    },
    /// Anything else; the text is for the log, not for a client.
    #[error("database error: {0}")]
    Other(#[source] sqlx::Error),
}

impl DbError {
    /// Whether the same call may succeed if made again.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Retry(_) | Self::Unavailable(_))
    }

    /// Whether a unique constraint was the reason.
    pub fn is_unique(&self) -> bool {
        matches!(self, Self::Unique { .. })
    }
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound => Self::NoRow,
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Tls(_) => {
                Self::Unavailable(error.to_string())
            }
            sqlx::Error::Database(db) => {
                let code = db.code().unwrap_or_default();
                match code.as_ref() {
                    // PostgreSQL: serialisation failure, deadlock, a lock that was not to be waited for.
                    "40001" | "40P01" | "55P03" => Self::Retry(db.message().to_owned()),
                    // PostgreSQL: connection exceptions, shutdown, too many connections, a transaction that nobody went on with.
                    "25P03" | "57P01" | "57P02" | "57P03" | "53300" => Self::Unavailable(db.message().to_owned()),
                    "53100" => Self::Full,
                    _ if code.starts_with("08") => Self::Unavailable(db.message().to_owned()),
                    _ if db.is_unique_violation() => Self::Unique {
                        constraint: db
                            .constraint()
                            .map(str::to_owned)
                            .unwrap_or_else(|| db.message().rsplit(": ").next().unwrap_or_default().to_owned()),
                    },
                    _ if db.is_foreign_key_violation() => Self::ForeignKey,
                    _ => Self::Other(error),
                }
            }
            _ => Self::Other(error),
        }
    }
}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        use rusqlite::ffi::{
            SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_CONSTRAINT_PRIMARYKEY, SQLITE_CONSTRAINT_ROWID, SQLITE_CONSTRAINT_UNIQUE,
        };
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(SQLITE_CONSTRAINT_UNIQUE | SQLITE_CONSTRAINT_PRIMARYKEY | SQLITE_CONSTRAINT_ROWID) => {
                // `UNIQUE constraint failed: TABLE.COLUMN, …`
                let constraint = error.to_string().rsplit(": ").next().unwrap_or_default().to_owned();
                return Self::Unique { constraint };
            }
            Some(SQLITE_CONSTRAINT_FOREIGNKEY) => return Self::ForeignKey,
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(Code::DatabaseBusy | Code::DatabaseLocked) => Self::Retry(error.to_string()),
            Some(Code::DiskFull) => Self::Full,
            Some(Code::CannotOpen) => Self::Unavailable(error.to_string()),
            _ => Self::Other(sqlx::Error::AnyDriverError(error.into())),
        }
    }
}
