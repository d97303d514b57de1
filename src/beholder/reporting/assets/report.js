// Draws the report from the three data blocks of this file. Text only ever enters the page as text (never as markup),
// so that a file name cannot become part of the program.
(() => {
  const WORDS = ["bad", "poor", "fair", "good", "excellent"];
  const PAGE = { list: 50, gallery: 60 };
  const PRINTED = 300;

  const { meta, columns, metrics, limits, thumbnails } = read("data-meta");
  const table = read("data-rows");
  const pictures = read("data-pictures");
  const at = Object.fromEntries(columns.map((name, i) => [name, i]));
  const cell = (row, name) => (name in at && row[at[name]] !== undefined ? row[at[name]] : null);
  for (const m of metrics) {
    m.opinion = `${m.name}_word` in at;
    m.interval = `${m.name}_low` in at && `${m.name}_high` in at;
    m.sign = m.better === "lower" ? -1 : 1;
  }
  const main = metrics[0];
  const indices = table.map((_, i) => i);
  const scored = indices.filter((i) => metrics.some((m) => cell(table[i], m.name) !== null));
  const failed = indices.filter((i) => cell(table[i], "error"));

  // ---- small helpers ------------------------------------------------------------------------------------------
  const percent = (n, all) => {
    const share = all ? (100 * n) / all : 0;
    return `${share > 0 && share < 1 ? "<1" : share > 99 && share < 100 ? ">99" : Math.round(share)} %`;
  };
  function number(value) {
    if (value === null) return "–";
    if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
    const size = Math.abs(value);
    if (size === 0) return "0";
    const text = size < 1e-3 || size >= 1e6 ? value.toExponential(2) : value.toFixed(size < 10 ? 4 : 2);
    return text.replace("-", "−");
  }
  const short = (m, value) => (m.opinion && Number.isFinite(value) ? String(Math.round(value)) : number(value));
  const elide = (text, most = 64) => {
    const letters = [...text];
    return letters.length <= most ? text : `${letters.slice(0, most / 2 - 1).join("")}…${letters.slice(-most / 2).join("")}`;
  };
  const tick = (value) => String(Number(value.toPrecision(4))).replace("-", "−");
  const ordered = (values) => Float64Array.from(values).sort();
  const median = (s) => (s.length ? (s[(s.length - 1) >> 1] + s[s.length >> 1]) / 2 : null);
  const word = (value) => WORDS[Math.max(0, Math.min(4, Math.floor(value / 20)))];
  const pill = (text) => h("span", { class: `pill ${WORDS.includes(text) ? text : ""}` }, text);

  // The folder that all pictures share is said once, above the list.
  const slash = (path) => Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1;
  let root = null;
  for (const row of table) {
    const path = cell(row, "image") || "";
    root = root === null ? path.slice(0, slash(path)) : root;
    while (!path.startsWith(root)) root = root.slice(0, slash(root.slice(0, -1)));
  }
  root = root && root.length > 1 ? root : "";
  const names = table.map((row) => {
    const path = (cell(row, "image") || "").slice(root.length);
    return { folder: shown(path.slice(0, slash(path))), file: shown(path.slice(slash(path))) };
  });
  const haystack = table.map((row) =>
    [cell(row, "image"), ...metrics.map((m) => cell(row, `${m.name}_word`)), ...(cell(row, "flags") || [])]
      .join("\n").toLowerCase());

  function verdict(m, row) {
    const [least, most] = limits[m.name] || [null, null];
    const value = cell(row, m.name);
    if (value === null || (least === null && most === null)) return null;
    return (least === null || value >= least) && (most === null || value <= most);
  }
  const misses = (row) => metrics.some((m) => verdict(m, row) === false);
  const limitText = (m) => {
    const [least, most] = limits[m.name] || [null, null];
    return [least === null ? "" : `at least ${least}`, most === null ? "" : `at most ${most}`].filter(Boolean).join(", ");
  };
  function check(m, row) {
    const passed = verdict(m, row);
    if (passed === null) return null;
    return h("span", { class: passed ? "mark-pass" : "mark-fail", title: `asked: ${limitText(m)}` },
      passed ? "✓" : "✕", h("span", { class: "hidden" }, passed ? " passed" : " missed"));
  }

  // ---- summary ------------------------------------------------------------------------------------------------
  const sorted = new Map(metrics.map((m) =>
    [m, ordered(table.map((row) => cell(row, m.name)).filter((v) => v !== null))]));

  function tile(label, value, note, extra) {
    $("summary").append(h("div", { class: "tile" }, h("div", { class: "label" }, label),
      h("div", { class: "value" }, h("strong", {}, value), extra), h("div", { class: "note" }, note)));
  }
  function summarise() {
    tile("Pictures", count(table.length), failed.length ? `${count(scored.length)} scored` : "all scored");
    for (const m of metrics.slice(0, 2)) {
      const values = sorted.get(m);
      if (!values.length) continue;
      const middle = median(values);
      tile(`Median ${m.name}`, `${short(m, middle)}${m.unit && !m.opinion ? ` ${m.unit}` : ""}`,
        `from ${short(m, values[0])} to ${short(m, values[values.length - 1])}, ${m.better} is better`,
        m.opinion ? pill(word(middle)) : null);
    }
    const asked = metrics.filter((m) => limitText(m));
    if (asked.length) {
      const missed = scored.filter((i) => misses(table[i])).length;
      tile("Missed a threshold", count(missed),
        `asked: ${asked.map((m) => `${m.name} ${limitText(m)}`).join("; ")}`,
        scored.length ? h("span", { class: `pill ${missed ? "bad" : "excellent"}` }, missed ? percent(missed, scored.length) : "all pass") : null);
    }
    tile("Errors", count(failed.length), failed.length ? "listed below the pictures" : "every picture could be read",
      failed.length ? h("span", { class: "pill bad" }, percent(failed.length, table.length)) : null);
    const created = meta.created ? new Date(meta.created) : null;
    const when = created && !Number.isNaN(created.getTime())
      ? created.toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" }) : meta.created || "";
    $("subtitle").textContent = [plural(table.length, "picture"), metrics.map((m) => m.name).join(", "), when,
      `Beholder ${meta.version || ""}`.trim()].filter(Boolean).join("  ·  ");
    $("version").textContent = meta.version || "";
  }

  // ---- histograms ---------------------------------------------------------------------------------------------
  function nice(span) {
    const power = 10 ** Math.floor(Math.log10(span));
    return [1, 2, 2.5, 5, 10].map((f) => f * power).find((step) => step >= span * 0.999) || span;
  }
  function bins(m, values) {
    const finite = values.filter((v) => Number.isFinite(v));
    if (!finite.length) return null;
    let [low, high, step] = [0, 100, values.length > 1500 ? 2 : 4];
    if (!m.opinion) {
      [low, high] = [finite[0], finite[finite.length - 1]];
      if (low === high) [low, high] = [low - Math.abs(low || 1) / 20, high + Math.abs(high || 1) / 20];
      step = nice((high - low) / 28);
      low = Math.floor(low / step) * step;
      high = Math.max(Math.ceil(high / step) * step, low + step);
    }
    const counts = new Array(Math.max(1, Math.round((high - low) / step))).fill(0);
    for (const v of finite) counts[Math.max(0, Math.min(counts.length - 1, Math.floor((v - low) / step + 1e-9)))] += 1;
    return { low, high, step, counts, finite };
  }
  function line(x, kind, label) {
    return [svg("line", { class: kind, x1: `${x}%`, x2: `${x}%`, y1: "-2%", y2: "100%" }),
      svg("text", { x: `${x}%`, y: "-5%", "text-anchor": x > 88 ? "end" : x < 12 ? "start" : "middle" }, label)];
  }
  function plot(m) {
    const values = sorted.get(m);
    const b = bins(m, values);
    if (!b) return null;
    const scale = (v) => (100 * (v - b.low)) / (b.high - b.low);
    const tallest = Math.max(...b.counts);
    const chart = svg("svg", { class: "bars", role: "img", "aria-label":
      `Histogram of ${m.name}: ${plural(values.length, "value")}, median ${short(m, median(values))}` });
    if (m.opinion) {
      WORDS.forEach((w, i) => chart.append(
        svg("rect", { class: `band soft-${w}`, x: `${20 * i}%`, width: "20%", y: 0, height: "100%" })));
    }
    const width = 100 / b.counts.length;
    b.counts.forEach((n, i) => {
      if (!n) return;
      const from = b.low + i * b.step;
      const height = Math.max(1.5, (96 * n) / tallest);
      chart.append(svg("rect", { class: m.opinion ? `fill-${word(from)}` : "", rx: 2, x: `${i * width + width * 0.08}%`,
        width: `${width * 0.84}%`, y: `${100 - height}%`, height: `${height}%` },
      svg("title", {}, `${tick(from)} to ${tick(from + b.step)}: ${plural(n, "picture")}`)));
    });
    for (const bound of limits[m.name] || []) {
      if (bound !== null && bound >= b.low && bound <= b.high) chart.append(...line(scale(bound), "limit", `asked ${bound}`));
    }
    const infinite = values.length - b.finite.length;
    const mean = values.reduce((a, v) => a + v, 0) / values.length;
    const facts = [`median ${short(m, median(values))}`, `mean ${m.opinion ? mean.toFixed(1) : number(mean)}`,
      infinite ? `${count(infinite)} × ∞` : ""].filter(Boolean).join("  ·  ");
    const box = h("div", { class: m === main ? "plot wide" : "plot" },
      h("div", { class: "plot-head" }, h("h3", {}, m.name + (m.unit && !m.opinion ? ` (${m.unit})` : "")),
        h("span", { class: "muted small" }, facts)), chart);
    if (limits[m.name]) chart.style.marginTop = "14px";
    const ticks = m.opinion ? [0, 20, 40, 60, 80, 100] : [b.low, (b.low + b.high) / 2, b.high];
    box.append(h("div", { class: "axis" }, ...ticks.map((t) => {
      const label = h("span", {}, tick(t));
      label.style.left = `${scale(t)}%`;
      return label;
    })));
    if (m.opinion) box.append(bands(m));
    return box;
  }
  function bands(m) {
    const counts = Object.fromEntries(WORDS.map((w) => [w, 0]));
    for (const row of table) if (cell(row, `${m.name}_word`) in counts) counts[cell(row, `${m.name}_word`)] += 1;
    const all = Object.values(counts).reduce((a, n) => a + n, 0);
    return h("div", { class: "bands", role: "group", "aria-label": `Show only one word of ${m.name}` },
      ...WORDS.map((w) => h("button", { type: "button", class: `edge-${w}`, "aria-pressed": "false",
        "data-metric": m.name, "data-word": w, onclick: () => toggleWord(m.name, w) },
      h("span", {}, w), h("span", { class: "count" }, `${percent(counts[w], all)} · ${count(counts[w])}`))));
  }

  // ---- list and gallery ---------------------------------------------------------------------------------------
  const state = { view: "list", page: 0, text: "", word: null, only: null, order: null, found: [] };

  const orders = new Map();
  for (const m of metrics) {
    const value = (i) => cell(table[i], m.name);
    orders.set(`${m.name}|worst`, { label: `${m.name}, worst first`, value, way: m.sign, sort: m.sign > 0 ? "ascending" : "descending" });
    orders.set(`${m.name}|best`, { label: `${m.name}, best first`, value, way: -m.sign, sort: m.sign > 0 ? "descending" : "ascending" });
  }
  const pixels = (i) => (cell(table[i], "width") || 0) * (cell(table[i], "height") || 0);
  const collator = new Intl.Collator("en", { numeric: true });
  let ranks = null; // natural order of the names, found once when first asked for
  const rank = (i) => {
    if (!ranks) {
      ranks = new Array(table.length);
      const key = (j) => names[j].folder + names[j].file;
      [...indices].sort((a, b) => collator.compare(key(a), key(b))).forEach((j, position) => { ranks[j] = position; });
    }
    return ranks[i];
  };
  orders.set("name|up", { label: "name, A to Z", value: rank, way: 1, sort: "ascending" });
  orders.set("name|down", { label: "name, Z to A", value: rank, way: -1, sort: "descending" });
  orders.set("size|up", { label: "size, smallest first", value: pixels, way: 1, sort: "ascending" });
  orders.set("size|down", { label: "size, largest first", value: pixels, way: -1, sort: "descending" });
  orders.set("given|up", { label: "as given", value: (i) => i, way: 1, sort: "ascending" });
  state.order = main ? `${main.name}|worst` : "given|up";

  function find() {
    const wanted = state.text.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const { value, way } = orders.get(state.order);
    state.found = scored.filter((i) =>
      (!state.word || cell(table[i], `${state.word.metric}_word`) === state.word.word) &&
      (state.only !== "missed" || misses(table[i])) &&
      (state.only !== "flagged" || (cell(table[i], "flags") || []).length) &&
      wanted.every((part) => haystack[i].includes(part)));
    const keys = new Map(state.found.map((i) => [i, value(i)]));
    state.found.sort((a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === y) return a - b;
      if (x === null || y === null) return x === null ? 1 : -1; // what has no value comes last either way
      return x < y ? -way : way;
    });
    state.page = 0;
  }
  function toggleWord(metric, w) {
    const same = state.word && state.word.metric === metric && state.word.word === w;
    state.word = same ? null : { metric, word: w };
    update();
  }

  function picture(i, size) {
    const found = pictures[i];
    return found && found[size] ? found[size] : null;
  }
  function interval(m, row) {
    const [value, low, high] = ["", "_low", "_high"].map((part) => cell(row, m.name + part));
    if (value === null || low === null || high === null) return null;
    let [from, to] = m.opinion ? [0, 100] : m.range || [];
    if (!Number.isFinite(from) || !Number.isFinite(to)) {
      const s = sorted.get(m);
      [from, to] = [Math.min(s[0], low), Math.max(s[s.length - 1], high)];
    }
    const x = (v) => Math.max(0, Math.min(100, (100 * (v - from)) / (to - from || 1)));
    const part = (name, left, width) => {
      const node = h("i", { class: name });
      if (left !== undefined) node.style.left = `${left}%`;
      if (width !== undefined) node.style.width = `${width}%`;
      return node;
    };
    const text = `90 % interval: ${short(m, low)} to ${short(m, high)}`;
    const bar = h("span", { class: "interval", role: "img", "aria-label": text, title: text }, part("track"),
      part(`span back-${cell(row, `${m.name}_word`) || "none"}`, x(low), x(high) - x(low)), part("dot", x(value)));
    for (const bound of limits[m.name] || []) if (bound !== null) bar.append(part("goal", x(bound)));
    return bar;
  }
  const around = (m, row) => {
    const [low, high] = [cell(row, `${m.name}_low`), cell(row, `${m.name}_high`)];
    return low === null || high === null ? "" : `${short(m, low)}–${short(m, high)}`;
  };
  const size = (row) => (cell(row, "width") ? `${cell(row, "width")} × ${cell(row, "height")}` : "");
  const flags = (row) => (cell(row, "flags") || []).map((f) => h("span", { class: "pill flag" }, shown(f).replaceAll("_", " ")));
  const image = (source, alt) => h("img", { src: source, alt, loading: "lazy", decoding: "async" });

  function scoreCell(m, row) {
    const value = cell(row, m.name);
    if (value === null) return h("td", { class: m.interval ? "" : "right" }, h("span", { class: "muted" }, "–"));
    if (!m.interval) return h("td", { class: "right", title: String(value) }, number(value), " ", check(m, row));
    return h("td", {}, h("div", { class: "score", title: `${m.name} ${value}` }, h("span", { class: "number" }, short(m, value)),
      interval(m, row), h("span", { class: "muted small around" }, around(m, row)),
      cell(row, `${m.name}_word`) ? pill(cell(row, `${m.name}_word`)) : null, check(m, row)));
  }
  function header(label, keys, right, note) {
    const current = keys.find((key) => key === state.order);
    const sort = current ? orders.get(current).sort : null;
    const next = current === keys[0] ? keys[1] : keys[0];
    return h("th", { scope: "col", class: right ? "right" : "", "aria-sort": sort },
      h("button", { type: "button", "data-order": keys[0], onclick: () => {
        state.order = next;
        update();
        document.querySelector(`th button[data-order="${CSS.escape(keys[0])}"]`).focus();
      } }, label, h("span", { class: "arrow", "aria-hidden": "true" }, sort === "ascending" ? "↑" : sort ? "↓" : ""),
      note ? h("span", { class: "limit" }, note) : null));
  }
  function list(chosen) {
    const head = h("tr", {}, header("Picture", ["name|up", "name|down"]), header("Size", ["size|down", "size|up"]),
      ...metrics.map((m) => header(m.name + (m.unit && !m.opinion ? ` (${m.unit})` : ""),
        [`${m.name}|worst`, `${m.name}|best`], !m.interval, limitText(m))));
    const body = chosen.map((i) => {
      const row = table[i];
      const thumb = picture(i, "thumb");
      return h("tr", {}, h("th", { scope: "row" }, h("div", { class: "who" },
        thumb ? h("button", { type: "button", class: "thumb", "aria-label": `Show ${names[i].file} larger`, onclick: () => open(i) },
          image(thumb[0], "")) : null,
        h("div", { class: "names" },
          h("button", { type: "button", class: "open", title: shown(cell(row, "image")), onclick: () => open(i) }, elide(names[i].file)),
          names[i].folder ? h("span", { class: "folder muted" }, elide(names[i].folder)) : null, " ", ...flags(row)))),
      h("td", { class: "narrow" }, size(row)), ...metrics.map((m) => scoreCell(m, row)));
    });
    return h("div", { class: "sheet", tabindex: "0", role: "region", "aria-label": "Table of pictures" },
      h("table", {}, h("thead", {}, head), h("tbody", {}, ...body)));
  }
  function gallery(chosen) {
    return h("ul", { class: "gallery" }, ...chosen.map((i) => {
      const row = table[i];
      const thumb = picture(i, "thumb");
      const value = main ? cell(row, main.name) : null;
      return h("li", {}, h("button", { type: "button", onclick: () => open(i) },
        h("span", { class: "stage" }, thumb ? image(thumb[0], "") : "no thumbnail"),
        h("span", { class: "caption" },
          h("span", { class: "line" }, main ? h("strong", {}, short(main, value)) : null,
            main && cell(row, `${main.name}_word`) ? pill(cell(row, `${main.name}_word`)) : null, main ? check(main, row) : null),
          main ? interval(main, row) : null, h("span", { class: "name" }, elide(names[i].file, 48)))));
    }));
  }
  function draw(all) {
    const per = all ? PRINTED : PAGE[state.view];
    const pages = Math.max(1, Math.ceil(state.found.length / per));
    const from = all ? 0 : state.page * per;
    const chosen = state.found.slice(from, from + per);
    const nothing = h("div", { class: "sheet empty" }, scored.length ? "No picture fits the filter." : "No picture was scored.");
    $("view").replaceChildren(chosen.length ? (state.view === "list" ? list : gallery)(chosen) : nothing);
    $("status").textContent = state.found.length
      ? `${count(from + 1)}–${count(from + chosen.length)} of ${plural(state.found.length, "picture")}` +
        (state.found.length < scored.length ? ` (${count(scored.length)} without the filter)` : "") : "";
    $("page").textContent = `Page ${count(state.page + 1)} of ${count(pages)}`;
    $("previous").disabled = state.page === 0;
    $("next").disabled = state.page + 1 >= pages;
    $("previous").parentElement.hidden = pages === 1;
  }
  function update() {
    find();
    draw();
    $("order").value = state.order;
    $("as-list").setAttribute("aria-pressed", String(state.view === "list"));
    $("as-gallery").setAttribute("aria-pressed", String(state.view === "gallery"));
    for (const b of document.querySelectorAll("[data-word]")) {
      const on = state.word && state.word.metric === b.dataset.metric && state.word.word === b.dataset.word;
      b.setAttribute("aria-pressed", String(Boolean(on)));
    }
    for (const b of document.querySelectorAll("[data-only]")) {
      b.setAttribute("aria-pressed", String(state.only === b.dataset.only));
    }
  }
  function turn(step) {
    state.page += step;
    draw();
    $("pictures").scrollIntoView();
  }
  function controls() {
    const choices = {};
    if (scored.some((i) => misses(table[i]))) choices.missed = "Missed a threshold";
    if (scored.some((i) => (cell(table[i], "flags") || []).length)) choices.flagged = "Flagged";
    for (const [key, label] of Object.entries(choices)) {
      $("chips").append(h("button", { type: "button", "data-only": key, "aria-pressed": "false", onclick: () => {
        state.only = state.only === key ? null : key;
        update();
      } }, label));
    }
    for (const [key, { label }] of orders) $("order").append(h("option", { value: key }, label));
    $("order").addEventListener("change", (e) => { state.order = e.target.value; update(); });
    let timer = 0;
    $("filter").addEventListener("input", (e) => {
      clearTimeout(timer);
      timer = setTimeout(() => { state.text = e.target.value; update(); }, 120);
    });
    for (const view of ["list", "gallery"]) $(`as-${view}`).addEventListener("click", () => { state.view = view; update(); });
    $("previous").addEventListener("click", () => turn(-1));
    $("next").addEventListener("click", () => turn(1));
    $("root").textContent = root ? `in ${shown(root)}` : "";
    const has = Object.keys(pictures).length;
    $("thumbnail-note").textContent = thumbnails && has < scored.length
      ? `Thumbnails: the ${count(thumbnails)} ${main ? `worst by ${main.name}` : "first"} at most, so that this file stays small; ` +
        "the others, and files that have moved since, have none." : "";
    addEventListener("beforeprint", () => draw(true));
    addEventListener("afterprint", () => draw());
  }

  // ---- one picture, larger ------------------------------------------------------------------------------------
  let current = -1;
  function open(i) {
    current = i;
    const row = table[i];
    const position = state.found.indexOf(i);
    $("detail-title").textContent = names[i].file;
    $("detail-path").textContent = shown(cell(row, "image"));
    $("detail-previous").disabled = position <= 0;
    $("detail-next").disabled = position < 0 || position + 1 >= state.found.length;
    const sources = picture(i, "large") || picture(i, "thumb");
    const small = !picture(i, "large");
    const figures = (sources || []).map((source, k) => source ? h("figure", {},
      h("img", { src: source, alt: k ? "reference" : names[i].file, class: small ? "tiny" : "" }),
      h("figcaption", {}, k ? "reference" : cell(row, "reference") ? "picture" : "",
        small && !k ? " thumbnail only: open the file itself to judge it" : "")) : null);
    $("detail-pictures").replaceChildren(...figures.filter(Boolean));
    if (!figures.length) $("detail-pictures").append(h("p", {}, "No thumbnail of this picture is in the report."));
    $("detail-values").replaceChildren(...metrics.map((m) => reading(m, row)),
      h("dl", { class: "facts" }, ...facts({ size: size(row), reference: cell(row, "reference"), error: cell(row, "error"),
        flags: (cell(row, "flags") || []).join(", ") })));
    if (!$("detail").open) $("detail").showModal();
    $("detail").scrollTop = 0;
  }
  function reading(m, row) {
    const value = cell(row, m.name);
    return h("div", { class: "reading" }, h("div", { class: "muted small" }, m.name, limitText(m) ? ` (asked: ${limitText(m)})` : ""),
      h("div", { class: "line" }, h("strong", {}, short(m, value)), m.unit && !m.opinion ? m.unit : null,
        h("span", { class: "muted small" }, around(m, row)),
        cell(row, `${m.name}_word`) ? pill(cell(row, `${m.name}_word`)) : null, check(m, row)), interval(m, row));
  }
  function step(by) {
    const next = state.found[state.found.indexOf(current) + by];
    if (next !== undefined && state.found.includes(current)) open(next);
  }
  function dialog() {
    $("detail-close").addEventListener("click", () => $("detail").close());
    $("detail-previous").addEventListener("click", () => step(-1));
    $("detail-next").addEventListener("click", () => step(1));
    $("detail").addEventListener("click", (e) => { if (e.target === $("detail")) $("detail").close(); });
    $("detail").addEventListener("keydown", (e) => {
      if (e.key === "ArrowLeft") step(-1);
      if (e.key === "ArrowRight") step(1);
    });
  }

  // ---- errors, metrics, settings ------------------------------------------------------------------------------
  function errors() {
    if (!failed.length) return;
    $("errors").hidden = false;
    const kinds = new Map();
    for (const i of failed) {
      const kind = cell(table[i], "error").split(":")[0];
      if (!kinds.has(kind)) kinds.set(kind, []);
      kinds.get(kind).push(i);
    }
    for (const [kind, members] of [...kinds].sort((a, b) => b[1].length - a[1].length)) {
      const body = h("tbody");
      const more = h("button", { type: "button", class: "more" }, "Show more");
      const grow = () => {
        for (const i of members.slice(body.rows.length, body.rows.length + 100)) {
          const text = cell(table[i], "error");
          body.append(h("tr", {}, h("th", { scope: "row" }, names[i].folder + names[i].file),
            h("td", {}, shown(text.slice(kind.length).replace(/^:\s*/, "") || text))));
        }
        more.hidden = body.rows.length >= members.length;
      };
      more.addEventListener("click", grow);
      grow();
      const box = h("details", {}, h("summary", {}, shown(kind), h("span", { class: "pill" }, count(members.length))),
        h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Picture"), h("th", { scope: "col" }, "What happened"))), body), more);
      box.open = failed.length <= 12;
      $("error-list").append(box);
    }
  }
  function explain() {
    for (const m of metrics) {
      const [low, high] = m.range || [];
      const facts = [`${m.better} is better`, m.range ? `${short(m, low)} to ${short(m, high)}`.replaceAll(".0000", "") : "", m.unit].filter(Boolean);
      $("cards").append(h("div", { class: "card" }, h("h3", {}, m.name), h("p", { class: "muted small" }, facts.join("  ·  ")),
        m.summary ? h("p", {}, m.summary) : null, m.paper ? h("p", { class: "muted small" }, m.paper) : null));
    }
    $("metrics").hidden = !metrics.length;
  }
  function plain(value) {
    if (value === null || value === undefined || value === "") return "";
    if (Array.isArray(value)) return value.map(plain).join(", ");
    if (typeof value === "object") return Object.entries(value).map(([k, v]) => `${k} ${plain(v)}`).join(", ");
    return shown(value);
  }
  function facts(entries) {
    return Object.entries(entries).map(([key, value]) => [key, plain(value)]).filter(([, value]) => value)
      .flatMap(([key, value]) => [h("dt", {}, key.replaceAll("_", " ")), h("dd", {}, value)]);
  }
  function provenance() {
    const { settings, metrics: _, ...rest } = meta;
    $("facts").append(...facts({ ...rest, ...(settings || {}) }));
  }

  summarise();
  const plots = metrics.map(plot).filter(Boolean);
  const wide = plots.filter((box) => box.classList.contains("wide"));
  $("distribution").append(...wide, h("div", { class: "plots" }, ...plots.filter((box) => !wide.includes(box))));
  controls();
  dialog();
  errors();
  explain();
  provenance();
  update();
})();
