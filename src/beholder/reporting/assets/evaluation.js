// Draws the evaluation from the two data blocks of this file. Text only ever enters the page as text (never as markup),
// so that the name of a file or of a metric cannot become part of the program.
(() => {
  const found = read("data-evaluation");
  const pictures = read("data-pictures");
  const { data, options } = found;
  const baselines = found.baselines || {};
  const metrics = found.metrics;
  const byName = new Map(metrics.map((m) => [m.name, m]));
  const total = data.pictures;
  const unit = data.drawn_over || "picture";

  // [key, name, what it is]; less is better where LOWER has it.
  const MEASURES = [
    ["srcc", "SRCC", "Spearman's rank correlation of predictions and opinions: 1 where both put the pictures in the same order."],
    ["krcc", "KRCC", "Kendall's tau-b: how many more pairs of pictures are ordered as people order them than the other way round."],
    ["plcc", "PLCC", "Pearson's correlation of opinions and predictions after the mapping: 1 where the mapped ones lie on a line."],
    ["plcc_raw", "PLCC, raw", "Pearson's correlation of opinions and predictions as they came, without a mapping."],
    ["rmse", "RMSE", "Root of the mean squared error after the mapping, on the opinions' scale; the mapping's parameters count as lost."],
    ["mae", "MAE", "Mean distance between opinion and mapped prediction, on the opinions' scale."],
    ["outlier_ratio", "outlier ratio", "Share of pictures whose mapped prediction lies outside the 95 % interval of their opinion."],
    ["rmse_star", "RMSE*", "RMSE that counts only what lies outside the 95 % interval of each opinion (ITU-T P.1401)."],
    ["weighted_srcc", "weighted SRCC", "SRCC in which a picture counts the more, the better people find it."],
    ["pwrc", "PWRC", "Perceptually weighted rank correlation: errors of order count by how far apart and how good the pictures are."],
    ["srcc_within_reference", "SRCC in references", "Mean over references of the SRCC among the pictures of each one."],
    ["srcc_within_type", "SRCC in types", "Mean over types of distortion of the SRCC among the pictures of each one."],
  ];
  const LOWER = new Set(["rmse", "mae", "outlier_ratio", "rmse_star"]);
  const SHARE = new Set(["outlier_ratio"]);
  const NEEDS = {
    outlier_ratio: "needs intervals, or spread and number, of the opinions", rmse_star: "needs intervals, or spread and number, of the opinions",
    srcc_within_reference: "needs references", srcc_within_type: "needs types",
  };

  // ---- small helpers ------------------------------------------------------------------------------------------
  const styled = (node, styles) => Object.assign(node.style, styles) && node;
  const known = (v) => typeof v === "number" && Number.isFinite(v);
  const minus = (text) => text.replaceAll("-", "−");
  const percent = (v, digits = 0) => `${(100 * v).toFixed(digits)} %`;
  const elide = (text, most = 40) => {
    const letters = [...shown(text)];
    return letters.length <= most ? letters.join("") : `${letters.slice(0, most / 2 - 1).join("")}…${letters.slice(-most / 2).join("")}`;
  };
  // a long name may break after its marks
  const broken = (text) => text.split(/(?<=[_:=,/;+-])/).flatMap((part, i) => (i ? [h("wbr"), part] : [part]));
  const collator = new Intl.Collator("en", { numeric: true });
  const tick = (value) => minus(String(Number(value.toPrecision(4))));
  function number(value, digits = 3) {
    if (!known(value)) return "–";
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size < 5 * 10 ** (-digits - 1) || size >= 1e6) return minus(value.toExponential(1));
    return minus(value.toFixed(size >= 1000 ? 0 : size >= 100 ? Math.min(1, digits) : digits));
  }
  const fixed = (value, digits = 3) => (known(value) ? minus(value.toFixed(digits)) : "–");
  const format = (measure, v) => (LOWER.has(measure) && !SHARE.has(measure) ? number(v) : fixed(v));
  const range = (low, high, f = fixed) => [f(low), f(high)].join(low < 0 || high < 0 || f(low).includes("e") || f(high).includes("e") ? " to " : "–");
  const probability = (p) => (!known(p) ? "not defined" : p === 0 ? "below 1e−300" : p < 1e-3 ? minus(p.toExponential(1)) : p.toFixed(3));
  const level = percent(options.level, options.level * 100 % 1 ? 1 : 0);
  const name = (i) => shown(data.names && data.names.length ? data.names[i] : `row ${i + 1}`);
  const extremes = (values) => {
    let [low, high] = [Infinity, -Infinity];
    for (const v of values) if (known(v)) { if (v < low) low = v; if (v > high) high = v; }
    return [low, high];
  };
  function nice(span) {
    const power = 10 ** Math.floor(Math.log10(span));
    return [1, 2, 2.5, 5, 10].map((f) => f * power).find((step) => step >= span * 0.999) || span;
  }
  function ticks(low, high, wanted = 5) {
    const step = nice((high - low) / wanted);
    const all = [];
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k += 1) all.push(Number((k * step).toPrecision(12)));
    return all;
  }
  const option = (value, label) => h("option", { value }, label);
  const dash = (why) => h("span", { class: "muted", title: why }, "–", h("span", { class: "hidden" }, ` ${why}`));

  // ---- figures ------------------------------------------------------------------------------------------------
  const own = (object, key) => Boolean(object) && Object.prototype.hasOwnProperty.call(object, key);
  const listed = new Set(metrics.flatMap((m) => Object.keys(m.values)));
  const measures = [...MEASURES.filter(([key]) => listed.has(key)),
    ...[...listed].filter((key) => !MEASURES.some(([k]) => k === key)).map((key) => [key, key.replaceAll("_", " "), ""])];
  const label = (measure) => (measures.find(([key]) => key === measure) || [measure, measure])[1];
  const value = (m, measure) => (own(m.values, measure) && known(m.values[measure]) ? m.values[measure] : null);
  const constant = (m) => m.mapping && known(m.mapping.low) && m.mapping.low === m.mapping.high && m.mapping.asked !== "none"
    || (m.mapping || {}).note === "constant predictions";
  function ends(m, measure, kind = "intervals") {
    const pair = own(m[kind], measure) ? m[kind][measure] : null;
    return pair && known(pair[0]) && known(pair[1]) ? pair : null;
  }
  function why(m, measure) {
    if (!own(m.values, measure)) return `not made: ${label(measure)} ${NEEDS[measure] || "was not asked for"}`;
    if (constant(m)) return `not defined: ${shown(m.name)} says the same of all pictures`;
    if (measure === "plcc" && m.mapping && m.mapping.kind === "linear" && m.mapping.parameters[1] === 0) return "not defined: the mapping is flat";
    return measure.startsWith("srcc_within") ? "not defined: no part has enough pictures that differ" : "not defined on these pictures";
  }
  const sign = (measure) => (LOWER.has(measure) ? -1 : 1);
  function sorted(measure, way = "best") {
    const turn = sign(measure) * (way === "best" ? 1 : -1);
    return [...metrics].sort((a, b) => {
      const [x, y] = [value(a, measure), value(b, measure)];
      if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1; // what has no value comes last either way
      return turn * (y - x);
    });
  }
  const ranked = sorted("srcc");
  const groups = found.groups || [];
  const letter = (i) => (i < 26 ? "" : String.fromCharCode(96 + Math.floor(i / 26))) + String.fromCharCode(97 + (i % 26));
  const letters = new Map(metrics.map((m) =>
    [m, groups.map((g, i) => (g.includes(m.name) ? letter(i) : "")).filter(Boolean).join(" ")]));
  const LETTERS = "a letter marks the metrics that do not differ in SRCC from the best of its group";
  const state = { measure: listed.has("srcc") ? "srcc" : measures[0][0], way: "best", kind: "intervals", metric: ranked[0],
    types: new Set(), test: null };

  // ---- summary ------------------------------------------------------------------------------------------------
  function tile(where, title, content, note, extra) {
    where.append(h("div", { class: "tile" }, h("div", { class: "label" }, title),
      h("div", { class: "value" }, h("strong", { class: /^[\d.,−–]+( %)?$/.test(content) ? "" : "words" }, ...broken(content)), extra),
      h("div", { class: "note" }, note)));
  }
  function summarise() {
    const box = $("summary");
    tile(box, "Pictures", count(total), data.scale ? `opinions from ${tick(data.scale[0])} (worst) to ${tick(data.scale[1])} (best)` : "");
    const contents = data.references ? new Set(data.references).size : null;
    tile(box, unit === "reference" ? "Contents" : "Drawn over", count(data.units),
      unit === "reference" ? "references: what the intervals draw over"
        : `pictures: ${contents === 1 ? "there is one reference only" : contents ? "each has its own reference" : "references are not known"}`);
    const best = ranked[0];
    const top = best ? value(best, "srcc") : null;
    if (top === null) tile(box, "Best metric", "–", "no metric has an SRCC");
    else {
      const pair = ends(best, "srcc");
      tile(box, "Best metric", elide(best.name), `SRCC ${fixed(top)}${pair ? `, ${level} interval ${range(...pair)}` : ""}`);
      const tied = groups.length ? groups[0].filter((n) => n !== best.name) : [];
      const others = metrics.length - 1;
      if (others) {
        tile(box, "Tied with it", count(tied.length), tied.length ? `${tied.slice(0, 4).map((n) => elide(n, 24)).join(", ")}${tied.length > 4 ? ", …" : ""}: `
          + "no significant difference in SRCC" : `of ${plural(others, "other metric")}: all differ, or have no SRCC`);
      }
    }
    const blind = baselines.content_blind;
    if (blind && known(blind.srcc)) {
      const beat = metrics.filter((m) => value(m, "srcc") !== null && value(m, "srcc") > blind.srcc).length;
      tile(box, "Content-blind table", fixed(blind.srcc), "SRCC of type and level alone, without a look at the picture",
        h("span", { class: `pill ${beat === metrics.length ? "excellent" : beat ? "fair" : "bad"}` }, `${count(beat)} of ${count(metrics.length)} above it`));
    }
    const ceiling = baselines.ceiling;
    if (ceiling && ceiling.srcc && known(ceiling.srcc[0])) {
      tile(box, "Ceiling of the opinions", fixed(ceiling.srcc[0]), "SRCC of the opinions with themselves, drawn anew within their error");
    }
    const source = found.source || {};
    $("subtitle").textContent = [source.name || source.data || source.dataset, plural(total, "picture"),
      metrics.length > 6 ? plural(metrics.length, "metric") : metrics.map((m) => elide(m.name)).join(", "),
      `Beholder ${found.beholder || ""}`.trim()].filter((t) => typeof t === "string" && t).map(shown).join("  ·  ");
    $("version").textContent = found.beholder || "";
    const warnings = [...(found.warnings || []), ...metrics.flatMap((m) =>
      (m.warnings || []).map((w) => (w.startsWith(m.name) ? w : `${m.name}: ${w}`)))];
    $("warnings").hidden = !warnings.length;
    $("warnings-title").textContent = plural(warnings.length, "warning");
    $("warning-list").append(...warnings.map((w) => h("li", {}, shown(w))));
  }

  // ---- dots with whiskers on one axis -------------------------------------------------------------------------
  // rows: [{name, extra, value, low, high, text, small, why}]; lines: [{at, text, kind}]; floor: what lies below is an arrow
  function dots(rows, { caption, first, lines = [], reading, brief, from, to, floor = -Infinity }) {
    const all = [...rows.flatMap((r) => [r.value, r.low, r.high]), ...lines.map((l) => l.at), from, to].filter((v) => known(v) && v >= floor);
    let [low, high] = all.length ? extremes(all) : [0, 1];
    if (high - low < 1e-12 * Math.max(1, Math.abs(low))) [low, high] = [low - Math.abs(low || 1) * 0.05, high + Math.abs(high || 1) * 0.05];
    const pad = (high - low) * 0.04;
    [low, high] = [low - pad, high + pad];
    const x = (v) => (100 * (v - low)) / (high - low);
    const marks = ticks(low, high, brief ? 3 : 5);
    const strip = (r) => {
      const box = svg("svg", { class: "strip", "aria-hidden": "true", focusable: "false" });
      for (const t of marks) box.append(svg("line", { class: "grid", x1: `${x(t)}%`, x2: `${x(t)}%`, y1: 0, y2: "100%" }));
      for (const l of lines) box.append(svg("line", { class: `line-${l.kind}`, x1: `${x(l.at)}%`, x2: `${x(l.at)}%`, y1: 0, y2: "100%" }));
      if (known(r.low) && known(r.high) && r.high >= low) {
        box.append(svg("line", { class: "whisker", x1: `${Math.max(0, x(r.low))}%`, x2: `${Math.min(100, x(r.high))}%`, y1: "50%", y2: "50%" }));
      }
      if (known(r.value) && x(r.value) < 0) {
        box.append(svg("svg", { y: "50%", overflow: "visible", class: "edge" }, svg("polygon", { class: "beyond", points: "0,0 9,-6 9,6" })));
      }
      else if (known(r.value)) box.append(svg("circle", { class: "point", cx: `${x(r.value)}%`, cy: "50%", r: 5.5 }));
      return box;
    };
    const body = rows.map((r) => h("tr", { title: r.title || shown(r.name) }, h("th", { scope: "row", class: "name" }, ...broken(elide(r.name, 48)),
      r.extra ? h("span", { class: "letters", title: LETTERS }, r.extra) : null), h("td", { class: "drawing" }, strip(r)),
    h("td", { class: "reading" }, known(r.value) ? h("strong", { class: "number" }, r.text) : dash(r.why || "not known"),
      known(r.value) && r.small ? h("span", { class: "number" }, r.small) : null)));
    const place = (t, node) => styled(node, { left: `${x(t)}%` });
    const axis = h("span", { class: "axis" }, ...marks.filter((t) => x(t) >= 0 && x(t) <= 100).map((t) => place(t, h("span", {}, tick(t)))));
    styled(axis, { display: "block" });
    const heads = h("span", { class: "labels" }, ...lines.map((l, i) => {
      const at = x(l.at);
      const node = h("span", {}, l.text);
      return styled(node, { left: `${at}%`, top: `${i * 17}px`, transform: `translateX(${at > 62 ? "-100%" : at < 38 ? "0" : "-50%"})` });
    }));
    styled(heads, { height: `${lines.length * 17 + 2}px` });
    return h("table", { class: brief ? "dots brief" : "dots" }, h("caption", { class: "hidden" }, caption),
      h("thead", {}, h("tr", {}, h("th", { scope: "col", class: "name" }, first),
        h("th", { scope: "col" }, lines.length ? heads : "", h("span", { class: "hidden" }, " drawing")), h("th", { scope: "col", class: "reading" }, reading))),
      h("tbody", {}, ...body), h("tfoot", { "aria-hidden": "true" }, h("tr", {}, h("td", {}), h("td", {}, axis), h("td", {}))));
  }

  // ---- ranking ------------------------------------------------------------------------------------------------
  const LINES = { srcc: 1, plcc: 1, srcc_within_type: 1 };
  function baselinesOf(measure) {
    const lines = [];
    if (!own(LINES, measure)) return lines;
    const blind = baselines.content_blind;
    if (blind && known(blind[measure])) lines.push({ at: blind[measure], text: `content-blind ${fixed(blind[measure])}`, kind: "blind" });
    const ceiling = baselines.ceiling && baselines.ceiling[measure];
    if (ceiling && known(ceiling[0])) lines.push({ at: ceiling[0], text: `ceiling ${fixed(ceiling[0])}`, kind: "ceiling" });
    return lines;
  }
  function ranking() {
    const { measure, way, kind } = state;
    const rows = sorted(measure, way);
    const [, title, meaning] = measures.find(([key]) => key === measure);
    const f = (v) => format(measure, v);
    $("measure-text").textContent = `${meaning} ${LOWER.has(measure) ? "Lower" : "Higher"} is better.`.trim();
    const values = rows.map((m) => value(m, measure)).filter(known);
    const mixed = !LOWER.has(measure) && values.some((v) => v >= 0) && values.some((v) => v < 0);
    $("ranking-dots").replaceChildren(dots(rows.map((m) => {
      const pair = ends(m, measure, kind);
      return { name: m.name, extra: letters.get(m), value: value(m, measure), low: pair && pair[0], high: pair && pair[1],
        text: f(value(m, measure)), small: pair ? range(...pair, f) : "", why: why(m, measure) };
    }), { caption: `${title} of every metric`, first: "Metric, group", lines: baselinesOf(measure), reading: `${title}, ${level} interval`,
      floor: mixed ? 0 : -Infinity }));
    if (mixed) $("ranking-dots").append(h("p", { class: "muted small" }, "An arrow at the left edge: below 0, off the axis."));

    const best = new Map(measures.map(([key]) => [key, value(sorted(key)[0], key)]));
    const head = (key, text) => {
      const current = key === measure;
      const order = (way === "best") === LOWER.has(key) ? "ascending" : "descending";
      return h("th", { scope: "col", class: "right", "aria-sort": current ? order : null },
        h("button", { type: "button", "data-measure": key, onclick: () => {
          state.way = current && way === "best" ? "worst" : "best";
          state.measure = key;
          ranking();
          document.querySelector(`th button[data-measure="${CSS.escape(key)}"]`).focus();
        } }, text, h("span", { class: "arrow", "aria-hidden": "true" }, current ? (order === "ascending" ? "↑" : "↓") : "")));
    };
    $("ranking-table").replaceChildren(h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Table of all measures" },
      h("table", { class: "figures" }, h("caption", { class: "hidden" }, `All measures with ${level} intervals; a button in a head sorts by it`),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), h("th", { scope: "col", title: LETTERS }, "Group"),
          ...measures.map(([key, text]) => head(key, text)))),
        h("tbody", {}, ...rows.map((m) => h("tr", {}, h("th", { scope: "row" }, ...broken(elide(m.name))),
          h("td", { class: "letters" }, letters.get(m) || dash("in no group: it has no SRCC")),
          ...measures.map(([key]) => {
            const v = value(m, key);
            const cls = key === measure ? "chosen" : "";
            if (v === null) return h("td", { class: cls }, dash(why(m, key)));
            const pair = ends(m, key, kind);
            return h("td", { class: v === best.get(key) ? `best ${cls}` : cls, title: pair ? null : "no interval is drawn for this figure" }, format(key, v),
              pair ? h("span", { class: "ends" }, range(...pair, (e) => format(key, e))) : null);
          })))))));
    $("measure").value = measure;
    $("as-intervals").setAttribute("aria-pressed", String(kind === "intervals"));
    $("as-bca").setAttribute("aria-pressed", String(kind === "bca"));
  }
  const ADJUSTED = { holm: "by Holm's method", bh: "by Benjamini and Hochberg's method", none: "not adjusted for many tests" };
  const CHANCE = () => Number((1 - options.level).toPrecision(6));
  function rankingControls() {
    $("measure").append(...measures.map(([key, text]) => option(key, text)));
    $("measure").addEventListener("change", (e) => { state.measure = e.target.value; state.way = "best"; ranking(); });
    $("as-intervals").addEventListener("click", () => { state.kind = "intervals"; ranking(); });
    $("as-bca").addEventListener("click", () => { state.kind = "bca"; ranking(); });
    $("kind").hidden = !metrics.some((m) => Object.keys(m.bca || {}).length);
    $("ranking-note").textContent = `Intervals at ${level}: bootstrap over ${plural(data.units, unit)}, ${plural(options.rounds, "round")}, seed ${options.seed}; `
      + "it keeps the mapping fitted on all pictures. "
      + (metrics.length > 1 ? `A letter marks the metrics that do not differ in SRCC at ${CHANCE()} from the best of its group (paired bootstrap, ${ADJUSTED[options.adjust] || shown(options.adjust)}). ` : "")
      + (metrics.some((m) => m.lower_better) ? "Metrics that are better when lower were turned round first." : "");
    const parts = [...new Set(metrics.flatMap((m) => Object.keys(m.splits || {})))];
    if (!parts.length) return;
    $("splits").append(h("details", {}, h("summary", {}, "Random splits by content"),
      h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Random splits" }, h("table", { class: "figures" },
        h("caption", { class: "hidden" }, "Median, lowest and highest over random splits"),
        h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Metric"), ...parts.map((p) => h("th", { scope: "col", class: "right" }, label(p))))),
        h("tbody", {}, ...ranked.map((m) => h("tr", {}, h("th", { scope: "row" }, ...broken(elide(m.name))), ...parts.map((p) => {
          const s = own(m.splits, p) ? m.splits[p] : [];
          return known(s[0]) ? h("td", {}, format(p, s[0]), h("span", { class: "ends" }, range(s[1], s[2], (e) => format(p, e))))
            : h("td", {}, dash(why(m, p)));
        })))))),
      h("p", { class: "muted small more" }, `Median, lowest and highest over ${plural(options.splits, "split")}: the mapping is fitted on one part, and the metric judged on the other `
        + `${percent(options.held)} of the ${unit}s.`)));
  }

  // ---- colours ------------------------------------------------------------------------------------------------
  const night = matchMedia("(prefers-color-scheme: dark)");
  const RAMPS = {
    light: { up: [[240, 243, 251], [158, 180, 236], [66, 101, 208], [20, 38, 112]], low: [[244, 244, 242], [154, 183, 235], [42, 82, 196], [20, 42, 120]],
      high: [[244, 244, 242], [243, 183, 129], [207, 97, 28], [125, 48, 6]] },
    dark: { up: [[38, 41, 52], [50, 72, 146], [104, 138, 240], [206, 219, 255]], low: [[46, 48, 52], [54, 84, 160], [110, 150, 248], [196, 212, 255]],
      high: [[46, 48, 52], [140, 76, 34], [228, 132, 62], [255, 209, 168]] },
  };
  const ramps = () => RAMPS[night.matches ? "dark" : "light"];
  function mix(stops, t) {
    const at = Math.max(0, Math.min(1, t)) * (stops.length - 1);
    const i = Math.min(stops.length - 2, Math.floor(at));
    return stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (at - i)));
  }
  const rgb = (c) => `rgb(${c.join(" ")})`;
  const light = (c) => {
    const [r, g, b] = c.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ink = (c) => (light(c) > 0.18 ? "#101114" : "#ffffff");
  const css = (variable) => getComputedStyle(document.documentElement).getPropertyValue(variable).trim();
  const FEW = ["#2a52c4", "#cf6a12", "#178f7c", "#b8367f", "#7c8a12", "#8050c8", "#c43a34", "#2f8fbd"];
  const FEW_NIGHT = ["#8faaff", "#f0a055", "#44c7b2", "#f08cc4", "#c3d04a", "#c09cff", "#ff8a83", "#6cc6f0"];
  function colourOf(i, n) {
    if (n <= FEW.length) return (night.matches ? FEW_NIGHT : FEW)[i];
    const lights = night.matches ? [72, 60, 80] : [42, 55, 32];
    return `hsl(${Math.round((360 * i) / n)} ${night.matches ? 75 : 70}% ${lights[i % 3]}%)`;
  }

  // ---- one metric: scatter ------------------------------------------------------------------------------------
  const types = data.types ? [...new Set(data.types.map(String))].sort(collator.compare) : [];
  const typeAt = new Map(types.map((t, i) => [t, i]));
  const typeOf = data.types ? Int32Array.from(data.types, (t) => typeAt.get(String(t))) : null;
  const plot = { points: [], order: null, at: -1 };
  const EDGE = { left: 50, right: 12, top: 10, bottom: 44 };

  function scatter() {
    const m = state.metric;
    $("scatter-title").textContent = `Opinion over mapped prediction of ${elide(m.name)}`;
    $("stage").setAttribute("aria-label", `Scatter plot of ${plural(total, "picture")}: opinion over mapped prediction of ${shown(m.name)}`);
    const facts = ["srcc", "plcc", "rmse"].filter((k) => value(m, k) !== null).map((k) => `${label(k)} ${format(k, value(m, k))}`);
    $("scatter-facts").textContent = facts.join("  ·  ");
    plot.points = [];
    for (let i = 0; i < total; i += 1) if (known(m.mapped[i]) && known(data.opinions[i])) plot.points.push(i);
    plot.order = null;
    plot.at = -1;
    const [a, b] = extremes([...(data.scale || [])]);
    const [c, d] = extremes(m.mapped);
    const [e, f] = extremes(data.opinions);
    plot.low = Math.min(a, c, e);
    plot.high = Math.max(b, d, f);
    const pad = (plot.high - plot.low) * 0.03;
    plot.low -= pad;
    plot.high += pad;
    paint();
    mark(-1);
  }
  const toX = (v) => EDGE.left + ((plot.width - EDGE.left - EDGE.right) * (v - plot.low)) / (plot.high - plot.low);
  const toY = (v) => plot.height - EDGE.bottom - ((plot.height - EDGE.top - EDGE.bottom) * (v - plot.low)) / (plot.high - plot.low);
  function fit(canvas) {
    const dense = Math.min(3, window.devicePixelRatio || 1);
    canvas.width = Math.round(plot.width * dense);
    canvas.height = Math.round(plot.height * dense);
    styled(canvas, { width: `${plot.width}px`, height: `${plot.height}px` });
    const pen = canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    return pen;
  }
  function paint() {
    plot.width = Math.max(240, $("stage").clientWidth);
    plot.height = Math.min(plot.width, 620);
    const pen = fit($("points"));
    fit($("marks"));
    const [soft, line, text] = [css("--soft"), css("--line"), css("--ink")];
    pen.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    pen.lineWidth = 1;
    pen.strokeStyle = line;
    pen.fillStyle = soft;
    pen.textBaseline = "middle";
    for (const t of ticks(plot.low, plot.high, 6)) {
      const [x, y] = [Math.round(toX(t)) + 0.5, Math.round(toY(t)) + 0.5];
      pen.beginPath();
      pen.moveTo(x, EDGE.top);
      pen.lineTo(x, plot.height - EDGE.bottom);
      pen.moveTo(EDGE.left, y);
      pen.lineTo(plot.width - EDGE.right, y);
      pen.stroke();
      pen.textAlign = "center";
      pen.fillText(tick(t), x, plot.height - EDGE.bottom + 14);
      pen.textAlign = "right";
      pen.fillText(tick(t), EDGE.left - 7, y);
    }
    pen.fillStyle = text;
    pen.textAlign = "center";
    pen.fillText("mapped prediction", (plot.width + EDGE.left - EDGE.right) / 2, plot.height - 10);
    pen.save();
    pen.translate(11, (plot.height - EDGE.bottom + EDGE.top) / 2);
    pen.rotate(-Math.PI / 2);
    pen.fillText("opinion", 0, 0);
    pen.restore();

    const n = plot.points.length;
    const radius = n > 3000 ? 2.1 : n > 500 ? 2.8 : 3.8;
    const plain = css("--accent");
    const colours = types.map((_, i) => colourOf(i, types.length));
    const chosen = state.types;
    const disc = (i) => {
      pen.beginPath();
      pen.arc(toX(state.metric.mapped[i]), toY(data.opinions[i]), radius, 0, 7);
      pen.fill();
    };
    // a stride without a common divisor mixes the pictures, so that no type lies on top of all others
    let stride = Math.max(1, Math.round(n * 0.618));
    const divisor = (a, b) => (b ? divisor(b, a % b) : a);
    while (n && divisor(stride, n) !== 1) stride += 1;
    if (chosen.size && typeOf) {
      pen.globalAlpha = 0.35;
      pen.fillStyle = line;
      for (const i of plot.points) if (!chosen.has(typeOf[i])) disc(i);
    }
    pen.globalAlpha = Math.max(0.3, Math.min(0.85, 3500 / Math.max(1, n)));
    if (chosen.size) pen.globalAlpha = 0.8;
    for (let k = 0, at = 0; k < n; k += 1, at = (at + stride) % n) {
      const i = plot.points[at];
      if (chosen.size && typeOf && !chosen.has(typeOf[i])) continue;
      pen.fillStyle = typeOf ? colours[typeOf[i]] : plain;
      disc(i);
    }
    pen.globalAlpha = 1;
    pen.strokeStyle = text;
    pen.lineWidth = 1.5;
    pen.setLineDash([6, 4]);
    pen.beginPath();
    pen.moveTo(toX(plot.low), toY(plot.low));
    pen.lineTo(toX(plot.high), toY(plot.high));
    pen.stroke();
    pen.setLineDash([]);
  }
  function describe(i) {
    const m = state.metric;
    const error = data.error && known(data.error[i]) ? ` ± ${number(data.error[i])}` : "";
    return [`opinion ${number(data.opinions[i])}${error}`, `mapped prediction ${number(m.mapped[i])}`,
      [data.types ? `type ${shown(data.types[i])}` : "", data.levels ? `level ${shown(data.levels[i])}` : "",
        data.references ? `reference ${elide(data.references[i])}` : ""].filter(Boolean).join(", ")].filter(Boolean);
  }
  function mark(i, spoken) {
    const pen = $("marks").getContext("2d");
    pen.clearRect(0, 0, plot.width, plot.height);
    $("tip").hidden = i < 0;
    if (i < 0) return;
    const [x, y] = [toX(state.metric.mapped[i]), toY(data.opinions[i])];
    pen.strokeStyle = css("--ink");
    pen.lineWidth = 1.8;
    if (data.error && known(data.error[i])) {
      const [top, bottom] = [toY(data.opinions[i] + data.error[i]), toY(data.opinions[i] - data.error[i])];
      pen.beginPath();
      for (const end of [top, bottom]) { pen.moveTo(x - 5, end); pen.lineTo(x + 5, end); }
      pen.moveTo(x, top);
      pen.lineTo(x, bottom);
      pen.stroke();
    }
    pen.fillStyle = typeOf ? colourOf(typeOf[i], types.length) : css("--accent");
    pen.beginPath();
    pen.arc(x, y, 5.5, 0, 7);
    pen.fill();
    pen.stroke();
    const lines = describe(i);
    $("tip").replaceChildren(h("b", {}, elide(name(i), 60)), ...lines.flatMap((l, k) => (k ? [h("br"), l] : [l])));
    const wide = plot.width;
    const tip = $("tip");
    const left = Math.max(0, Math.min(x + 14, wide - tip.offsetWidth));
    const below = y + 14 + tip.offsetHeight < plot.height;
    styled(tip, { left: `${left}px`, top: `${below ? y + 14 : Math.max(0, y - tip.offsetHeight - 12)}px` });
    if (spoken) $("scatter-status").textContent = `${name(i)}: ${lines.join(", ")}`;
  }
  function scatterControls() {
    const stage = $("stage");
    let waiting = 0;
    stage.addEventListener("pointermove", (e) => {
      if (waiting) return;
      waiting = requestAnimationFrame(() => {
        waiting = 0;
        const box = stage.getBoundingClientRect();
        const [px, py] = [e.clientX - box.left, e.clientY - box.top];
        let [best, nearest] = [-1, 14 * 14];
        for (const i of plot.points) {
          if (state.types.size && typeOf && !state.types.has(typeOf[i])) continue;
          const [dx, dy] = [toX(state.metric.mapped[i]) - px, toY(data.opinions[i]) - py];
          if (dx * dx + dy * dy < nearest) [best, nearest] = [i, dx * dx + dy * dy];
        }
        mark(best);
      });
    });
    stage.addEventListener("pointerleave", () => { cancelAnimationFrame(waiting); waiting = 0; mark(-1); });
    stage.addEventListener("blur", () => mark(-1));
    stage.addEventListener("keydown", (e) => {
      const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 100, PageDown: -100, Home: -Infinity, End: Infinity };
      if (e.key === "Escape") mark(-1);
      if (!own(steps, e.key) || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      if (!plot.order) {
        plot.order = plot.points.filter((i) => !state.types.size || !typeOf || state.types.has(typeOf[i]))
          .sort((a, b) => state.metric.mapped[a] - state.metric.mapped[b] || data.opinions[a] - data.opinions[b]);
      }
      if (!plot.order.length) return;
      plot.at = Math.max(0, Math.min(plot.order.length - 1, plot.at + steps[e.key]));
      mark(plot.order[plot.at], true);
    });
    let last = 0;
    new ResizeObserver(() => {
      if (Math.abs(stage.clientWidth - last) < 1) return;
      last = stage.clientWidth;
      paint();
      mark(-1);
    }).observe(stage);
    legend();
  }
  function legend() {
    $("legend").hidden = !types.length;
    if (!types.length) return;
    const refresh = () => {
      for (const b of $("legend").querySelectorAll("[data-type]")) b.setAttribute("aria-pressed", String(state.types.has(Number(b.dataset.type))));
      $("legend").querySelector(".reset").hidden = !state.types.size;
      plot.order = null;
      plot.at = -1;
      paint();
      mark(-1);
    };
    $("legend").replaceChildren(...types.map((t, i) => h("button", { type: "button", "data-type": i, "aria-pressed": String(state.types.has(i)), onclick: () => {
      if (!state.types.delete(i)) state.types.add(i);
      refresh();
    } }, styled(h("i", { "aria-hidden": "true" }), { background: colourOf(i, types.length) }), elide(t, 32))),
    h("button", { type: "button", class: "reset", onclick: () => { state.types.clear(); refresh(); } }, "all types"));
    $("legend").querySelector(".reset").hidden = !state.types.size;
  }

  // ---- one metric: tenths and mapping -------------------------------------------------------------------------
  function gauge(share, text, kind, zero, title) {
    const rail = h("span", { class: "rail", "aria-hidden": "true" });
    if (zero > 0) rail.append(styled(h("i", { class: "zero" }), { left: `${100 * zero}%` }));
    if (known(share)) {
      const size = Math.abs(share);
      rail.append(styled(h("i", { class: kind === "count" ? "count" : share < 0 ? "less" : "" }),
        { left: `${100 * (share < 0 ? zero - size : zero)}%`, width: `${Math.max(100 * size, share ? 0.8 : 0)}%` }));
    }
    return h("span", { class: "gauge", title }, rail, h("span", { class: "number" }, text));
  }
  function tenths() {
    const bands = (state.metric.parts || {}).tenths || [];
    $("tenths").hidden = !bands.length;
    if (!bands.length) return;
    const [least] = extremes([0, ...bands.map((b) => b.srcc)]);
    const [, greatest] = extremes([0.5, ...bands.map((b) => b.srcc)]);
    const zero = least < 0 ? -least / (greatest - least) : 0;
    const most = Math.max(1, ...bands.map((b) => b.pictures));
    $("tenths").replaceChildren(h("div", { class: "plot-head" }, h("h3", {}, "Tenths of the opinions' scale")),
      h("table", { class: "bars" }, h("caption", { class: "hidden" }, `SRCC of ${shown(state.metric.name)} within each tenth of the scale`),
        h("thead", {}, h("tr", {}, ...["Opinion", "SRCC within", "Pictures"].map((t) => h("th", { scope: "col" }, t)))),
        h("tbody", {}, ...bands.map((b) => h("tr", {}, h("th", { scope: "row", class: "number" }, `${tick(b.low)}–${tick(b.high)}`),
          h("td", {}, known(b.srcc) ? gauge(b.srcc / (greatest - least), fixed(b.srcc, 2), "", zero) : dash(b.pictures < 5 ? "fewer than 5 pictures" : "not defined: all predictions or opinions here are the same")),
          h("td", {}, gauge(b.pictures / most, count(b.pictures), "count", 0)))))),
      h("p", { class: "muted small" }, "Within a narrow range opinions hardly differ, so that these are nearly always lower than over all pictures."));
  }
  const FORMULAS = {
    logistic4: "b2 + (b1 − b2) / (1 + exp(−(x − b3) / |b4|))", logistic5: "b1 · (1/2 − 1 / (1 + exp(b2 · (x − b3)))) + b4 · x + b5",
    cubic: "b1 + b2 · x + b3 · x² + b4 · x³", linear: "b1 + b2 · x", none: "x",
  };
  function mapped(kind, b, x) {
    const expit = (t) => 1 / (1 + Math.exp(-t));
    if (kind === "logistic4") return b[1] + (b[0] - b[1]) * expit((x - b[2]) / Math.max(Math.abs(b[3]), 1e-12));
    if (kind === "logistic5") return b[0] * (0.5 - expit(-b[1] * (x - b[2]))) + b[3] * x + b[4];
    if (kind === "cubic") return b[0] + x * (b[1] + x * (b[2] + x * b[3]));
    return kind === "linear" ? b[0] + b[1] * x : kind === "none" ? x : NaN;
  }
  function curve(points, { x, y, lines = [], tall, text, marks = [] }) {
    const [left, right] = x;
    const [low, high] = y;
    const px = (v) => (100 * (v - left)) / (right - left);
    const py = (v) => 100 - (100 * (v - low)) / (high - low);
    const path = points.map((p, i) => `${i ? "L" : "M"}${px(p[0]).toFixed(3)} ${py(p[1]).toFixed(3)}`).join("");
    const box = svg("svg", { role: "img", "aria-label": text }, ...lines.map((l) => ("x" in l
      ? svg("line", { class: l.kind, x1: `${px(l.x)}%`, x2: `${px(l.x)}%`, y1: 0, y2: "100%" })
      : svg("line", { class: l.kind, x1: 0, x2: "100%", y1: `${py(l.y)}%`, y2: `${py(l.y)}%` }))),
    svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", width: "100%", height: "100%" }, svg("path", { d: path })),
    ...marks.map((p) => svg("circle", { class: "point", cx: `${px(p[0])}%`, cy: `${py(p[1])}%`, r: 5.5 })));
    const side = h("div", { class: "side" }, ...ticks(low, high, tall ? 5 : 3).map((t) => styled(h("span", {}, tick(t)), { top: `${py(t)}%` })));
    const axis = h("div", { class: "axis" }, ...ticks(left, right, 4).map((t) => styled(h("span", {}, tick(t)), { left: `${px(t)}%`, transform: "translateX(-50%)" })));
    box.classList.add("strip");
    return [h("div", { class: tall ? "curve tall" : "curve" }, side, styled(box, { height: "100%" })), axis];
  }
  function mapping() {
    const m = state.metric;
    const map = m.mapping;
    $("mapping").hidden = !map;
    if (!map) return;
    const parameters = (map.parameters || []).map((p, i) => `b${i + 1} = ${known(p) ? minus(String(Number(p.toPrecision(5)))) : "–"}`);
    const drawn = [];
    if (known(map.low) && known(map.high) && map.high > map.low && (map.parameters || []).every(known)) {
      for (let k = 0; k <= 80; k += 1) {
        const at = map.low + ((map.high - map.low) * k) / 80;
        const y = mapped(map.kind, map.parameters, at);
        if (known(y)) drawn.push([at, y]);
      }
    }
    const [low, high] = extremes(drawn.map((p) => p[1]));
    const box = $("mapping");
    box.replaceChildren(h("div", { class: "plot-head" }, h("h3", {}, `Mapping: ${shown(map.kind)}`),
      map.rises === false ? h("span", { class: "pill bad" }, "falls somewhere") : ""),
    h("p", { class: "small" }, map.kind === map.asked ? "" : h("span", { class: "pill poor" }, `asked: ${shown(map.asked)}`), map.note ? ` ${shown(map.note)}` : ""));
    if (drawn.length > 1 && high - low > 1e-9 * Math.max(1, Math.abs(high))) {
      box.append(...curve(drawn, { x: [map.low, map.high], y: [low - (high - low) * 0.05, high + (high - low) * 0.05],
        text: `Mapped prediction over prediction, from ${tick(map.low)} to ${tick(map.high)}` }));
    }
    box.append(h("p", { class: "small formula" }, `mapped = ${FORMULAS[map.kind] || "not known"}`),
      h("p", { class: "small formula" }, parameters.join(",  ")),
      h("p", { class: "muted small formula" }, `Fitted on ${shown(map.fitted_on || "all pictures")}; x is the prediction${m.lower_better ? ", negated because lower is better" : ""}, from ${tick(map.low || 0)} to ${tick(map.high || 0)}.`));
  }

  // ---- heat maps and matrices: tables whose cells tell more in a line below --------------------------------------
  // cell(row, column): {text, detail, colour, class, all}; colour is [r, g, b] or null
  function grid({ rows, columns, cell, caption, corner, kind = "heat", hint, dense, last }) {
    const upright = columns.some((c) => [...c.label].length > 4);
    const readout = h("p", { class: "muted small readout" }, hint);
    const all = [];
    const head = h("tr", {}, h("td", { class: "void" }, h("span", { class: "hidden" }, corner)), ...columns.map((c) => h("th", { scope: "col", class: upright ? "upright" : "", title: c.title || c.label },
      upright ? h("span", { class: "tall" }, c.label) : c.label)), ...(last ? last.heads.map((t) => h("th", { scope: "col" }, t)) : []));
    const body = rows.map((r, i) => {
      all.push([]);
      return h("tr", {}, h("th", { scope: "row", title: r.title || r.label }, ...broken(r.label)), ...columns.map((c, j) => {
        const made = cell(r, c);
        const node = h("td", { class: made.class || "", title: made.detail, tabindex: i || j ? "-1" : "0" },
          dense ? h("span", { class: "hidden" }, made.text) : made.text, h("span", { class: "hidden" }, `. ${made.detail}`));
        if (made.colour) styled(node, { background: rgb(made.colour), color: ink(made.colour) });
        all[i].push(node);
        return node;
      }), ...(last ? last.cells(r) : []));
    });
    const table = h("table", { class: `${kind} ${kind === "heat" ? "" : "heat"} ${dense ? "dense" : ""}`.trim() },
      h("caption", { class: "hidden" }, caption), h("thead", {}, head), h("tbody", {}, ...body));
    const tell = (e) => {
      const node = e.target.closest("td[tabindex]");
      if (node) readout.textContent = node.title;
    };
    table.addEventListener("mouseover", tell);
    table.addEventListener("focusin", tell);
    table.addEventListener("keydown", (e) => {
      const node = e.target.closest("td[tabindex]");
      const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
      if (!node || !own(step, e.key)) return;
      e.preventDefault();
      const i = all.findIndex((line) => line.includes(node));
      const [down, right] = step[e.key];
      const next = (all[i + down] || [])[all[i].indexOf(node) + right];
      if (!next) return;
      node.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
    return [h("div", { class: "heat-sheet", role: "region", "aria-label": caption }, table), readout];
  }
  function ramp(from, to, colour, texts) {
    const steps = h("span", { class: "steps", "aria-hidden": "true" });
    for (let k = 0; k < 30; k += 1) steps.append(styled(h("i"), { background: rgb(colour(from + ((to - from) * k) / 29)) }));
    return h("span", { class: "ramp" }, texts[0], steps, texts[1]);
  }
  const cellText = (v, digits) => fixed(v, digits).replace(/^(−?)0\./, "$1.").replace(/^−1\.00$/, "−1.0");
  const columnsOf = () => types.map((t) => ({ key: t, label: elide(t, 24), title: shown(t) }));
  function heatTypes() {
    const some = metrics.filter((m) => m.parts && m.parts.type);
    $("heat").hidden = !types.length || !some.length;
    if ($("heat").hidden) return;
    const values = some.flatMap((m) => Object.values(m.parts.type).map((p) => p.srcc)).filter((v) => known(v) && v >= 0);
    const [least] = extremes(values.length ? values : [0]);
    const low = Math.min(0.9, Math.floor(least * 10) / 10);
    const colour = (v) => (v < 0 ? mix(ramps().high, 0.35 - 0.5 * v) : mix(ramps().up, (v - low) / (1 - low)));
    const dense = types.length > 40;
    const mean = (m) => value(m, "srcc_within_type");
    $("heat-types").replaceChildren(h("div", { class: "plot-head" }, h("h3", {}, "SRCC of each metric within each type"),
      ramp(low, 1, colour, [fixed(low, 1), "1.0; orange is below 0"])),
    ...grid({ rows: ranked.filter((m) => some.includes(m)).map((m) => ({ m, label: elide(m.name, 32), title: shown(m.name) })),
      columns: [...columnsOf(), { key: null, label: "mean" }], dense, corner: "Metric", caption: "SRCC of each metric within each type",
      hint: "Point at a cell, or step with the arrow keys, to read it here.",
      cell: ({ m }, { key, title }) => {
        const part = key === null ? { srcc: mean(m), pictures: total } : (own(m.parts.type, key) ? m.parts.type[key] : { srcc: null, pictures: 0 });
        const what = `${shown(m.name)}, ${key === null ? "mean over types" : `type ${title}`}`;
        if (!known(part.srcc)) {
          return { text: "–", class: "void", detail: `${what}: ${constant(m) ? "not defined, it says the same of all pictures" : part.pictures < 5 ? "fewer than 5 pictures" : "not defined"}` };
        }
        return { text: cellText(part.srcc, 2), colour: colour(part.srcc), class: key === null ? "all" : "",
          detail: `${what}: SRCC ${fixed(part.srcc)}, ${plural(part.pictures, "picture")}` };
      } }));
  }
  function heatCells() {
    const m = state.metric;
    const cells = (m.parts && m.parts.cells) || [];
    $("heat-cells-part").hidden = !cells.length;
    if (!cells.length) return;
    const place = new Map(cells.map((c) => [JSON.stringify([String(c.type), String(c.level)]), c]));
    const levels = [...new Set(cells.map((c) => String(c.level)))].sort(collator.compare);
    const span = data.scale ? Math.abs(data.scale[1] - data.scale[0]) : 1;
    const [, most] = extremes(cells.map((c) => Math.abs(c.error)));
    const limit = Math.max(most, span * 0.02);
    const colour = (v) => mix(v < 0 ? ramps().low : ramps().high, 0.85 * Math.min(1, Math.abs(v) / limit));
    const digits = span >= 50 ? 0 : span >= 8 ? 1 : 2;
    $("heat-cells").replaceChildren(h("div", { class: "plot-head" }, h("h3", {}, `Mean error of ${elide(m.name)} at each type and level`),
      ramp(-limit, limit, colour, [`predicted too low ${number(-limit, 2)}`, `${number(limit, 2)} too high`])),
    ...grid({ rows: levels.map((l) => ({ key: l, label: `level ${shown(l)}` })), columns: columnsOf(), dense: types.length > 40, corner: "Level",
      caption: `Mean of mapped prediction minus opinion, by level and type, ${shown(m.name)}`, hint: "Point at a cell, or step with the arrow keys, to read it here.",
      cell: (r, c) => {
        const one = place.get(JSON.stringify([c.key, r.key]));
        if (!one || !known(one.error)) return { text: "", class: "void", detail: `type ${c.title}, ${r.label}: no picture` };
        const text = Math.abs(one.error) < 0.5 * 10 ** -digits ? "0" : cellText(one.error, digits);
        return { text, colour: colour(one.error),
          detail: `type ${c.title}, ${r.label}: mean opinion ${number(one.opinion)}, mapped prediction ${number(one.predicted)}, error ${number(one.error)}, `
            + `RMSE ${number(one.rmse)}, ${plural(one.pictures, "picture")}` };
      } }));
  }

  // ---- decisions ----------------------------------------------------------------------------------------------
  function decisions() {
    const some = metrics.filter((m) => m.decisions);
    $("decisions").hidden = !some.length;
    if (!some.length) return;
    const { pairs, told_apart: told } = some[0].decisions;
    $("decisions-text").textContent = `People told ${count(told)} of ${plural(pairs, "pair")} apart at ${level} (${percent(told / pairs)}). `
      + "Can a metric tell these from the others, and which picture of a pair is the better one? 0.5 is a coin.";
    const kinds = [
      ["Different or similar", "AUC", (d) => d.different && d.different.auc, (d) => d.different && d.different.interval, "all pairs are different, or all similar"],
      ["Better or worse", "AUC", (d) => d.better && d.better.auc, (d) => d.better && d.better.interval, "no pair is different"],
      ["Share of different pairs ordered rightly", "share", (d) => d.correct, () => null, "no pair is different"],
    ];
    $("decisions-plots").replaceChildren(...kinds.map(([title, reading, get, pair, reason]) => {
      const rows = some.map((m) => [m, get(m.decisions)]).sort((a, b) => (b[1] ?? -1) - (a[1] ?? -1)).map(([m, v]) => {
        const e = pair(m.decisions) || [];
        return { name: m.name, value: v, low: e[0], high: e[1], text: fixed(v), small: known(e[0]) ? range(...e) : "", why: `not defined: ${reason}` };
      });
      return h("div", { class: "plot" }, h("div", { class: "plot-head" }, h("h3", {}, title)),
        dots(rows, { caption: `${title}, ${reading}`, first: "Metric", reading: reading === "AUC" ? "AUC, 95 % interval" : "Share", brief: true,
          lines: [{ at: 0.5, text: "", kind: "even" }], from: 0.5, to: 1, floor: rows.some((r) => known(r.value) && r.value >= 0.5) ? 0.4 : -Infinity }));
    }));
    $("decisions-table").replaceChildren(h("details", {}, h("summary", {}, "Resolving power"),
      h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Resolving power" }, h("table", { class: "figures" },
        h("caption", { class: "hidden" }, "Resolving power of each metric"),
        h("thead", {}, h("tr", {}, ...["Metric", "Resolving power", "Pairs", "Told apart"].map((t, i) => h("th", { scope: "col", class: i ? "right" : "" }, t)))),
        h("tbody", {}, ...ranked.filter((m) => m.decisions).map((m) => h("tr", {}, h("th", { scope: "row" }, ...broken(elide(m.name))),
          h("td", {}, known(m.decisions.resolving_power) ? number(m.decisions.resolving_power, 4) : dash("not defined: no pair is similar")),
          h("td", {}, count(m.decisions.pairs)), h("td", {}, count(m.decisions.told_apart))))))),
      h("p", { class: "muted small more" }, "A difference in the metric's own units that only 5 % of similar pairs exceed: from there on it counts. It cannot be compared between metrics.")));
  }

  // ---- tests --------------------------------------------------------------------------------------------------
  const independent = `It takes every picture as independent of the others${unit === "reference" ? ", which pictures of one reference are not, so that it finds differences too easily" : ""}.`;
  const paired = (what) => `Difference in ${what}, by a paired bootstrap: in every round both metrics are judged on the same ${unit}s.`;
  const TESTS = {
    srcc: ["SRCC, paired bootstrap", paired("SRCC")], plcc: ["PLCC, paired bootstrap", paired("PLCC")], krcc: ["KRCC, paired bootstrap", paired("KRCC")],
    meng: ["SRCC, Meng", `Meng, Rosenthal and Rubin's test of two SRCC with the same opinions. ${independent}`],
    steiger: ["PLCC, Steiger", `Steiger's test of two PLCC with the same opinions. ${independent}`],
    variance: ["Residuals, F-test", "F-test of the variances of what the mapping leaves over, the custom of the field. It takes these residuals as normal and independent; "
      + "a star marks pairs of metrics where they are not normal enough for it."],
    different: ["Different or similar, DeLong", "DeLong's test of two AUC: which metric better tells different pairs from similar ones. It takes pairs as independent."],
    better: ["Better or worse, DeLong", "DeLong's test of two AUC: which metric better tells the better picture of a pair. It takes pairs as independent."],
  };
  const FIGURE = {
    srcc: (m) => value(m, "srcc"), plcc: (m) => value(m, "plcc"), krcc: (m) => value(m, "krcc"), meng: (m) => value(m, "srcc"), steiger: (m) => value(m, "plcc"),
    different: (m) => ((m.decisions || {}).different || {}).auc, better: (m) => ((m.decisions || {}).better || {}).auc, variance: (m) => (value(m, "rmse") === null ? null : -value(m, "rmse")),
  };
  const tests = new Map(Object.entries(found.tests || {}).filter(([, pairs]) => pairs.length).map(([test, pairs]) =>
    [test, new Map(pairs.map((p) => [JSON.stringify([p.first, p.second]), p]))]));
  // which of the two is better: by the statistic where it is finite (1 is even for the F-test), else by the figures
  function leaning(test, p, a, b) {
    if (known(p.statistic)) return Math.sign(p.statistic - (test === "variance" ? 1 : 0));
    const get = FIGURE[test];
    const [x, y] = get ? [get(byName.get(a)), get(byName.get(b))] : [null, null];
    return known(x) && known(y) ? Math.sign(x - y) : 0;
  }
  function outcome(test, a, b) {
    const pairs = tests.get(test);
    const turned = !pairs.has(JSON.stringify([a, b]));
    const p = pairs.get(JSON.stringify(turned ? [b, a] : [a, b]));
    if (!p || !known(p.adjusted)) return { result: "unknown", p };
    const way = (turned ? -1 : 1) * leaning(test, p, p.first, p.second);
    const clear = p.adjusted < 1 - options.level && way !== 0;
    return { result: clear ? (way > 0 ? "better" : "worse") : "same", p };
  }
  function matrix() {
    const { test } = state;
    const [, text] = TESTS[test] || [test, ""];
    const adjusted = options.adjust === "none" ? "p-values are not adjusted for many tests"
      : tests.get(test).size === 1 ? "with one pair nothing needs adjusting" : `p-values of all ${plural(tests.get(test).size, "pair")} adjusted ${ADJUSTED[options.adjust] || shown(options.adjust)}`;
    $("test-text").textContent = `${text} Significant below ${CHANCE()}; ${adjusted}.`.trim();
    const signs = { better: "+", worse: "−", same: "=", unknown: "–" };
    const words = { better: "better than", worse: "worse than", same: "no clear difference from", unknown: "not tested against" };
    const rows = ranked.map((m) => ({ m, label: elide(m.name, 32), title: shown(m.name) }));
    const tally = new Map(ranked.map((m) => [m, { better: 0, worse: 0 }]));
    const cell = (r, c) => {
      if (r.m === c.m) return { text: "", class: "self", detail: `${r.title}: the same metric` };
      const { result, p } = outcome(test, r.m.name, c.m.name);
      if (result in tally.get(r.m)) tally.get(r.m)[result] += 1;
      const star = p && p.normal === 0 ? "*" : "";
      const numbers = result === "unknown" ? ": the test is not defined, as for constant predictions"
        : `: ${options.adjust === "none" ? "p" : `adjusted p ${probability(p.adjusted)}, p`} ${probability(p.p)}${known(p.statistic)
          ? `, statistic ${number(p.first === r.m.name || test !== "variance" ? (p.first === r.m.name ? p.statistic : -p.statistic) : 1 / p.statistic)}` : ""}`;
      return { text: signs[result] + star, class: result, detail: `${r.title} ${words[result]} ${c.title}${numbers}${star ? "; residuals not normal" : ""}` };
    };
    $("matrix").replaceChildren(h("div", { class: "keys" }, ...[["better", "the row is better"], ["worse", "the row is worse"], ["same", "no clear difference"]].map(([k, t]) =>
      h("span", {}, h("b", { class: k, "aria-hidden": "true" }, signs[k]), t))),
    ...grid({ rows, columns: rows, cell, kind: "matrix", corner: "Row against column", caption: `Every metric against every other: ${(TESTS[test] || [test])[0]}`,
      hint: "Point at a cell, or step with the arrow keys, to read its p-value here.",
      last: { heads: ["better than", "worse than"], cells: (r) => ["better", "worse"].map((k) => h("td", { class: "total" }, String(tally.get(r.m)[k]))) } }));
  }
  function testControls() {
    $("tests").hidden = !tests.size || metrics.length < 2;
    if ($("tests").hidden) return;
    [state.test] = tests.keys();
    $("test").append(...[...tests.keys()].map((t) => option(t, (TESTS[t] || [t])[0])));
    $("test").addEventListener("change", (e) => { state.test = e.target.value; matrix(); });
    matrix();
  }

  // ---- calibration --------------------------------------------------------------------------------------------
  const calibrated = new Map(Object.entries(found.calibration || {}));
  function calibration(which) {
    const c = calibrated.get(which);
    const promised = percent(c.level);
    const pair = c.coverage_interval || [];
    const kept = known(pair[0]) ? (pair[0] <= c.level && c.level <= pair[1] ? ["excellent", "as promised"] : c.coverage < c.level ? ["bad", "too few"] : ["fair", "more than promised"]) : null;
    const tiles = $("calibration-tiles");
    tiles.replaceChildren();
    tile(tiles, "Covered", percent(c.coverage, 1), `${promised} were promised${known(pair[0]) ? `; 95 % interval ${percent(pair[0], 1)} to ${percent(pair[1], 1)}` : ""}, ${plural(c.pictures, "picture")}`,
      kept ? h("span", { class: `pill ${kept[0]}` }, kept[1]) : null);
    tile(tiles, "Mean width", number(c.mean_width), `median ${number(c.median_width)}, on the opinions' scale`);
    tile(tiles, "Factor that keeps the promise", number(c.factor), known(c.factor) && c.factor < 1 ? "below 1: intervals are wider than needed" : "above 1: intervals are too narrow");
    tile(tiles, "Interval score", number(c.interval_score), "width and a penalty for each miss; lower is better");
    const plots = [];
    const points = (c.curve || []).filter((p) => known(p.scale) && known(p.coverage)).map((p) => [p.scale, p.coverage]);
    if (points.length > 1) {
      const [left, right] = extremes(points.map((p) => p[0]));
      plots.push(h("div", { class: "plot" }, h("div", { class: "plot-head" }, h("h3", {}, "Coverage if all intervals were scaled")),
        ...curve(points, { x: [left, right], y: [0, 1], tall: true, marks: left <= 1 && right >= 1 ? [[1, c.coverage]] : [],
          lines: [{ y: c.level, kind: "line-goal" }, { x: 1, kind: "line-even" }, ...(known(c.factor) && c.factor <= right && c.factor >= left ? [{ x: c.factor, kind: "line-ceiling" }] : [])],
          text: `Share of opinions covered over the scale of the intervals: ${percent(c.coverage, 1)} at 1, ${promised} at ${number(c.factor)}` }),
        h("p", { class: "muted small" }, `Across: factor on the intervals; up: share of opinions inside. Dashed: the promised ${promised}, reached at ${number(c.factor)}.`)));
    }
    const goal = [{ at: c.level, text: `promised ${promised}`, kind: "goal" }];
    const share = (rows, title, first, note, brief) => h("div", { class: "plot" }, h("div", { class: "plot-head" }, h("h3", {}, title)),
      dots(rows, { caption: title, first, reading: "Covered", lines: goal, brief, to: 1 }), h("p", { class: "muted small" }, note));
    if ((c.bins || []).length) {
      plots.push(share(c.bins.map((b) => ({ name: `${number(b.low, 2)} to ${number(b.high, 2)}`, value: b.coverage, text: percent(b.coverage, 1), small: `width ${number(b.width, 2)}`,
        title: plural(b.pictures, "picture") })), "Coverage along the predictions", "Prediction", "Equal shares of the pictures, by their prediction.", true));
    }
    const parts = Object.entries(c.groups || {}).sort((a, b) => collator.compare(a[0], b[0]));
    $("calibration-groups").hidden = !parts.length;
    if (parts.length) {
      $("calibration-groups").replaceChildren(share(parts.map(([g, b]) => ({ name: g, value: b.coverage, low: (b.coverage_interval || [])[0], high: (b.coverage_interval || [])[1], text: percent(b.coverage, 1),
        small: `width ${number(b.width, 2)}`, title: plural(b.pictures, "picture") })), "Coverage in each group", "Group", "Whiskers: 95 % intervals of the coverage.", false));
    }
    $("calibration-plots").replaceChildren(...plots);
  }
  function calibrationControls() {
    $("calibration").hidden = !calibrated.size;
    if (!calibrated.size) return;
    const keys = [...calibrated.keys()];
    $("calibrated").append(...keys.map((k, i) => option(i, elide(k))));
    $("calibrated").addEventListener("change", (e) => calibration(keys[e.target.value]));
    calibration(keys[0]);
  }

  // ---- pictures -----------------------------------------------------------------------------------------------
  const thumbs = (i) => (own(pictures, i) && pictures[i] && Array.isArray(pictures[i].thumb) ? pictures[i].thumb.filter((u) => typeof u === "string" && u.startsWith("data:image/")) : []);
  const figure = (uri, text, alt) => h("figure", {}, h("span", { class: "thumb" }, h("img", { src: uri, alt, loading: "lazy", decoding: "async" })), text ? h("figcaption", {}, text) : null);
  const facts = (i) => [data.types ? `type ${shown(data.types[i])}` : "", data.levels ? `level ${shown(data.levels[i])}` : ""].filter(Boolean).join(", ");
  const who = (i) => [elide(name(i), 60), facts(i) ? h("span", { class: "folder muted" }, facts(i)) : null];
  function disagreements() {
    const m = state.metric;
    const places = (m.parts && m.parts.disagreements) || [];
    $("disagreements").hidden = !metrics.some((o) => o.parts && (o.parts.disagreements || []).length);
    const some = places.some((i) => thumbs(i).length);
    $("disagreement-list").replaceChildren(h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Pictures misjudged most" }, h("table", { class: "list" },
      h("caption", { class: "hidden" }, `Pictures whose mapped prediction by ${shown(m.name)} is farthest from the opinion`),
      h("thead", {}, h("tr", {}, some ? h("th", { scope: "col" }, "Picture and reference") : null,
        ...["Name", "Opinion", "Mapped prediction", "Difference"].map((t, k) => h("th", { scope: "col", class: k ? "right" : "" }, t)))),
      h("tbody", {}, ...places.map((i) => {
        const error = data.error && known(data.error[i]) ? h("span", { class: "muted small" }, ` ± ${number(data.error[i])}`) : null;
        const apart = m.mapped[i] - data.opinions[i];
        const near = Math.abs(apart) < 1e-9 * Math.max(1, Math.abs(data.opinions[i]));
        return h("tr", {}, some ? h("td", {}, h("span", { class: "pictures-two" }, ...thumbs(i).map((u, k) => figure(u, k ? "reference" : "picture", k ? "reference" : name(i))))) : null,
          h("td", { class: "name" }, ...who(i)), h("td", { class: "right" }, number(data.opinions[i]), error), h("td", { class: "right" }, number(m.mapped[i])),
          h("td", { class: "right" }, near ? "0" : `${apart > 0 ? "+" : ""}${number(apart)}`, near ? null : h("span", { class: "muted small" }, apart > 0 ? " too high" : " too low")));
      }), places.length ? null : h("tr", {}, h("td", { class: "empty", colspan: 5 }, "No picture is listed."))))));
  }
  function duels() {
    const all = found.duels || [];
    $("duels").hidden = !all.length;
    if (!all.length) return;
    const some = all.some((d) => thumbs(d.first).length || thumbs(d.second).length);
    const body = h("tbody");
    const more = h("button", { type: "button", class: "more" }, "Show more");
    const side = (i) => h("td", { class: "name" }, some && thumbs(i).length ? figure(thumbs(i)[0], "", "") : null, ...who(i));
    const grow = () => {
      for (const d of all.slice(body.rows.length, body.rows.length + 12)) {
        const said = known(d.opinion) ? `${d.opinion > 0 ? "+" : ""}${number(d.opinion)}` : null;
        body.append(h("tr", {}, h("td", { class: "name" }, h("strong", {}, elide(d.defender, 32)), h("span", { class: "folder muted" }, `level ${d.level + 1}, differ by ${number(d.slack)}`)),
          h("td", { class: "name" }, h("strong", {}, elide(d.attacker, 32)), h("span", { class: "folder muted" }, `first is better by ${number(d.gap)}`)),
          side(d.first), side(d.second), h("td", { class: "right" }, said === null ? dash("opinions of these are not known") : said)));
      }
      more.hidden = body.rows.length >= all.length;
    };
    more.addEventListener("click", grow);
    grow();
    $("duel-list").replaceChildren(h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Duels" }, h("table", { class: "list pictures" },
      h("caption", { class: "hidden" }, "Pairs that the defender calls equal and the attacker sets apart"),
      h("thead", {}, h("tr", {}, ...["Defender: equal", "Attacker: different", "First", "Second", "People: first minus second"].map((t, k) =>
        h("th", { scope: "col", class: k === 4 ? "right" : "" }, t)))), body)), more);
  }

  // ---- how it was made ----------------------------------------------------------------------------------------
  function plain(v) {
    if (v === null || v === undefined || v === "") return "";
    if (Array.isArray(v)) return v.map(plain).join(", ");
    if (typeof v === "object") return Object.entries(v).map(([k, o]) => `${shown(k)} ${plain(o)}`).join(", ");
    return shown(typeof v === "number" ? minus(String(v)) : v);
  }
  const terms = (entries) => entries.filter(([, text]) => text).flatMap(([key, text]) => [h("dt", {}, key), h("dd", {}, text)]);
  function made() {
    const ceiling = baselines.ceiling || {};
    const NAMES = { mapping: "mapping asked for", rounds: "bootstrap rounds", level: "level of intervals and tests", adjust: "p-values adjusted", splits: "random splits", held: "share held out in a split" };
    $("facts").append(...terms([
      ["Beholder", plain(found.beholder)], ...Object.entries(found.source || {}).map(([k, v]) => [shown(k).replaceAll("_", " "), plain(v)]),
      ["pictures", count(total)], ["scale", data.scale ? `${tick(data.scale[0])} (worst) to ${tick(data.scale[1])} (best)` : ""], ["drawn over", plural(data.units, unit)],
      ["known of pictures", [["intervals of opinions", data.error], ["references", data.references], ["types", data.types], ["levels", data.levels]].filter(([, v]) => v).map(([t]) => t).join(", ") || "opinions only"],
      ...Object.entries(options).map(([k, v]) => [NAMES[k] || shown(k).replaceAll("_", " "), k === "adjust" && own(ADJUSTED, v) ? ADJUSTED[v] : plain(v)]),
      ["lower is better", metrics.filter((m) => m.lower_better).map((m) => shown(m.name)).join(", ") || "for none"],
      ["ceiling", Object.entries(ceiling).filter(([, v]) => v && known(v[0])).map(([k, v]) => `${label(k)} ${fixed(v[0], 4)} (${range(v[1], v[2], (e) => fixed(e, 4))})`).join(", ")],
      ["content-blind table", baselines.content_blind ? Object.entries(baselines.content_blind).filter(([, v]) => known(v)).map(([k, v]) => (k === "pictures" ? plural(v, "picture") : `${label(k)} ${fixed(v, 4)}`)).join(", ") : ""],
    ]));
    $("definitions").append(...terms([
      ...measures.map(([, title, meaning]) => [title, meaning]),
      ["percentile interval", `The middle ${level} of the figures over all rounds of the bootstrap.`],
      ["BCa interval", metrics.some((m) => Object.keys(m.bca || {}).length) ? "The same, corrected for bias and skewness of the rounds (Efron 1987)." : ""],
      ["mapping", "A rising curve fitted by least squares that brings predictions to the opinions' scale; ranks do not need it."],
      ["group", metrics.length > 1 ? "A letter marks the metrics that do not differ in SRCC from the best of its group; one may stand in several." : ""],
      ["content-blind table", baselines.content_blind ? "For every picture the mean opinion of its type and level over all other references. A metric below it knows less than the distortion's name." : ""],
      ["ceiling of the opinions", baselines.ceiling ? "Agreement of the opinions with themselves, drawn anew within their error: no metric can be shown to agree better." : ""],
      ["AUC, different or similar", metrics.some((m) => m.decisions) ? "Chance that the metric sets a pair that people told apart farther apart than one that they did not (Krasula et al. 2016)." : ""],
      ["AUC, better or worse", metrics.some((m) => m.decisions) ? "The same for which picture of a pair that people told apart is the better one." : ""],
      ["resolving power", metrics.some((m) => m.decisions) ? "Difference of a metric that only 5 % of similar pairs exceed." : ""],
      ["p-value", metrics.length > 1 ? "Chance of a difference at least as large if the two metrics were equal." : ""],
      ["interval score", calibrated.size ? "Mean width of the intervals plus a penalty for every opinion outside (Gneiting and Raftery 2007)." : ""],
    ]));
  }

  // ---- all together -------------------------------------------------------------------------------------------
  function choose() {
    for (const s of document.querySelectorAll(".metric-choice")) s.value = String(metrics.indexOf(state.metric));
    const warnings = state.metric.warnings || [];
    $("own-warnings").hidden = !warnings.length;
    $("own-warnings").replaceChildren(...warnings.map((w) => h("li", {}, shown(w))));
    scatter();
    tenths();
    mapping();
    heatCells();
    disagreements();
  }
  function links() {
    for (const section of document.querySelectorAll("main > section[aria-labelledby]")) {
      const title = section.querySelector("h2");
      if (!section.hidden && section.id !== "warnings") $("contents").append(h("a", { href: `#${section.id}` }, title.textContent));
    }
  }
  summarise();
  rankingControls();
  ranking();
  for (const s of document.querySelectorAll(".metric-choice")) {
    s.append(...ranked.map((m) => option(metrics.indexOf(m), elide(m.name))));
    s.addEventListener("change", (e) => {
      const top = e.target.getBoundingClientRect().top;
      state.metric = metrics[Number(e.target.value)];
      choose();
      scrollBy({ top: e.target.getBoundingClientRect().top - top, behavior: "instant" }); // what was chosen stays under the hand
    });
  }
  heatTypes();
  choose();
  scatterControls();
  decisions();
  testControls();
  calibrationControls();
  duels();
  made();
  links();
  night.addEventListener("change", () => { legend(); paint(); heatTypes(); heatCells(); });
})();
