// Checks files, one question a line: {file, flip, logKey, witnesses, quorum, earlier}. Prints each
// verdict. flip: [offset, mask] changes one byte of the file first. slow: what took so long, in ms.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { readTrust, WrongTrust } from "../../hub/console/static/verify/trust.js";
import { verify } from "../../hub/console/static/verify/verify.js";

const files = new Map();

function read(path) {
  if (!files.has(path)) files.set(path, new Uint8Array(readFileSync(path)));
  return files.get(path);
}

async function answer(question) {
  let trust;
  try {
    trust = await readTrust({
      logKey: question.logKey ?? "",
      witnesses: (question.witnesses ?? []).join("\n"),
      quorum: String(question.quorum ?? 0),
      earlier: question.earlier ?? "",
    });
  } catch (error) {
    if (!(error instanceof WrongTrust)) throw error;
    return { exit: 2, step: 0, code: error.key };
  }
  let data = read(question.file);
  if (question.flip) {
    data = data.slice();
    data[question.flip[0]] ^= question.flip[1];
  }
  if (question.cut !== undefined) data = data.slice(0, question.cut);
  const started = performance.now();
  const { exit, step, code, where, steps, found } = await verify(data, trust);
  return {
    exit,
    step,
    code,
    where,
    states: steps.map((one) => one.state),
    cosigned: found.head?.cosigned ?? [],
    history: found.history?.outside ?? "",
    milliseconds: Math.round(performance.now() - started),
  };
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
