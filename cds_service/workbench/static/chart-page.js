// The page of one patient: opens the chart, asks the endpoints and shows what they answer.
import {ask, fetched, made, pretty, put, Refusal, save, tell} from "./asking.js";
import {showCards, startCards} from "./cards.js";
import {startChanges} from "./changes.js";
import {assessed, chart, service} from "./chart.js";
import {startFacts} from "./facts.js";
import {startHistory} from "./history.js";
import {listResources, startResources} from "./resources.js";
import {select, startTabs} from "./tabs.js";

const page = document.querySelector("#chart");
const problems = document.querySelector("#problems");
const notes = document.querySelector("#notes");
const AS_OF = "cds-service.as-of";

/** Assess this request and show everything about it. */
async function open(request, remarks = []) {
  const began = performance.now();
  showRemarks(remarks);
  const answers = await assessed(request);
  Object.assign(chart, {request, ...answers});
  const {cards, short, why} = await ask("/workbench/show", answers);
  page.hidden = false;
  showCards(document.querySelector("#cards-shown"), cards);
  put(document.querySelector("#chart-short"), short);
  await drawn(); // the reasoning is long, and nobody looks at it yet
  put(document.querySelector("#why"), why);
  startFacts();
  listResources();
  showRaw(performance.now() - began);
  document.dispatchEvent(new CustomEvent("chart-opened"));
}

/** Until the browser has drawn what stands on the page; in a tab behind others it draws nothing, and need not. */
function drawn() {
  return new Promise((done) => {
    if (document.hidden) done();
    else requestAnimationFrame(() => setTimeout(done));
  });
}

function showRaw(milliseconds) {
  document.querySelector("#response").textContent = pretty(chart.response);
  document.querySelector("#took").textContent = `Answered and drawn in ${Math.round(milliseconds)} ms.`;
  const address = location.origin + service;
  const post = `curl -H 'Content-Type: application/json' --data-binary`;
  document.querySelector("#curl").textContent = chart.patient
    ? `curl -s ${location.origin}${page.dataset.chart} |\n  ${post} @- ${address}`
    : `# save the request first (tab Request)\n${post} @request.json ${address}`;
}

function showRemarks(remarks) {
  const counted = remarks.length === 1 ? "A fault in the resources" : `${remarks.length} faults in the resources`;
  const list = made("ul", {}, ...remarks.map((remark) => made("li", {textContent: remark.what})));
  document.querySelector("#remarks").replaceChildren(
    ...(remarks.length ? [made("div", {className: "remarks"}, made("h3", {textContent: counted}), list)] : []));
  notes.replaceChildren(...(remarks.length
    ? [made("div", {className: "remarks"}, made("h2", {textContent: remarks.length > 3 ? `${counted}; the first 3, all of them stand under Request` : counted}),
      made("ul", {}, ...remarks.slice(0, 3).map((remark) => made("li", {textContent: remark.what}))))] : []));
}

/** Nothing of the chart that was open may stay beside the next one; History and What if clear their own parts. */
function close() {
  page.hidden = true;
  Object.assign(chart, {request: null, response: null, assessment: null});
  for (const id of ["cards-shown", "chart-short", "why", "resources", "response", "took", "curl", "copied"]) {
    document.getElementById(id).replaceChildren();
  }
  document.querySelector("#find-resource").value = "";
  document.querySelector("#resource").close();
  showRemarks([]);
  tell(problems, null);
  document.dispatchEvent(new CustomEvent("chart-closing"));
}

function wait(waiting) {
  page.setAttribute("aria-busy", String(waiting));
  for (const control of document.querySelectorAll("#paste [type=submit], #paste [type=file]")) control.disabled = waiting;
}

/** Open something in place of what is open. Meanwhile nothing else can be opened. */
async function attempt(work) {
  close();
  wait(true);
  try {
    await work();
  } catch (error) {
    tell(problems, error);
  } finally {
    wait(false);
  }
}

/** What was pasted or opened: a chart, or a file shared from What if. */
async function read(text) {
  let given;
  try {
    given = JSON.parse(text);
  } catch (error) {
    // Of the browser's message only the place: it repeats what was pasted.
    const place = error.message.match(/line \d+,? column \d+|position \d+/)?.[0];
    const fault = text.trim() ? `This is no JSON${place ? ` (at ${place})` : ""}.` : "This is no JSON: nothing was pasted.";
    throw new Refusal([{where: "$", what: `${fault} Paste it whole, from the first { to the last }.`}]);
  }
  const shared = given?.workbench === 1 ? given : null;
  if (shared?.patient) {
    location.assign(`/workbench/patients/${encodeURIComponent(shared.patient)}#${new URLSearchParams({changes: JSON.stringify(shared.changes ?? [])})}`);
    return;
  }
  const {request, remarks} = await ask("/workbench/request", shared ? shared.request : given);
  const day = document.querySelector("#as-of").value;
  if (day) request.extension[AS_OF] = day;
  await open(request, remarks);
  if (shared) document.dispatchEvent(new CustomEvent("changes-given", {detail: shared.changes ?? []}));
}

function startPaste() {
  const form = document.querySelector("#paste");
  form?.addEventListener("submit", (event) => {
    event.preventDefault();
    attempt(() => read(document.querySelector("#pasted").value));
  });
  document.querySelector("#file")?.addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (file) attempt(async () => read(await file.text()));
  });
}

/** Where a chart was pasted, a rule opens beside it: going there would lose the chart. */
function openRulesBeside() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("#chart a[href^='/workbench/content/']");
    if (link && !chart.patient) Object.assign(link, {target: "_blank", rel: "noopener"});
  });
}

startTabs();
openRulesBeside();
startCards();
startResources();
startPaste();
startChanges();
startHistory(() => chart.request, (request) => attempt(async () => {
  await open(request);
  select("cards", true);
}));
document.querySelector("#save-request").addEventListener("click", () => save("request.json", JSON.stringify(chart.request)));
document.querySelector("#copy-curl").addEventListener("click", async () => {
  await navigator.clipboard.writeText(document.querySelector("#curl").textContent);
  document.querySelector("#copied").textContent = "copied";
});
if (page.dataset.chart) attempt(async () => open(await fetched(page.dataset.chart)));
