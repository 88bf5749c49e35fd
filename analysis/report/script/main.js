// What the page does once it is read: draw, follow links to trials, and switch themes.

const THEMES = ["system", "light", "dark"];

function theme(button) {
  let place = 0;
  button.hidden = false;
  button.addEventListener("click", () => {
    place = (place + 1) % THEMES.length;
    document.documentElement.dataset.theme = THEMES[place];
    button.textContent = `Theme: ${THEMES[place]}`;
  });
}

function follow() {
  const found = /^#trial=(\w+)$/.exec(location.hash);
  if (!found) return;
  showTrial(found[1]);
  document.getElementById("trial-title").focus();
}

theme(document.getElementById("theme"));
const place = document.getElementById("chooser");
if (place) chooser(place);
listing(document.getElementById("rows"));
addEventListener("hashchange", follow);
follow();
const ready = performance.now(); // ms from navigation until all can be used
document.documentElement.dataset.ready = "";
