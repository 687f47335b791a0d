// One miner: charts, devices, log and console, plan, runs, incidents, and its watchdog.

import { html, useEffect, useMemo, useRef, useState } from '../vendor/preact-htm.js';
import { get, part, post, put, remove } from '../api.js';
import { duration, hashrate, number, time } from '../format.js';
import { refresh, useLive } from '../state.js';
import { Act, Empty, Phase, Problem, Tabs, Tile, useGet } from '../ui.js';
import { Chart, HASHRATE } from '../chart.js';
import { Actions } from './miners.js';
import { Incidents } from './incidents.js';
import { PlanTab } from './plan.js';
import { LivePools } from './pools.js';

const RANGES = [['5m', '5 min', 300], ['1h', '1 h', 3600], ['24h', '24 h', 86400], ['7d', '7 d', 604800], ['30d', '30 d', 2592000]];
const metric = (unit, digits = 0) => ({ format: (it) => `${number(it, digits)} ${unit}`.trim(), unit: () => [1, unit] });
const METRICS = [
  ['hashrate', 'Hashrate', HASHRATE], ['accepted', 'Accepted shares', metric('')], ['rejected', 'Rejected shares', metric('')],
  ['temperature', 'Temperature', metric('°C', 1)], ['power', 'Power', metric('W', 1)],
];
/** Windows of a hashrate, shortest first. */
const WINDOWS = ['10s', '60s', '15m', '1h', '6h', '12h', '24h', 'average'];

function History({ name }) {
  const [range, setRange] = useState('5m');
  const [chosen, setChosen] = useState('hashrate');
  const [points, setPoints] = useState([]);
  const [error, setError] = useState(null);
  const seconds = RANGES.find(([id]) => id === range)[2];
  const [, label, how] = METRICS.find(([id]) => id === chosen);
  useEffect(() => {
    let over = false;
    const ask = async () => {
      const since = new Date(Date.now() - seconds * 1000).toISOString();
      const recent = range === '5m' && chosen === 'hashrate';
      const path = recent ? `/miners/${part(name)}/hashrate-history`
        : `/history/miners/${part(name)}/hashrate?since=${part(since)}&points=600&metric=${chosen}`;
      try {
        const answer = await get(path);
        if (!over) { setPoints(Array.isArray(answer) ? answer : answer.points ?? []); setError(null); }
      } catch (failure) {
        if (!over) { setPoints([]); setError(failure.message); }
      }
    };
    ask();
    const timer = setInterval(ask, range === '5m' ? 2000 : 15000);
    return () => { over = true; clearInterval(timer); };
  }, [name, range, chosen]);
  return html`<section class="card"><div class="card-head">
      <select aria-label="Metric" value=${chosen} onChange=${(e) => setChosen(e.target.value)}>${METRICS.map(([id, text]) => html`<option value=${id}>${text}</option>`)}</select>
      <div class="switch" role="group" aria-label="Time range">${RANGES.map(([id, text]) => html`
        <button type="button" aria-pressed=${id === range} onClick=${() => setRange(id)}>${text}</button>`)}</div></div>
    <${Problem}>${error}</${Problem}>
    ${points.length ? html`<${Chart} points=${points} label=${`${label} of ${name}`} metric=${how} />`
    : html`<p class="dim plot-empty">${error ? '' : `Nothing is recorded for this time yet. ${label} appears here once the miner reports it.`}</p>`}</section>`;
}

function Devices({ devices }) {
  if (!devices?.length) return null;
  const cell = (label, value, unit, digits = 0) => html`<td data-label=${label}>${value === undefined || value === null ? '–' : `${number(value, digits)}${unit}`}</td>`;
  return html`<section class="card"><h2>Devices</h2><table class="stack"><thead><tr><th>Device</th><th>Hashrate</th><th>Accepted</th><th>Rejected</th>
    <th>Temperature</th><th>Fan</th><th>Power</th></tr></thead><tbody>${devices.map((it) => html`<tr key=${it.id}>
    <th scope="row">${it.name ?? it.id}<small>${it.name ? it.id : ''}</small></th><td data-label="Hashrate">${hashrate(it.hashrate)}</td>
    ${cell('Accepted', it.accepted, '')}${cell('Rejected', it.rejected, '')}${cell('Temperature', it.temperature, ' °C')}
    ${cell('Fan', typeof it.fan === 'number' ? it.fan * 100 : undefined, ' %')}${cell('Power', it.power, ' W', 1)}</tr>`)}</tbody></table></section>`;
}

