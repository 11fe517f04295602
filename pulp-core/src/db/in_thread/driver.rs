//! What sqlx wants of a database before rows of it can be read: [`sqlx::FromRow`] looks at rows and values alone, but a row names its
//! database, and a database names connections, arguments and statements. There are none of those here: their types have no values.

use std::str::FromStr;
use std::time::Duration;

use log::LevelFilter;
use sqlx::error::BoxDynError;
use sqlx::{Arguments, ConnectOptions, Connection, Database, Either, Encode, Error, SqlStr, Statement, Transaction, Type};
use sqlx_core::{
    impl_column_index_for_statement, impl_into_arguments_for_arguments, impl_statement_query, transaction::TransactionManager,
};

use super::row::{Cell, Column, InThreadRow, Kind, Owned};

/// SQLite, read in the thread that asks. What is read, [`Db`](crate::db::Db) decides: nothing is opened through it.
#[derive(Debug)]
pub struct InThread;

impl Database for InThread {
    type Connection = Never;
    type TransactionManager = Never;
    type Row = InThreadRow;
    type QueryResult = ();
    type Column = Column;
    type TypeInfo = Kind;
    type Value = Owned;
    type ValueRef<'r> = Cell<'r>;
    type Arguments = NoArguments;
    type ArgumentBuffer = ();
    type Statement = Never;
    const NAME: &'static str = "SQLite";
    const URL_SCHEMES: &'static [&'static str] = &[];
}

/// A connection, its options, a statement: whatever there is none of.
#[derive(Debug, Clone)]
pub enum Never {}

impl Connection for Never {
    type Database = InThread;
    type Options = Self;

    async fn close(self) -> Result<(), Error> {
        match self {}
    }

    async fn close_hard(self) -> Result<(), Error> {
        match self {}
    }

    async fn ping(&mut self) -> Result<(), Error> {
        match *self {}
    }

    async fn begin(&mut self) -> Result<Transaction<'_, InThread>, Error> {
        match *self {}
    }

    fn shrink_buffers(&mut self) {
        match *self {}
    }

    async fn flush(&mut self) -> Result<(), Error> {
        match *self {}
    }

    fn should_flush(&self) -> bool {
        match *self {}
    }
}

impl TransactionManager for Never {
    type Database = InThread;

    async fn begin(connection: &mut Self, _: Option<SqlStr>) -> Result<(), Error> {
        match *connection {}
    }

    async fn commit(connection: &mut Self) -> Result<(), Error> {
        match *connection {}
    }

    async fn rollback(connection: &mut Self) -> Result<(), Error> {
        match *connection {}
    }

    fn start_rollback(connection: &mut Self) {
        match *connection {}
    }

    fn get_transaction_depth(connection: &Self) -> usize {
        match *connection {}
    }
}

impl FromStr for Never {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self, Error> {
        Err(Error::Configuration(format!("{url}: connections are not opened through this driver").into()))
    }
}

impl ConnectOptions for Never {
    type Connection = Self;

    fn from_url(url: &url::Url) -> Result<Self, Error> {
        url.as_str().parse()
    }

    async fn connect(&self) -> Result<Self, Error> {
        match *self {}
    }

    fn log_statements(self, _: LevelFilter) -> Self {
        self
    }

    fn log_slow_statements(self, _: LevelFilter, _: Duration) -> Self {
        self
    }
}

impl Statement for Never {
    type Database = InThread;

    fn into_sql(self) -> SqlStr {
        match self {}
    }

    fn sql(&self) -> &SqlStr {
        match *self {}
    }

    fn parameters(&self) -> Option<Either<&[Kind], usize>> {
        match *self {}
    }

    fn columns(&self) -> &[Column] {
        match *self {}
    }

    impl_statement_query!(NoArguments);
}

impl_column_index_for_statement!(Never);

/// Values that no statement takes.
#[derive(Debug, Default)]
pub struct NoArguments;

impl Arguments for NoArguments {
    type Database = InThread;

    fn reserve(&mut self, _: usize, _: usize) {}

    fn add<'t, T: Encode<'t, InThread> + Type<InThread>>(&mut self, _: T) -> Result<(), BoxDynError> {
        Err("statements are not run through this driver".into())
    }

    fn len(&self) -> usize {
        0
    }
}

impl_into_arguments_for_arguments!(NoArguments);
