//! What has its decoder or its encoder inside a machine: push certificates, the lines and packets of resumed packs, and the
//! refs that a server shows. Each is read the same in any split, and as a second formulation of its rules has it.
#![no_main]

mod common;

use arbitrary::Arbitrary;
use bytes::Bytes;
use common::{id, packet, refs};
use libfuzzer_sys::fuzz_target;
use portline::Instant;
use portline::git::push::NonceStatus;
use portline::git::push::server::{Action, Config, Server, Update};
use portline::git::{AdvertisementParser, Ref, RefName, Resume, fetch};
use portline::pkt::Reader;

const NOW: Instant = Instant::ZERO;

#[derive(Arbitrary, Debug)]
enum Input {
    Certificate {
        nonce: Option<bool>,
        lines: Vec<Line>,
        ends: bool,
        cut: u8,
    },
    /// What follows `resume ` in a fetch.
    Part(PartLine, u8),
    /// What a push has in front of its pack, and what is held of it.
    Head {
        held: u8,
        line: Option<PartLine>,
        raw: Vec<u8>,
        cut: u8,
    },
    /// What a server shows: refs with the rest of a name, an id and a peeled one; and which of them `HEAD` stands for.
    Refs {
        list: Vec<(Vec<u8>, u8, Option<u8>)>,
        head: Option<u8>,
        cut: u8,
    },
}

#[derive(Arbitrary, Debug)]
enum Line {
    Template(u8, bool),
    Command(u8, u8, u8),
    Raw(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum PartLine {
    Well(u64, Vec<u8>),
    Offset(u64),
    Raw(Vec<u8>),
}

const TEMPLATES: [&[u8]; 11] = [
    b"certificate version 0.1",
    b"pusher A <a@b> 1 +0000",
    b"pushee host",
    b"nonce 1-a",
    b"nonce other",
    b"push-option x",
    b"",
    b"-----BEGIN PGP SIGNATURE-----",
    b"-----BEGIN SSH SIGNATURE-----",
    b"-----END SSH SIGNATURE-----",
    b"-----BEGIN SIGNED MESSAGE-----",
];

impl Line {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Template(at, ended) => {
                let text = TEMPLATES[usize::from(*at) % TEMPLATES.len()];
                [text, if *ended { b"\n" } else { b"" }].concat()
            }
            Self::Command(old, new, of) => {
                format!("{} {} {}\n", id(*old), id(*new), common::name(of % 3)).into_bytes()
            }
            Self::Raw(raw) => raw.clone(),
        }
    }
}

impl PartLine {
    fn bytes(&self) -> Vec<u8> {
        let mut line = b"resume ".to_vec();
        match self {
            Self::Well(offset, digest) => {
                line.extend_from_slice(format!("{offset} ").as_bytes());
                digest.iter().for_each(|byte| line.extend_from_slice(format!("{byte:02x}").as_bytes()));
            }
            Self::Offset(offset) => line.extend_from_slice(offset.to_string().as_bytes()),
            Self::Raw(raw) => line.extend_from_slice(raw),
        }
        line
    }
}

/// What came of it: what the driver was told, in order, and the error.
#[derive(Debug, Default, PartialEq)]
struct Told {
    updates: Vec<Update>,
    asked: bool,
    resumed: Option<u64>,
    pack: Vec<u8>,
    error: Option<String>,
}

fn listen(server: &mut Server, held: Option<&Resume>, told: &mut Told) {
    while let Some(action) = server.poll_action() {
        match action {
            Action::ListRefs => server.refs_listed(NOW, refs(&[(0, 1)]), vec![]).unwrap(),
            Action::FindPart(update) => {
                told.asked = true;
                told.updates.push(update);
                server.part_found(NOW, held.cloned()).unwrap();
            }
            Action::ReceivePack(update) | Action::UpdateRefs(update) => told.updates.push(update),
            Action::Resumed { offset } => told.resumed = Some(offset),
            Action::Pack(bytes) => told.pack.extend_from_slice(&bytes),
            Action::Failed(error) => told.error = Some(error.to_string()),
            _ => {}
        }
        while server.poll_transmit().is_some() {}
    }
    while server.poll_transmit().is_some() {}
}

fn serve(config: &Config, held: Option<&Resume>, bytes: &[u8], cut: usize) -> Told {
    let (mut server, mut told) = (Server::new(config.clone(), NOW), Told::default());
    for _ in 0..4 {
        listen(&mut server, held, &mut told);
    }
    for piece in bytes.chunks(cut.max(1)) {
        if !server.wants_input() {
            break;
        }
        let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(piece));
        for _ in 0..4 {
            listen(&mut server, held, &mut told);
        }
    }
    told
}

