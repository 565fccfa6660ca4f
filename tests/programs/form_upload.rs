//! The example `form_upload` as a program: uploads from curl in both framings, and what it refuses.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::Rng;
use crate::scratch::scratch;
use crate::support_repo::example;
use tempfile::TempDir;

/// The running program, with its folder.
struct Server {
    child: Child,
    address: String,
    folder: TempDir,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let folder = scratch();
        let mut child = Command::new(example("form_upload"))
            .arg(folder.path().join("files"))
            .args(["--listen", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.strip_prefix("listening on http://").unwrap().split('/').next().unwrap().into();
        Self { child, address, folder }
    }

    /// What curl prints: the answer, and its status behind it.
    fn curl(&self, args: &[&str]) -> String {
        let output = Command::new("curl")
            .args(["--silent", "--show-error", "--max-time", "120", "--noproxy", "*"])
            .args(["--write-out", "%{http_code}"])
            .args(args)
            .arg(format!("http://{}/", self.address))
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        said
    }

    /// The answer to these bytes.
    fn raw(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_ref()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn write(&self, name: &str, content: &[u8]) {
        std::fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// The stored files, by name.
    fn stored(&self) -> Vec<(String, Vec<u8>)> {
        let mut files: Vec<_> = std::fs::read_dir(self.folder.path().join("files"))
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
            .collect();
        files.sort();
        files
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// The whitespace-separated cells of each line.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(2).map(|line| line.split_whitespace().collect()).collect()
}

#[test]
fn files_from_curl_are_stored_as_they_were_and_told_in_a_table() {
    let server = Server::start(&[]);
    let content = Rng::new(1).bytes(3_000_000);
    server.write("photo.jpg", &content);
    server.write("empty", b"");
    let args = ["-F", "note=hello", "-F", "file=@photo.jpg;type=image/jpeg", "-F", "file=@empty"];
    let said = server.curl(&args);
    assert!(said.ends_with("200"), "{said}");
    let rows = rows(&said);
    assert_eq!(rows[0], ["note", "–", "text/plain", "5", "hello"]);
    assert_eq!(rows[1], ["file", "photo.jpg", "image/jpeg", "3000000", "upload-000001"]);
    assert_eq!(rows[2], ["file", "empty", "application/octet-stream", "0", "upload-000002"]);
    let expected = [("upload-000001".to_owned(), content.clone()), ("upload-000002".to_owned(), Vec::new())];
    assert!(server.stored() == expected, "the files differ");

    // In chunks, after the server's word that it may come.
    let chunked = ["-H", "Transfer-Encoding: chunked", "-H", "Expect: 100-continue", "-F", "f=@photo.jpg"];
    assert!(server.curl(&chunked).ends_with("200"));
    assert!(server.stored()[2] == ("upload-000003".to_owned(), content), "the file in chunks differs");
    // A form of strings.
    let said = server.curl(&["--data-urlencode", "a=b & c", "--data", "d=%0a"]);
    assert!(said.contains("b & c") && said.contains("\\n") && said.ends_with("200"), "{said}");
    // The form, and a browser's answer.
    assert!(server.curl(&[]).contains("<form method=post"));
    let said = server.curl(&["-H", "Accept: text/html,*/*", "-F", "a<b=x&y"]);
    assert!(said.contains("<td>a&lt;b<td>–<td>text/plain<td>3<td>x&amp;y"), "{said}");
}

/// T16, T17, T18.
#[test]
fn what_the_sender_calls_its_files_is_no_path_and_acts_on_no_terminal() {
    let server = Server::start(&[]);
    server.write("f", b"content");
    for name in
        ["../../escape", "/etc/passwd", "upload-000001", "\u{1b}]0;title\u{7}", "..", "a\u{202e}b", ""]
    {
        let said = server.curl(&["-F", &format!("file=@f;filename={name}")]);
        assert!(said.ends_with("200"), "{said}");
        assert!(!said.contains(['\u{1b}', '\u{7}', '\u{202e}']), "{said:?}");
    }
    let names: Vec<String> = server.stored().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, (1..=7).map(|n| format!("upload-{n:06}")).collect::<Vec<_>>());
    let around: Vec<_> = std::fs::read_dir(server.folder.path()).unwrap().collect();
    assert_eq!(around.len(), 2, "the folder of the files, and the file that was sent");
    assert!(!Path::new("/escape").exists());
}

#[test]
fn what_cannot_be_taken_is_refused_with_a_way_out_and_leaves_nothing() {
    let server = Server::start(&["--max-bytes", "100000"]);
    server.write("large", &[b'x'; 200_000]);
    let said = server.curl(&["-F", "f=@large"]);
    assert!(
        said.contains("longer than the limit of 100000 bytes. Send less") && said.ends_with("413"),
        "{said}"
    );
    let said = server.curl(&["-H", "Transfer-Encoding: chunked", "-F", "f=@large"]);
    assert!(said.contains("--max-bytes") && said.ends_with("413"), "{said}");
    let said = server.curl(&["--json", "{}"]);
    assert!(said.contains("curl -F file=@NAME") && said.ends_with("415"), "{said}");
    assert!(server.curl(&["-X", "DELETE"]).ends_with("405"));

    let head = "POST / HTTP/1.1\r\nContent-Type: multipart/form-data; boundary=XX\r\n";
    let part = "--XX\r\nContent-Disposition: form-data; name=a; filename=f\r\n\r\n";
    for (request, status, words) in [
        ("nonsense\r\n\r\n".to_owned(), "400", "malformed"),
        (format!("GET / HTTP/1.1\r\nX: {}", "y".repeat(20_000)), "431", "fewer headers"),
        (format!("{head}\r\n{part}"), "411", "Content-Length"),
        (format!("{head}Content-Length: -1\r\n\r\n"), "400", "no number"),
        (format!("{head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n"), "400", "twice"),
        (format!("{head}Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"), "400", "only one"),
        (format!("{head}Transfer-Encoding: gzip, chunked\r\n\r\n"), "501", "chunked"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), "400", "chunk"),
        (format!("{head}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"), "400", "chunk"),
        (format!("{head}Content-Encoding: gzip\r\nContent-Length: 9\r\n\r\n"), "415", "compressed"),
        (format!("{head}Expect: more\r\nContent-Length: 9\r\n\r\n"), "417", "100-continue"),
        (format!("{head}Content-Length: 1000\r\n\r\n{part}data"), "400", "before the body did"),
        (
            format!("{head}Content-Length: {}\r\n\r\n{part}data", part.len() + 4),
            "400",
            "in the data of a part",
        ),
        (format!("{head}Content-Length: 6\r\n\r\n--XXYY"), "400", "behind a boundary"),
    ] {
        let answer = server.raw(&request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {answer}");
        assert!(answer.contains(words), "{request:?}: {answer}");
    }
    assert_eq!(server.stored(), [], "an upload is stored whole or not at all");
    // What is asked for without its body comes without it, and says how long that would be.
    for (path, status) in [("/", "200"), ("/nothing", "404")] {
        let [get, head] =
            ["GET", "HEAD"].map(|method| server.raw(format!("{method} {path} HTTP/1.1\r\n\r\n")));
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")) && head.ends_with("\r\n\r\n"), "{head}");
        assert!(get.len() > head.len() && get.starts_with(&head), "{get}");
    }
    // And it still works.
    server.write("small", b"x");
    assert!(server.curl(&["-F", "f=@small"]).ends_with("200"));
}

/// The places are taken in the order in which the connections come, so nobody has to wait for that.
#[test]
fn more_connections_than_there_are_places_are_told_to_come_back() {
    let server = Server::start(&[]);
    let connect = || TcpStream::connect(&server.address).unwrap();
    let idle: Vec<TcpStream> = (0..64).map(|_| connect()).collect();
    // Those that stay when they were told do not keep the next from being told.
    let told: Vec<TcpStream> = (0..8)
        .map(|_| {
            let (mut stream, mut answer) = (connect(), String::new());
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("Try again later"), "{answer}");
            stream
        })
        .collect();
    drop((idle, told));
}

#[test]
fn a_bad_start_says_what_to_do() {
    for (args, words) in [
        (&["--listen", "nowhere"][..], "Name another address with --listen"),
        (&["--listen"], "needs a value"),
        (&["a", "b"], "one DIR is enough"),
        (&["--nothing"], "there is no option"),
        (&["--max-bytes", "many"], "needs a number"),
        (&["/dev/null/x"], "Name one that you may write to"),
    ] {
        let folder = scratch();
        let output =
            Command::new(example("form_upload")).args(args).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && said.contains(words), "{args:?}: {said}");
    }
    let output = Command::new(example("form_upload")).arg("--help").output().unwrap();
    assert!(output.status.success() && output.stdout.starts_with(b"usage: form_upload"));
}
