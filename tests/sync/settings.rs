//! What a two-way sync decides by itself, whatever the settings of its sessions say, and its verbs after the end.

use crate::common::Rng;
use crate::toy::{config, diverged, visible};
use crate::traffic::{run, sides};
use bytes::Bytes;
use portline::git::fetch::client::Listing;
use portline::git::push::client::Signing;
use portline::git::{Deepen, Depth, Misuse, Resume, Service};
use portline::peer::sync::{Config, Error, TwoWaySync};
use portline::sync::Strategy;
use portline::{Instant, peer, port};

const NOW: Instant = Instant::ZERO;

/// The plan looks at the whole history, at all refs and at packs that come on the connection; each session asks for the
/// service that it needs, is whole, and signs nothing.
#[test]
fn borders_packs_from_elsewhere_and_services_are_not_for_the_settings_to_say() {
    let base = diverged().2;
    let end = |config: &Config| {
        let (mut left, mut right) = sides(config, &peer::Config::default());
        right.offers_uris = true;
        run(&mut left, &mut right, &mut Rng::new(0), None);
        assert!(matches!(left.end, Some(Ok(_))), "{:?}", left.end);
        assert_eq!(right.partial, 0);
        (visible(&left.repo), visible(&right.repo))
    };
    let usual = config(Strategy::PreferLocal, base);
    let mut other = usual.clone();
    other.fetch.deepen = Deepen { to: Depth::Commits(1), not: Vec::new() };
    other.fetch.packfile_uris = vec![Bytes::from_static(b"https")];
    other.request.service = Service::ReceivePack;
    (other.fetch.stateless, other.fetch.listing) = (true, Listing::None);
    other.push.signing = Some(Signing { pusher: Bytes::new(), pushee: None, required: true });
    assert_eq!(end(&other), end(&usual));
}

/// PEER-10: once; then every verb says that it is over, and changes nothing.
#[test]
fn peer_10_no_verb_has_an_effect_after_the_end() {
    let mut sync = TwoWaySync::new(Config::default(), NOW).unwrap();
    while sync.poll_action().is_some() {}
    assert_eq!(sync.handle_closed(NOW), Err(Error::Port(port::Error::Closed)));
    while sync.poll_action().is_some() {}
    assert!(sync.has_ended());
    let ended = |verb| Err(Misuse::Ended { verb });
    assert_eq!(sync.refs_listed(NOW, Vec::new()), ended("refs_listed"));
    assert_eq!(sync.held(NOW, Vec::new()), ended("held"));
    let part = Resume::new(1, Bytes::from_static(b"digest")).unwrap();
    assert_eq!(sync.resume(NOW, part), ended("resume"));
    assert_eq!(sync.pack_resumes(NOW), ended("pack_resumes"));
    assert_eq!(sync.commits(NOW, Vec::new()), ended("commits"));
    assert_eq!(sync.refs_updated(NOW, Vec::new()), ended("refs_updated"));
    assert_eq!(sync.pack_stored(NOW, Ok(())), ended("pack_stored"));
    assert_eq!(sync.pack_chunk(NOW, Bytes::from_static(b"PACK")), ended("pack_chunk"));
    assert_eq!(sync.pack_finished(NOW), ended("pack_finished"));
    assert_eq!(sync.pack_failed(NOW, Bytes::new()), ended("pack_failed"));
    assert!(sync.poll_action().is_none() && sync.poll_transmit().is_none());
}
