// Resources to look at: by the links of evidence, and as a list.
import {made, pretty} from "./asking.js";
import {chart, resourcesOf} from "./chart.js";

const MOST_LISTED = 300;
const REFERENCE = /\b(?:Condition|Observation|DiagnosticReport|ServiceRequest|Procedure|MedicationRequest|MedicationStatement|Encounter|FamilyMemberHistory|Device|QuestionnaireResponse|AllergyIntolerance|Appointment|Patient)\/[A-Za-z0-9.-]{1,64}/g;

function nameOf(resource) {
  return `${resource.resourceType}/${resource.id ?? "without id"}`;
}

export function showResource(reference) {
  const dialog = document.querySelector("#resource");
  const plain = reference.replace(/#.*/, "");
  const found = chart.request && [...resourcesOf(chart.request)].find(([, resource]) => nameOf(resource) === plain);
  dialog.querySelector("h2").textContent = plain.slice(0, 120);
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
    const parts = text.data.split(new RegExp(`(${REFERENCE.source})`));
    if (parts.length === 1 || text.parentElement.closest("button, a, pre")) continue;
    text.replaceWith(...parts.map((part, n) => n % 2
      ? Object.assign(made("button", {type: "button", className: "to-resource", textContent: part}), {}) : part));
  }
  for (const button of place.querySelectorAll("button.to-resource:not([data-reference])")) {
    button.dataset.reference = button.textContent;
  }
}

export function listResources() {
  const wanted = document.querySelector("#find-resource").value.toLowerCase();
  const fitting = [...resourcesOf(chart.request)].filter(([, r]) => !wanted || JSON.stringify(r).toLowerCase().includes(wanted));
  const rows = fitting.slice(0, MOST_LISTED).map(([key, resource]) => {
    const row = made("details", {}, made("summary", {textContent: `${key}: ${nameOf(resource)}`.slice(0, 160)}));
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
