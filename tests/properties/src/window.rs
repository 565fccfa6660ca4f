//! The arithmetic of credit, at both ends, beside a list of where each unit of the window is.

use std::collections::VecDeque;

use portline::stream::window::{Credit, Window, WindowError, portion};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

/// The five places of a unit.
#[derive(Clone, Debug)]
struct Places {
    window: u32,
    credit: u32,
    blocks_under_way: VecDeque<u32>,
    held: VecDeque<u32>,
    freed: u32,
    grants_under_way: VecDeque<u32>,
    /// What the last step should have been told.
    told: Result<(), WindowError>,
}

impl Places {
    /// Wide enough for five places of a whole window.
    fn total(&self) -> u64 {
        let sum = |list: &VecDeque<u32>| list.iter().copied().map(u64::from).sum::<u64>();
        u64::from(self.credit)
            + sum(&self.blocks_under_way)
            + sum(&self.held)
            + u64::from(self.freed)
            + sum(&self.grants_under_way)
    }

    /// What the receiver believes to be on the sender's side.
    fn granted(&self) -> u32 {
        let away = self.blocks_under_way.iter().chain(&self.grants_under_way);
        self.credit + away.sum::<u32>()
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// The sender sends a block, if it may.
    Spend(u32),
    BlockArrives,
    /// The application consumes the oldest block.
    Consume,
    /// The receiver grants what was freed.
    Grant,
    GrantArrives,
    /// What an honest peer would never say.
    FalseGrant(u32),
    FalseBlock(u32),
    FalseConsume(u32),
}

/// Mostly small, sometimes anything.
fn size() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0..6_u32, 1 => 0..200_u32, 1 => any::<u32>()]
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Places;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Places> {
        let window = prop_oneof![3 => 1..20_u32, 1 => 1..=u32::MAX, 1 => Just(u32::MAX)];
        window
            .prop_map(|window| Places {
                window,
                credit: window,
                blocks_under_way: VecDeque::new(),
                held: VecDeque::new(),
                freed: 0,
                grants_under_way: VecDeque::new(),
                told: Ok(()),
            })
            .boxed()
    }

    fn transitions(_: &Places) -> BoxedStrategy<Step> {
        prop_oneof![
            4 => size().prop_map(Step::Spend),
            4 => Just(Step::BlockArrives),
            4 => Just(Step::Consume),
            2 => Just(Step::Grant),
            3 => Just(Step::GrantArrives),
            1 => size().prop_map(Step::FalseGrant),
            1 => size().prop_map(Step::FalseBlock),
            1 => size().prop_map(Step::FalseConsume),
        ]
        .boxed()
    }

    /// A false word that is within the window is no false one.
    fn preconditions(state: &Places, step: &Step) -> bool {
        let held: u32 = state.held.iter().sum();
        match *step {
            Step::FalseGrant(grant) => {
                grant == 0 || u64::from(state.credit) + u64::from(grant) > u64::from(state.window)
            }
            Step::FalseBlock(size) => size == 0 || size > state.granted(),
            Step::FalseConsume(size) => size > held,
            Step::Spend(_) | Step::BlockArrives | Step::Consume | Step::Grant | Step::GrantArrives => true,
        }
    }

    fn apply(mut state: Places, step: &Step) -> Places {
        state.told = Ok(());
        match *step {
            Step::Spend(0) | Step::FalseGrant(0) | Step::FalseBlock(0) => state.told = Err(WindowError::Zero),
            Step::Spend(size) if size > state.credit => {
                state.told = Err(WindowError::Exceeded { size, left: state.credit });
            }
            Step::Spend(size) => {
                state.credit -= size;
                state.blocks_under_way.push_back(size);
            }
            Step::BlockArrives => state.held.extend(state.blocks_under_way.pop_front()),
            Step::Consume => state.freed += state.held.pop_front().unwrap_or(0),
            Step::Grant => {
                state.grants_under_way.extend(Some(state.freed).filter(|freed| *freed > 0));
                state.freed = 0;
            }
            Step::GrantArrives => state.credit += state.grants_under_way.pop_front().unwrap_or(0),
            Step::FalseGrant(grant) => {
                let (credit, window) = (state.credit, state.window);
                state.told = Err(WindowError::Overflow { credit, grant, window });
            }
            Step::FalseBlock(size) => {
                state.told = Err(WindowError::Exceeded { size, left: state.granted() });
            }
            Step::FalseConsume(size) => {
                state.told = Err(WindowError::Exceeded { size, left: state.held.iter().sum() });
            }
        }
        state
    }
}

struct Both {
    credit: Credit,
    window: Window,
    /// The sizes of what is on its way, as the ends have said them.
    blocks: VecDeque<u32>,
    held: VecDeque<u32>,
    grants: VecDeque<u32>,
}

struct Conserved;

impl StateMachineTest for Conserved {
    type SystemUnderTest = Both;
    type Reference = Model;

    fn init_test(state: &Places) -> Both {
        let (credit, window) = (Credit::new(state.window), Window::new(state.window));
        Both { credit, window, blocks: VecDeque::new(), held: VecDeque::new(), grants: VecDeque::new() }
    }

    fn apply(mut both: Both, state: &Places, step: Step) -> Both {
        let told = match step {
            Step::Spend(size) => both.credit.spend(size).inspect(|()| both.blocks.push_back(size)),
            Step::BlockArrives => match both.blocks.pop_front() {
                Some(size) => {
                    both.held.push_back(size);
                    both.window.take(size)
                }
                None => Ok(()),
            },
            Step::Consume => both.held.pop_front().map_or(Ok(()), |size| both.window.free(size)),
            Step::Grant => {
                both.grants.extend(Some(both.window.grant()).filter(|grant| *grant > 0));
                Ok(())
            }
            Step::GrantArrives => both.grants.pop_front().map_or(Ok(()), |grant| both.credit.grant(grant)),
            Step::FalseGrant(grant) => both.credit.grant(grant),
            Step::FalseBlock(size) => both.window.take(size),
            Step::FalseConsume(size) => both.window.free(size),
        };
        assert_eq!(told, state.told);
        both
    }

    fn check_invariants(both: &Both, state: &Places) {
        assert_eq!(state.total(), u64::from(state.window), "the reference itself");
        assert_eq!(both.credit.available(), state.credit);
        assert_eq!(both.window.held(), state.held.iter().sum::<u32>());
        assert_eq!(both.window.freed(), state.freed);
        assert_eq!(both.window.granted(), state.granted());
        assert_eq!((both.credit.window(), both.window.window()), (state.window, state.window));
        assert_eq!(both.grants, state.grants_under_way);
        // T3: a sender that has nothing left never waits for what was freed.
        let portion = portion(state.window, 32);
        assert!(portion >= 1 && portion <= state.window);
        let due = both.window.is_grant_due(portion, 1);
        assert!(!due || state.freed > 0, "nothing was freed");
        assert!(due || state.freed == 0 || state.granted() > 0, "the sender waits for ever");
        assert!(due || state.freed < portion, "a portion is worth a message");
    }
}

prop_state_machine! {
    #![proptest_config(crate::config())]

    /// STREAM-7, STREAM-8, STREAM-9, T1, T3: every unit of the window is in one place, whatever is said.
    #[test]
    fn stream_7_credit_is_conserved(sequential 1..120 => Conserved);
}
