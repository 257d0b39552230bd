// Starts chopsticks on a chain specification with a runtime and a patch. chopsticks only takes raw
// storage, so the runtime itself builds its genesis state first.
//
//     node chopsticks.mjs NODE_MODULES SPEC.json RAW.json PORT
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const [modules, specFile, rawFile, port] = process.argv.slice(2)
const require = createRequire(resolve(modules) + '/')
const executor = '@acala-network/chopsticks-core/dist/cjs/wasm-executor/index.js'
const { emptyTaskHandler, getAuraSlotDuration, runTask } = require(resolve(modules, executor))
const { setupWithServer } = require('@acala-network/chopsticks')
const { bnToHex, compactToU8a, hexToU8a, u8aConcat, u8aToHex, u8aToString } = require('@polkadot/util')
const { xxhashAsU8a } = require('@polkadot/util-crypto')

// The chain's clock at first: before drand's round 1000, whose signature the test knows.
const START_MS = 1_690_000_000_000

const spec = JSON.parse(readFileSync(specFile, 'utf8'))
const { code, patch } = spec.genesis.runtimeGenesis
const storage = async () => undefined
const handler = { ...emptyTaskHandler, getStorage: storage, getNextKey: storage }

async function call(name, argument) {
  const answer = await runTask({
    wasm: code,
    calls: [[name, [u8aToHex(argument)]]],
    mockSignatureHost: false,
    allowUnresolvedImports: true,
    runtimeLogLevel: 0,
  }, handler)
  if (!answer.Call) throw new Error(`${name}: ${JSON.stringify(answer)}`)
  return answer.Call
}

function withPatch(base, changes) {
  const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)
  if (!isObject(base) || !isObject(changes)) return changes
  const merged = { ...base }
  for (const [key, value] of Object.entries(changes)) merged[key] = withPatch(base[key], value)
  return merged
}

// A SCALE-encoded Option of bytes: 01, the compact length, the bytes.
const preset = hexToU8a((await call('GenesisBuilder_get_preset', new Uint8Array([0]))).result)
const text = u8aToString(preset)
const defaults = JSON.parse(text.slice(text.indexOf('{')))
const json = new TextEncoder().encode(JSON.stringify(withPatch(defaults, patch)))
const built = await call('GenesisBuilder_build_state', u8aConcat(compactToU8a(json.length), json))
if (built.result !== '0x00') throw new Error(`the runtime refuses the genesis: ${built.result}`)

const top = { '0x3a636f6465': code }
for (const [key, value] of built.storageDiff) if (value !== null) top[key] = value
// chopsticks builds the first block by itself. Without a clock in the state it would read the
// machine's, once for the slot and once more for the timestamp, and they would differ by chance.
const now = u8aToHex(u8aConcat(xxhashAsU8a('Timestamp', 128), xxhashAsU8a('Now', 128)))
top[now] = bnToHex(START_MS, { bitLength: 64, isLe: true })
writeFileSync(rawFile, JSON.stringify({ ...spec, genesis: { raw: { top, childrenDefault: {} } } }))

// chopsticks asks for the duration of slots without allowing for host functions that it does not
// have, and assumes 12 seconds when this fails. This is what the runtime says.
const duration = hexToU8a((await call('AuraApi_slot_duration', new Uint8Array())).result)
const slotMs = Number(new DataView(duration.buffer, duration.byteOffset).getBigUint64(0, true))
getAuraSlotDuration.cache = { has: () => true, get: () => Promise.resolve(slotMs) }
console.log(`slots of ${slotMs} ms, ${Object.keys(top).length} keys`)

await setupWithServer({
  genesis: rawFile,
  port: Number(port),
  host: '127.0.0.1',
  'build-block-mode': 'Manual',
  'allow-unresolved-imports': true,
})
