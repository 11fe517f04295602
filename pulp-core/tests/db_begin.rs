//! Transactions whose caller goes away while they begin.

use futures::poll;
use pulp_core::db::{Db, DbOptions, ExecutorExt};
use pulp_testkit::{TestDatabase, both_databases};

both_databases! {
    async fn a_caller_that_goes_away_leaves_no_transaction_open(database: TestDatabase) {
        let mut options = DbOptions::default();
        options.max_connections = 1;
        let db = Db::open(&database.url(), &options).await.unwrap();
        db.execute("create table note (text text)").await.unwrap();
        for polls in 0..6 {
            {
                let mut begin = std::pin::pin!(db.begin());
                for _ in 0..polls {
                    if poll!(begin.as_mut()).is_ready() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
            }
            // With one connection, this would be written inside whatever was left open, and taken back with it.
            db.execute("insert into note values ('kept')").await.unwrap();
            drop(db.begin().await.unwrap());
            let kept: i64 = db.scalar("select count(*) from note").await.unwrap();
            assert_eq!(kept, polls + 1);
        }
    }
}
