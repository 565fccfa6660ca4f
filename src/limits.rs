//! Every cap a peer could run into, with its default.
//!
//! These are the defaults that the configs start from, except where the wire format itself sets the number
//! ([`crate::pkt::MAX_PACKET`]). Sizes are bytes unless the name says otherwise.

use core::time::Duration;

/// Port: the largest block a receiver takes. Larger ones end the stream with an error.
pub const BLOCK: usize = 16 << 20;
/// Port and carrier: the largest message, the five bytes of the frame header included.
pub const MESSAGE: usize = BLOCK + 5;
/// Port: blocks a receiver holds that the application has not taken yet.
pub const RECEIVE_BLOCKS: usize = 256;
/// Port: bytes a receiver holds before `wants_input` turns false.
pub const RECEIVE_BYTES: usize = 1 << 20;
/// Port: bytes a sender holds before `write` answers that it is full.
pub const SEND_BYTES: usize = 1 << 20;
/// Port: the longest ERROR payload that is kept.
pub const ERROR_PAYLOAD: usize = 4096;
/// Port: messages of an unknown type or too short, where they are ignored, before the port ends.
pub const IGNORED_MESSAGES: u32 = 1024;
/// The cost charged for each chunk that waits in a queue, besides its bytes.
pub const CHUNK_OVERHEAD: usize = 64;

/// Pkt-line: packets in a row that carry nothing. Git sends a keep-alive every five seconds at the most.
pub const EMPTY_PACKETS: u32 = 4096;

/// Git: input held while a machine waits for its driver; past that, `wants_input` is false.
pub const GIT_INPUT: usize = 256 << 10;
/// Git: output held before a machine stops making more.
pub const GIT_OUTPUT: usize = 256 << 10;
/// Git: bytes in a ref name.
pub const REF_NAME: usize = 4096;
/// Git: refs in an advertisement.
pub const REFS: usize = 4_000_000;
/// Git: bytes of an advertisement, all lines together.
pub const ADVERTISEMENT: usize = 1 << 30;
/// Git: capabilities in one list.
pub const CAPABILITIES: usize = 1024;
/// Git: bytes of a capability advertisement of version 2, all lines together.
pub const CAPABILITY_BYTES: usize = 1 << 20;
/// Git: packs that a server names by their URIs, and lines of a bundle list.
pub const URIS: usize = 4096;
/// Git: bytes of one capability's value that is written: with the longest ref name it fits into a packet.
pub const CAPABILITY_VALUE: usize = 8192;
/// Git: bytes of the request line's path, and of its host.
pub const REQUEST_PATH: usize = 4096;
/// Git: `want` lines of one fetch, repeated ones included.
pub const WANTS: usize = 4_000_000;
/// Git: `have` lines of one fetch, repeated ones included.
pub const HAVES: usize = 4_000_000;
/// Git: `shallow` lines.
pub const SHALLOW: usize = 1_000_000;
/// Git: `deepen-not` lines of one fetch.
pub const DEEPEN_NOT: usize = 1024;
/// Git: `want-ref` lines of one fetch.
pub const WANT_REFS: usize = 65536;
/// Git: bytes of the names in the `want-ref` lines of one fetch, all together.
pub const WANT_REF_BYTES: usize = 4 << 20;
/// Git: `ref-prefix` lines of one `ls-refs`, and their bytes. Of so many Git uses none and lists everything.
pub const REF_PREFIXES: usize = 65536;
/// Git: bytes of the prefixes of one `ls-refs`, all together; past that they count as too many.
pub const REF_PREFIX_BYTES: usize = 4 << 20;
/// Git: lines of the capabilities of one request of version 2, server options included.
pub const REQUEST_LINES: usize = 4096;
/// Git: bytes of those lines, all together.
pub const REQUEST_BYTES: usize = 1 << 20;
/// Git: lines of one fetch before its negotiation, or of one request of version 2, of whatever kind.
pub const ARGUMENTS: usize = 10_000_000;
/// Git: requests of one session of version 2.
pub const REQUESTS: usize = 65536;
/// Git: objects whose size one `object-info` asks for.
pub const OBJECT_INFO: usize = 65536;
/// Git: bytes of a session id or an agent that are kept.
pub const SESSION_ID: usize = 1024;
/// Git: bytes of a filter spec.
pub const FILTER: usize = 16 << 10;
/// Git: filters in one spec, those that combine others included.
pub const FILTER_PARTS: usize = 256;
/// Git: combinations inside of each other.
pub const FILTER_DEPTH: usize = 8;
/// Git: bytes of the digest that names a part of a pack.
pub const RESUME_DIGEST: usize = 64;
/// Git: rounds of negotiation.
pub const ROUNDS: usize = 4096;
/// Git: commands of one push.
pub const COMMANDS: usize = 1_000_000;
/// Git: push options of one push.
pub const PUSH_OPTIONS: usize = 1024;
/// Git: bytes of a nonce that a client signs; it is shorter than this.
pub const NONCE: usize = 256;
/// Git: bytes of a report, all lines together.
pub const REPORT: usize = 256 << 20;
/// Git: bytes of a peer's error message that are kept.
pub const ERROR_MESSAGE: usize = 4096;
/// Git: bytes of a progress line that are put together.
pub const PROGRESS_LINE: usize = 1000;
/// Git: silence on a sideband before a server tells that it lives.
pub const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Git: parents of one commit.
pub const PARENTS: usize = 65536;

