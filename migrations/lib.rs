//! The SQL that makes and changes Pulp’s tables: plain files, one folder per component and database, with the same numbers
//! and names for both databases.
//!
//! Migrations only add, so that a program of an earlier release can work on the same database beside the later one: new tables, new
//! columns that may be empty or have a default, new indexes. What takes something away is a step of its own, whose name
//! [says so](Migration::CONTRACT), in a release after the one that did without it. A component’s folder is compiled in as a [`MigrationSet`]; `pulp-core` applies what a database has
//! not seen yet, in order, and notes each in the table `pulp_migration`.

/// One numbered step, in the SQL of both databases.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Number and name, as the file is called: `0001_initial`. Steps are applied in this order.
    pub name: &'static str,
    /// The statements for PostgreSQL.
    pub postgres: &'static str,
    /// The statements for SQLite.
    pub sqlite: &'static str,
}

impl Migration {
    /// How the name of a step ends that takes away what an earlier release needs: such a release does not start on that database.
    pub const CONTRACT: &'static str = "_contract";
}

/// All steps of one component (`core`, or the label of a content type).
#[derive(Debug, Clone, Copy)]
pub struct MigrationSet {
    /// The component’s label, unique among all components of a process.
    pub component: &'static str,
    /// The steps in order.
    pub migrations: &'static [Migration],
}

macro_rules! migrations {
    ($(#[$doc:meta])* $set:ident, $component:literal, [$($name:literal),* $(,)?]) => {
        $(#[$doc])*
        pub const $set: MigrationSet = MigrationSet {
            component: $component,
            migrations: &[$(Migration {
                name: $name,
                postgres: include_str!(concat!($component, "/postgres/", $name, ".sql")),
                sqlite: include_str!(concat!($component, "/sqlite/", $name, ".sql")),
            }),*],
        };
    };
}

migrations!(
    /// The tables of the core.
    CORE, "core", ["0001_initial", "0002_guards_and_sources", "0003_access", "0004_moving", "0005_schedules", "0006_api_tokens", "0007_audit", "0008_serving", "0010_recurring_sync", "0011_webhooks", "0013_task_version", "0016_task_log", "0017_orphans", "0018_scrub", "0019_content_count", "0020_short_tasks"]
);
migrations!(
    /// The tables of the `file` content type.
    FILE, "file", ["0001_initial", "0002_alternate_content_source"]
);
migrations!(
    /// The tables of the `certguard` component: content guards by client certificate.
    CERTGUARD, "certguard", ["0001_initial"]
);
