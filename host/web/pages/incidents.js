// What the watchdog did, and what it decided from.

import { html, useState } from '../vendor/preact-htm.js';
import { Chart } from '../chart.js';
import { part } from '../api.js';
import { time } from '../format.js';
import { Empty, Problem, useGet } from '../ui.js';

const DONE = {
  restart: 'restarted', 'next-pool': 'moved to the next pool', nextPool: 'moved to the next pool',
  stop: 'stopped', alert: 'told only',
};

/** The evidence of an incident never changes: it is asked for once. */
function Evidence({ id }) {
  const { value, error } = useGet(`/incidents/${part(id)}`);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value) return html`<p class="dim">Reading…</p>`;
  const { signals = [], lines = [], looks = [], missing } = value.evidence ?? {};
  const points = looks.filter((it) => it.metrics?.hashrate !== undefined && it.metrics.hashrate !== null)
    .map((it) => ({ timestamp: it.atMs, hashrate: it.metrics.hashrate }));
  return html`${missing && html`<p class="notice">${missing}</p>`}
    ${signals.length > 0 && html`<h3>What the sources said</h3><ul>${signals.map((it) => html`<li>${it}</li>`)}</ul>`}
    ${points.length > 1 && html`<h3>Hashrate before</h3><${Chart} points=${points} label=${`Hashrate before incident ${id}`} small />`}
    <h3>Last output</h3><pre class="tail" tabindex="0" aria-label="Last lines of output">${lines.join('\n') || 'Nothing was printed.'}</pre>`;
}

function Incident({ it }) {
  const [open, setOpen] = useState(false);
  return html`<li class=${`card incident ${it.action ? 'acted' : ''}`}><div class="card-head">
      <span><a class="name" href=${`#/miners/${part(it.miner)}`}>${it.miner}</a> <span class=${`tag ${it.action ? 'bad' : 'warn'}`}>${it.action ? DONE[it.action] ?? it.action : 'warning'}</span></span>
      <time class="dim">${time(it.atMs)}</time></div>
    <p>${it.summary}</p><p class="dim">Cause: ${it.cause}</p>
    <button type="button" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? 'Hide the evidence' : 'Show the evidence'}</button>
    ${open && html`<${Evidence} id=${it.id} />`}</li>`;
}

export function Incidents({ path, empty }) {
  const { value, error } = useGet(path, 15000);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value) return html`<p class="dim">Asking the host…</p>`;
  if (!value.length) {
    return html`<${Empty} title="No incidents"><p>${empty} When it does, what it saw is kept here: the last lines of output and the figures from before.</p></${Empty}>`;
  }
  return html`<ul class="list">${value.map((it) => html`<${Incident} key=${it.id} it=${it} />`)}</ul>`;
}
