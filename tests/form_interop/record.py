#!/usr/bin/env python3
"""Records the bodies in tests/vectors/multipart: what a browser, curl and Python's encoders really send.

usage: record.py FOLDER [SENDER...]      SENDER: chromium curl requests urllib3 toolbelt email (default: all)

Each sender posts the same form to a server on a free port of this machine; NAME.http is its Content-Type header, an empty
line, and the body as it came. Needs chromium, curl, and the packages of tests/form_interop/requirements.txt.
"""
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading

# Every byte, twice; and what a naive reader takes for a boundary.
BINARY = bytes(range(256)) * 2 + b"\r\n--\r\n------WebKitFormBoundary\r\n--"
TEXT = "größe\nzwei\n"
# name, value; files as (name, file name, type, content).
FIELDS = [("plain", "value"), ("größe", "ä €"), ("twice", "1"), ("twice", "2"), ('quo"te', 'a"b\\c'), ("empty", "")]
FILES = [
    ("file", "photo.bin", "application/octet-stream", BINARY),
    ("file", "größe 50%.txt", "text/plain", TEXT.encode()),
    ("file", 'quo"te.txt', "text/plain", b"q"),
    ("none", "empty.txt", "text/plain", b""),
]

received = {}
came = threading.Condition()


class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(PAGE.encode())

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        with came:
            received[self.path] = self.headers["Content-Type"].encode("latin-1") + b"\r\n\r\n" + body
            came.notify_all()
        self.answer(b"<title>done</title>done")

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


# The page sends a form as a user would: inputs, a file chosen for one of them, submitted by navigation. One form has
# files, one only strings, and one a file input in which nothing was chosen.
PAGE = """<!doctype html><meta charset=utf-8><body><script>
const data = %s;
function form(path, enctype) {
  const form = document.createElement("form");
  form.method = "post"; form.action = path; form.enctype = enctype;
  for (const [name, value] of data.fields) {
    const input = document.createElement("textarea");
    input.name = name; input.value = value; form.append(input);
  }
  document.body.append(form);
  return form;
}
function files(form, list) {
  for (const name of [...new Set(list.map(file => file[0]))]) {
    const chosen = new DataTransfer(), input = document.createElement("input");
    for (const [of, filename, type, content] of list)
      if (of === name) chosen.items.add(new File([Uint8Array.from(content)], filename, {type}));
    input.type = "file"; input.name = name; input.multiple = true; input.files = chosen.files; form.append(input);
  }
}
const which = new URLSearchParams(location.search).get("form");
const sent = form("/chromium" + which, which === "-strings" ? "application/x-www-form-urlencoded" : "multipart/form-data");
if (which === "-files") files(sent, data.files);
if (which === "-nothing-chosen") {
  const input = document.createElement("input"); input.type = "file"; input.name = "file"; sent.append(input);
}
sent.submit();
</script>""" % json.dumps({"fields": FIELDS, "files": [(*file[:3], list(file[3])) for file in FILES]})


def chromium(base):
    for which in ("-files", "-strings", "-nothing-chosen"):
        with tempfile.TemporaryDirectory() as profile:
            browser = subprocess.Popen(
                ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 f"--user-data-dir={profile}", f"{base}/?form={which}"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                with came:
                    if not came.wait_for(lambda: "/chromium" + which in received, timeout=120):
                        raise SystemExit(f"chromium sent no {which}")
            finally:
                browser.terminate()
                browser.wait()


def curl(base):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for path, more in (("curl", []), ("curl-form-escape", ["--form-escape"])):
            args = ["curl", "--silent", "--fail", "--noproxy", "*", "--output", "/dev/null", *more]
            for name, value in FIELDS:
                args += ["--form-string", f"{name}={value}"]
            for number, (name, filename, kind, content) in enumerate(FILES):
                (folder / str(number)).write_bytes(content)
                quoted = filename.replace("\\", "\\\\").replace('"', '\\"')
                args += ["--form", f'{name}=@"{folder / str(number)}";type={kind};filename="{quoted}"']
            subprocess.run([*args, f"{base}/{path}"], check=True)


def requests(base):
    import requests
    files = [(name, (filename, content, kind)) for name, filename, kind, content in FILES]
    requests.post(f"{base}/requests", data=FIELDS, files=files).raise_for_status()
    requests.post(f"{base}/requests-strings", data=FIELDS).raise_for_status()


def urllib3(base):
    import urllib3
    from urllib3.fields import RequestField, format_header_param_rfc2231
    fields = [RequestField.from_tuples(*field) for field in FIELDS]
    for name, filename, kind, content in FILES:
        # The older style of names: filename*=utf-8''…
        field = RequestField(name, content, filename=filename, header_formatter=format_header_param_rfc2231)
        field.make_multipart(content_type=kind)
        fields.append(field)
    urllib3.PoolManager().request("POST", f"{base}/urllib3-rfc2231", fields=fields)


def toolbelt(base):
    import requests
    from requests_toolbelt import MultipartEncoder
    files = [(name, (filename, content, kind)) for name, filename, kind, content in FILES]
    body = MultipartEncoder(fields=[*FIELDS, *files])
    requests.post(f"{base}/requests-toolbelt", data=body, headers={"Content-Type": body.content_type}).raise_for_status()


def email(base):
    """The standard library's way: MIME parts with folded headers, in the encoding `8bit`."""
    import urllib.request
    from email.message import Message
    from email.policy import SMTP
    form = Message(policy=SMTP)
    form.add_header("Content-Type", "multipart/form-data", boundary="=====" + "email" * 8)
    for name, value in [("plain", "value"), ("twice", "1"), ("twice", "2"), ("empty", "")]:
        part = Message(policy=SMTP)
        part.add_header("Content-Disposition", "form-data", name=name)
        part.add_header("X-Folded", "word " * 30)
        part.set_payload(value)
        form.attach(part)
    head, body = form.as_bytes(policy=SMTP).split(b"\r\n\r\n", 1)
    header = head.decode().split(": ", 1)[1].replace("\r\n", "")
    request = urllib.request.Request(f"{base}/email", data=body, headers={"Content-Type": header})
    urllib.request.urlopen(request).close()


def main():
    folder, *senders = sys.argv[1:]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    for sender in senders or ["chromium", "curl", "requests", "urllib3", "toolbelt", "email"]:
        globals()[sender](base)
    for path, recorded in received.items():
        pathlib.Path(folder, path.strip("/") + ".http").write_bytes(recorded)
        print(path.strip("/"), len(recorded))


if __name__ == "__main__":
    main()
