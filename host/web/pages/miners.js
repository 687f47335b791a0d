// All miners of this rig.

import { html, useEffect, useState } from '../vendor/preact-htm.js';
import { get, part, post, remove } from '../api.js';
import { duration, hashrate, most, number, sum } from '../format.js';
import { refresh, useLive } from '../state.js';
import { Act, Dialog, Empty, Phase, Problem, Sparkline, Tile } from '../ui.js';
import { SchemaForm } from '../form.js';

/** Buttons that fit what a miner does. */
export function Actions({ miner }) {
  const call = (verb) => async () => { await post(`/miners/${part(miner.name)}/${verb}`); await refresh(); };
  const running = miner.running || miner.desired === 'running';
  return html`<div class="actions">
    ${running
    ? html`<${Act} label="Stop" does=${async () => { await remove(`/miners/${part(miner.name)}`); await refresh(); }} />`
    : html`<${Act} label="Start" kind="primary" does=${call('start')} />`}
    ${miner.running && (miner.phase === 'paused'
    ? html`<${Act} label="Resume" kind="primary" does=${call('resume')} />`
    : html`<${Act} label="Pause" does=${call('pause')} />`)}
    ${running && html`<${Act} label="Restart" does=${call('restart')} />`}
  </div>`;
}

/** Sums within one algorithm only: hashes of different ones do not add up. */
function totals(miners) {
  const by = new Map();
  for (const { running, stats } of miners) {
    if (!running || stats?.hashrate === undefined) continue;
    const lists = stats.algorithms?.length ? stats.algorithms : [{ algorithm: stats.algorithm ?? 'unknown', hashrate: stats.hashrate }];
    for (const { algorithm, hashrate: rate } of lists) by.set(algorithm, (by.get(algorithm) ?? 0) + (rate ?? 0));
  }
  return [...by].sort((a, b) => b[1] - a[1]);
}

function Summary({ miners }) {
  const running = miners.filter((it) => it.running);
  const add = (field) => running.reduce((all, it) => all + (it.stats?.[field] ?? 0), 0);
  const [accepted, rejected] = [add('shares'), add('rejected')];
  const share = accepted + rejected ? `${((100 * rejected) / (accepted + rejected)).toFixed(2)} % rejected` : '';
  const power = sum(running.flatMap((it) => it.stats?.devices ?? []), 'power');
  const trouble = miners.filter((it) => ['failed', 'backoff', 'degraded'].includes(it.phase)).length;
  return html`<section class="tiles" aria-label="Summary">
    ${totals(miners).map(([algorithm, rate]) => html`<${Tile} key=${algorithm} label=${algorithm} value=${hashrate(rate)} tone="accent" />`)}
    <${Tile} label="Miners" value=${`${running.length} of ${miners.length}`} detail=${trouble ? `${trouble} need${trouble === 1 ? 's' : ''} attention` : running.length ? 'running, all well' : 'running'} tone=${trouble ? 'warn' : ''} />
    <${Tile} label="Accepted shares" value=${number(accepted)} detail=${share} />
    ${power !== null && html`<${Tile} label="Power" value=${`${number(power)} W`} />`}
  </section>`;
}

