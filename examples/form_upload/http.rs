//! As much of HTTP/1.1 as an upload needs: one request, its body in either framing, one answer.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use httparse::Status;

/// Bytes of one read; all that a connection holds of a body.
const READ: usize = 64 << 10;
/// Bytes of a request's head, and of the lines between chunks.
const HEAD: usize = 16 << 10;
/// Headers of a request, and of a chunked body's end.
const HEADERS: usize = 64;
/// How long, and how far, a refused body is still read, so that the peer sees the answer rather than a reset.
const LINGER: (Duration, usize) = (Duration::from_secs(5), 64 << 20);

/// Why a request is refused, and what the peer can do about it.
pub(crate) struct Fault {
    pub(crate) status: (u16, &'static str),
    pub(crate) reason: String,
}

impl Fault {
    pub(crate) const fn new(status: (u16, &'static str), reason: String) -> Self {
        Self { status, reason }
    }

    pub(crate) fn bad(reason: impl Into<String>) -> Self {
        Self::new((400, "Bad Request"), reason.into())
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                Self::new((408, "Request Timeout"), "Nothing came for 30 seconds. Send it again.".into())
            }
            _ => Self::bad(format!("The connection failed: {error}.")),
        }
    }
}

/// A request's head, as far as it matters here.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) content_type: Option<Vec<u8>>,
    pub(crate) wants_html: bool,
    /// The body's length; `None` when it comes in chunks or there is none.
    pub(crate) length: Option<u64>,
    chunked: bool,
    waits: bool,
}

/// Where the body is.
enum Body {
    Length(u64),
    /// In front of a chunk's length.
    ChunkHead,
    /// So many bytes of the chunk are missing, and then its line end.
    Chunk(u64),
    Ended,
}

/// One connection with what was read of it.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    body: Body,
    /// Whether the request is HEAD: its answer has no body.
    is_head: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: BytesMut::new(), body: Body::Ended, is_head: false }
    }

    /// Reads more. `false`: the peer has ended its side.
    fn fill(&mut self) -> io::Result<bool> {
        let before = self.buffer.len();
        // Once nobody holds a slice of it any more, this is the same memory again.
        self.buffer.reserve(READ);
        self.buffer.resize(before.saturating_add(READ), 0);
        let result = self.stream.read(self.buffer.get_mut(before..).unwrap_or(&mut []));
        let count = *result.as_ref().unwrap_or(&0);
        self.buffer.truncate(before.saturating_add(count));
        result.map(|count| count > 0)
    }

    /// The request's head. `None`: there was none.
    pub(crate) fn request(&mut self) -> Result<Option<Request>, Fault> {
        loop {
            if let Some((request, length)) = parse(&self.buffer)? {
                self.buffer.advance(length);
                self.is_head = request.method == "HEAD";
                return Ok(Some(request));
            }
            if self.buffer.len() >= HEAD {
                let reason = format!("The request's head is longer than {HEAD} bytes. Send fewer headers.");
                return Err(Fault::new((431, "Request Header Fields Too Large"), reason));
            }
            if !self.fill()? {
                let nothing = self.buffer.is_empty();
                return if nothing { Ok(None) } else { Err(Fault::bad("The request stopped in its head.")) };
            }
        }
    }

    /// Begins with the body: a peer that waits for our word gets it.
    pub(crate) fn begin_body(&mut self, request: &Request) -> Result<(), Fault> {
        self.body = match (request.length, request.chunked) {
            (_, true) => Body::ChunkHead,
            (Some(length), false) => Body::Length(length),
            (None, false) => {
                let reason = "The body has neither a length nor chunks. Send one of Content-Length and Transfer-Encoding.";
                return Err(Fault::new((411, "Length Required"), reason.into()));
            }
        };
        // Who has begun to send does not wait.
        if request.waits && self.buffer.is_empty() {
            self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Ok(())
    }

    /// The next bytes of the body; `None` at its end.
    pub(crate) fn read_body(&mut self) -> Result<Option<Bytes>, Fault> {
        loop {
            let goes_on = match self.body {
                Body::Ended | Body::Length(0) => return Ok(None),
                Body::Length(left) if !self.buffer.is_empty() => {
                    let bytes = self.take(left);
                    self.body = Body::Length(left.saturating_sub(bytes.len() as u64));
                    return Ok(Some(bytes));
                }
                Body::Chunk(left) if left > 0 && !self.buffer.is_empty() => {
                    let bytes = self.take(left);
                    self.body = Body::Chunk(left.saturating_sub(bytes.len() as u64));
                    return Ok(Some(bytes));
                }
                Body::Chunk(0) => self.chunk_end()?,
                Body::ChunkHead => self.chunk_head()?,
                Body::Length(_) | Body::Chunk(_) => false,
            };
            if !goes_on && !self.fill()? {
                return Err(Fault::bad("The connection ended before the body did. Send it again."));
            }
        }
    }

    fn take(&mut self, most: u64) -> Bytes {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        self.buffer.split_to(most.min(self.buffer.len())).freeze()
    }

    /// Reads the line end behind a chunk. `false`: it is not all there.
    fn chunk_end(&mut self) -> Result<bool, Fault> {
        let Some(end) = self.buffer.get(..2) else { return Ok(false) };
        if end != b"\r\n" {
            return Err(Fault::bad("A chunk is longer than its length says."));
        }
        self.buffer.advance(2);
        self.body = Body::ChunkHead;
        Ok(true)
    }

    /// Reads a chunk's length, or the end of the body. `false`: it is not all there.
    fn chunk_head(&mut self) -> Result<bool, Fault> {
        match httparse::parse_chunk_size(&self.buffer) {
            Ok(Status::Complete((start, 0))) => {
                let mut fields = [httparse::EMPTY_HEADER; HEADERS];
                match httparse::parse_headers(self.buffer.get(start..).unwrap_or(&[]), &mut fields) {
                    Ok(Status::Complete((length, _))) => {
                        self.buffer.advance(start.saturating_add(length));
                        self.body = Body::Ended;
                        return Ok(true);
                    }
                    Ok(Status::Partial) => {}
                    Err(error) => {
                        return Err(Fault::bad(format!("The end of the chunks is malformed: {error}.")));
                    }
                }
            }
            Ok(Status::Complete((start, length))) => {
                self.buffer.advance(start);
                self.body = Body::Chunk(length);
                return Ok(true);
            }
            Ok(Status::Partial) => {}
            Err(_) => return Err(Fault::bad("A chunk's length is malformed.")),
        }
        if self.buffer.len() >= HEAD {
            return Err(Fault::bad("A chunk's length or the end of the chunks is too long."));
        }
        Ok(false)
    }

    /// Answers.
    pub(crate) fn respond(
        &mut self,
        status: (u16, &str),
        content_type: &str,
        body: &str,
    ) -> Result<(), Fault> {
        Ok(self.write(status, content_type, body)?)
    }

    fn write(&mut self, (code, phrase): (u16, &str), content_type: &str, body: &str) -> io::Result<()> {
        let (length, body) = (body.len(), if self.is_head { "" } else { body });
        let answer = format!(
            "HTTP/1.1 {code} {phrase}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}"
        );
        self.stream.write_all(answer.as_bytes())
    }

    /// Answers that the request is refused, and reads on for a while what the peer sends, so that it gets to see that.
    pub(crate) fn refuse(&mut self, fault: &Fault) -> io::Result<()> {
        let body = format!("{} {}\n{}\n", fault.status.0, fault.status.1, fault.reason);
        self.write(fault.status, crate::page::TEXT, &body)?;
        self.stream.shutdown(Shutdown::Write)?;
        self.stream.set_read_timeout(Some(LINGER.0))?;
        let (began, mut left) = (Instant::now(), LINGER.1);
        self.buffer.clear();
        while left > 0 && began.elapsed() < LINGER.0 && self.fill().unwrap_or(false) {
            left = left.saturating_sub(self.buffer.len());
            self.buffer.clear();
        }
        Ok(())
    }
}

