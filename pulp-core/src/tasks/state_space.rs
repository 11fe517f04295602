//! Dispatch, claim, end and death of tasks as steps of a model, gone through in every order that there is.
//!
//! The model has the steps of which the code consists where others may come in between: a dispatch looks, commits, and looks once more
//! if it seemed blocked; an end commits, and then looks for those that it may have blocked. That the statements do what the model's
//! steps do is what `the_database_agrees_with_the_scheduler` tests.

use std::collections::HashSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::schedule::tests::{conflict, resources};
use super::{QueuedTask, Resources, schedule};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stage {
    /// Not dispatched yet.
    Absent,
    /// The row is written and not committed; whether something was in its way.
    Written(bool),
    /// Committed, and to be looked at once more.
    Dispatching,
    Waiting,
    /// Claimed by this worker.
    Running(usize),
    /// Its end is committed; those that it may have blocked are to be looked for.
    Ending,
    Ended,
}
use Stage::{Absent, Dispatching, Ended, Ending, Running, Waiting, Written};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct State {
    stages: Vec<Stage>,
    /// `unblocked_at`.
    marked: Vec<bool>,
    starts: Vec<u8>,
    /// Which workers live.
    workers: Vec<bool>,
    /// How many processes have died before they had looked.
    lost_looks: u8,
}

struct Model {
    needs: Vec<Resources>,
    /// Whether processes may die in between.
    deaths: bool,
}

impl Model {
    /// Whether others see it, and it has not ended: its reservations are there.
    fn reserves(stage: Stage) -> bool {
        matches!(stage, Dispatching | Waiting | Running(_))
    }

    fn conflicts(&self, a: usize, b: usize) -> bool {
        conflict(&self.needs[a], &self.needs[b])
    }

    fn free(&self, state: &State, task: usize) -> bool {
        (0..task).all(|earlier| !Self::reserves(state.stages[earlier]) || !self.conflicts(earlier, task))
    }

    /// Marks those of `tasks` that nothing earlier blocks.
    fn look(&self, state: &mut State, tasks: impl Iterator<Item = usize>) {
        for task in tasks {
            if matches!(state.stages[task], Dispatching | Waiting) && self.free(state, task) {
                state.marked[task] = true;
            }
        }
    }

    /// Whom a task with these needs may have blocked: as `claim::blocked_by`.
    fn blocked_by(&self, state: &State, task: usize) -> Vec<usize> {
        let mut found = Vec::new();
        let wants = |other: usize, name: &str, exclusively: bool| {
            let needs = &self.needs[other];
            Self::reserves(state.stages[other])
                && (needs.exclusives().any(|known| known == name) || (!exclusively && needs.shareds().any(|known| known == name)))
        };
        let all = 0..self.needs.len();
        for (name, exclusive) in
            self.needs[task].exclusives().map(|name| (name, true)).chain(self.needs[task].shareds().map(|name| (name, false)))
        {
            let next = all.clone().find(|other| wants(*other, name, true));
            if exclusive {
                found.extend(all.clone().filter(|other| wants(*other, name, false) && next.is_none_or(|next| *other <= next)));
            } else {
                found.extend(next);
            }
        }
        found
    }

    /// All states that can come after this one.
    fn next(&self, state: &State) -> Vec<State> {
        let mut next = Vec::new();
        let mut step = |change: &dyn Fn(&mut State)| {
            let mut after = state.clone();
            change(&mut after);
            next.push(after);
        };
        for (task, stage) in state.stages.iter().copied().enumerate() {
            match stage {
                // Dispatches that conflict come one after the other; others may be committed in any order.
                Absent
                    if (0..task).all(|earlier| !matches!(state.stages[earlier], Absent | Written(_)) || !self.conflicts(earlier, task)) =>
                {
                    let blocked = (0..self.needs.len()).any(|other| Self::reserves(state.stages[other]) && self.conflicts(other, task));
                    step(&|after| after.stages[task] = Written(blocked));
                }
                Written(blocked) => step(&|after| {
                    after.marked[task] = !blocked;
                    after.stages[task] = if blocked { Dispatching } else { Waiting };
                }),
                Ending => step(&|after| {
                    after.stages[task] = Ended;
                    let blocked = self.blocked_by(after, task);
                    self.look(after, blocked.into_iter());
                }),
                Running(worker) => {
                    step(&|after| after.stages[task] = Ending);
                    // Its process dies, or stops and is thought dead: another ends the task in its stead.
                    if self.deaths && state.workers.iter().filter(|lives| **lives).count() > 1 {
                        step(&|after| {
                            after.workers[worker] = false;
                            after.stages[task] = Ending;
                        });
                    }
                }
                _ => {}
            }
            if stage == Dispatching {
                step(&|after| {
                    after.stages[task] = Waiting;
                    self.look(after, std::iter::once(task));
                });
            }
            // Marked is enough, whether the dispatch has looked once more or not.
            if matches!(stage, Dispatching | Waiting) && state.marked[task] {
                for (worker, lives) in state.workers.iter().enumerate() {
                    let idle = *lives && !state.stages.contains(&Running(worker));
                    if idle {
                        step(&|after| {
                            after.stages[task] = Running(worker);
                            after.starts[task] += 1;
                        });
                        // Workers are equal: one is as good as another.
                        break;
                    }
                }
            }
            if self.deaths && state.lost_looks == 0 && matches!(stage, Dispatching | Ending) {
                step(&|after| {
                    after.lost_looks = 1;
                    after.stages[task] = if stage == Ending { Ended } else { Waiting };
                });
            }
        }
        // Housekeeping looks through all, after a death.
        if state.lost_looks == 1 {
            step(&|after| {
                after.lost_looks = 0;
                self.look(after, 0..self.needs.len());
            });
        }
        next
    }

