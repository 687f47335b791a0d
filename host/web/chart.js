// A chart of figures over time.

import uPlot from './vendor/uplot.js';
import { html, useEffect, useRef } from './vendor/preact-htm.js';
import { hashrate } from './format.js';

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function options(box, format) {
  const [line, band, grid, text] = ['--accent', '--accent-band', '--line', '--dim'].map(color);
  const axis = { stroke: text, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1 } };
  const reader = (_, value) => (value === null ? '–' : format(value));
  return {
    width: box.clientWidth,
    height: box.clientHeight,
    cursor: { points: { size: 6 } },
    series: [
      { value: '{YYYY}-{MM}-{DD} {HH}:{mm}:{ss}' },
      { label: 'max', stroke: 'transparent', points: { show: false }, value: reader },
      { label: 'min', stroke: 'transparent', points: { show: false }, value: reader },
      { label: 'mean', stroke: line, width: 2, spanGaps: false, value: reader, points: { show: false } },
    ],
    bands: [{ series: [1, 2], fill: band }],
    axes: [axis, { ...axis, size: 92, values: (_, values) => values.map((it) => format(it)) }],
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

export function Chart({ points, label, format = hashrate }) {
  const box = useRef(null);
  const plot = useRef(null);
  useEffect(() => {
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(box.current, format), columns(points ?? []), box.current);
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
  return html`<figure class="chart"><figcaption class="hidden">${label}</figcaption>
    <div class="plot" ref=${box} role="img" aria-label=${label}></div></figure>`;
}
