// Answers questions about single parts, one JSON document a line: {ask, …} → {answer} or {refused}.
import { avroReader } from "../../hub/console/static/verify/avro.js";
import { fromBase64, fromHex, hex, utf8 } from "../../hub/console/static/verify/bytes.js";
import { preAuthentication, usableKey, verifyTyped } from "../../hub/console/static/verify/ed25519.js";
import { fingerprint } from "../../hub/console/static/verify/fingerprint.js";
import { readJson } from "../../hub/console/static/verify/json.js";
import { consistent, included, leafHash, rootOf } from "../../hub/console/static/verify/merkle.js";
import { readCheckpoint, readKey, readNote, signersOf } from "../../hub/console/static/verify/note.js";
import { STORE } from "../../hub/console/static/verify/store-schemas.js";
import { createInterface } from "node:readline";

const hashes = (list) => list.map((one) => fromHex(one));

// Values as JSON has them: bytes as hexadecimal, numbers beyond 2^53 as text.
function plain(value) {
  if (value instanceof Uint8Array) return hex(value);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [k, plain(v)]));
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  }
  return value;
}

const ASK = {
  async note({ note, keys }) {
    const known = await Promise.all(keys.map(readKey));
    const signers = await signersOf(readNote(utf8(note)), known);
    return signers.map(({ key, time }) => [key.name, time]);
  },
  checkpoint: ({ body }) => plain(readCheckpoint(body)),
  base64: ({ text }) => {
    const data = fromBase64(text);
    return data && hex(data);
  },
  json: ({ data, deepest }) => readJson(fromHex(data), deepest),
  row: ({ fingerprint: name, body }) => plain(avroReader(STORE[name].schema)(fromHex(body))),
  avro: ({ schema, body, items }) => plain(avroReader(schema)(fromHex(body), items)),
  fingerprint: ({ schema }) => fingerprint(schema),
  known: () => Object.entries(STORE).map(([name, one]) => [name, one.topic, fingerprint(one.schema)]),
  included: ({ leaf, index, size, path, root }) =>
    included(fromHex(leaf), index, size, hashes(path), fromHex(root)),
  consistent: ({ first, firstRoot, second, secondRoot, proof }) =>
    consistent(first, fromHex(firstRoot), second, fromHex(secondRoot), hashes(proof)),
  leaf: async ({ entry }) => hex(await leafHash(fromHex(entry))),
  root: async ({ leaves }) => hex(await rootOf(await Promise.all(hashes(leaves).map(leafHash)))),
  usable: ({ key }) => usableKey(fromHex(key)),
  pae: ({ type, body }) => hex(preAuthentication(type, fromHex(body))),
  signed: ({ key, type, body, signature }) =>
    verifyTyped(fromHex(key), type, fromHex(body), fromHex(signature)),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { ask, ...question } = JSON.parse(line);
  try {
    console.log(JSON.stringify({ answer: await ASK[ask](question) }));
  } catch (error) {
    console.log(JSON.stringify({ refused: `${error.name}: ${error.message}` }));
  }
}
