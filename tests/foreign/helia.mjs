// Fetch files and directories from one gateway with Helia, every block verified by it.
// node helia.mjs <gateway> <cid>...   prints one JSON object: { cid: { "path/of/file": sha256 hex } }
import { createHash } from 'node:crypto'
import { unixfs } from '@helia/unixfs'
import { fallbackRouter } from '@helia/fallback-router'
import { trustlessGatewayBlockBroker } from '@helia/trustless-gateway-client'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'

const [gateway, ...cids] = process.argv.slice(2)
const known = fallbackRouter({ gateways: [gateway] })
const helia = createHeliaLight({
  // Wrapped, because Helia 7 waits for ever where all of its routers are fallbacks.
  routers: [{ name: 'gateway', findProviders: (cid, options) => known.findProviders(cid, options) }],
  blockBrokers: [trustlessGatewayBlockBroker({ allowInsecure: true, allowLocal: true })]
})
await helia.start()
const files = unixfs(helia)
const signal = AbortSignal.timeout(20_000)

async function digest (cid) {
  const hash = createHash('sha256')
  for await (const chunk of files.cat(cid, { signal })) hash.update(chunk)
  return hash.digest('hex')
}

async function tree (cid, path, found) {
  const { type } = await files.stat(cid, { signal })
  if (type !== 'directory') {
    found[path] = await digest(cid)
    return found
  }
  for await (const entry of files.ls(cid, { signal })) {
    await tree(entry.cid, path === '' ? entry.name : `${path}/${entry.name}`, found)
  }
  return found
}

const said = {}
let code = 0
for (const cid of cids) {
  try {
    said[cid] = await tree(CID.parse(cid), '', {})
  } catch (error) {
    said[cid] = { error: `${error.name}: ${error.message}` }
    code = 1
  }
}
console.log(JSON.stringify(said))
await helia.stop()
process.exit(code)