/// A certificate line by line: header, commands, signature.
fn certificate(nonce: Option<bool>, lines: &[Line], ends: bool, cut: u8) {
    let mut text = Vec::new();
    let mut sent = packet(b"push-cert\0report-status");
    let mut nul = false;
    for line in lines {
        let line = line.bytes();
        if line == b"push-cert-end" || line == b"push-cert-end\n" {
            return;
        }
        nul |= line.contains(&0);
        sent.extend_from_slice(&packet(&line));
        text.extend_from_slice(&line);
    }
    if ends {
        sent.extend_from_slice(&packet(b"push-cert-end\n"));
    }
    sent.extend_from_slice(b"0000");
    let given = nonce.map(|right| if right { &b"1-a"[..] } else { b"new" });
    let config = Config { nonce: given.map(Bytes::from_static), ..Config::default() };
    let told = serve(&config, None, &sent, sent.len());
    assert_eq!(serve(&config, None, &sent, cut.into()), told, "in any split");
    let Some(found) = told.updates.first().and_then(|update| update.certificate.as_ref()) else {
        return;
    };
    assert!(!nul, "a certificate is text");
    assert_eq!(found.text(), &text);
    let starts = [
        &b"-----BEGIN PGP SIGNATURE-----"[..],
        b"-----BEGIN PGP MESSAGE-----",
        b"-----BEGIN SIGNED MESSAGE-----",
        b"-----BEGIN SSH SIGNATURE-----",
    ];
    let (mut payload, mut at) = (text.len(), 0);
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if starts.iter().any(|start| line.starts_with(start)) {
            payload = at;
        }
        at += line.len();
    }
    assert_eq!((found.payload(), found.signature()), text.split_at(payload));
    let head = text[..payload].split(|byte| *byte == b'\n').take_while(|line| !line.is_empty());
    let head: Vec<&[u8]> = head.collect();
    let value = |name: &'static str| {
        let name = format!("{name} ").into_bytes();
        head.iter().filter_map(|line| line.strip_prefix(&name[..])).map(<[u8]>::to_vec).collect::<Vec<_>>()
    };
    for name in ["pusher", "pushee", "nonce", "push-option"] {
        assert!(found.header(name).eq(value(name)), "{name}");
    }
    let status = match (value("nonce").first(), given) {
        (None, _) => NonceStatus::Missing,
        (Some(_), None) => NonceStatus::Unsolicited,
        (Some(found), Some(given)) if found == given => NonceStatus::Ok,
        (Some(_), Some(_)) => NonceStatus::Bad,
    };
    assert_eq!(found.nonce, status);
}

fn number(text: &[u8]) -> Option<u64> {
    let number: u64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == text).then_some(number)
}

/// `OFFSET DIGEST` as RESUME-2 has it.
fn part(text: &[u8]) -> Result<Option<(u64, Vec<u8>)>, ()> {
    if text == b"0" {
        return Ok(None);
    }
    let (offset, hex) = text.split_at(text.iter().position(|byte| *byte == b' ').ok_or(())?);
    let offset = number(offset).filter(|offset| *offset > 0).ok_or(())?;
    let hex = std::str::from_utf8(&hex[1..]).map_err(drop)?;
    let is_hex = hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    if !is_hex || hex.is_empty() || hex.len() % 2 > 0 || hex.len() > 128 {
        return Err(());
    }
    let pairs = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap());
    Ok(Some((offset, pairs.collect())))
}

fn fetch_part(line: &PartLine, cut: u8) {
    use fetch::server::{Action, Config, Server};
    let line = line.bytes();
    let want = format!("want {} portline-resume ofs-delta\n", id(1));
    let bytes = [&packet(want.as_bytes())[..], &packet(&line), b"0000", &packet(b"done\n")].concat();
    let run = |cut: usize| {
        let config = Config { resume: true, ..Config::default() };
        let mut server = Server::new(config, NOW);
        let mut found = None;
        for piece in [&b""[..]].into_iter().chain(bytes.chunks(cut.max(1))) {
            if !piece.is_empty() && server.wants_input() {
                let _ = server.handle_bytes(NOW, Bytes::copy_from_slice(piece));
            }
            for _ in 0..6 {
                while server.poll_transmit().is_some() {}
                match server.poll_action() {
                    Some(Action::ListRefs) => server.refs_listed(NOW, refs(&[(0, 1)])).unwrap(),
                    Some(Action::FindObjects(asked)) => server.objects_found(NOW, asked).unwrap(),
                    Some(Action::BuildPack(request)) => {
                        let part = request.resume.map(|part| (part.offset(), part.digest().to_vec()));
                        found = Some(Ok((request.resumable, part)));
                    }
                    Some(Action::Failed(error)) => found = Some(Err(error.to_string())),
                    _ => {}
                }
            }
        }
        found.expect("a pack, or an error")
    };
    let whole = run(bytes.len());
    assert_eq!(run(cut.into()), whole, "in any split");
    // One LF at the end of a line is no part of it.
    let text = line.strip_suffix(b"\n").unwrap_or(&line);
    match (part(&text[b"resume ".len().min(text.len())..]), whole) {
        (Ok(part), Ok(told)) => assert_eq!(told, (true, part)),
        (Err(()), Err(_)) => {}
        (ours, theirs) => panic!("{ours:?} and {theirs:?}"),
    }
}

