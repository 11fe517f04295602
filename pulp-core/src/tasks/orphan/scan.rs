//! Where orphan cleanup looks: at what can have become an orphan since it last looked, and now and then at everything.
//!
//! A row is unused when nothing has it. It can be an orphan that the last pass has not seen only if it was made or touched since, or if
//! something has let go of it: the first is found by the index of moments of interest, the second in a journal that triggers write.

use chrono::TimeDelta;
use uuid::Uuid;

use crate::clock::Timestamp;
use crate::db::{DbError, Executor, ExecutorExt, Sql};

/// How many rows go in one transaction: other writers get their turn in between, and file systems recover slowly from many
/// removals at once.
pub(super) const BATCH: i64 = 200;

/// So long before now a moment of interest counts as not yet looked at: a request that has taken its moment may still be waiting for the
/// database, and the clocks of two hosts differ. What tasks write needs no such margin, since those that run are waited for.
const MARGIN: TimeDelta = TimeDelta::minutes(10);

/// How long a file without a row stays at least: another process may be about to write its row.
const LITTER_STAYS: TimeDelta = TimeDelta::hours(1);

/// After so long everything is looked at again. That heals what a clock in the future has hidden, and what was changed by hand.
const COMPLETE_EVERY: TimeDelta = TimeDelta::days(30);

/// What can be an orphan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Unit,
    File,
}

impl Kind {
    pub(super) fn table(self) -> &'static str {
        match self {
            Self::Unit => "core_content",
            Self::File => "core_artifact",
        }
    }

    /// That nothing has a row of the table.
    pub(super) fn unused(self) -> &'static str {
        match self {
            Self::Unit => {
                "not exists (select 1 from core_repositorycontent rc where rc.content_id = core_content.pulp_id) \
                 and not exists (select 1 from core_publishedmetadata metadata where metadata.content_ptr_id = core_content.pulp_id)"
            }
            Self::File => "not exists (select 1 from core_contentartifact file where file.artifact_id = core_artifact.pulp_id)",
        }
    }

    /// The journal of what was let go of, and its column.
    fn journal(self) -> (&'static str, &'static str) {
        match self {
            Self::Unit => ("core_releasedcontent", "content_id"),
            Self::File => ("core_releasedartifact", "artifact_id"),
        }
    }
}

/// What one pass over a domain looks at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scan {
    domain: Uuid,
    /// Orphans that somebody has touched since then stay.
    pub(super) until: Timestamp,
    /// Up to which moment an earlier pass has looked; nothing: everything is looked at.
    from: Option<Timestamp>,
    /// Up to which moment the next pass need not look if this one comes to its end.
    mark: Timestamp,
    /// When a process was last found dead whose files may not have been looked for since.
    died: Option<Timestamp>,
    now: Timestamp,
}

/// Rows of the journal that are dealt with together.
#[derive(Debug, Default)]
pub(super) struct Released {
    entries: Vec<i64>,
    pub(super) ids: Vec<Uuid>,
}

impl Scan {
    /// A pass that removes what nobody has touched since `until`.
    pub(super) async fn begin<E: Executor + ?Sized>(db: &E, domain: Uuid, until: Timestamp, now: Timestamp) -> Result<Self, DbError> {
        let sql = Sql::new("select looked_until, complete_at, litter_at from core_orphanscan where pulp_domain_id = $1").bind(domain);
        let last: Option<(Timestamp, Timestamp, Option<Timestamp>)> = db.optional(sql).await?;
        let died = last.and_then(|(.., died)| died);
        // Marks that lie in the future were set by a clock that was wrong.
        let from = last.filter(|(looked, complete, _)| *looked <= now && *complete <= now && *complete > now - COMPLETE_EVERY);
        let from = from.map(|(looked, ..)| looked);
        let mark = until.min(now - MARGIN);
        Ok(Self { domain, until, from, mark: from.map_or(mark, |from| mark.max(from)), died, now })
    }

    /// Whether this pass looks at everything.
    pub(super) fn is_complete(&self) -> bool {
        self.from.is_none()
    }

    /// Up to which moment files without a row are looked for; nothing: there is no reason to walk through the storage.
    pub(super) fn litter_until(&self) -> Option<Timestamp> {
        (self.is_complete() || self.died.is_some()).then(|| self.until.min(self.now - LITTER_STAYS))
    }

