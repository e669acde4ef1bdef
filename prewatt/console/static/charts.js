// The account page's two charts: series come as JSON, colours from the style sheet, times in the site's zone.
(() => {
  const box = document.getElementById("chart-balance"), load = document.getElementById("chart-load");
  if (!box) return;
  const words = JSON.parse(box.dataset.words), css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const font = '12px "Noto Sans", "Noto Sans CJK SC", system-ui, sans-serif', HEIGHT = 214;
  const charts = {};
  const axes = (unit) => {
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false }, font };
    const days = [[86400, "{MM}-{DD}", null, null, null, null, null, null, 0], [3600, "{HH}:{mm}", "\n{MM}-{DD}", null, "\n{MM}-{DD}", null, null, null, 1], [1, "{HH}:{mm}", null, null, "\n{MM}-{DD}", null, null, null, 1]];
    return [{ ...axis, values: days }, { ...axis, size: 74, values: (u, at) => at.map(unit) }];
  };
  const zoned = (zone) => (at) => uPlot.tzDate(new Date(at * 1e3), zone);
  const money = (sign) => (x) => (x == null ? "--" : (x < 0 ? "−" : "") + sign + Math.abs(x).toLocaleString(words.locale, { maximumFractionDigits: 2 }));
  const label = (u, text, at, color) => {
    const y = u.valToPos(at, "y", true);
    if (y < u.bbox.top || y > u.bbox.top + u.bbox.height) return;
    u.ctx.save(); u.ctx.fillStyle = color; u.ctx.font = font; u.ctx.textAlign = "left"; u.ctx.textBaseline = "bottom"; u.ctx.fillText(text, u.bbox.left + 6, y - 2); u.ctx.restore();
  };
  const marks = (series) => (u) => {
    const now = series.balance.length ? series.balance[series.balance.length - 1][0] : 0, x = u.valToPos(now, "x", true);
    u.ctx.save(); u.ctx.strokeStyle = css("--ink"); u.ctx.setLineDash([3, 3]); u.ctx.beginPath(); u.ctx.moveTo(x, u.bbox.top); u.ctx.lineTo(x, u.bbox.top + u.bbox.height); u.ctx.stroke(); u.ctx.restore();
    label(u, words.cut, series.cut, css("--pending"));
    if (series.warn > series.cut) label(u, words.warn, series.warn, css("--warning"));
  };
  const put = (name, at, options, data, shape) => {
    const known = charts[name], width = at.clientWidth - 16;
    if (known && known.shape === shape) { known.plot.setData(data); return; }
    if (known) known.plot.destroy();
    charts[name] = { shape, at, plot: new uPlot({ width, height: HEIGHT, cursor: { y: false }, ...options }, data, at) };
  };
  const burn = (series) => {
    const at = series.balance.concat(series.projection).map((p) => p[0]), known = series.balance.map((p) => p[1]), n = known.length;
    const ahead = series.projection.map((p) => p[1]), value = (u, v) => money(series.sign)(v);
    const line = (label, color, extra) => ({ label, stroke: css(color), width: 2, points: { show: false }, value, ...extra });
    const now = { series: series };
    const data = [at, known.concat(ahead.map(() => null)), at.map((_, i) => (i < n - 1 ? null : i === n - 1 ? known[i] : ahead[i - n])), at.map(() => series.warn), at.map(() => series.cut)];
    if (charts.balance) charts.balance.now.series = series;
    put("balance", box, { tzDate: zoned(series.zone), axes: axes(money(series.sign)), hooks: { draw: [(u) => marks(now.series)(u)] }, series: [{ label: words.time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" },
      line(words.balance, "--link", { fill: css("--area") }), line(words.projection, "--grace", { dash: [6, 4] }),
      line(words.warn, "--warning", { width: 1, dash: [2, 3] }), line(words.cut, "--pending", { width: 1, dash: [2, 3] })] }, data, "burn");
    charts.balance.now = charts.balance.now || now;
  };
  const faint = (color, rank) => { const [r, g, b] = [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)); return `rgba(${r},${g},${b},${rank ? Math.max(0.3, 0.75 - 0.25 * rank) : 1})`; };
  const bars = (series) => {
    const kinds = [...new Set(series.load.map((b) => b[2] + "|" + series.periods.indexOf(b[3])))].sort();
    const paths = uPlot.paths.bars({ size: [0.8, 20], align: -1 });
    const made = kinds.map((kind) => {
      const [tier, rank] = kind.split("|").map(Number), color = css("--p" + (tier % 3));
      return { label: words.tier.replace("{n}", tier + 1) + (series.periods.length > 1 ? " " + series.period_names[rank] : ""), stroke: color, width: 1, fill: faint(color, rank), paths, points: { show: false }, value: (u, v) => (v == null ? "--" : v.toFixed(2) + " " + words.kwh) };
    });
    const data = [series.load.map((b) => b[0]), ...kinds.map((kind) => series.load.map((b) => (b[2] + "|" + series.periods.indexOf(b[3]) === kind ? b[1] : null)))];
    put("load", load, { tzDate: zoned(series.zone), axes: axes((x) => x + " " + words.kwh), scales: { y: { range: (u, low, high) => [0, (high || 1) * 1.1] } }, series: [{ label: words.time, value: "{YYYY}-{MM}-{DD} {HH}:{mm}" }, ...made] }, data, kinds.join());
  };
  const refresh = () => fetch(box.dataset.series).then((r) => (r.ok ? r.json() : null)).then((s) => { if (s) { burn(s); bars(s); } }).catch(() => {});
  refresh();
  let last = Date.now();
  document.body.addEventListener("pw-tick", () => { if (Date.now() - last > 5000) { last = Date.now(); refresh(); } });
  let wait = 0;
  addEventListener("resize", () => { clearTimeout(wait); wait = setTimeout(() => Object.values(charts).forEach((c) => c.plot.setSize({ width: c.at.clientWidth - 16, height: HEIGHT })), 150); });
})();
