// Reads stories, one JSON document a line, decides each event again and prints what differs.
import { createInterface } from "node:readline";
import { Case } from "../../hub/console/static/verify/case.js";
import { decisions, differences } from "../../hub/console/static/verify/compared.js";
import { Profile } from "../../hub/console/static/verify/profile.js";
import { settle } from "../../hub/console/static/verify/settle.js";
import { readSettlement } from "../../hub/console/static/verify/settlement.js";

function decided(story, catalogue) {
  const cases = new Map();
  const parties = new Map(story.parties.map((one) => [one.agency, one]));
  const law = {
    parties,
    partiesVersion: story.partiesVersion,
    profile: new Profile(story.profile),
    groupOf: ({ type }) => catalogue.groups[type] ?? "",
  };
  const fieldCategory = ({ type }, field) => catalogue.fields[type]?.[field] ?? null;
  const found = [];
  let compared = 0;
  for (const step of story.events) {
    const theCase = cases.get(step.case) ?? new Case(fieldCategory);
    cases.set(step.case, theCase);
    const recorded = readSettlement(step.settlement);
    const again = settle(theCase, step.event, law, {
      clockTrusted: recorded.clockTrusted,
      age: recorded.age,
    });
    const lines = decisions(recorded, again, parties.values(), step.event.emitter);
    compared += lines.length;
    for (const line of lines) {
      if (line.recorded !== line.again) found.push({ event: step.event.id, ...line });
    }
    for (const one of differences(recorded, again)) found.push({ event: step.event.id, ...one });
    if (found.length) break;
  }
  return { name: story.name, compared, found };
}

let catalogue = null;
for await (const line of createInterface({ input: process.stdin })) {
  const read = JSON.parse(line);
  if (catalogue === null) catalogue = read;
  else console.log(JSON.stringify(decided(read, catalogue)));
}
