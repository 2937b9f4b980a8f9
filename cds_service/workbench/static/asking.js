// Asking the service, and saying what it refused. Text is only ever set as text.

/** What the service did not accept: one line for each issue of its OperationOutcome. */
export class Refusal extends Error {
  constructor(issues) {
    super(issues.map((issue) => issue.what).join("; "));
    this.issues = issues;
  }
}

/** Post JSON; the parsed answer, or a Refusal. */
export async function ask(address, body) {
  return answered(() => fetch(address, {
    method: "POST", cache: "no-store", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
  }));
}

/** Get JSON; the parsed answer, or a Refusal. */
export async function fetched(address) {
  return answered(() => fetch(address, {cache: "no-store"}));
}

async function answered(send) {
  let answer;
  try {
    answer = await send();
  } catch {
    throw new Refusal([{where: "", what: "The service does not answer. Is it still running?"}]);
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok) return said;
  const issues = (said?.issue ?? []).map((issue) => ({where: issue.expression?.[0] ?? "", what: issue.diagnostics ?? issue.code}));
  throw new Refusal(issues.length ? issues : [{where: "", what: `The service answered ${answer.status}.`}]);
}

/** A new element with text and children. */
export function made(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

/** Say in this place what went wrong, each fault with its path; nothing clears it. */
export function tell(place, error, title = "This could not be assessed") {
  place.replaceChildren();
  if (!error) return;
  const issues = error.issues ?? [{where: "", what: `This page failed: ${error.message}`}];
  place.append(made("div", {className: "problems"}, made("h2", {textContent: title}),
    made("ul", {}, ...issues.map((issue) => made("li", {textContent: issue.what})))));
}

const written = globalThis.trustedTypes?.createPolicy("workbench", {createHTML: (html) => html}) ?? {createHTML: (html) => html};

/**
 * HTML that the service wrote of its own templates. Everything of a chart in it is escaped there. The only place
 * where scripts of ours set HTML; browsers that know trusted types refuse any other.
 */
export function put(place, html) {
  place.innerHTML = written.createHTML(html);
}

/** Text of a chart in one line, cut, with what could turn or hide the words around it made visible. */
export function visible(text, longest = 100) {
  const cut = text.length > longest ? `${text.slice(0, longest)} …` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu,
    (sign) => `⟨U+${sign.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);
}

/** JSON to read. What could turn the direction of text is written as an escape. */
export function pretty(value) {
  return JSON.stringify(value, null, 2).replace(/[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Offer text as a file; it never leaves the browser. */
export function save(name, text) {
  const link = made("a", {download: name, href: URL.createObjectURL(new Blob([text], {type: "application/json"}))});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
