//! Just enough of a web server, on loopback, to run Git's `http-backend`.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;

use crate::support_repo::{program, run, text};

/// A running server. It ends with the process.
pub struct HttpServer {
    address: String,
}

/// What a request needs to know of its server.
struct Place {
    root: PathBuf,
    /// In front of the path: the `git` that http-backend calls.
    bin: PathBuf,
    backend: PathBuf,
}

impl HttpServer {
    /// Serves every repository below `root`; services are those of the `git` in `bin`.
    pub fn start(root: &Path, bin: &Path) -> Self {
        let mut git = program("git");
        git.arg("--exec-path");
        let backend = Path::new(text(&run(git, b"").stdout).trim()).join("git-http-backend");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let place = Arc::new(Place { root: root.to_owned(), bin: bin.to_owned(), backend });
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let place = Arc::clone(&place);
                // A client that goes away in the middle is the client's affair.
                thread::spawn(move || drop(serve(&stream, &place)));
            }
        });
        Self { address }
    }

    pub fn url(&self, below: &str) -> String {
        format!("http://{}/{below}", self.address)
    }
}

/// One request on one connection.
fn serve(stream: &TcpStream, place: &Place) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let (first, headers) = read_head(&mut reader)?;
    let mut words = first.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |name: &str| {
        headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    };
    if header("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
        (&*stream).write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let inherited = std::env::var("PATH").unwrap_or_default();
    let mut cgi: Command = program(&place.backend);
    // It starts `git` from Git's own folder, so that one has to be ours.
    cgi.env("GIT_EXEC_PATH", &place.bin)
        .env("PATH", format!("{}:{inherited}", place.bin.display()))
        .env("GIT_PROJECT_ROOT", &place.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("REMOTE_USER", "tester")
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("SERVER_PROTOCOL", "HTTP/1.1");
    for (name, variable) in [
        ("Content-Type", "CONTENT_TYPE"),
        ("Content-Length", "CONTENT_LENGTH"),
        ("Content-Encoding", "HTTP_CONTENT_ENCODING"),
        ("Git-Protocol", "GIT_PROTOCOL"),
    ] {
        if let Some(value) = header(name) {
            cgi.env(variable, value);
        }
    }
    let mut child = cgi.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let chunked = header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
    let length = header("Content-Length").and_then(|value| value.parse::<u64>().ok()).unwrap_or(0);
    thread::scope(|scope| {
        scope.spawn(move || {
            // A program that does not read to the end has answered already.
            let _ = if chunked {
                copy_chunks(&mut reader, &mut stdin)
            } else {
                io::copy(&mut reader.take(length), &mut stdin).map(drop)
            };
        });
        answer(&mut stdout, stream)
    })?;
    child.wait()?;
    Ok(())
}

fn read_head(reader: &mut impl BufRead) -> io::Result<(String, Vec<(String, String)>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            break;
        }
        lines.push(line.trim_end().to_owned());
    }
    let mut lines = lines.into_iter();
    let first = lines.next().unwrap_or_default();
    let headers = lines.filter_map(|line| {
        line.split_once(':').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
    });
    Ok((first, headers.collect()))
}

fn copy_chunks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let mut line = String::new();
        from.read_line(&mut line)?;
        let size = u64::from_str_radix(line.trim(), 16).map_err(|_| io::ErrorKind::InvalidData)?;
        if size == 0 {
            return Ok(());
        }
        io::copy(&mut from.take(size), to)?;
        from.read_line(&mut line)?;
    }
}

/// Turns a CGI answer into one of HTTP.
fn answer(from: &mut impl BufRead, mut to: &TcpStream) -> io::Result<()> {
    let (first, mut headers) = {
        let (first, headers) = read_head(from)?;
        let own = first.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned()));
        (own, headers)
    };
    headers.extend(first);
    let status = headers.iter().position(|(name, _)| name.eq_ignore_ascii_case("Status"));
    let status = status.map_or_else(|| "200 OK".to_owned(), |at| headers.swap_remove(at).1);
    let mut head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    to.write_all(head.as_bytes())?;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut buffer)?;
        to.write_all(format!("{count:x}\r\n").as_bytes())?;
        to.write_all(&buffer[..count])?;
        to.write_all(b"\r\n")?;
        if count == 0 {
            return Ok(());
        }
    }
}
