// Cards of dashboards: each is fetched on its own, and drawn where it has a chart. The table
// below every chart says the same, and leads to the same lists by keyboard.
import { ask, t } from "./core.js";

/**
 * @typedef {{name: string, values: (number | null)[], texts: string[], color: string}} Series
 * @typedef {{type: "bar" | "line" | "pie", stacked: boolean, across: boolean, label: string,
 *   labels: string[], series: Series[], colors: string[], list: string, filters: string[],
 *   series_filters: string[], filter: string, places?: string[]}} Chart
 */

/** Cards fetched at the same time: a dashboard is not the only one who asks. */
const AT_ONCE = 3;
const MOST_BEFORE_ZOOM = 12;

/** @type {any} */
const echarts = /** @type {any} */ (globalThis).echarts;
/** @type {Map<HTMLElement, {chart: Chart, drawn: any}>} */
const shown = new Map();

/** @param {string} name */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * Return what ECharts is told of a chart, in the page's present colours.
 * @param {Chart} chart
 * @param {number} width
 */
export function option(chart, width) {
  const text = token("--gx-text");
  const muted = token("--gx-muted");
  const line = token("--gx-line-colour");
  const font = token("--gx-font");
  const isNarrow = width < 420;
  const base = {
    animation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    animationDuration: 250,
    textStyle: { fontFamily: font, color: text },
    aria: { enabled: false },
    tooltip: {
      // Drawn on the canvas: as HTML it would bring styles that the page does not allow.
      renderMode: "richText",
      confine: true,
      backgroundColor: token("--gx-raised"),
      borderColor: line,
      textStyle: { color: text, fontFamily: font, fontSize: 13 },
    },
    legend: {
      show: chart.type === "pie" || chart.series.length > 1,
      type: "scroll",
      bottom: 0,
      textStyle: { color: text, fontFamily: font },
      pageTextStyle: { color: muted },
      pageIconColor: text,
    },
  };
  if (chart.type === "pie") return { ...base, ...pie(chart, text, isNarrow) };
  const names = {
    type: "category",
    data: chart.labels,
    inverse: chart.across,
    axisLabel: { color: muted, hideOverlap: true, width: chart.across ? (isNarrow ? 90 : 150) : undefined, overflow: chart.across ? "truncate" : undefined },
    axisLine: { lineStyle: { color: line } },
    axisTick: { show: false },
  };
  const values = {
    type: "value",
    axisLabel: { color: muted, hideOverlap: true, formatter: short },
    splitLine: { lineStyle: { color: line } },
  };
  return {
    ...base,
    tooltip: { ...base.tooltip, trigger: "axis", axisPointer: { type: chart.type === "line" ? "line" : "shadow" }, formatter: (/** @type {any[]} */ points) => told(chart, points) },
    grid: { left: 8, right: 16, top: 14, bottom: chart.series.length > 1 ? 34 : 8, containLabel: true },
    xAxis: chart.across ? values : names,
    yAxis: chart.across ? names : values,
    series: chart.series.map((one) => ({
      type: chart.type,
      name: one.name,
      data: one.values.map((value, at) => (chart.colors.length ? { value, itemStyle: { color: chart.colors[at] } } : value)),
      itemStyle: { color: one.color, borderRadius: chart.stacked ? 0 : 2 },
      stack: chart.stacked ? "all" : undefined,
      barMaxWidth: 36,
      showSymbol: chart.labels.length <= MOST_BEFORE_ZOOM * 3,
      symbolSize: 7,
      connectNulls: false,
    })),
  };
}

/**
 * @param {Chart} chart
 * @param {string} text
 * @param {boolean} isNarrow
 */
function pie(chart, text, isNarrow) {
  const [one] = chart.series;
  return {
    series: [{
      type: "pie",
      radius: ["42%", "68%"],
      center: ["50%", "44%"],
      itemStyle: { borderColor: token("--gx-surface"), borderWidth: 2 },
      label: { show: !isNarrow, color: text, formatter: "{b}  {d}%" },
      data: chart.labels.map((name, at) => ({ name, value: Math.max(0, one.values[at] ?? 0), itemStyle: { color: chart.colors[at] } })),
      tooltip: { formatter: (/** @type {any} */ point) => `${point.name}: ${one.texts[point.dataIndex]} (${point.percent}%)` },
    }],
  };
}

/**
 * @param {Chart} chart
 * @param {any[]} points
 */
