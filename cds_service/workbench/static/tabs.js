// Tabs as WAI-ARIA describes them: arrows move, one tab is in the tab order.
const tabs = [...document.querySelectorAll("[role=tab]")];

export function select(id, focus = false) {
  const chosen = tabs.find((tab) => tab.id === `tab-${id}`) ?? tabs[0];
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === chosen ? 0 : -1;
    document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
  if (focus) chosen.focus();
}

function step(event) {
  const at = tabs.indexOf(event.currentTarget);
  const to = {ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1}[event.key];
  if (to === undefined) return;
  event.preventDefault();
  select(tabs[(to + tabs.length) % tabs.length].id.slice(4), true);
}

export function startTabs() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => select(tab.id.slice(4)));
    tab.addEventListener("keydown", step);
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".to-tab");
    if (link) select(link.dataset.tab, true);
  });
}
