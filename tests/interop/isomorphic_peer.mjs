// isomorphic-git as a client, on a command line. It speaks HTTP only.
//
//     isomorphic_peer.mjs VERSION clone URL DIR [DEPTH]     bare, all branches and tags
//     isomorphic_peer.mjs VERSION fetch DIR URL
//     isomorphic_peer.mjs VERSION push DIR URL SRC:DST...   an empty SRC deletes
import fs from 'node:fs'
import { createRequire } from 'node:module'

// The packages are not beside this file but where they were installed.
const load = createRequire(`${process.env.NODE_MODULES}/`)
const git = load('isomorphic-git')
const http = load('isomorphic-git/http/node')

async function fetchAll(gitdir, url, depth) {
  const remotes = await git.listServerRefs({ http, url, protocolVersion: 1 })
  const refs = remotes.filter((one) => /^refs\/(heads|tags)\//.test(one.ref) && !one.ref.endsWith('^{}'))
  for (const { ref, oid } of refs) {
    await git.fetch({ fs, http, gitdir, url, remote: 'origin', remoteRef: ref, ref, singleBranch: true, tags: false, depth })
    await git.writeRef({ fs, gitdir, ref, value: oid, force: true })
  }
}

const [version, verb, ...words] = process.argv.slice(2)
if (version !== '0') throw new Error('it fetches in version 0 only')
if (verb === 'clone') {
  const [url, gitdir, depth] = words
  fs.mkdirSync(gitdir, { recursive: true })
  await git.init({ fs, gitdir, bare: true, defaultBranch: 'main' })
  await git.addRemote({ fs, gitdir, remote: 'origin', url })
  await fetchAll(gitdir, url, depth && Number(depth))
} else if (verb === 'fetch') {
  await fetchAll(words[0], words[1])
} else if (verb === 'push') {
  const [gitdir, url, ...specs] = words
  for (const spec of specs) {
    const [ref, remoteRef] = spec.split(':')
    // What is deleted must have some name here all the same.
    const how = ref ? { ref, remoteRef } : { ref: 'refs/heads/main', remoteRef, delete: true }
    const result = await git.push({ fs, http, gitdir, url, remote: 'origin', force: true, ...how })
    if (!result.ok) throw new Error(JSON.stringify(result))
  }
}
