// A chart of figures over time.

import uPlot from './vendor/uplot.js';
import { html, useEffect, useRef } from './vendor/preact-htm.js';
import { NONE, clock, hashrate, scale, time } from './format.js';

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** How a metric is written: one figure, and the unit of an axis that goes up to a figure. */
export const HASHRATE = { format: hashrate, unit: scale };

/** Some air around the line: noise of one percent is not to look like a mountain range. */
function range(_, low, high) {
  if (low === null || high === null) return [0, 1];
  const air = Math.max((high - low) * 0.2, Math.abs(high) * 0.02, 1e-9);
  return [low >= 0 ? Math.max(0, low - air) : low - air, high + air];
}

function digits(values, divisor) {
  const step = values.length > 1 ? (values[1] - values[0]) / divisor : 1;
  return Math.min(6, Math.max(0, Math.ceil(-Math.log10(step || 1) - 1e-9)));
}

function options(box, metric, small, read) {
  const [line, band, grid, text] = ['--accent', '--accent-band', '--line', '--dim'].map(color);
  const font = '12px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
  const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
  const figures = (_, values) => {
    const [divisor, unit] = metric.unit(Math.max(...values));
    const after = digits(values, divisor);
    return values.map((it, at) => (it === null ? '' : `${(it / divisor).toFixed(after)}${at === values.length - 1 ? ` ${unit}` : ''}`));
  };
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    padding: [12, 30, 0, 0],
    legend: { show: false },
    cursor: { points: { size: 7 }, y: false, drag: { x: false, y: false } },
    scales: { y: { range } },
    series: [
      {},
      { stroke: 'transparent', points: { show: false } },
      { stroke: 'transparent', points: { show: false } },
      { stroke: line, width: 2, spanGaps: false, points: { show: false } },
    ],
    bands: [{ series: [1, 2], fill: band }],
    axes: [
      { ...axis, size: 32, space: (_, __, ___, ____, width) => (width < 360 ? 38 : 70), values: (_, values, __, ___, step) => values.map((it) => clock(it, step)) },
      { ...axis, size: 74, space: 36, values: figures },
    ],
    hooks: { setCursor: [read], setData: [read] },
  };
}

/** Points as columns: `{timestamp, min, mean, max, afterGap}`; a gap stays a gap. */
function columns(points) {
  const data = [[], [], [], []];
  const add = (at, max, min, mean) => {
    data[0].push(at); data[1].push(max); data[2].push(min); data[3].push(mean);
  };
  for (const point of points) {
    const at = new Date(point.timestamp).getTime() / 1000;
    if (point.afterGap && data[0].length) add(at - 0.001, null, null, null);
    const mean = point.mean ?? point.hashrate;
    add(at, point.max ?? mean, point.min ?? mean, mean);
  }
  return data;
}

/** In words, for those who cannot see it. */
function spoken(points, label, { format }) {
  const means = (points ?? []).map((it) => it.mean ?? it.hashrate).filter((it) => it !== null && it !== undefined);
  if (!means.length) return label;
  return `${label}: ${format(means.at(-1))} now, between ${format(Math.min(...means))} and ${format(Math.max(...means))}`;
}

export function Chart({ points, label, metric = HASHRATE, small }) {
  const box = useRef(null);
  const plot = useRef(null);
  const reading = useRef(null);
  useEffect(() => {
    // What is under the cursor; without one, the newest.
    const read = (chart) => {
      const [times, max, min, mean] = chart.data;
      const at = chart.cursor.idx ?? times.length - 1;
      const value = mean[at] ?? null;
      const spread = max[at] > min[at] ? ` (${metric.format(min[at])} to ${metric.format(max[at])})` : '';
      reading.current.textContent = times.length ? `${time(times[at] * 1000)} · ${value === null ? NONE : metric.format(value)}${spread}` : '';
    };
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(box.current, metric, small, read), columns(points ?? []), box.current);
      read(plot.current);
    };
    make();
    const sized = new ResizeObserver(() => {
      plot.current.setSize({ width: box.current.clientWidth, height: box.current.clientHeight });
    });
    sized.observe(box.current);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', make);
    document.addEventListener('adit-theme', make);
    return () => {
      sized.disconnect();
      dark.removeEventListener('change', make);
      document.removeEventListener('adit-theme', make);
      plot.current.destroy();
      plot.current = null;
    };
  }, [label]);
  useEffect(() => { plot.current?.setData(columns(points ?? [])); }, [points]);
  return html`<figure class=${`chart ${small ? 'small' : ''}`}><figcaption ref=${reading} aria-hidden="true"></figcaption>
    <div class="plot" ref=${box} role="img" aria-label=${spoken(points, label, metric)}></div></figure>`;
}
