//! Which tasks may start, and in which order: a pure function.

use std::collections::{BTreeMap, HashMap};

use uuid::Uuid;

use super::Resources;

/// A task’s key.
pub type TaskId = Uuid;

/// What the scheduler knows of an unfinished task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedTask {
    /// Key.
    pub id: TaskId,
    /// Whose it is: its domain. No tenant makes others wait by the number of its tasks.
    pub tenant: Uuid,
    /// What it needs.
    pub resources: Resources,
    /// Whether it runs already.
    pub running: bool,
}

/// How a resource is wanted by the tasks seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Shared,
    Exclusively,
}

/// The waiting tasks that may start now, best first. `tasks` are unfinished tasks in the order of their dispatch.
///
/// A task may start if it conflicts with no earlier one, running or waiting: two tasks conflict if they need a resource in common and at
/// least one of them exclusively. So tasks that conflict run strictly in the order of dispatch, and nothing is overtaken for ever.
/// Among those that may start, the tenant with the fewest running tasks comes first; within a tenant, the order is that of dispatch.
///
/// ```
/// use pulp_core::tasks::{QueuedTask, Resources, schedule};
/// use uuid::Uuid;
/// let task = |n: u128, resources| QueuedTask { id: Uuid::from_u128(n), tenant: Uuid::nil(), resources, running: n == 1 };
/// let queue = [
///     task(1, Resources::none().shared("a")),
///     task(2, Resources::none().exclusive("a")),
///     task(3, Resources::none().shared("a")), // could share with 1, but must not overtake 2
///     task(4, Resources::none().exclusive("b")),
/// ];
/// assert_eq!(schedule(&queue), [Uuid::from_u128(4)]);
/// ```
pub fn schedule(tasks: &[QueuedTask]) -> Vec<TaskId> {
    let mut wanted: HashMap<&str, Wanted> = HashMap::new();
    let mut load: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut startable: Vec<(usize, &QueuedTask)> = Vec::new();
    for (place, task) in tasks.iter().enumerate() {
        let resources = &task.resources;
        let blocked = resources.exclusives().any(|name| wanted.contains_key(name))
            || resources.shareds().any(|name| wanted.get(name) == Some(&Wanted::Exclusively));
        wanted.extend(resources.exclusives().map(|name| (name, Wanted::Exclusively)));
        for name in resources.shareds() {
            wanted.entry(name).or_insert(Wanted::Shared);
        }
        if task.running {
            *load.entry(task.tenant).or_default() += 1;
        } else if !blocked {
            startable.push((place, task));
        }
    }
    // The n-th start of a tenant counts as if the ones before it ran.
    let mut ranked: Vec<(usize, usize, TaskId)> = Vec::with_capacity(startable.len());
    for (place, task) in startable {
        let load = load.entry(task.tenant).or_default();
        ranked.push((*load, place, task.id));
        *load += 1;
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, id)| id).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    pub(in crate::tasks) fn conflict(a: &Resources, b: &Resources) -> bool {
        let of = |resources: &Resources| -> (BTreeSet<String>, BTreeSet<String>) {
            (resources.exclusives().map(str::to_owned).collect(), resources.shareds().map(str::to_owned).collect())
        };
        let ((ae, as_), (be, bs)) = (of(a), of(b));
        !ae.is_disjoint(&be) || !ae.is_disjoint(&bs) || !as_.is_disjoint(&be)
    }

    pub(in crate::tasks) fn resources() -> impl Strategy<Value = Resources> {
        let some = || proptest::collection::vec(0..5_u8, 0..3);
        (some(), some()).prop_map(|(exclusive, shared)| {
            let all = exclusive.into_iter().fold(Resources::none(), Resources::exclusive);
            shared.into_iter().fold(all, Resources::shared)
        })
    }

    fn queue() -> impl Strategy<Value = Vec<(Resources, u8)>> {
        proptest::collection::vec((resources(), 0..3_u8), 0..40)
    }

    fn queued(tasks: &[(Resources, u8)]) -> Vec<QueuedTask> {
        let one = |(at, (resources, tenant)): (usize, &(Resources, u8))| QueuedTask {
            id: Uuid::from_u128(at as u128),
            tenant: Uuid::from_u128(u128::from(*tenant)),
            resources: resources.clone(),
            running: false,
        };
        tasks.iter().enumerate().map(one).collect()
    }

    proptest! {
        /// The definition, in the square time that it takes when it is written down.
        #[test]
        fn startable_is_what_conflicts_with_no_earlier_task(tasks in queue()) {
            let queue = queued(&tasks);
            let naive: BTreeSet<TaskId> = queue
                .iter()
                .enumerate()
                .filter(|(at, task)| !queue[..*at].iter().any(|earlier| conflict(&earlier.resources, &task.resources)))
                .map(|(_, task)| task.id)
                .collect();
            let given = schedule(&queue);
            prop_assert_eq!(given.len(), naive.len());
            prop_assert_eq!(given.into_iter().collect::<BTreeSet<_>>(), naive);
        }

        /// Workers that start and end tasks at random: each task starts once, never beside one that it conflicts with, never before
        /// an earlier one that it conflicts with, and all are done in the end.
        #[test]
        fn a_run_keeps_order_and_excludes(tasks in queue(), slots in 1..5_usize, ends in proptest::collection::vec(0..100_usize, 200)) {
            let mut queue = queued(&tasks);
            let mut started: Vec<TaskId> = Vec::new();
            let mut ends = ends.into_iter().cycle();
            while !queue.is_empty() {
                let running = queue.iter().filter(|task| task.running).count();
                for id in schedule(&queue).into_iter().take(slots - running) {
                    let at = queue.iter().position(|task| task.id == id).unwrap();
                    for (earlier, other) in queue.iter().enumerate() {
                        if other.id != id && (other.running || earlier < at) {
                            prop_assert!(!conflict(&other.resources, &queue[at].resources), "{other:?} {:?}", queue[at]);
                        }
                    }
                    prop_assert!(!queue[at].running && !started.contains(&id));
                    queue[at].running = true;
                    started.push(id);
                }
                let running: Vec<usize> = queue.iter().enumerate().filter(|(_, task)| task.running).map(|(at, _)| at).collect();
                // The earliest task of all is never blocked.
                prop_assert!(!running.is_empty());
                queue.remove(running[ends.next().unwrap() % running.len()]);
            }
            prop_assert_eq!(started.len(), tasks.len());
        }
    }

    #[test]
    fn a_tenant_with_many_tasks_does_not_hold_up_another() {
        let mut tasks = vec![(Resources::none(), 0); 10];
        tasks.push((Resources::none(), 1));
        let mut queue = queued(&tasks);
        queue[0].running = true;
        let order = schedule(&queue);
        assert_eq!(order[0], queue[10].id);
        assert_eq!(order[1], queue[1].id);
        assert_eq!(order.len(), 10);
    }
}
