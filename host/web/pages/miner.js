// One miner: charts, devices, log and console, plan, runs, incidents.

import { html, useEffect, useMemo, useRef, useState } from '../vendor/preact-htm.js';
import { get, part, post, remove } from '../api.js';
import { duration, hashrate, number, time } from '../format.js';
import { useLive } from '../state.js';
import { Act, Empty, Phase, Problem, Tabs, Tile, useGet } from '../ui.js';
import { Chart } from '../chart.js';
import { Actions } from './miners.js';

const RANGES = [['5m', '5 min', 300], ['1h', '1 h', 3600], ['24h', '24 h', 86400], ['7d', '7 d', 604800], ['30d', '30 d', 2592000]];
const METRICS = [
  ['hashrate', 'Hashrate', hashrate], ['accepted', 'Accepted shares', (it) => number(it)],
  ['rejected', 'Rejected shares', (it) => number(it)], ['temperature', 'Temperature', (it) => `${number(it, 1)} °C`],
  ['power', 'Power', (it) => `${number(it, 1)} W`],
];

function History({ name }) {
  const [range, setRange] = useState('5m');
  const [metric, setMetric] = useState('hashrate');
  const [points, setPoints] = useState([]);
  const [error, setError] = useState(null);
  const seconds = RANGES.find(([id]) => id === range)[2];
  const [, label, format] = METRICS.find(([id]) => id === metric);
  useEffect(() => {
    let over = false;
    const ask = async () => {
      const since = new Date(Date.now() - seconds * 1000).toISOString();
      const recent = range === '5m' && metric === 'hashrate';
      const path = recent ? `/miners/${part(name)}/hashrate-history`
        : `/history/miners/${part(name)}/hashrate?since=${part(since)}&points=600&metric=${metric}`;
      try {
        const answer = await get(path);
        if (!over) { setPoints(Array.isArray(answer) ? answer : answer.points ?? []); setError(null); }
      } catch (failure) {
        if (!over) { setPoints([]); setError(failure.message); }
      }
    };
    ask();
    const timer = setInterval(ask, range === '5m' ? 5000 : 30000);
    return () => { over = true; clearInterval(timer); };
  }, [name, range, metric]);
  return html`<section class="card"><div class="card-head">
      <select aria-label="Metric" value=${metric} onChange=${(e) => setMetric(e.target.value)}>${METRICS.map(([id, text]) => html`<option value=${id}>${text}</option>`)}</select>
      <div class="switch" role="group" aria-label="Time range">${RANGES.map(([id, text]) => html`
        <button type="button" aria-pressed=${id === range} onClick=${() => setRange(id)}>${text}</button>`)}</div></div>
    <${Problem}>${error}</${Problem}>
    ${points.length ? html`<${Chart} points=${points} label=${`${label} of ${name}`} format=${format} />`
    : html`<p class="dim plot-empty">Nothing is recorded for this time yet.</p>`}</section>`;
}

function Devices({ devices }) {
  if (!devices?.length) return null;
  const cell = (value, unit, digits = 0) => (value === undefined || value === null ? '–' : `${number(value, digits)}${unit}`);
  return html`<section class="card scroll"><h2>Devices</h2><table><thead><tr><th>Device</th><th>Hashrate</th><th>Accepted</th><th>Rejected</th>
    <th>Temperature</th><th>Fan</th><th>Power</th></tr></thead><tbody>${devices.map((it) => html`<tr key=${it.id}>
    <th scope="row">${it.name ?? it.id}<small>${it.name ? it.id : ''}</small></th><td>${hashrate(it.hashrate)}</td><td>${cell(it.accepted, '')}</td>
    <td>${cell(it.rejected, '')}</td><td>${cell(it.temperature, ' °C')}</td><td>${cell(it.fan === undefined ? undefined : it.fan * 100, ' %')}</td>
    <td>${cell(it.power, ' W', 1)}</td></tr>`)}</tbody></table></section>`;
}