function told(chart, points) {
  const lines = points.map((point) => `${point.seriesName}: ${chart.series[point.seriesIndex].texts[point.dataIndex]}`);
  return [chart.labels[points[0]?.dataIndex], ...lines].join("\n");
}

/**
 * Return a value of an axis shortly: 12,000 as 12K, in Chinese as 1.2万.
 * @param {number} value
 */
export function short(value) {
  return new Intl.NumberFormat(document.documentElement.lang, { notation: Math.abs(value) >= 10000 ? "compact" : "standard", maximumFractionDigits: 2 }).format(value);
}

/**
 * Return the list of the records behind a point.
 * @param {Chart} chart
 * @param {number} group
 * @param {number} series
 */
export function behind(chart, group, series) {
  if (chart.places) return chart.places[group] || "";
  const parts = [chart.filter, chart.filters[group], chart.series_filters[series]].filter(Boolean);
  const filter = parts.length > 1 ? parts.map((each) => `(${each})`).join(" and ") : parts[0] || "";
  return chart.list + (filter ? `${chart.list.includes("?") && !chart.list.endsWith("?") ? "&" : ""}filter=${encodeURIComponent(filter)}` : "");
}

/** @param {HTMLElement} card */
export function draw(card) {
  const host = /** @type {HTMLElement | null} */ (card.querySelector("[data-chart]"));
  const data = card.querySelector("[data-chart-data]");
  const table = /** @type {HTMLDetailsElement | null} */ (card.querySelector("details.gx-figures"));
  if (!host || !data) return;
  if (!echarts) {
    if (table) table.open = true;
    return;
  }
  /** @type {Chart} */
  const chart = JSON.parse(data.textContent || "{}");
  host.hidden = false;
  if (chart.across) host.dataset.rows = chart.labels.length > 12 ? "many" : "some";
  host.setAttribute("role", "img");
  host.setAttribute("aria-label", t("Chart: {label}. The table below says the same.", { label: chart.label }));
  const drawn = echarts.init(host, null, { renderer: "canvas" });
  drawn.setOption(option(chart, host.clientWidth));
  drawn.on("click", (/** @type {any} */ point) => {
    const place = behind(chart, point.dataIndex, point.seriesIndex ?? 0);
    if (place) location.assign(place);
  });
  shown.set(host, { chart, drawn });
  sizes.observe(host);
}

const sizes = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const known = shown.get(/** @type {HTMLElement} */ (target));
    if (!known) continue;
    if (!target.isConnected) {
      known.drawn.dispose();
      shown.delete(/** @type {HTMLElement} */ (target));
      sizes.unobserve(target);
    } else known.drawn.resize();
  }
});

new MutationObserver(() => {
  for (const [host, { chart, drawn }] of shown) drawn.setOption(option(chart, host.clientWidth), true);
}).observe(document.documentElement, { attributeFilter: ["data-bs-theme"] });

/**
 * Put a fetched part of a page in the place of what a card holds.
 * @param {HTMLElement} card
 * @param {string} html
 */
export function fill(card, html) {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const wasOpen = /** @type {HTMLDetailsElement | null} */ (card.querySelector("details.gx-figures"))?.open;
  card.replaceChildren(...parsed.body.childNodes);
  card.removeAttribute("aria-busy");
  const table = /** @type {HTMLDetailsElement | null} */ (card.querySelector("details.gx-figures"));
  if (wasOpen && table) table.open = true;
  draw(card);
}

/** @param {HTMLElement} card */
async function fetchCard(card) {
  const answer = await ask(card.dataset.src || "");
  if (answer.ok && answer.body.html) {
    fill(card, answer.body.html);
    return;
  }
  const note = document.createElement("div");
  note.className = "gx-card-note";
  note.dataset.tone = "bad";
  note.setAttribute("role", "alert");
  const again = document.createElement("button");
  again.type = "button";
  again.className = "btn btn-sm";
  again.textContent = t("Try again");
  again.addEventListener("click", () => fetchCard(card));
  const text = document.createElement("strong");
  text.textContent = answer.body.message || t("This card could not be fetched.");
  note.append(text, again);
  card.replaceChildren(note);
  card.removeAttribute("aria-busy");
}

async function start() {
  const waiting = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-card][data-src]")]);
  for (const card of /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-card]:not([data-src])")])) draw(card);
  const lane = async () => {
    for (let card = waiting.shift(); card; card = waiting.shift()) await fetchCard(card);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

const range = /** @type {HTMLFormElement | null} */ (document.querySelector("form[data-range]"));
range?.addEventListener("change", () => range.requestSubmit());
start();
