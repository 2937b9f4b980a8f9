// The history form on its own: a request with the age and the twitching, and nothing else.
import {startHistory} from "./history.js";

function request() {
  const age = document.querySelector("#age").value;
  const patient = {resourceType: "Patient", id: "history", gender: document.querySelector("#sex").value};
  if (age !== "") patient.birthDate = String(new Date().getFullYear() - Number(age));
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

startHistory(request, () => {});
