// Filters of the gallery: everything is on the page already.
const form = document.querySelector("#filters");
const stories = [...document.querySelectorAll("#stories > li")];
const texts = stories.map((story) => story.textContent.toLowerCase());

function has(list, wanted) {
  return !wanted || list.split(" ").includes(wanted);
}

function filter() {
  const {text, tier, card, hypothesis} = Object.fromEntries(new FormData(form));
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  stories.forEach((story, position) => {
    const fits = has(story.dataset.tiers, tier) && has(story.dataset.cards, card)
      && has(story.dataset.hypotheses, hypothesis) && words.every((word) => texts[position].includes(word));
    story.hidden = !fits;
    count += fits;
  });
  document.querySelector("#count").textContent = `${count} patient${count === 1 ? "" : "s"}`;
  document.querySelector("#nobody").hidden = count > 0;
}

form.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
form.addEventListener("reset", () => setTimeout(filter));
filter(); // a browser that goes back keeps what was typed