function Card({ miner, points }) {
  const { stats = {}, name } = miner;
  const temperature = most(stats.devices, 'temperature');
  const label = `hashrate of ${name} over the last minutes`;
  return html`<li class="card miner">
    <div class="card-head"><a class="name" href=${`#/miners/${part(name)}`}>${name}</a><${Phase} phase=${miner.phase} /></div>
    <div class="card-rate"><span class="rate" data-rate=${name}>${hashrate(miner.running ? stats.hashrate : undefined)}</span>
      <${Sparkline} points=${points} label=${label} /></div>
    ${miner.reason && html`<p class="reason">${miner.reason}</p>`}
    <dl class="facts">
      <div><dt>Type</dt><dd>${miner.minerType}${stats.algorithm ? ` · ${stats.algorithm}` : ''}</dd></div>
      <div><dt>Shares</dt><dd>${number(stats.shares)}${stats.rejected ? html` <span class="bad">+${number(stats.rejected)} rejected</span>` : ''}</dd></div>
      <div><dt>Temperature</dt><dd>${temperature === null ? '–' : `${number(temperature)} °C`}</dd></div>
      <div><dt>Uptime</dt><dd>${miner.running ? duration(stats.uptime) : '–'}</dd></div>
      <div class="whole"><dt>Pool</dt><dd class="break">${stats.pool?.url ?? '–'}</dd></div>
    </dl>
    <${Actions} miner=${miner} /></li>`;
}

function NewMiner({ onClose }) {
  const [types, setTypes] = useState(null);
  const [profiles, setProfiles] = useState([]);
  const [choice, setChoice] = useState('');
  const [name, setName] = useState('');
  const [config, setConfig] = useState({});
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    get('/miners/available').then(setTypes, (it) => setError(it.message));
    get('/profiles').then(setProfiles, () => setProfiles([]));
  }, []);
  const type = types?.find((it) => `type:${it.name}` === choice);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const made = choice.startsWith('profile:')
        ? await post(`/profiles/${part(choice.slice(8))}/start`, name ? { name } : {})
        : await post('/miners', { type: type.name, config, ...(name ? { name } : {}) });
      await refresh();
      onClose();
      location.hash = `#/miners/${part(made.name)}`;
    } catch (failure) {
      setError(failure.message);
      setBusy(false);
    }
  };
  return html`<${Dialog} title="Start a miner" onClose=${onClose}><form onSubmit=${submit}>
    <div class="field"><label for="what">What to run</label>
      <select id="what" required value=${choice} onChange=${(e) => { setChoice(e.target.value); setConfig({}); }}>
        <option value="">Choose…</option>
        ${profiles.length > 0 && html`<optgroup label="Profiles">${profiles.map((it) => html`<option value=${`profile:${it.id}`}>${it.name} (${it.minerType})</option>`)}</optgroup>`}
        <optgroup label="Drivers">${(types ?? []).map((it) => html`<option value=${`type:${it.name}`}>${it.title || it.name}${it.installed ? '' : ' (not installed)'}</option>`)}</optgroup>
      </select>${type && html`<small>${type.description}</small>`}</div>
    ${type?.problem && html`<p class="notice">${type.problem} <a href="#/drivers" onClick=${onClose}>Install it on the page of drivers</a>.</p>`}
    ${choice && html`<div class="field"><label for="name">Name</label><input id="name" value=${name} maxlength="63"
      pattern="[a-z0-9][a-z0-9\\-]*" placeholder="chosen for you" onInput=${(e) => setName(e.target.value)} />
      <small>Lower-case letters, digits and dashes.</small></div>`}
    ${type && html`<${SchemaForm} key=${choice} schema=${type.configSchema} defaults=${type.defaults} value=${config} onChange=${setConfig} />`}
    <${Problem}>${error}</${Problem}>
    <footer><button type="button" onClick=${onClose}>Cancel</button>
      <button type="submit" class="primary" disabled=${busy || !choice}>${busy ? 'Starting…' : 'Start'}</button></footer>
  </form></${Dialog}>`;
}

export function MinersPage() {
  const { miners, error, trails } = useLive();
  const [adding, setAdding] = useState(false);
  const dialog = adding && html`<${NewMiner} onClose=${() => setAdding(false)} />`;
  const button = html`<button type="button" class="primary" onClick=${() => setAdding(true)}>Start a miner</button>`;
  if (!miners) return html`<${Problem}>${error}</${Problem}><p class="dim">Asking the host…</p>`;
  if (!miners.length) {
    return html`<${Empty} title="No miners yet"><p>Start one from a driver, or save a <a href="#/profiles">profile</a> first and
      start as many as you like from it. Programs such as XMRig are installed on the page <a href="#/drivers">Drivers</a>.</p>${button}</${Empty}>${dialog}`;
  }
  return html`<div class="page-head"><h1>Miners</h1>${button}</div><${Problem}>${error}</${Problem}>
    <${Summary} miners=${miners} />
    <ul class="cards">${miners.map((it) => html`<${Card} key=${it.name} miner=${it} points=${trails.get(it.name)} />`)}</ul>${dialog}`;
}
