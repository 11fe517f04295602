//! What truly differs between SQLite and PostgreSQL, as named functions that give SQL text.

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// SQLite.
    Sqlite,
}

impl Dialect {
    /// Text for a case-insensitive `like` with `\` as the escape character.
    pub fn ilike(self, column: &str, placeholder: &str) -> String {
        match self {
            Self::Postgres => format!("{column} ilike {placeholder} escape '\\'"),
            Self::Sqlite => format!("{column} like {placeholder} escape '\\'"),
        }
    }

    /// Text that matches a prefix, an infix or a suffix in the case it is written in: position search, since SQLite’s
    /// `like` knows no case.
    pub fn contains(self, column: &str, placeholder: &str) -> String {
        match self {
            Self::Postgres => format!("position({placeholder} in {column}) > 0"),
            Self::Sqlite => format!("instr({column}, {placeholder}) > 0"),
        }
    }

    /// Whether a text matches a regular expression, which may begin with `(?i)`.
    pub fn regex(self, column: &str, placeholder: &str) -> String {
        match self {
            Self::Postgres => format!("{column} ~ {placeholder}"),
            Self::Sqlite => format!("{column} regexp {placeholder}"),
        }
    }

    /// Whether a label is set, with a value or without; `placeholder` is bound to the label’s key.
    pub fn has_label(self, column: &str, placeholder: &str) -> String {
        match self {
            Self::Postgres => format!("jsonb_exists({column}, {placeholder})"),
            Self::Sqlite => format!("exists (select 1 from json_each({column}) as label where label.key = {placeholder})"),
        }
    }

    /// The text of one label, null where it is not set; `placeholder` is bound to the label’s key.
    pub fn label(self, column: &str, placeholder: &str) -> String {
        match self {
            Self::Postgres => format!("({column} ->> cast({placeholder} as text))"),
            Self::Sqlite => format!("(select label.value from json_each({column}) as label where label.key = {placeholder})"),
        }
    }

    /// The whole number that a text of JSON, an object, has under a name.
    pub fn json_number(self, column: &str, name: &str) -> String {
        match self {
            Self::Postgres => format!("cast(cast({column} as json) ->> '{name}' as bigint)"),
            Self::Sqlite => format!("json_extract({column}, '$.{name}')"),
        }
    }

    /// Whether a JSON list of texts holds a text.
    pub fn list_holds(self, column: &str, placeholder: &str) -> String {
        match self {
            Self::Postgres => format!("({column} @> to_jsonb(cast({placeholder} as text)))"),
            Self::Sqlite => format!("exists (select 1 from json_each({column}) as item where item.value = {placeholder})"),
        }
    }

    /// A number as the UUID of that number.
    pub fn uuid_of_number(self, column: &str) -> String {
        match self {
            Self::Postgres => format!("cast(lpad(to_hex({column}), 32, '0') as uuid)"),
            Self::Sqlite => format!("unhex(printf('%032x', {column}))"),
        }
    }

    /// Locks the chosen rows until the end of the transaction, passing over locked ones. SQLite has one writer: nothing to say.
    pub fn for_update_skip_locked(self) -> &'static str {
        match self {
            Self::Postgres => " for update skip locked",
            Self::Sqlite => "",
        }
    }

    /// Locks the chosen rows until the end of the transaction.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Postgres => " for update",
            Self::Sqlite => "",
        }
    }

    /// A statement that makes transactions wait for each other by a number (`$1`) until the first ends; `None` where a
    /// transaction that writes is alone anyway.
    pub fn advisory_lock(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("select pg_advisory_xact_lock($1)"),
            Self::Sqlite => None,
        }
    }

    /// Whether a page of rows that others lead to is read faster if their keys are found alone: a planner that may turn joins around would
    /// join all of them before it takes the first hundred.
    pub fn finds_keys_first(self) -> bool {
        matches!(self, Self::Postgres)
    }

    /// Whether a column is one of some values, for a statement that is ordered by this column and then by another: what stands before the values, and
    /// after them. PostgreSQL leaves a column that equals a value out of the order; any index that has the other column in order would do then, and it may
    /// well go through the rows of all values to find the first of one. Of a column that is in an array, only the index will do that begins with both.
    pub fn leads(self, column: &str) -> (String, &'static str) {
        match self {
            Self::Postgres => (format!("{column} = any(array["), "])"),
            Self::Sqlite => (format!("{column} in ("), ")"),
        }
    }

    /// A join that finds the one row of a table which meets a condition, for each row of what stands before: what stands before the condition, and after it.
    /// `columns` are those that are asked of it, with the alias. Both databases look each row up by itself, in the order of the text: SQLite takes a
    /// cross join literally, and PostgreSQL has no other way to join what is limited to one row.
    pub fn look_up(self, table: &str, alias: &str, columns: &str) -> (String, String) {
        match self {
            Self::Postgres => (format!(" cross join lateral (select {columns} from {table} {alias} where "), format!(" limit 1) {alias}")),
            Self::Sqlite => (format!(" cross join {table} {alias} on "), String::new()),
        }
    }

    /// A statement after which the planner knows how much is in these tables; `None` where it does not ask.
    pub fn analyze(self, tables: &[&str]) -> Option<String> {
        match self {
            Self::Postgres => Some(format!("analyze {}", tables.join(", "))),
            Self::Sqlite => None,
        }
    }

    /// A statement after which this transaction does not wait long for a table that others use: they would wait for it meanwhile. Much
    /// shorter than `deadlock_timeout` (a second), so that of two that wait for each other it is the one that gives up.
    pub fn short_waits(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("set local lock_timeout = '100ms'"),
            Self::Sqlite => None,
        }
    }

    /// A statement that tells every process on this database, when the transaction commits, what `$1` says: a channel, a space and
    /// the text. `None` where there is only one process, which can tell itself.
    pub fn notify(self) -> Option<&'static str> {
        match self {
            Self::Postgres => Some("select pg_notify('pulp', $1)"),
            Self::Sqlite => None,
        }
    }

    /// After a table’s name: read it by this index. SQLite keeps no statistics of its own accord, and prefers a broad index to a narrow
    /// partial one; PostgreSQL needs no telling.
    pub fn by_index(self, index: &str) -> String {
        match self {
            Self::Postgres => String::new(),
            Self::Sqlite => format!(" indexed by {index}"),
        }
    }

    /// After a table’s name: read it by its primary key.
    pub fn by_key(self) -> &'static str {
        match self {
            Self::Postgres => "",
            Self::Sqlite => " not indexed",
        }
    }

    /// A statement that locks numbers until the transaction ends, `$1`… in the given order, shared or (true) exclusively; `None`
    /// where a transaction that writes is alone anyway, or for no numbers.
    pub fn advisory_locks(self, exclusive: impl IntoIterator<Item = bool>) -> Option<String> {
        if self == Self::Sqlite {
            return None;
        }
        let calls: Vec<String> = exclusive
            .into_iter()
            .enumerate()
            .map(|(at, exclusive)| format!("pg_advisory_xact_lock{}(${})", if exclusive { "" } else { "_shared" }, at + 1))
            .collect();
        (!calls.is_empty()).then(|| format!("select {}", calls.join(", ")))
    }
}