function Overview({ miner }) {
  const { stats = {} } = miner;
  const windows = Object.entries(stats.hashrates ?? {}).map(([id, value]) => `${id} ${hashrate(value)}`).join(' · ');
  const pool = stats.pool;
  return html`<section class="tiles">
      <${Tile} label="Hashrate" value=${html`<span data-rate=${miner.name}>${hashrate(miner.running ? stats.hashrate : undefined)}</span>`} detail=${windows} tone="accent" />
      <${Tile} label="Shares" value=${number(stats.shares)} detail=${`${number(stats.rejected ?? 0)} rejected, ${number(stats.stale ?? 0)} stale, ${number(stats.invalid ?? 0)} invalid`} />
      <${Tile} label="Uptime" value=${miner.running ? duration(stats.uptime) : '–'} detail=${miner.restarts ? `started again ${miner.restarts} times` : ''} />
      <${Tile} label="Pool" value=${html`<span class="clip small">${pool?.url ?? '–'}</span>`} tone=${pool?.connected === false ? 'warn' : ''}
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
  useEffect(() => { if (follow && box.current) box.current.scrollTop = box.current.scrollHeight; }, [lines, follow, filter]);
  const shown = useMemo(() => {
    const wanted = filter.toLowerCase();
    return wanted ? lines.filter((it) => it.toLowerCase().includes(wanted)) : lines;
  }, [lines, filter]);
  const send = async (event) => {
    event.preventDefault();
    try { await post(`${path}/stdin`, { input: `${input}\n` }); setInput(''); setError(null); } catch (failure) { setError(failure.message); }
  };
  return html`<section class="card console"><div class="card-head">
      <input type="search" aria-label="Show only lines with" placeholder="Filter" value=${filter} onInput=${(e) => setFilter(e.target.value)} />
      <label class="check"><input type="checkbox" checked=${follow} onChange=${(e) => setFollow(e.target.checked)} /> Follow</label></div>
    <pre ref=${box} tabindex="0" aria-label=${`Output of ${miner.name}`}>${shown.join('\n') || 'Nothing was printed yet.'}</pre>
    ${miner.running && html`<form class="stdin" onSubmit=${send}><label class="hidden" for="stdin">Type to the miner</label>
      <input id="stdin" placeholder="Type to the miner, such as h" value=${input} autocomplete="off" onInput=${(e) => setInput(e.target.value)} /><button type="submit">Send</button></form>`}
    <${Problem}>${error}</${Problem}></section>`;
}

export function Plan({ plan }) {
  return html`<dl class="plan"><dt>Program</dt><dd><code>${plan.program}</code></dd>
    <dt>Arguments</dt><dd>${(plan.args ?? []).map((it) => html`<code class="word">${it}</code> `)}</dd>
    <dt>Working directory</dt><dd><code>${plan.cwd}</code></dd>
    <dt>Environment</dt><dd>${Object.entries(plan.env ?? {}).map(([name, value]) => html`<code class="word">${name}=${value}</code> `)}</dd>
    <dt>API port</dt><dd>${plan.apiPort}</dd>
    ${Object.entries(plan.files ?? {}).map(([path, text]) => html`<dt>File ${path}</dt><dd><pre>${text}</pre></dd>`)}</dl>`;
}

function PlanTab({ name }) {
  const { value, error } = useGet(`/miners/${part(name)}/plan`);
  return html`<section class="card"><h2>What runs</h2><p class="dim">Wallets, passwords and tokens are masked.</p>
    <${Problem}>${error?.message}</${Problem}>${value && html`<${Plan} plan=${value} />`}</section>`;
}

function Runs({ name }) {
  const { value, error } = useGet(`/miners/${part(name)}/runs?limit=50`, 10000);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value?.length) return html`<${Empty} title="No runs yet"><p>A run is one launch of the program, from start to exit.</p></${Empty}>`;
  return html`<section class="card scroll"><table><thead><tr><th>Started</th><th>Lasted</th><th>How it ended</th></tr></thead><tbody>
    ${value.map((it) => html`<tr key=${it.run ?? it.id}><td>${time(it.startedAtMs)}</td>
      <td>${duration(((it.endedAtMs ?? Date.now()) - it.startedAtMs) / 1000)}</td><td>${it.endedAtMs ? it.cause ?? '–' : 'running'}</td></tr>`)}</tbody></table></section>`;
}

export function Incidents({ path, empty }) {
  const { value, error } = useGet(path, 15000);
  const [open, setOpen] = useState(null);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value?.length) return html`<${Empty} title="No incidents"><p>${empty}</p></${Empty}>`;
  return html`<ul class="list">${value.map((it) => html`<li class="card" key=${it.id}><div class="card-head">
    <strong>${it.miner}</strong><span class="dim">${time(it.atMs ?? it.at)}</span></div><p>${it.cause ?? it.reason}</p>
    <p class="dim">${[it.action, it.outcome].filter(Boolean).map((word) => (typeof word === 'string' ? word : JSON.stringify(word))).join(' · ')}</p>
    <button type="button" class="quiet" aria-expanded=${open === it.id} onClick=${() => setOpen(open === it.id ? null : it.id)}>Evidence</button>
    ${open === it.id && html`<${Evidence} id=${it.id} />`}</li>`)}</ul>`;
}

function Evidence({ id }) {
  const { value, error } = useGet(`/incidents/${part(id)}`);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value) return html`<p class="dim">Reading…</p>`;
  const { lines = [], ...rest } = value.evidence ?? {};
  return html`<pre>${lines.join('\n') || 'No output.'}</pre><details><summary>Figures</summary><pre>${JSON.stringify(rest, null, 2)}</pre></details>`;
}

export function MinerPage({ name, tab }) {
  const { miners } = useLive();
  const miner = miners?.find((it) => it.name === name);
  if (!miners) return html`<p class="dim">Asking the host…</p>`;
  if (!miner) return html`<${Empty} title=${`There is no miner ${name}`}><p><a href="#/">All miners</a></p></${Empty}>`;
  const tabs = [['overview', 'Overview'], ['log', 'Log'], ['plan', 'Plan'], ['runs', 'Runs'], ['incidents', 'Incidents']];
  const link = (id) => `#/miners/${part(name)}/${id}`;
  const forget = async () => { await remove(`/miners/${part(name)}?remove=true`); location.hash = '#/'; };
  return html`<div class="page-head"><div><a class="back" href="#/">Miners</a><h1>${name}</h1></div><${Phase} phase=${miner.phase} />
      <${Actions} miner=${miner} /><${Act} label="Remove" kind="danger" does=${forget} confirm=${`Stop ${name} and forget it with its log?`} /></div>
    ${miner.reason && html`<p class="reason">${miner.reason}</p>`}
    <${Tabs} tabs=${tabs} current=${tab} link=${link} />
    ${tab === 'log' && html`<${Console} key=${name} miner=${miner} />`}
    ${tab === 'plan' && html`<${PlanTab} name=${name} />`}
    ${tab === 'runs' && html`<${Runs} name=${name} />`}
    ${tab === 'incidents' && html`<${Incidents} path=${`/miners/${part(name)}/incidents`} empty="The watchdog never had to do anything for this miner." />`}
    ${tab === 'overview' && html`<${Overview} miner=${miner} />`}`;
}
