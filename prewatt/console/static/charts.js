// The account page's two charts: series come as JSON, colours from the style sheet.
(() => {
  const box = document.getElementById("chart-balance"), load = document.getElementById("chart-load");
  if (!box) return;
  const words = JSON.parse(box.dataset.words), css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let charts = [];
  const axes = (unit) => [{ stroke: css("--soft"), grid: { stroke: css("--line") } }, { stroke: css("--soft"), grid: { stroke: css("--line") }, size: 70, values: (u, v) => v.map((x) => unit(x)) }];
  const bars = (series) => {
    const split = [0, 1, 2].map((t) => series.load.map((b) => (b.tier % 3 === t ? b.kwh : null)));
    const paths = uPlot.paths.bars({ size: [0.8, 20] });
    return new uPlot({ width: load.clientWidth - 16, height: 220, axes: axes((x) => x + " " + words.kwh), series: [{ label: words.time },
      ...[0, 1, 2].map((t) => ({ label: words.tier.replace("{n}", t + 1), stroke: css("--link"), fill: css("--p" + t), paths, points: { show: false } }))] },
      [series.load.map((b) => b.at), ...split], load);
  };
  const draw = (series) => {
    charts.forEach((c) => c.destroy());
    const at = series.balance.map((p) => p[0]).concat(series.projection.map((p) => p[0]));
    const known = series.balance.map((p) => p[1]).concat(series.projection.map(() => null));
    const ahead = series.balance.map((p, i) => (i === series.balance.length - 1 ? p[1] : null)).concat(series.projection.map((p) => p[1]));
    const line = (label, color, extra) => Object.assign({ label, stroke: color, width: 2, points: { show: false } }, extra);
    charts = [new uPlot({ width: box.clientWidth - 16, height: 270, axes: axes((x) => words.sign + x.toLocaleString()), series: [{ label: words.time },
      line(words.balance, css("--link"), { fill: css("--bg") }), line(words.projection, css("--grace"), { dash: [6, 4] }),
      line(words.warn, css("--warning"), { width: 1, dash: [2, 3] }), line(words.cut, css("--pending"), { width: 1, dash: [2, 3] })] },
      [at, known, ahead, at.map(() => series.warn), at.map(() => series.cut)], box), bars(series)];
  };
  const refresh = () => fetch(box.dataset.series).then((r) => (r.ok ? r.json() : null)).then((s) => s && draw(s)).catch(() => {});
  refresh();
  let soon = 0;
  document.body.addEventListener("pw-tick", () => { if (Date.now() - soon > 5000) { soon = Date.now(); refresh(); } });
  addEventListener("resize", () => { clearTimeout(soon.timer); refresh(); });
})();