function Overview({ miner }) {
  const { stats = {} } = miner;
  const windows = Object.entries(stats.hashrates ?? {}).filter(([, value]) => value !== null)
    .sort(([a], [b]) => WINDOWS.indexOf(a) - WINDOWS.indexOf(b)).map(([id, value]) => `${id} ${hashrate(value)}`).join(' · ');
  const { pool } = stats;
  const told = [[stats.rejected, 'rejected'], [stats.stale, 'stale'], [stats.invalid, 'invalid']]
    .filter(([value]) => value !== undefined && value !== null).map(([value, word]) => `${number(value)} ${word}`).join(', ');
  return html`<section class="tiles">
      <${Tile} label=${`Hashrate${stats.algorithm ? ` · ${stats.algorithm}` : ''}`} value=${html`<span data-rate=${miner.name}>${hashrate(miner.running ? stats.hashrate : undefined)}</span>`} detail=${windows} tone="accent" />
      <${Tile} label="Accepted shares" value=${number(stats.shares)} detail=${told} />
      <${Tile} label="Uptime" value=${miner.running ? duration(stats.uptime) : '–'} detail=${miner.restarts ? `started again ${miner.restarts} times` : `driver ${miner.minerType}`} />
      <${Tile} label="Pool" value=${html`<span class="small">${pool?.url ?? '–'}</span>`} tone=${pool?.connected === false ? 'warn' : ''}
        detail=${pool ? [pool.connected === false ? 'not connected' : 'connected', pool.latencyMs ? `${number(pool.latencyMs)} ms` : '', pool.difficulty ? `difficulty ${number(pool.difficulty)}` : ''].filter(Boolean).join(' · ') : ''} />
    </section><${History} name=${miner.name} /><${Devices} devices=${stats.devices} />`;
}

function Console({ miner }) {
  const [lines, setLines] = useState([]);
  const [follow, setFollow] = useState(true);
  const [filter, setFilter] = useState('');
  const [input, setInput] = useState('');
  const [error, setError] = useState(null);
  const box = useRef(null);
  const path = `/miners/${part(miner.name)}`;
  useEffect(() => {
    let over = false;
    (async () => {
      let cursor = null;
      while (!over) {
        try {
          const page = await get(cursor ? `${path}/logs?after=${part(cursor)}&wait=20` : `${path}/logs?lines=500`);
          if (over) return;
          if (page.lines.length) setLines((all) => all.concat(page.lines).slice(-2000));
          cursor = page.cursor;
          setError(null);
        } catch (failure) {
          if (over) return;
          setError(failure.message);
          await new Promise((done) => setTimeout(done, 2000));
        }
      }
    })();
    return () => { over = true; };
  }, [miner.name]);
  // Another size has another end.
  useEffect(() => {
    if (!follow) return undefined;
    const sized = new ResizeObserver(() => { box.current.scrollTop = box.current.scrollHeight; });
    sized.observe(box.current);
    return () => sized.disconnect();
  }, [follow]);
  useEffect(() => { if (follow && box.current) box.current.scrollTop = box.current.scrollHeight; }, [lines, follow, filter]);
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    return wanted ? lines.filter((it) => it.toLowerCase().includes(wanted)) : lines;
  }, [lines, filter]);
  // Scrolling back is reading: the log stays where it is until its end is reached again.
  const scrolled = ({ target }) => {
    const atEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 24;
    if (atEnd !== follow) setFollow(atEnd);
  };
  const send = async (event) => {
    event.preventDefault();
    try { await post(`${path}/stdin`, { input: `${input}\n` }); setInput(''); setError(null); } catch (failure) { setError(failure.message); }
  };
  return html`<section class="card console"><div class="card-head">
      <input type="search" aria-label="Show only lines with" placeholder="Filter" value=${filter} onInput=${(e) => setFilter(e.target.value)} />
      <span class="dim" role="status">${filter ? `${number(shown.length)} of ${number(lines.length)} lines` : `${number(lines.length)} lines`}</span>
      <label class="check"><input type="checkbox" checked=${follow} onChange=${(e) => setFollow(e.target.checked)} /> Follow</label></div>
    <pre ref=${box} tabindex="0" role="log" aria-label=${`Output of ${miner.name}`} onScroll=${scrolled}>${shown.join('\n') || (filter ? 'No line has that.' : 'Nothing was printed yet.')}</pre>
    ${miner.running && html`<form class="stdin" onSubmit=${send}><label class="hidden" for="stdin">Type to the miner</label>
      <input id="stdin" placeholder="Type to the miner, such as h" value=${input} autocomplete="off" onInput=${(e) => setInput(e.target.value)} /><button type="submit">Send</button></form>`}
    <${Problem}>${error}</${Problem}></section>`;
}

