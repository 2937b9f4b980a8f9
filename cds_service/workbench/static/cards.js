// Accepting and overriding: what an EHR would report goes to the feedback endpoint, marked as ours.
import {ask, put} from "./asking.js";
import {service} from "./chart.js";
import {linkReferences} from "./resources.js";

const ORIGIN = {"cds-service.origin": "workbench"};

export function showCards(place, html) {
  put(place, html);
  place.removeAttribute("aria-busy");
  for (const detail of place.querySelectorAll(".detail, .orders dd")) linkReferences(detail);
}

function open(button, opened) {
  button.setAttribute("aria-expanded", String(opened));
  document.getElementById(button.getAttribute("aria-controls")).hidden = !opened;
}

async function report(card, outcome, words) {
  const heard = card.querySelector(".heard");
  const entry = {card: card.dataset.card, outcomeTimestamp: new Date().toISOString(), ...outcome};
  try {
    await ask(`${service}/feedback`, {feedback: [entry], extension: ORIGIN});
    heard.className = "heard";
    heard.textContent = `${words} Reported as feedback of the workbench.`;
    return true;
  } catch (error) {
    heard.className = "heard failed";
    heard.textContent = `Not reported: ${error.message}`;
    return false;
  }
}

async function accept(button) {
  const shown = button.getAttribute("aria-expanded") === "true";
  open(button, !shown);
  if (shown || button.dataset.reported) return;
  button.dataset.reported = "yes";
  const outcome = {outcome: "accepted", acceptedSuggestions: [{id: button.dataset.suggestion}]};
  const card = button.closest(".card");
  if (!await report(card, outcome, "Accepted. An EHR would now create what is listed.")) delete button.dataset.reported;
}

async function override(form) {
  const card = form.closest(".card");
  const chosen = form.elements.reason.selectedOptions[0].dataset;
  const comment = form.elements.comment.value.trim();
  const overrideReason = {reason: {code: chosen.code, system: chosen.system}, ...(comment ? {userComment: comment} : {})};
  const submit = form.querySelector("[type=submit]");
  submit.disabled = true; // before the answer comes, so that a second click reports nothing
  if (!await report(card, {outcome: "overridden", overrideReason}, "Overridden.")) {
    submit.disabled = false;
    return;
  }
  form.hidden = true;
  for (const button of card.querySelectorAll(".choices button")) button.disabled = true;
}

export function startCards() {
  document.addEventListener("click", (event) => {
    const accepted = event.target.closest(".card button.accept");
    const dismissed = event.target.closest(".card button.dismiss");
    if (accepted) accept(accepted);
    if (dismissed) open(dismissed, dismissed.getAttribute("aria-expanded") !== "true");
  });
  document.addEventListener("submit", (event) => {
    if (!event.target.matches("form.override")) return;
    event.preventDefault();
    override(event.target);
  });
}
