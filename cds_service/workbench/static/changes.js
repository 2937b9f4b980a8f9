// What if: a list of changes, the cards before and after, and ways to share it.
import {ask, made, put, save, tell} from "./asking.js";
import {assessed, chart, resourcesOf} from "./chart.js";
import {eventsByResource, wordsOf} from "./resources.js";
import {select} from "./tabs.js";

const part = (id) => document.getElementById(id);
const form = part("changes");
let changes = [];

function describe(change) {
  const labelOf = (name, value) => form.elements[name].querySelector(`option[value="${CSS.escape(value)}"]`)?.textContent ?? value;
  switch (change.kind) {
    case "lab": return `${labelOf("analyte", change.analyte)}: ${change.value} ${change.unit}`;
    case "finding": return `${labelOf("finding", change.finding)}: ${change.presence}`;
    case "medicine": return `${labelOf("medicine", change.medicine)}, since ${change.started}`;
    case "without": return `without ${labelOf("reference", change.reference)}`;
    case "age": return `age: ${change.years} years`;
    default: return `chart opened on ${change.day}`;
  }
}

function list() {
  part("chosen").replaceChildren(...changes.map((change, position) => {
    const words = describe(change);
    const remove = made("button", {type: "button", textContent: "✕", ariaLabel: `Remove ${words}`});
    remove.addEventListener("click", () => set(changes.toSpliced(position, 1)));
    return made("li", {}, made("span", {textContent: words}), remove);
  }));
  for (const id of ["compare", "forget", "share-file", "share-link"]) if (part(id)) part(id).disabled = !changes.length;
}

function set(given) {
  changes = Array.isArray(given) ? given.filter((change) => change && typeof change === "object") : [];
  part("comparison").replaceChildren();
  list();
}

const read = {
  lab: () => ({kind: "lab", analyte: form.elements.analyte.value, value: form.elements.value.valueAsNumber, unit: form.elements.unit.value}),
  finding: () => ({kind: "finding", finding: form.elements.finding.value, presence: form.elements.presence.value}),
  medicine: () => ({kind: "medicine", medicine: form.elements.medicine.value, started: form.elements.started.value}),
  without: () => ({kind: "without", reference: form.elements.reference.value}),
  age: () => ({kind: "age", years: form.elements.years.valueAsNumber}),
  date: () => ({kind: "date", day: form.elements.day.value}),
};

function add(kind) {
  const change = read[kind]();
  const missing = Object.values(change).some((value) => value === "" || Number.isNaN(value));
  tell(part("change-problems"), missing ? {issues: [{what: "Fill in the field first."}]} : null, "Nothing was added");
  // One change of each thing: a second potassium takes the place of the first.
  const same = (other) => ["kind", "analyte", "finding", "medicine", "reference"].every((name) => other[name] === change[name]);
  if (!missing) set([...changes.filter((other) => !same(other)), change]);
}

function offerUnits() {
  const units = form.elements.analyte.selectedOptions[0].dataset.units.split("|");
  form.elements.unit.replaceChildren(...units.map((unit) => made("option", {textContent: unit})));
}

function offerPresence() {
  const said = form.elements.finding.selectedOptions[0].dataset.said.split(" ");
  for (const option of form.elements.presence.options) option.disabled = !said.includes(option.value);
  if (form.elements.presence.selectedOptions[0]?.disabled) form.elements.presence.value = said[0];
}

const LANES = {findings: "Problems and findings", medicines: "Medicines", results: "Results", tests: "Tests and orders", visits: "Visits"};
const MOST_OFFERED = 500;

/** What can be taken away: every resource of the chart but the patient. */
function offerEntries() {
  const events = eventsByResource();
  const groups = new Map(Object.values(LANES).map((label) => [label, new Map()]));
  groups.set("Without a date", new Map());
  for (const [key, resource] of resourcesOf(chart.request)) {
    if (key === "patient" || typeof resource.id !== "string") continue;
    const reference = `${resource.resourceType}/${resource.id}`;
    const event = events.get(reference);
    groups.get(LANES[event?.lane] ?? "Without a date").set(reference, wordsOf(resource, event) || reference);
  }
  let left = MOST_OFFERED;
  form.elements.reference.replaceChildren(made("option", {value: "", textContent: "Choose …"}),
    ...[...groups].filter(([, entries]) => entries.size).map(([label, entries]) => {
      const offered = [...entries].slice(0, left);
      left -= offered.length;
      return made("optgroup", {label}, ...offered.map(([value, textContent]) => made("option", {value, textContent})));
    }));
}

async function compare() {
  tell(part("change-problems"), null);
  part("compare").disabled = true;
  const opened = chart.request;
  const stale = () => chart.request !== opened; // another chart was opened meanwhile
  try {
    const {request} = await ask("/workbench/changed", {request: opened, changes});
    if (stale()) return;
    const after = await assessed(request);
    if (stale()) return;
    const before = {response: chart.response, assessment: chart.assessment};
    const {html} = await ask("/workbench/compare", {before, after});
    if (stale()) return;
    put(part("comparison"), html);
    outweighed(after.assessment.facts);
  } catch (error) {
    if (!stale()) tell(part("change-problems"), error);
  } finally {
    part("compare").disabled = !changes.length;
  }
}

/** A finding that was stated and is not so in the end: the record holds more, or the answer alone does not decide. */
function outweighed(facts) {
  const presence = new Map(facts.map((fact) => [fact.id, fact.presence]));
  const others = changes.filter((change) => change.kind === "finding" && presence.get(change.finding) !== change.presence);
  if (others.length) {
    part("comparison").prepend(made("ul", {className: "remarks"}, ...others.map((change) => made("li", {
      textContent: `${describe(change)} was stated, and is ${presence.get(change.finding)}: the record or the rules of this finding outweigh it.`,
    }))));
  }
}

function link() {
  // In the fragment, which browsers send to nobody. Only for invented patients: their chart is not in it.
  return `${location.origin}${location.pathname}#${new URLSearchParams({changes: JSON.stringify(changes)})}`;
}

function share() {
  const file = {workbench: 1, changes, ...(chart.patient ? {patient: chart.patient} : {request: chart.request})};
  save("what-if.json", JSON.stringify(file, null, 2));
}

function fromLink() {
  const given = new URLSearchParams(location.hash.slice(1)).get("changes");
  if (!given) return;
  try {
    set(JSON.parse(given));
    select("whatif");
    compare();
  } catch (error) {
    tell(part("change-problems"), error, "This link is not whole");
  }
}

export function startChanges() {
  form.addEventListener("click", (event) => {
    if (event.target.dataset.add) add(event.target.dataset.add);
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.elements.analyte.addEventListener("change", offerUnits);
  form.elements.finding.addEventListener("change", offerPresence);
  part("compare").addEventListener("click", compare);
  part("forget").addEventListener("click", () => set([]));
  part("share-file").addEventListener("click", share);
  part("share-link")?.addEventListener("click", async () => {
    await navigator.clipboard.writeText(link());
    part("link-copied").textContent = "copied";
  });
  let looked = false;
  document.addEventListener("chart-opened", () => {
    offerEntries();
    if (!looked) fromLink();
    looked = true;
  });
  document.addEventListener("chart-closing", () => {
    set([]);
    form.reset();
    form.elements.reference.replaceChildren();
    offerUnits();
    offerPresence();
    tell(part("change-problems"), null);
  });
  document.addEventListener("changes-given", (event) => {
    set(event.detail);
    select("whatif");
    compare();
  });
  offerUnits();
  offerPresence();
  list();
}