/// Sync: commits a plan loads to tell ancestry.
pub const PLAN_COMMITS: usize = 4_000_000;

/// Mux: the longest message on any channel, its frame header included.
pub const MUX_MESSAGE: usize = (1 << 20) + 5;
/// Mux: the bytes of one turn, and the longest message on a channel that takes turns: a frame of 64 KiB.
pub const MUX_QUANTUM: usize = (64 << 10) + 5;
/// Mux: bytes that wait on the control channel.
pub const MUX_CONTROL: usize = 1 << 20;
/// Mux: channels open at once.
pub const CHANNELS: usize = 4096;
/// Link: calls at once, in each direction.
pub const CALLS: usize = 1024;
/// Link: streams at once of one call.
pub const CALL_STREAMS: usize = 64;

/// Body queue: bytes that wait.
pub const BODY_BYTES: usize = 65536;
/// Body queue: chunks that wait.
pub const BODY_CHUNKS: usize = 16;
/// Body queue: chunks below this are copied, so that they keep no larger buffer alive.
pub const BODY_SMALL: usize = BODY_BYTES / BODY_CHUNKS;
/// Body registry: streams at once.
pub const BODY_STREAMS: usize = 1024;
/// Body registry: bytes that wait in all streams together.
pub const BODY_TOTAL: usize = 16 << 20;
/// Body transfer: bytes of a piece that is handed to a stream, and of a block on a port.
pub const BODY_PIECE: usize = 16 << 10;
/// Readable stream: bytes that wait, whatever its high-water mark.
pub const READABLE_BYTES: usize = 1 << 20;
/// Readable stream: chunks that wait, whatever its high-water mark.
pub const READABLE_CHUNKS: usize = 4096;
/// Readable stream: reads that wait.
pub const READABLE_READS: usize = 1024;

/// Forms: input that waits in a parser, overhead included.
pub const FORM_INPUT: usize = 256 << 10;
/// Forms: output that waits in a writer, overhead included, before it takes no more.
pub const FORM_OUTPUT: usize = 256 << 10;
/// Forms: parameters of a content type.
pub const PARAMETERS: usize = 32;
/// Multipart: parts of a body.
pub const PARTS: usize = 4096;
/// Multipart: bytes of one part's headers.
pub const PART_HEADER_BYTES: usize = 16 << 10;
/// Multipart: headers of one part.
pub const PART_HEADERS: usize = 32;
/// Multipart: bytes of a field's name and of a file's.
pub const PART_NAME: usize = 4096;
/// Multipart: bytes in front of the first boundary, and behind the last.
pub const PREAMBLE: usize = 16 << 10;
/// Multipart: bytes of one part's data.
pub const PART_BYTES: u64 = 4 << 30;
/// Multipart: bytes of a body.
pub const MULTIPART_BYTES: u64 = 16 << 30;
/// Forms: bytes of a field's name and of its value, where they are put together.
pub const FIELD: usize = 1 << 20;
/// Forms: fields of a form.
pub const FIELDS: usize = 4096;
/// Forms: bytes of a form of strings.
pub const FORM_BYTES: u64 = 8 << 20;

/// Recovery: items that a transfer keeps track of.
pub const TRANSFER_ITEMS: usize = 1_000_000;
/// Recovery: bytes of their names and targets.
pub const TRANSFER_BYTES: usize = 256 << 20;
/// Recovery: retries of one operation, however it is configured: each attempt is kept for the report.
pub const RETRIES: u32 = 10_000;
/// Recovery: units of one job that peers share.
pub const SHARE_UNITS: usize = 4_000_000;
/// Recovery: peers that share one job.
pub const SHARE_PEERS: usize = 1024;
/// Recovery: failed attempts at one of several sources of a fetch: each is kept for the report.
pub const SOURCE_ATTEMPTS: usize = 10_000;
