// The history form: one question at a time; after each answer the service says what to ask next, or to stop.
import {ask, made, pretty, put, save, tell} from "./asking.js";

const part = (id) => document.getElementById(id);

/**
 * Run the form over the request that `requestOf` gives; `use` is told the request with the answers in it, and
 * `ready` says whether it may start.
 */
export function startHistory(requestOf, use, ready = () => true) {
  const state = {answers: {}, skipped: [], everything: false};
  let asked = 0; // what is answered to an earlier asking, or about an earlier chart, is dropped

  async function next() {
    const [mine, request] = [++asked, requestOf()];
    const stale = () => mine !== asked;
    part("history-state").textContent = "Asking whether more is needed …";
    tell(part("history-problems"), null);
    try {
      const {answers, skipped, everything} = state;
      const step = await ask("/workbench/history/next", {request, answers, skipped, everything});
      if (stale()) return;
      const done = step.html ? null : await ask("/workbench/history/answers", {request, answers});
      if (stale()) return;
      part("history-state").textContent =
        `Tier now: ${tierOf(step)}. ${Object.keys(answers).length} answered.`;
      if (done) finish(step, done);
      else show(step.html);
    } catch (error) {
      if (stale()) return;
      part("history-state").textContent = "";
      tell(part("history-problems"), error);
    }
  }

  /** The tiers of the ladder have numbers; no card, a card beside the ladder and no age have words. */
  function tierOf(step) {
    if (step.tier === "undecided") return `undecided, ${step.words}`;
    return /^T\d/.test(step.tier) ? `${step.tier} (${step.words})` : step.tier === "overlay" ? "none (a card beside the ladder)" : step.words;
  }

  function reset() {
    asked += 1;
    Object.assign(state, {answers: {}, skipped: [], everything: false, done: null});
    part("questions").replaceChildren();
    tell(part("history-problems"), null);
    part("history-state").textContent = "";
    part("history-end").hidden = true;
    for (const id of ["questionnaire-response", "observations", "history-verdict"]) part(id).textContent = "";
    part("start-history").textContent = "Start";
  }

  function show(html) {
    part("history-end").hidden = true;
    const place = made("div");
    put(place, html);
    const first = place.querySelector("fieldset");
    part("questions").append(...place.children);
    first.querySelector("button, input").focus();
    first.scrollIntoView({block: "nearest"});
  }

  function verdict(step) {
    const tier = tierOf(step);
    if (step.undecided.length) {
      return `Tier ${tier} is undecided: you skipped ${step.undecided.map((one) => `“${one.text}”`).join(", ")}. An answer could change it.`;
    }
    if (step.tier === "undecided") return "Undecided, age unknown: no rule that needs the age could be judged.";
    return step.left
      ? `Stop here: no answer can change the tier ${tier} any more. ${step.left} questions need not be asked.`
      : `No question is left. Tier: ${tier}.`;
  }

  function finish(step, done) {
    state.done = done;
    part("history-verdict").textContent = verdict(step);
    part("ask-rest").hidden = step.left === 0;
    part("questionnaire-response").textContent = pretty(done.questionnaireResponse);
    part("observations").textContent = pretty(done.observations);
    part("history-end").hidden = false;
    part("history-end").focus();
  }

  function given(question) {
    if (question.querySelector("[type=checkbox]")) return [...question.querySelectorAll(":checked")].map((box) => box.value);
    const input = question.querySelector("input");
    if (!input.value || !input.reportValidity()) return [];
    return [["integer", "decimal"].includes(question.dataset.type) ? Number(input.value) : input.value];
  }

  function settle(question, values) {
    const link = question.dataset.link;
    state.skipped = state.skipped.filter((other) => other !== link);
    delete state.answers[link];
    if (values.length) state.answers[link] = values;
    else state.skipped.push(link);
    question.classList.toggle("skipped", !values.length);
    question.classList.add("settled");
    const remark = question.querySelector(".after-answer");
    if (remark) remark.hidden = !values.length || values.includes("none");
    if (!(state.everything && part("questions").querySelector("fieldset:not(.settled)"))) next();
  }

  part("questions").addEventListener("click", (event) => {
    const question = event.target.closest("fieldset");
    if (event.target.matches(".pick")) {
      for (const pick of question.querySelectorAll(".pick")) pick.setAttribute("aria-pressed", String(pick === event.target));
      settle(question, [event.target.dataset.value]);
    } else if (event.target.matches(".answer")) {
      const values = given(question);
      if (values.length) settle(question, values);
    } else if (event.target.matches(".skip-question")) {
      settle(question, []);
    }
  });
  part("questions").addEventListener("change", (event) => {
    if (!event.target.matches("[type=checkbox]") || !event.target.checked) return;
    const alone = event.target.dataset.exclusive === "yes";
    for (const box of event.target.closest("fieldset").querySelectorAll("[type=checkbox]")) {
      if (box !== event.target && (alone || box.dataset.exclusive === "yes")) box.checked = false;
    }
  });
  document.addEventListener("chart-closing", reset);
  part("start-history").addEventListener("click", () => {
    if (!ready()) return;
    reset();
    part("start-history").textContent = "Start again";
    next();
  });
  part("ask-rest").addEventListener("click", () => {
    state.everything = true;
    next();
  });
  part("use-answers")?.addEventListener("click", () => use(state.done.request));
  part("save-response").addEventListener("click", () => save("questionnaire-response.json", pretty(state.done.questionnaireResponse)));
  part("save-observations").addEventListener("click", () => save("observations.json", pretty(state.done.observations)));
}
