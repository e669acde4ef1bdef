// Orders on standard input, one JSON object a line; what the browser saw on standard output, one JSON line each.
const [modules, chromium] = process.argv.slice(2);
const playwright = require(modules + "/playwright-core");
const axe = require("fs").readFileSync(modules + "/axe-core/axe.min.js", "utf8");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const pages = {};
const orders = {
  async open({ page, url, lang, theme, width = 1440, height = 900 }) {
    const context = await orders.browser.newContext({ viewport: { width, height } });
    await context.addCookies([{ name: "lang", value: lang, url }, { name: "theme", value: theme, url }]);
    const opened = await context.newPage(), seen = { errors: [], requests: [] };
    opened.on("console", (m) => { if (m.type() === "error" || m.type() === "warning") seen.errors.push(m.text()); });
    opened.on("pageerror", (e) => seen.errors.push(String(e)));
    opened.on("request", (r) => seen.requests.push(r.url()));
    pages[page] = { page: opened, seen };
    return orders.go({ page, url });
  },
  async go({ page, url }) {
    const { page: there, seen } = pages[page];
    seen.requests.length = 0;
    const answer = await there.goto(url, { waitUntil: "load" });
    await there.waitForTimeout(400);
    return answer.status();
  },
  async seen({ page }) {
    const { page: there, seen } = pages[page];
    const bytes = await there.evaluate(() => performance.getEntriesByType("resource").concat(performance.getEntriesByType("navigation")).reduce((sum, r) => sum + r.decodedBodySize, 0));
    return { errors: seen.errors, requests: seen.requests, bytes };
  },
  async run({ page, code }) { return pages[page].page.evaluate(code); },
  async pdf({ page }) {
    const file = (await pages[page].page.pdf({ preferCSSPageSize: true, printBackground: true })).toString("latin1");
    const boxes = [...file.matchAll(/\/MediaBox\s*\[([^\]]*)\]/g)].map((found) => found[1].trim().split(/\s+/).map(Number).slice(2));
    return { bytes: file.length, pages: boxes };
  },
  async click({ page, at }) { await pages[page].page.click(at); return true; },
  async fill({ page, at, text }) { await pages[page].page.fill(at, text); return true; },
  async press({ page, keys }) { for (const key of keys) await pages[page].page.keyboard.press(key); return true; },
  async until({ page, code, limit = 5000 }) {
    const start = Date.now();
    while (!(await pages[page].page.evaluate(code).catch(() => false))) { // a page that is being left answers nothing
      if (Date.now() - start > limit) throw new Error("not within " + limit + " ms: " + code);
      await new Promise((done) => setTimeout(done, 20));
    }
    return Date.now() - start;
  },
  async axe({ page }) {
    const there = pages[page].page;
    await there.evaluate(axe);
    const found = await there.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }));
    return found.violations.map((v) => v.id + ": " + v.nodes.slice(0, 3).map((n) => n.target.join(" ") + " " + n.html.slice(0, 120)).join(" | "));
  },
  async shot({ page, path }) { await pages[page].page.screenshot({ path }); return true; },
  async close({ page }) { await pages[page].page.context().close(); delete pages[page]; return true; },
};
(async () => {
  orders.browser = await playwright.chromium.launch({ executablePath: chromium, args: FLAGS });
  process.stdout.write(JSON.stringify({ ready: true }) + "\n");
  for await (const line of require("readline").createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    try { process.stdout.write(JSON.stringify({ answer: (await orders[order.do](order)) ?? null }) + "\n"); }
    catch (error) { process.stdout.write(JSON.stringify({ error: String(error) }) + "\n"); }
  }
  await orders.browser.close();
})();