    fn check(&self, state: &State, stuck: bool) -> Result<(), TestCaseError> {
        for (task, stage) in state.stages.iter().enumerate() {
            prop_assert!(state.starts[task] <= 1, "it was started twice: {task} of {state:?}");
            for earlier in 0..task {
                if state.starts[task] == 1 && self.conflicts(earlier, task) {
                    prop_assert!(matches!(state.stages[earlier], Ending | Ended), "{task} overtook {earlier}: {state:?}");
                }
            }
            if matches!(stage, Dispatching | Waiting) && state.marked[task] {
                prop_assert!(self.free(state, task), "{task} is marked, and is not free: {state:?}");
            }
        }
        // When all have looked, the marks say what the scheduler says.
        let settled = state.lost_looks == 0 && !state.stages.iter().any(|stage| matches!(stage, Written(_) | Dispatching | Ending));
        if settled {
            let here = (0..self.needs.len()).filter(|task| matches!(state.stages[*task], Waiting | Running(_)));
            let queue: Vec<QueuedTask> = here
                .map(|task| QueuedTask {
                    id: Uuid::from_u128(task as u128),
                    tenant: Uuid::nil(),
                    resources: self.needs[task].clone(),
                    running: matches!(state.stages[task], Running(_)),
                })
                .collect();
            let startable: HashSet<Uuid> = schedule(&queue).into_iter().collect();
            let waiting = (0..self.needs.len()).filter(|task| state.stages[*task] == Waiting && state.marked[*task]);
            let marked: HashSet<Uuid> = waiting.map(|task| Uuid::from_u128(task as u128)).collect();
            prop_assert_eq!(marked, startable, "{:?}", state);
        }
        if stuck {
            prop_assert!(state.stages.iter().all(|stage| *stage == Ended), "nothing goes on: {state:?}");
        }
        Ok(())
    }

    /// Goes through all states that can be reached; how many there are.
    fn explore(&self, workers: usize) -> Result<usize, TestCaseError> {
        let tasks = self.needs.len();
        let first = State {
            stages: vec![Absent; tasks],
            marked: vec![false; tasks],
            starts: vec![0; tasks],
            workers: vec![true; workers],
            lost_looks: 0,
        };
        let mut seen = HashSet::from([first.clone()]);
        let mut open = vec![first];
        while let Some(state) = open.pop() {
            let next = self.next(&state);
            self.check(&state, next.is_empty())?;
            open.extend(next.into_iter().filter(|after| seen.insert(after.clone())));
        }
        Ok(seen.len())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whoever comes in between, with two to eight workers: each task starts once, none overtakes one that it conflicts with, none is
    /// forgotten.
    #[test]
    fn every_order_of_steps_is_right(needs in proptest::collection::vec(resources(), 2..=4), workers in 2..=8_usize) {
        let states = Model { needs, deaths: false }.explore(workers)?;
        prop_assert!(states > 1);
    }

    /// The same when processes die at any step.
    #[test]
    fn every_order_of_steps_and_deaths_is_right(needs in proptest::collection::vec(resources(), 2..=4), workers in 2..=8_usize) {
        let states = Model { needs, deaths: true }.explore(workers)?;
        prop_assert!(states > 1);
    }
}

/// The same, larger: `cargo test --workspace --lib -- --ignored --nocapture state_space`.
#[test]
#[ignore = "takes minutes"]
fn every_order_of_many_steps_is_right() {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    let needs = proptest::collection::vec(resources(), 5..=6);
    let ran = runner.run(&(needs, 2..=8_usize, any::<bool>()), |(needs, workers, deaths)| {
        let seen = Model { needs, deaths }.explore(workers)?;
        println!("{workers} workers, deaths {deaths}: {seen} states");
        Ok(())
    });
    assert!(ran.is_ok(), "{ran:?}");
}
