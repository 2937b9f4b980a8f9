// The history form on its own: a request with the age and the twitching, and nothing else.
import {startHistory} from "./history.js";

/** The birth date of somebody who is so old today. */
function born(years) {
  const today = new Date();
  const two = (number) => String(number).padStart(2, "0");
  const day = `${two(today.getMonth() + 1)}-${two(today.getDate())}`.replace("02-29", "02-28");
  return `${String(today.getFullYear() - years).padStart(4, "0")}-${day}`;
}

function request() {
  const age = document.querySelector("#age").value;
  const patient = {resourceType: "Patient", id: "history", gender: document.querySelector("#sex").value};
  patient.birthDate = born(Number(age));
  const twitching = {
    resourceType: "Condition", id: "twitching", subject: {reference: "Patient/history"},
    clinicalStatus: {coding: [{system: "http://terminology.hl7.org/CodeSystem/condition-clinical", code: "active"}]},
    code: {text: "Muscle twitching"},
  };
  return {
    hook: "patient-view", hookInstance: crypto.randomUUID(),
    context: {userId: "Practitioner/workbench", patientId: "history"},
    prefetch: {patient, conditions: {resourceType: "Bundle", type: "searchset", entry: [{resource: twitching}]}},
    extension: {"cds-service.origin": "workbench"},
  };
}

startHistory(request, () => {}, () => document.querySelector("#about").reportValidity());