fn head(held: u8, line: Option<&PartLine>, raw: &[u8], cut: u8) {
    let create = format!("{} {} refs/heads/b\0report-status portline-resume", id(0), id(2));
    let start = [&packet(create.as_bytes())[..], b"0000"].concat();
    let before = line.map_or(vec![], |line| packet(&line.bytes()));
    let bytes = [&start[..], &before, raw].concat();
    let config = Config { resume: true, ..Config::default() };
    let part = Resume::new(held.into(), Bytes::from_static(b"d")).ok();
    let told = serve(&config, part.as_ref(), &bytes, bytes.len());
    assert_eq!(serve(&config, part.as_ref(), &bytes, cut.into()), told, "in any split");
    assert!(told.asked);
    let packet = [&before[..], raw].concat();
    // What the packet says, if it is one, and whole.
    let size =
        packet.get(..4).and_then(|four| usize::from_str_radix(std::str::from_utf8(four).ok()?, 16).ok());
    let is_plain = packet.get(..4).is_some_and(|four| four.iter().all(u8::is_ascii_hexdigit));
    let said = size.filter(|size| is_plain && *size >= 4 && *size <= 31).and_then(|size| packet.get(4..size));
    let offset = said.and_then(|said| said.strip_prefix(b"resume ")).and_then(number);
    match offset.filter(|offset| *offset == 0 || *offset == u64::from(held)) {
        Some(offset) => {
            assert_eq!(told.error, None);
            assert_eq!(told.resumed, (held > 0).then_some(offset));
            assert_eq!(told.pack, packet[size.unwrap()..]);
        }
        None => assert!(told.resumed.is_none() && told.pack.is_empty()),
    }
}

/// What a server is told to show is what a client is shown.
fn advertisement(list: &[(Vec<u8>, u8, Option<u8>)], head: Option<u8>, cut: u8) {
    let shown = |(rest, of, peeled): &(Vec<u8>, u8, Option<u8>)| {
        let name = RefName::new([b"refs/", &rest[..]].concat()).ok()?;
        Some(Ref { peeled: peeled.map(|of| id(of % 7 + 1)), ..Ref::new(name, id(of % 7 + 1)) })
    };
    let mut refs: Vec<Ref> = list.iter().filter_map(shown).collect();
    refs.sort_by(|one, other| one.name.cmp(&other.name));
    refs.dedup_by(|one, other| one.name == other.name);
    if let Some(target) = head.and_then(|head| refs.get(usize::from(head)).cloned()) {
        let head = Ref::new(RefName::new("HEAD").unwrap(), target.id);
        refs.insert(0, Ref { target: Some(target.name), ..head });
    }
    let mut server = fetch::server::Server::new(fetch::server::Config::default(), NOW);
    assert_eq!(server.poll_action(), Some(fetch::server::Action::ListRefs));
    server.refs_listed(NOW, refs.clone()).unwrap();
    let mut reader = Reader::new();
    while let Some(sent) = server.poll_transmit() {
        let sent = sent.into_bytes();
        sent.chunks(usize::from(cut) + 1)
            .for_each(|piece| reader.handle_bytes(Bytes::copy_from_slice(piece)));
    }
    let mut parser = AdvertisementParser::new();
    let found = loop {
        let packet = reader.next_packet().unwrap().expect("it ends with a flush");
        if let Some(found) = parser.handle_packet(packet).unwrap() {
            break found;
        }
    };
    assert_eq!((found.refs, found.skipped), (refs, 0));
}

fuzz_target!(|input: Input| {
    match input {
        Input::Refs { list, head, cut } => advertisement(&list, head, cut),
        Input::Certificate { nonce, lines, ends, cut } => certificate(nonce, &lines, ends, cut),
        Input::Part(line, cut) => fetch_part(&line, cut),
        Input::Head { held, line, raw, cut } => head(held, line.as_ref(), &raw, cut),
    }
});