function Runs({ name }) {
  const { value, error } = useGet(`/miners/${part(name)}/runs?limit=50`, 10000);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value?.length) return html`<${Empty} title="No runs yet"><p>A run is one launch of the program, from start to exit.</p></${Empty}>`;
  return html`<section class="card scroll"><h2>Runs</h2><table><thead><tr><th>Started</th><th>Lasted</th><th>How it ended</th></tr></thead><tbody>
    ${value.map((it) => html`<tr key=${it.run ?? it.id}><td>${time(it.startedAtMs)}</td>
      <td>${duration(((it.endedAtMs ?? Date.now()) - it.startedAtMs) / 1000)}</td><td>${it.endedAtMs ? it.cause ?? '–' : 'running'}</td></tr>`)}</tbody></table></section>`;
}

/** Whether the watchdog looks after the miner, and a while without it. */
function Watchdog({ miner }) {
  const path = `/miners/${part(miner.name)}`;
  const { value, again } = useGet(`${path}/watchdog`);
  const health = miner.watchdog ?? {};
  const off = value?.enabled === false;
  const until = health.maintenanceUntilMs;
  const change = async (enabled) => { await put(`${path}/watchdog`, { ...value, enabled }); await refresh(); again(); };
  const leave = (minutes) => async () => { await post(`${path}/maintenance`, { minutes }); await refresh(); };
  return html`<section class="card"><div class="card-head"><h2>Watchdog</h2>
      <span class=${`tag ${off ? '' : health.state === 'sick' ? 'bad' : health.state === 'healthy' ? 'good' : ''}`}>${off ? 'off' : until ? 'maintenance' : health.state ?? 'waiting'}</span></div>
    <p class="dim">${off ? 'Nobody restarts this miner when it hangs.' : until ? `It is left alone until ${time(until)}.`
    : 'Restarts the miner when two independent signs say that it hangs; then tries its next pool; then stops it.'}</p>
    ${health.finding && html`<p class="reason">${health.finding.cause}: ${(health.finding.signals ?? []).join('; ')}</p>`}
    <div class="actions">${!off && (until ? html`<${Act} label="End the maintenance" does=${leave(0)} />` : html`<${Act} label="Leave alone for 30 min" does=${leave(30)} />`)}
      <${Act} label=${off ? 'Switch on' : 'Switch off'} disabled=${!value} does=${() => change(off)} /></div></section>`;
}

export function MinerPage({ name, tab }) {
  const { miners } = useLive();
  const miner = miners?.find((it) => it.name === name);
  if (!miners) return html`<p class="dim">Asking the host…</p>`;
  if (!miner) return html`<${Empty} title=${`There is no miner ${name}`}><p><a href="#/">All miners</a></p></${Empty}>`;
  const tabs = [['overview', 'Overview'], ['log', 'Log'], ['pools', 'Pools'], ['plan', 'Plan'], ['runs', 'Runs'], ['incidents', 'Incidents']];
  const link = (id) => `#/miners/${part(name)}/${id}`;
  const forget = async () => { await remove(`/miners/${part(name)}?remove=true`); await refresh(); location.hash = '#/'; };
  return html`<div class="page-head"><div><a class="back" href="#/">‹ Miners</a><h1>${name}</h1></div><${Phase} phase=${miner.phase} />${miner.driverless && html`<span class="tag warn">no driver</span>`}
      <${Actions} miner=${miner} /><${Act} label="Remove" kind="danger" does=${forget} sure="Stop and forget" confirm=${`${name} is stopped, and its configuration and log are deleted. Its profile, if it has one, stays.`} /></div>
    ${miner.reason && html`<p class="reason">${miner.reason}</p>`}
    <${Tabs} tabs=${tabs} current=${tab} link=${link} />
    ${tab === 'log' && html`<${Console} key=${name} miner=${miner} />`}
    ${tab === 'pools' && html`<${LivePools} key=${name} miner=${miner} />`}
    ${tab === 'plan' && html`<${PlanTab} name=${name} />`}
    ${tab === 'runs' && html`<${Runs} name=${name} />`}
    ${tab === 'incidents' && html`<${Watchdog} miner=${miner} /><${Incidents} path=${`/miners/${part(name)}/incidents`} empty="The watchdog never had to do anything for this miner." />`}
    ${tab === 'overview' && html`<${Overview} miner=${miner} />`}`;
}
