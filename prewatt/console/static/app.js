// Live pages: one event stream, two refreshes a second at most; keys for the search, the rows and approving.
(() => {
  const body = document.body, lost = document.getElementById("lost"), SPACING = 500;
  let due = false, last = 0;
  const tick = () => { due = false; last = Date.now(); body.dispatchEvent(new CustomEvent("pw-tick")); };
  const soon = () => { if (!due) { due = true; setTimeout(tick, Math.max(0, SPACING - (Date.now() - last))); } };
  let seen = body.dataset.version;
  const open = () => {
    const stream = new EventSource(body.dataset.stream);
    stream.addEventListener("change", (event) => { if (event.data !== seen) { seen = event.data; soon(); } });
    stream.onopen = () => { lost.hidden = true; };
    stream.onerror = () => { lost.hidden = false; if (stream.readyState === EventSource.CLOSED) { stream.close(); setTimeout(open, 1000); } };
  };
  addEventListener("load", open);
  setInterval(() => { if (!document.hidden) soon(); }, 30000);

  const rows = () => [...document.querySelectorAll("table.rows tbody tr")].filter((row) => row.querySelector("a"));
  const move = (by) => {
    const all = rows(), here = document.activeElement.closest("tr");
    const next = all[Math.max(0, Math.min(all.length - 1, (here ? all.indexOf(here) : -1) + by))];
    if (next) { next.querySelector("a").focus(); next.scrollIntoView({ block: "nearest" }); }
  };
  const approve = () => {
    const here = document.activeElement.closest("[data-account]");
    const chosen = here && document.querySelector('.approval[data-account="' + CSS.escape(here.dataset.account) + '"] button.danger');
    const button = chosen || document.querySelector(".approval button.danger");
    if (button) { button.focus(); if (chosen) button.click(); }
  };
  let go = 0;
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const going = Date.now() - go < 1500;
    go = 0;
    if (event.key === "/") { event.preventDefault(); document.getElementById("search").focus(); }
    else if (going && event.key === "b") location.href = document.getElementById("go-board").href;
    else if (going && event.key === "a") location.href = document.getElementById("go-accounts").href;
    else if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "g") go = Date.now();
    else if (event.key === "A" && event.shiftKey) approve();
  });
})();
