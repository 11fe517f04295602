//! Connections at hand: what was used last is used next.
//!
//! The pool asks each connection that it gets back whether it still is one, and hands out the one that has rested longest: a round trip and a
//! task more for each statement, and one that has forgotten what was read last. So a few stay at hand between two statements.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};

/// One that has rested for so long goes back to the pool, which asks whether it still is a connection.
const RESTED: Duration = Duration::from_secs(1);

/// The connections of a pool that are at hand.
pub(super) struct AtHand<D: Database>(Mutex<Hand<D>>);

struct Hand<D: Database> {
    /// The one that was used last is the last.
    resting: Vec<(PoolConnection<D>, Instant)>,
    /// Who waits for the pool must get what others are done with.
    waiting: usize,
}

impl<D: Database> fmt::Debug for AtHand<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AtHand").field("resting", &self.resting()).finish()
    }
}

impl<D: Database> Default for AtHand<D> {
    fn default() -> Self {
        Self(Mutex::new(Hand { resting: Vec::new(), waiting: 0 }))
    }
}

/// Counts who waits, however that ends.
struct Waiting<'a, D: Database>(&'a AtHand<D>);

impl<D: Database> Drop for Waiting<'_, D> {
    fn drop(&mut self) {
        self.0.hand().waiting -= 1;
    }
}

impl<D: Database> AtHand<D> {
    fn hand(&self) -> MutexGuard<'_, Hand<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are at hand.
    pub(super) fn resting(&self) -> usize {
        self.hand().resting.len()
    }

    /// The connection that was used last, or one of the pool. [Give](Self::give) it back if it did its work.
    pub(super) async fn take(&self, pool: &Pool<D>) -> Result<PoolConnection<D>, sqlx::Error> {
        let waiting = {
            let mut hand = self.hand();
            match hand.resting.pop() {
                Some((connection, since)) if since.elapsed() < RESTED => return Ok(connection),
                // The others have rested longer still.
                Some(_) => hand.resting.clear(),
                None => {}
            }
            hand.waiting += 1;
            Waiting(self)
        };
        let connection = pool.acquire().await;
        drop(waiting);
        connection
    }

    /// Keeps a connection at hand, or gives it back to the pool: half of the pool's stay there, for those who take theirs from it.
    pub(super) fn give(&self, connection: PoolConnection<D>, pool: &Pool<D>) {
        let most = pool.options().get_max_connections() as usize / 2;
        let mut hand = self.hand();
        let rested = hand.resting.iter().take_while(|(_, since)| since.elapsed() >= RESTED).count();
        hand.resting.drain(..rested);
        if hand.waiting == 0 && hand.resting.len() < most && !pool.is_closed() {
            hand.resting.push((connection, Instant::now()));
        }
    }

    /// Gives all back to the pool.
    pub(super) fn rest(&self) {
        self.hand().resting.clear();
    }
}

impl<D: Database> Drop for AtHand<D> {
    /// Where there is no runtime any more, nothing can be given back: the connections are closed.
    fn drop(&mut self) {
        for (connection, _) in self.hand().resting.drain(..) {
            drop(connection.detach());
        }
    }
}

#[cfg(test)]
mod tests {
    use sqlx::sqlite::{Sqlite, SqlitePoolOptions};

    use super::*;

    async fn pool(most: u32) -> Pool<Sqlite> {
        SqlitePoolOptions::new().max_connections(most).acquire_timeout(Duration::from_secs(5)).connect("sqlite::memory:").await.unwrap()
    }

    async fn mark(connection: &mut PoolConnection<Sqlite>) {
        sqlx::query("create temp table mark (x int)").execute(&mut **connection).await.unwrap();
    }

    async fn is_marked(connection: &mut PoolConnection<Sqlite>) -> bool {
        sqlx::query("select x from mark").fetch_all(&mut **connection).await.is_ok()
    }

    #[tokio::test]
    async fn what_was_used_last_is_used_next() {
        let (pool, at_hand) = (pool(4).await, AtHand::default());
        let (one, mut other) = (at_hand.take(&pool).await.unwrap(), at_hand.take(&pool).await.unwrap());
        mark(&mut other).await;
        at_hand.give(one, &pool);
        at_hand.give(other, &pool);
        assert_eq!(at_hand.resting(), 2);
        assert!(is_marked(&mut at_hand.take(&pool).await.unwrap()).await);
    }

    #[tokio::test]
    async fn who_waits_gets_what_others_are_done_with() {
        let (pool, at_hand) = (pool(2).await, AtHand::default());
        let (one, other) = (at_hand.take(&pool).await.unwrap(), at_hand.take(&pool).await.unwrap());
        let waiter = at_hand.take(&pool);
        tokio::pin!(waiter);
        assert!(futures::poll!(&mut waiter).is_pending());
        at_hand.give(one, &pool);
        assert_eq!(at_hand.resting(), 0);
        let third = waiter.await.unwrap();
        // Half of the pool’s at most: others take theirs from the pool.
        at_hand.give(other, &pool);
        at_hand.give(third, &pool);
        assert_eq!(at_hand.resting(), 1);
        pool.acquire().await.unwrap();
    }

    #[tokio::test]
    async fn one_that_has_rested_goes_back_to_the_pool() {
        let (pool, at_hand) = (pool(4).await, AtHand::default());
        at_hand.give(at_hand.take(&pool).await.unwrap(), &pool);
        at_hand.hand().resting[0].1 -= RESTED;
        let another = at_hand.take(&pool).await.unwrap();
        assert_eq!(at_hand.resting(), 0);
        at_hand.give(another, &pool);
        at_hand.hand().resting[0].1 -= RESTED;
        at_hand.give(pool.acquire().await.unwrap(), &pool);
        assert_eq!(at_hand.resting(), 1);
    }

    #[tokio::test]
    async fn a_pool_that_closes_does_not_wait_for_what_is_at_hand() {
        let (pool, at_hand) = (pool(4).await, AtHand::default());
        let busy = at_hand.take(&pool).await.unwrap();
        at_hand.give(at_hand.take(&pool).await.unwrap(), &pool);
        let closing = pool.close();
        at_hand.rest();
        at_hand.give(busy, &pool);
        assert_eq!(at_hand.resting(), 0);
        tokio::time::timeout(Duration::from_secs(5), closing).await.unwrap();
    }

    #[test]
    fn what_is_at_hand_may_outlive_the_runtime() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (pool, at_hand) = runtime.block_on(async {
            let (pool, at_hand) = (pool(4).await, AtHand::default());
            at_hand.give(at_hand.take(&pool).await.unwrap(), &pool);
            (pool, at_hand)
        });
        drop(runtime);
        drop((at_hand, pool));
    }
}
