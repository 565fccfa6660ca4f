"""dulwich as a client, and as a server, on a command line.

    dulwich_peer.py VERSION clone URL DIR [DEPTH [FILTER]]     bare, all branches and tags
    dulwich_peer.py VERSION fetch DIR URL
    dulwich_peer.py VERSION push DIR URL SRC:DST...   an empty SRC deletes
    dulwich_peer.py VERSION serve ROOT                prints `listening on HOST:PORT`
"""

import glob
import os
import sys

from dulwich.client import get_transport_and_path
from dulwich.protocol import ZERO_SHA
from dulwich.repo import Repo
from dulwich.server import FileSystemBackend, TCPGitServer


def fetch(version, repo, url, depth=None, spec=None):
    client, path = get_transport_and_path(url)
    result = client.fetch(path, repo, depth=depth, filter_spec=spec, protocol_version=version)
    for name, sha in result.refs.items():
        if sha is not None and name.startswith((b"refs/heads/", b"refs/tags/")) and not name.endswith(b"^{}"):
            repo.refs[name] = sha


def promise(repo, url, spec):
    """Tells Git that the server has what is missing: dulwich itself keeps no note of it."""
    config = repo.get_config()
    config.set((b"core",), b"repositoryformatversion", b"1")
    for key, value in ((b"url", url.encode()), (b"promisor", b"true"), (b"partialCloneFilter", spec)):
        config.set((b"remote", b"origin"), key, value)
    config.write_to_path()
    for pack in glob.glob(os.path.join(repo.path, "objects/pack/*.pack")):
        open(pack.removesuffix("pack") + "promisor", "w").close()


def push(repo, url, specs):
    client, path = get_transport_and_path(url)
    wanted = {}
    for spec in specs:
        source, target = spec.encode().split(b":")
        wanted[target] = repo.refs[source] if source else ZERO_SHA

    result = client.send_pack(path, lambda _: wanted, repo.generate_pack_data)
    refused = {name: why for name, why in (result.ref_status or {}).items() if why}
    if refused:
        sys.exit(f"refused: {refused}")


def serve(root):
    server = TCPGitServer(FileSystemBackend(root), "127.0.0.1", 0)
    print("listening on 127.0.0.1:%d" % server.server_address[1], flush=True)
    server.serve_forever()


def main(version, verb, *words):
    version = int(version)
    if verb == "clone":
        os.makedirs(words[1])
        repo = Repo.init_bare(words[1])
        depth, spec = (*words[2:], "", "")[:2]
        fetch(version, repo, words[0], int(depth) if depth else None, spec.encode() or None)
        if spec:
            promise(repo, words[0], spec.encode())
    elif verb == "fetch":
        fetch(version, Repo(words[0]), words[1])
    elif verb == "push":
        push(Repo(words[0]), words[1], words[2:])
    elif verb == "serve":
        serve(words[0])


main(*sys.argv[1:])
