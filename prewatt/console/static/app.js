// Live pages: one event stream, one refresh a second at most; keys for the search and the rows.
(() => {
  const body = document.body, lost = document.getElementById("lost");
  let due = false, last = 0;
  const tick = () => { due = false; last = Date.now(); body.dispatchEvent(new CustomEvent("pw-tick", { bubbles: true })); };
  const soon = () => { if (!due) { due = true; setTimeout(tick, Math.max(0, 1000 - (Date.now() - last))); } };
  const open = () => {
    const stream = new EventSource(body.dataset.stream);
    stream.addEventListener("change", soon);
    stream.onopen = () => { if (!lost.hidden) { lost.hidden = true; soon(); } };
    stream.onerror = () => { lost.hidden = false; if (stream.readyState === EventSource.CLOSED) { stream.close(); setTimeout(open, 2000); } };
  };
  if (body.dataset.stream) open();
  let row = -1, go = false;
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input, textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const rows = [...document.querySelectorAll("table.rows tbody tr")];
    if (event.key === "/") { event.preventDefault(); document.getElementById("search").focus(); }
    else if ((event.key === "j" || event.key === "k") && rows.length) {
      row = Math.max(0, Math.min(rows.length - 1, row + (event.key === "j" ? 1 : -1)));
      rows.forEach((r, i) => r.classList.toggle("here", i === row));
      rows[row].querySelector("a").focus();
    } else if (event.key === "g") go = true;
    else if (go && event.key === "b") location.href = document.querySelector(".side a").href;
    else if (event.key === "A" && event.shiftKey) { const first = document.querySelector(".approval button.danger"); if (first) first.focus(); }
    if (event.key !== "g") go = false;
  });
})();
