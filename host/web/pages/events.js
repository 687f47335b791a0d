// What happened: the feed, and the watchdog's incidents.

import { html, useState } from '../vendor/preact-htm.js';
import { part } from '../api.js';
import { time } from '../format.js';
import { useLive } from '../state.js';
import { Empty, Problem, Tabs, useGet } from '../ui.js';
import { Incidents } from './incidents.js';

/** What an event says, in words; null for one that nobody taught us. */
const SENTENCES = {
  'miner.starting': () => 'is being started', 'miner.started': (it) => `runs, process ${it.pid ?? 'on a device'}`,
  'miner.adopted': (it) => `was found running${it.pid ? `, process ${it.pid}` : ''}`, 'miner.stopping': () => 'is being stopped',
  'miner.stopped': (it) => (it.asked ? 'stopped as asked' : `ended: ${it.reason ?? 'nobody knows why'}`),
  'miner.error': (it) => it.error, 'miner.connected': (it) => `is connected to ${it.pool}`,
  'watchdog.warning': (it) => it.summary, 'watchdog.action': (it) => `${it.action}: ${it.summary}`,
  'peer.connected': (it) => `node ${it.name ?? short(it.id)} is connected`, 'peer.disconnected': (it) => `node ${it.name ?? short(it.id)} is away`,
  'peer.paired': (it) => `node ${it.name ?? short(it.id)} was paired`,
  'peer.event': (it) => `node ${short(it.id)}: ${it.event?.data?.name ?? ''} ${told({ type: it.event?.type, data: it.event?.data })}`,
  'profile.created': (it) => `profile ${it.name} was saved`, 'pool.created': (it) => `pool ${it.name} was saved`, 'wallet.created': (it) => `wallet ${it.name} was saved`,
  'watchdog.maintenance': (it) => (it.untilMs ? `is left alone until ${time(it.untilMs)}` : 'is looked after again'),
};
/** Ids of nodes are long; their beginning is what people compare. */
const short = (id) => String(id ?? '').slice(0, 15);
const told = ({ type, data }) => SENTENCES[type]?.(data ?? {}) ?? Object.entries(data ?? {})
  .filter(([name]) => !['name', 'miner', 'minerType'].includes(name))
  .map(([name, value]) => `${name} ${typeof value === 'object' ? JSON.stringify(value) : value}`)
  .join(' · ');
const tone = (type) => (/error|failed|lost|missed|action|quarantine/.test(type) ? 'bad' : /warning|stopp|maintenance/.test(type) ? 'warn'
  : /started|connected|adopted|loaded|installed/.test(type) ? 'good' : '');

function Feed() {
  const { feed } = useLive();
  const before = useGet('/history/events?limit=200');
  const [filter, setFilter] = useState('');
  const seen = new Set(feed.map((it) => String(it.id)));
  const older = (before.value ?? []).map((it) => ({ type: it.type ?? it.kind, timestamp: it.timestamp ?? it.at, data: it.data, id: it.id }))
    .filter((it) => !seen.has(String(it.id)))
    .sort((a, b) => new Date(b.timestamp) - new Date(a.timestamp));
  const all = feed.concat(older).filter((it) => !filter || JSON.stringify(it).toLowerCase().includes(filter.toLowerCase()));
  return html`<div class="card-head"><input type="search" aria-label="Show only events with" placeholder="Filter by miner, type or text" value=${filter} onInput=${(e) => setFilter(e.target.value)} /></div>
    <${Problem}>${before.error && before.error.status !== 404 ? before.error.message : null}</${Problem}>
    ${all.length ? html`<ol class="feed card" aria-live="polite">${all.slice(0, 300).map((it) => html`<li key=${it.id}><time>${time(it.timestamp)}</time>
      <span class="tag-place"><span class=${`tag ${tone(it.type)}`}>${it.type}</span></span>
      <span class="said">${it.data?.name && /^(miner|watchdog)\./.test(it.type) && html`<a href=${`#/miners/${part(it.data.name)}`}>${it.data.name}</a> `}${told(it)}</span></li>`)}</ol>`
    : filter ? html`<p class="dim">No event has “${filter}”.</p>`
      : html`<${Empty} title="Nothing happened yet"><p>Starts, stops, installations and incidents show here as they happen. <a href="#/">Start a miner</a> to see the first.</p></${Empty}>`}`;
}

export function EventsPage({ tab }) {
  return html`<div class="page-head"><h1>Events</h1></div>
    <${Tabs} tabs=${[['feed', 'Feed'], ['incidents', 'Incidents']]} current=${tab} link=${(id) => `#/events/${id}`} />
    ${tab === 'incidents' ? html`<${Incidents} path="/incidents" empty="The watchdog never had to do anything here." />` : html`<${Feed} />`}`;
}
