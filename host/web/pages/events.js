// What happened: the feed, and the watchdog's incidents.

import { html, useState } from '../vendor/preact-htm.js';
import { part } from '../api.js';
import { time } from '../format.js';
import { useLive } from '../state.js';
import { Empty, Problem, Tabs, useGet } from '../ui.js';
import { Incidents } from './miner.js';

const told = (data) => Object.entries(data ?? {})
  .filter(([name]) => !['name', 'miner'].includes(name))
  .map(([name, value]) => `${name}: ${typeof value === 'object' ? JSON.stringify(value) : value}`)
  .join(' · ');

function Feed() {
  const { feed } = useLive();
  const before = useGet('/history/events?limit=200');
  const [filter, setFilter] = useState('');
  const seen = new Set(feed.map((it) => String(it.id)));
  const older = (before.value ?? []).map((it) => ({ type: it.type ?? it.kind, timestamp: it.timestamp ?? it.at, data: it.data, id: it.id }))
    .filter((it) => !seen.has(String(it.id)))
    .sort((a, b) => new Date(b.timestamp) - new Date(a.timestamp));
  const all = feed.concat(older).filter((it) => !filter || JSON.stringify(it).toLowerCase().includes(filter.toLowerCase()));
  return html`<div class="card-head"><input type="search" aria-label="Show only events with" placeholder="Filter" value=${filter} onInput=${(e) => setFilter(e.target.value)} /></div>
    <${Problem}>${before.error && before.error.status !== 404 ? before.error.message : null}</${Problem}>
    ${all.length ? html`<ol class="feed" aria-live="polite">${all.slice(0, 300).map((it) => html`<li key=${it.id}><time>${time(it.timestamp)}</time>
      <span class=${`tag ${/error|failed|lost/.test(it.type) ? 'bad' : ''}`}>${it.type}</span>
      ${it.data?.name && html`<a href=${`#/miners/${part(it.data.name)}`}>${it.data.name}</a>`} <span class="dim">${told(it.data)}</span></li>`)}</ol>`
    : html`<${Empty} title="Nothing happened yet"><p>Starts, stops, installations and incidents show here as they happen.</p></${Empty}>`}`;
}

export function EventsPage({ tab }) {
  return html`<div class="page-head"><h1>Events</h1></div>
    <${Tabs} tabs=${[['feed', 'Feed'], ['incidents', 'Incidents']]} current=${tab} link=${(id) => `#/events/${id}`} />
    ${tab === 'incidents' ? html`<${Incidents} path="/incidents" empty="The watchdog never had to do anything here." />` : html`<${Feed} />`}`;
}
