// The chart in this tab: one request, held in memory and nowhere else, and what the endpoints say of it.
import {ask} from "./asking.js";

const page = document.querySelector("#chart");
export const service = page?.dataset.service ?? document.body.dataset.service;
export const chart = {patient: page?.dataset.patient ?? "", request: null, response: null, assessment: null};

/** The cards from the hook endpoint and the reasoning from its own, for one request. */
export async function assessed(request) {
  const [response, assessment] = await Promise.all([ask(service, request), ask("/workbench/assessment", request)]);
  return {response, assessment};
}

/** Every resource of a request with the key under which it stands. */
export function* resourcesOf(request) {
  for (const [key, value] of Object.entries(request.prefetch ?? {})) {
    if (value?.resourceType === "Bundle") {
      for (const entry of value.entry ?? []) if (entry?.resource) yield [key, entry.resource];
    } else if (value?.resourceType) {
      yield [key, value];
    }
  }
}