/// The head at the start of `input`, and its length; `None` when it is not all there.
fn parse(input: &[u8]) -> Result<Option<(Request, usize)>, Fault> {
    let mut fields = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut fields);
    let length = match head.parse(input) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) => return Ok(None),
        Err(error) => return Err(Fault::bad(format!("The request's head is malformed: {error}."))),
    };
    let path = head.path.unwrap_or("/");
    let mut request = Request {
        method: head.method.unwrap_or_default().into(),
        path: path.split('?').next().unwrap_or(path).into(),
        content_type: None,
        wants_html: false,
        length: None,
        chunked: false,
        waits: false,
    };
    for field in head.headers.iter() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        if is("content-length") {
            let digits = std::str::from_utf8(field.value)
                .ok()
                .filter(|value| value.bytes().all(|b| b.is_ascii_digit()));
            let length = digits.and_then(|digits| digits.parse().ok());
            let length = length.ok_or_else(|| Fault::bad("Content-Length is no number."))?;
            if request.length.replace(length).is_some_and(|other| other != length) {
                return Err(Fault::bad("Content-Length is there twice, with two values."));
            }
        } else if is("transfer-encoding") {
            if request.chunked || !field.value.eq_ignore_ascii_case(b"chunked") {
                let reason = "The only Transfer-Encoding here is chunked.";
                return Err(Fault::new((501, "Not Implemented"), reason.into()));
            }
            request.chunked = true;
        } else if is("content-encoding") && !field.value.eq_ignore_ascii_case(b"identity") {
            let reason = "The body is compressed. Send it as it is.";
            return Err(Fault::new((415, "Unsupported Media Type"), reason.into()));
        } else if is("content-type") {
            request.content_type = Some(field.value.to_vec());
        } else if is("expect") {
            if !field.value.eq_ignore_ascii_case(b"100-continue") {
                let reason = "The only thing to Expect here is 100-continue.";
                return Err(Fault::new((417, "Expectation Failed"), reason.into()));
            }
            request.waits = true;
        } else if is("accept") {
            request.wants_html = field.value.windows(9).any(|window| window == b"text/html");
        }
    }
    if request.chunked && request.length.is_some() {
        return Err(Fault::bad("The body has a Content-Length and chunks; it can be only one of them."));
    }
    Ok(Some((request, length)))
}
