//! Any operations on a job that peers share: no unit is with two peers, none goes to a peer that does not have it, each
//! peer has at most one share, deadlines move on, and once everyone is told there are no more peers there is one end.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::recovery::{PeerId, Shares, SharesAction as Action, SharesConfig as Config};

#[derive(Arbitrary, Debug)]
struct Input {
    units: u8,
    first: u8,
    most: u8,
    slower: u8,
    patience: u16,
    span: u16,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
enum Step {
    Add(Vec<u8>),
    NoMore,
    Moved(u8, u32),
    /// The share is there, but for every n-th unit.
    Finished(u8, u8),
    Failed(u8),
    Wait(u32),
    Timeout,
    Action,
}

#[derive(Default)]
struct Seen {
    peers: Vec<PeerId>,
    has: BTreeMap<PeerId, BTreeSet<u8>>,
    /// Who is at what, in the eyes of the driver.
    busy: BTreeMap<PeerId, Vec<u8>>,
    done: BTreeSet<u8>,
    ended: bool,
}

impl Seen {
    fn act(&mut self, shares: &mut Shares<u8>, units: usize) -> bool {
        let Some(action) = shares.poll_action() else { return false };
        assert!(!self.ended, "{action:?} after the end");
        match action {
            Action::Fetch { peer, units } => {
                assert!(!units.is_empty());
                for unit in &units {
                    assert!(self.has[&peer].contains(unit), "it does not have {unit}");
                    assert!(!self.done.contains(unit), "{unit} is there");
                    assert!(!self.busy.values().flatten().any(|with| with == unit), "{unit} is with another");
                }
                assert!(self.busy.insert(peer, units).is_none(), "it has a share");
            }
            Action::Cancel { peer } => assert!(self.busy.remove(&peer).is_some()),
            Action::Finished(outcome) => {
                self.ended = true;
                assert_eq!(outcome.missing.len() + self.done.len(), units);
                assert!(outcome.missing.iter().all(|unit| !self.done.contains(unit)));
                let brought: usize = outcome.peers.iter().map(|peer| peer.units).sum();
                assert_eq!(brought, self.done.len());
                // What is missing nobody has who is still there.
                let held: BTreeSet<u8> = self.has.values().flatten().copied().collect();
                assert!(outcome.missing.iter().all(|unit| !held.contains(unit)), "{:?}", outcome.missing);
            }
        }
        true
    }

    /// All actions, so that the driver's view is the machine's.
    fn drain(&mut self, shares: &mut Shares<u8>, units: usize) {
        for turn in 0.. {
            assert!(turn < 10_000, "busy without end");
            if !self.act(shares, units) {
                return;
            }
        }
    }

    fn finished(&mut self, shares: &mut Shares<u8>, now: Instant, peer: PeerId, without: u8) {
        let share = self.busy.remove(&peer);
        let fails = |unit: &&u8| without > 0 && **unit % without == 0;
        let lacks: Vec<u8> = share.iter().flatten().filter(fails).copied().collect();
        let result = shares.finished(now, peer, &lacks);
        assert_eq!(result.is_ok(), share.is_some());
        for unit in share.unwrap_or_default() {
            if lacks.contains(&unit) {
                self.has.get_mut(&peer).unwrap().remove(&unit);
            } else {
                self.done.insert(unit);
            }
        }
    }
}

fuzz_target!(|input: Input| {
    let config = Config {
        first_share: input.first.into(),
        max_share: input.most.into(),
        slower: input.slower.into(),
        patience: Duration::from_micros(input.patience.into()),
        span: Duration::from_micros(input.span.into()),
        max_units: 200,
        max_peers: 8,
        ..Config::default()
    };
    let units = usize::from(input.units);
    let Ok(mut shares) = Shares::new(config, 0..input.units) else { return assert!(units > 200) };
    let (mut seen, mut now, mut more) = (Seen::default(), Instant::ZERO, true);
    for step in input.steps {
        let pick = |of: u8| seen.peers.get(usize::from(of) % seen.peers.len().max(1)).copied();
        match step {
            Step::Add(has) => {
                let has: BTreeSet<u8> = has.into_iter().collect();
                match shares.add_peer(now, has.iter().copied()) {
                    Ok(peer) => {
                        seen.peers.push(peer);
                        seen.has.insert(peer, has.into_iter().filter(|unit| *unit < input.units).collect());
                    }
                    Err(_) => assert!(seen.peers.len() == 8 || shares.has_ended()),
                }
            }
            Step::NoMore => {
                shares.no_more_peers();
                more = false;
            }
            Step::Moved(of, bytes) => {
                pick(of).into_iter().for_each(|peer| shares.moved(peer, bytes.into()));
            }
            Step::Finished(of, without) => {
                if let Some(peer) = pick(of) {
                    seen.finished(&mut shares, now, peer, without);
                }
            }
            Step::Failed(of) => {
                if let Some(peer) = pick(of) {
                    let was = seen.has.contains_key(&peer);
                    let ended = shares.has_ended();
                    assert_eq!(shares.failed(now, peer).is_ok(), was && !ended);
                    if !ended {
                        seen.has.remove(&peer);
                        seen.busy.remove(&peer);
                    }
                }
            }
            Step::Wait(micros) => now = Instant::from_micros(now.as_micros() + u64::from(micros)),
            Step::Timeout => {
                if let Some(at) = shares.poll_timeout() {
                    now = now.max(at);
                    shares.handle_timeout(now);
                    assert!(
                        shares.poll_timeout().is_none_or(|next| next > now),
                        "a deadline was left standing"
                    );
                }
            }
            // Drained below in any case.
            Step::Action => {}
        }
        seen.drain(&mut shares, units);
        assert_eq!(shares.left(), units - seen.done.len());
        assert_eq!(shares.has_ended(), seen.ended);
        // Whoever is idle has nothing open but what others are quicker with.
        assert!(seen.ended || more || !seen.busy.is_empty(), "nobody is at it, and it is not over");
    }
    shares.no_more_peers();
    seen.drain(&mut shares, units);
    for turn in 0.. {
        assert!(turn < 10_000, "it does not come to its end");
        let Some(peer) = seen.busy.keys().next().copied() else { break };
        seen.finished(&mut shares, now, peer, 0);
        seen.drain(&mut shares, units);
    }
    assert!(seen.ended && shares.has_ended() && shares.poll_timeout().is_none());
});
