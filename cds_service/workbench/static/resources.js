// Resources to look at: by the links of evidence, and as a list.
import {made, pretty, visible} from "./asking.js";
import {chart, resourcesOf} from "./chart.js";

const MOST_LISTED = 300;
const REFERENCE = /\b(?:Condition|Observation|DiagnosticReport|ServiceRequest|Procedure|MedicationRequest|MedicationStatement|Encounter|FamilyMemberHistory|Device|QuestionnaireResponse|AllergyIntolerance|Appointment|Patient)\/[A-Za-z0-9.-]{1,64}/g;

function nameOf(resource) {
  return `${resource.resourceType}/${resource.id ?? "without id"}`;
}

/** The events of the open chart by the resource they come from: they know what a resource is called. */
export function eventsByResource() {
  return new Map(chart.assessment.timeline.map((event) => [event.reference.replace(/#.*/, ""), event]));
}

/** A resource in the words of its event, or as it calls itself; text only. */
export function wordsOf(resource, event) {
  const concept = resource.code ?? resource.medicationCodeableConcept ?? resource.type?.[0] ?? resource.type;
  const itself = concept?.text ?? concept?.coding?.[0]?.display ?? resource.name?.[0]?.family ?? "";
  const words = event ? [event.title, event.value, event.from] : [itself];
  return visible(words.filter((word) => typeof word === "string" && word).join(", "));
}

export function showResource(reference) {
  const dialog = document.querySelector("#resource");
  const plain = reference.replace(/#.*/, "");
  const found = chart.request && [...resourcesOf(chart.request)].find(([, resource]) => nameOf(resource) === plain);
  dialog.querySelector("h2").textContent = visible(plain, 120);
  dialog.querySelector("#resource-words").textContent = found ? wordsOf(found[1], eventsByResource().get(plain)) : "";
  dialog.querySelector("pre").textContent = found
    ? pretty(found[1]) : "Not in the request: it may come from the FHIR server that was asked.";
  dialog.showModal();
}

/** References in the text of cards become buttons. */
export function linkReferences(place) {
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = text.data.split(new RegExp(`(\\(${REFERENCE.source}\\)|${REFERENCE.source})`));
    if (parts.length === 1 || text.parentElement.closest("button, a, pre")) continue;
    text.replaceWith(...parts.map((part, n) => n % 2 ? linked(part) : part));
  }
}

/** A reference as a button; brackets around it stay on its line. */
function linked(part) {
  const reference = part.replace(/[()]/g, "");
  const button = made("button", {type: "button", className: "to-resource", textContent: reference});
  button.dataset.reference = reference;
  return part === reference ? button : made("span", {className: "whole"}, "(", button, ")");
}

export function listResources() {
  const wanted = document.querySelector("#find-resource").value.toLowerCase();
  const fitting = [...resourcesOf(chart.request)].filter(([, r]) => !wanted || JSON.stringify(r).toLowerCase().includes(wanted));
  const events = eventsByResource();
  const rows = fitting.slice(0, MOST_LISTED).map(([key, resource]) => {
    const name = nameOf(resource).slice(0, 120);
    const words = wordsOf(resource, events.get(name));
    const row = made("details", {}, made("summary", {}, `${key}: ${words}${words ? " " : ""}`,
      made("span", {className: "id", textContent: visible(name)})));
    row.addEventListener("toggle", () => {
      if (row.open && !row.querySelector("pre")) row.append(made("pre", {tabIndex: 0, textContent: pretty(resource)}));
    });
    return row;
  });
  document.querySelector("#resources").replaceChildren(
    made("p", {className: "count", textContent: `${fitting.length} resources${fitting.length > MOST_LISTED ? `, the first ${MOST_LISTED} listed` : ""}`}), ...rows);
}

export function startResources() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest(".to-resource");
    if (button) showResource(button.dataset.reference);
  });
  document.querySelector("#find-resource")?.addEventListener("input", listResources);
}