    /// The next unused rows that were made or touched since the last pass, in the order of that moment.
    pub(super) async fn touched<E: Executor + ?Sized>(
        &self,
        db: &E,
        kind: Kind,
        after: Option<(Timestamp, Uuid)>,
    ) -> Result<Vec<(Timestamp, Uuid)>, DbError> {
        let mut sql = Sql::new(format!("select timestamp_of_interest, pulp_id from {} where {}", kind.table(), kind.unused()));
        sql.push(" and pulp_domain_id = ").push_bind(self.domain).push(" and timestamp_of_interest < ").push_bind(self.until);
        if let Some(from) = after.map(|(moment, _)| moment).or(self.from) {
            sql.push(" and timestamp_of_interest >= ").push_bind(from);
        }
        if let Some((moment, id)) = after {
            sql.push(" and (timestamp_of_interest, pulp_id) > (").push_bind(moment).push(", ").push_bind(id).push(")");
        }
        sql.push(" order by timestamp_of_interest, pulp_id limit ").push_bind(BATCH);
        db.all(sql).await
    }

    /// The end of the journal, so that a pass ends though others write on.
    pub(super) async fn end<E: Executor + ?Sized>(&self, db: &E, kind: Kind) -> Result<i64, DbError> {
        let sql = Sql::new(format!("select max(id) from {} where pulp_domain_id = $1", kind.journal().0)).bind(self.domain);
        Ok(db.scalar::<Option<i64>>(sql).await?.unwrap_or(0))
    }

    /// The next rows of the journal after `after`, which it sets.
    pub(super) async fn released<E: Executor + ?Sized>(
        &self,
        db: &E,
        kind: Kind,
        after: &mut i64,
        end: i64,
    ) -> Result<Option<Released>, DbError> {
        let (journal, column) = kind.journal();
        let sql =
            Sql::new(format!("select id, {column} from {journal} where pulp_domain_id = $1 and id > $2 and id <= $3 order by id limit $4"));
        let found: Vec<(i64, Uuid)> = db.all(sql.bind(self.domain).bind(*after).bind(end).bind(BATCH)).await?;
        let Some((last, _)) = found.last() else { return Ok(None) };
        *after = *last;
        let (entries, mut ids): (Vec<i64>, Vec<Uuid>) = found.into_iter().unzip();
        ids.sort_unstable();
        ids.dedup();
        Ok(Some(Released { entries, ids }))
    }

    /// Strikes rows out of the journal, after what they name was removed if it could be. Those stay whose row is an orphan that is too young for this
    /// pass, and that a later one would not come by: it was touched before the mark. Whoever lets go of something meanwhile writes a
    /// row of their own.
    pub(super) async fn strike<E: Executor + ?Sized>(&self, tx: &E, kind: Kind, released: &Released) -> Result<(), DbError> {
        let (journal, column) = kind.journal();
        let (table, unused) = (kind.table(), kind.unused());
        let mut sql = Sql::new(format!(
            "delete from {journal} where not exists (select 1 from {table} where pulp_id = {journal}.{column} and {unused} and timestamp_of_interest < "
        ));
        sql.push_bind(self.mark)
            .push(") and pulp_domain_id = ")
            .push_bind(self.domain)
            .push(" and id in ")
            .push_list(released.entries.iter().copied());
        tx.execute(sql).await?;
        Ok(())
    }

    /// Notes that a pass came to its end.
    pub(super) async fn note<E: Executor + ?Sized>(&self, tx: &E) -> Result<(), DbError> {
        let kept = if self.is_complete() { "excluded.complete_at" } else { "core_orphanscan.complete_at" };
        // What the dead have left may still be too young; and another may have died meanwhile.
        let sql = Sql::new(format!(
            "insert into core_orphanscan (pulp_domain_id, looked_until, complete_at) values ($1, $2, $3) \
             on conflict (pulp_domain_id) do update set looked_until = excluded.looked_until, complete_at = {kept}, \
             litter_at = case when core_orphanscan.litter_at < $4 then null else core_orphanscan.litter_at end"
        ));
        let looked = self.litter_until().unwrap_or(Timestamp::UNIX_EPOCH);
        tx.execute(sql.bind(self.domain).bind(self.mark).bind(self.now).bind(looked)).await?;
        Ok(())
    }

    /// Notes that a process was found dead: it may have left files without a row in any domain.
    pub(super) async fn note_death<E: Executor + ?Sized>(executor: &E, now: Timestamp) -> Result<(), DbError> {
        let sql = Sql::new(
            "insert into core_orphanscan (pulp_domain_id, looked_until, complete_at, litter_at) select pulp_id, $1, $1, $2 from core_domain \
             where true on conflict (pulp_domain_id) do update set litter_at = excluded.litter_at",
        );
        executor.execute(sql.bind(Timestamp::UNIX_EPOCH).bind(now)).await?;
        Ok(())
    }
}
