#!/usr/bin/env python3
"""Records what the real Git's two ends say to each other when it fetches, in versions 0, 1 and 2.

usage: spec/vectors/record-git.py > spec/vectors/git-2.47-fetch.txt

One conversation each: first all that the client said (C>S), then all that the server said (S>C), a line a packet with
its four digits and Python's escapes; what is no packet is `RAW[length] hex`. The repositories are made anew, with fixed
names and dates: the same Git says the same again, but for how it cuts its packs into packets.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "LC_ALL": "C",
    "TZ": "UTC",
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
}
WRAPPER = """#!/bin/sh
tee "$RECORD.client" | git upload-pack "$@" 2>/dev/null | tee "$RECORD.server"
"""


def run(directory, *arguments, **more):
    environment = dict(ENVIRONMENT, HOME=str(directory), **more)
    done = subprocess.run(arguments, cwd=directory, env=environment, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def commits(repository, branch, first, count, start=None):
    text = ""
    for number in range(first, first + count):
        text += f"commit refs/heads/{branch}\ncommitter A <a@example.org> {1700000000 + 10 * number} +0000\n"
        text += f"data 2\n{branch[0]}\n"
        if start and number == first:
            text += f"from {start}\n"
        text += f"M 100644 inline {branch}{number}\ndata 2\n{number % 10}\n"
    environment = dict(ENVIRONMENT, HOME=str(repository))
    command = ["git", "fast-import", "--quiet"]
    subprocess.run(command, cwd=repository, env=environment, check=True, input=text.encode())


def printable(data):
    return "".join(
        {9: "\\t", 10: "\\n", 13: "\\r", 92: "\\\\"}.get(byte)
        or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}")
        for byte in data
    )


def packets(direction, data):
    while data:
        try:
            length = int(data[:4], 16)
        except ValueError:
            print(f"   {direction} RAW[{len(data)}] {data.hex()}")
            return
        whole = max(length, 4)
        line = " ".join([data[:4].decode(), printable(data[4:whole])][: 2 if length > 4 else 1])
        print(f"   {direction} {line}")
        data = data[whole:]


def record(root, title, client, version, *arguments):
    wrapper, record = root / "wrapper", root / "record"
    base = ["git", "-c", f"protocol.version={version}", "-c", "fetch.unpackLimit=1", "-c", "gc.auto=0"]
    base += ["-c", "maintenance.auto=false"]
    command = [*base, "fetch", "--quiet", "--no-tags", "--no-auto-maintenance", f"--upload-pack={wrapper}", *arguments]
    run(client, *command, RECORD=str(record))
    print(f"## v{version}: {title}")
    for direction, end in [("C>S", "client"), ("S>C", "server")]:
        packets(direction, pathlib.Path(f"{record}.{end}").read_bytes())


def version(root, number):
    server, client, cut = root / "server.git", root / f"client{number}", root / f"cut{number}"
    main = "refs/heads/main:refs/heads/main"
    for directory in (client, cut):
        run(root, "git", "init", "--quiet", "--bare", "--initial-branch=none", str(directory))
    record(root, "everything", client, number, str(server), "refs/heads/base:refs/heads/base")
    record(root, "nothing new", client, number, str(server), "refs/heads/base:refs/heads/base")
    if number == 2:
        run(client, "git", "fetch", "--quiet", "--no-tags", str(server), "refs/heads/long:refs/heads/long")
        run(client, "git", "update-ref", "-d", "refs/heads/base")
        commits(client, "topic", 100, 20, "refs/heads/long^0")
        record(root, "negotiated", client, number, str(server), "refs/heads/next:refs/heads/next")
    else:
        commits(client, "topic", 30, 3, "refs/heads/base^0")
        record(root, "negotiated", client, number, str(server), main)
    record(root, "depth", cut, number, "--depth=2", str(server), main)
    record(root, "deepen", cut, number, "--deepen=1", str(server), main)
    record(root, "unshallow", cut, number, "--unshallow", str(server), main)
    run(cut, "git", "config", "remote.origin.url", str(server))
    record(root, "filter", cut, number, "--refetch", "--filter=blob:none", "origin", main)
    if number == 2:
        try:
            record(root, "empty", client, number, str(root / "empty.git"), "refs/heads/*:refs/heads/*")
        except subprocess.CalledProcessError as error:
            print(error, file=sys.stderr)


def main():
    print(f"# {run('.', 'git', '--version')}: made by spec/vectors/record-git.py")
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "wrapper").write_text(WRAPPER)
        (root / "wrapper").chmod(0o755)
        server = root / "server.git"
        run(root, "git", "init", "--quiet", "--bare", "--initial-branch=main", str(server))
        run(root, "git", "init", "--quiet", "--bare", "--initial-branch=main", str(root / "empty.git"))
        commits(server, "base", 1, 5)
        commits(server, "main", 6, 3, "refs/heads/base^0")
        commits(server, "long", 10, 60)
        commits(server, "next", 80, 2, "refs/heads/long^0")
        run(server, "git", "config", "pack.threads", "1")
        run(server, "git", "repack", "-adq")
        run(server, "git", "config", "uploadpack.allowFilter", "true")
        for number in (0, 1, 2):
            version(root, number)


main()
