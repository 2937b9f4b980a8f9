// Filters of the table of facts.
export function startFacts() {
  const place = document.querySelector("#fact-filters");
  if (!place) return;
  const rows = [...document.querySelectorAll("#facts tbody tr")];
  const texts = rows.map((row) => row.textContent.toLowerCase());
  const filter = () => {
    const wanted = new Set([...place.querySelectorAll("[aria-pressed=true]")].map((button) => button.dataset.presence));
    const text = place.querySelector("[name=fact-text]").value.toLowerCase();
    const kind = place.querySelector("[name=fact-kind]").value;
    rows.forEach((row, position) => {
      row.hidden = !(wanted.has(row.dataset.presence) && (!kind || row.dataset.kind === kind) && texts[position].includes(text));
    });
  };
  place.addEventListener("click", (event) => {
    const button = event.target.closest("[aria-pressed]");
    if (!button) return;
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    filter();
  });
  place.addEventListener("input", filter);
}
