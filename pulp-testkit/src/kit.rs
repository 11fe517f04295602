//! A whole Pulp for one test.

use async_trait::async_trait;
use pulp_core::{Pulp, PulpBuilder};
use pulp_migrations::{CERTGUARD, CORE, FILE};

use crate::database::{Engine, Prepare, TestDatabase};

/// A [`Pulp`] on a database and a directory of its own.
#[derive(Debug)]
pub struct Kit {
    pulp: Pulp,
    database: TestDatabase,
}

impl Kit {
    /// A Pulp as it is by default.
    ///
    /// # Panics
    /// When it cannot be built.
    pub async fn new(engine: Engine) -> Option<Self> {
        Self::built(engine, |builder| builder).await
    }

    /// A Pulp that is described further: settings, a clock, plugins.
    ///
    /// # Panics
    /// When it cannot be built.
    pub async fn built(engine: Engine, describe: impl FnOnce(PulpBuilder) -> PulpBuilder) -> Option<Self> {
        let database = TestDatabase::migrated(engine, &[CORE, CERTGUARD, FILE]).await?;
        let builder = Pulp::builder().data_dir(database.dir()).database(database.url());
        let pulp = describe(builder).build().await.expect("a Pulp on the test's own database");
        Some(Self { pulp, database })
    }

    /// The Pulp.
    #[must_use]
    pub fn pulp(&self) -> &Pulp {
        &self.pulp
    }

    /// Its database and directory.
    #[must_use]
    pub fn database(&self) -> &TestDatabase {
        &self.database
    }
}

#[async_trait]
impl Prepare for Kit {
    async fn prepare(engine: Engine) -> Option<Self> {
        Self::new(engine).await
    }
}
