// This rig, who may use it, and who did what.

import { html, useState } from '../vendor/preact-htm.js';
import { part, post, remove } from '../api.js';
import { duration, number, time } from '../format.js';
import { Act, Copy, Dialog, Problem, Tabs, Tile, useGet } from '../ui.js';
import { Doctor } from './doctor.js';

function Rig() {
  const { value, error } = useGet('/info', 10000);
  const history = useGet('/history/status', 10000);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value) return null;
  const kept = history.value;
  return html`<section class="tiles"><${Tile} label="Rig" value=${value.worker} detail=${`${value.os} ${value.architecture}`} />
    <${Tile} label="Processors" value=${number(value.available_cpu_cores)} /><${Tile} label="Memory" value=${`${number(value.total_system_ram_gb, 1)} GiB`} />
    <${Tile} label="Adit" value=${value.version} detail=${`up for ${duration(value.uptime_s)}`} />
    ${kept && html`<${Tile} label="History" value=${kept.enabled ? `${kept.retentionDays} days` : 'off'} detail=${kept.error ?? ''} tone=${kept.error ? 'warn' : ''} />`}</section>
    <section class="card"><h2>Programs</h2><table class="stack"><thead><tr><th>Driver</th><th>Version</th><th>Program</th></tr></thead><tbody>
      ${(value.installed_miners_info ?? []).map((it) => html`<tr key=${it.miner_type}><th scope="row">${it.miner_type}</th>
        <td data-label="Version">${it.is_installed ? it.version || '–' : html`<a href="#/drivers">not installed</a>`}</td><td data-label="Program"><code>${it.miner_binary || '–'}</code></td></tr>`)}</tbody></table></section>
    <section class="card"><h2>The settings file</h2><p>Ports, drivers, the watchdog and the history are set in <code>adit.toml</code>, which the host reads when it starts. <code>adit up --help</code> tells where that is.
      Miners run on while the host is started again.</p></section>`;
}

const ROLES = [['view', 'sees everything'], ['operate', 'starts and stops'], ['admin', 'changes everything']];
const DAYS = [['', 'never expires'], ['1', 'for a day'], ['30', 'for 30 days'], ['365', 'for a year']];
const FRESH = { name: '', role: 'view', days: '' };

function Tokens() {
  const { value, error, again } = useGet('/tokens');
  const [made, setMade] = useState(null);
  const [form, setForm] = useState(FRESH);
  const [wrong, setWrong] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try {
      const { name, role, days } = form;
      setMade(await post('/tokens', { name, role, ...(days ? { expiresInS: Number(days) * 86400 } : {}) })); setForm(FRESH); setWrong(null); again(); } catch (failure) { setWrong(failure.message); }
  };
  return html`<section class="card"><h2>Tokens</h2><p class="dim">Give each person and program a token of its own, with no more rights than it needs.</p><${Problem}>${error?.message}</${Problem}>
    ${value && !value.length && html`<p class="notice">There is only the admin's own token so far, the one in the state folder. A program that reads figures needs no more than <em>view</em>.</p>`}
    ${value?.length > 0 && html`<table class="stack"><thead><tr><th>Name</th><th>Role</th><th>Expires</th><th><span class="hidden">Actions</span></th></tr></thead><tbody>${value.map((it) => html`<tr key=${it.id}><th scope="row">${it.name}</th><td data-label="Role">${it.role}</td>
      <td data-label="Expires">${it.expiresAtMs ? time(it.expiresAtMs) : 'never'}</td><td>${it.id !== undefined && html`<${Act} label="Remove" kind="danger" confirm=${`Whoever uses the token ${it.name} is locked out at once.`} does=${async () => { await remove(`/tokens/${part(it.id)}`); again(); }} />`}</td></tr>`)}</tbody></table>`}
    <form class="inline" onSubmit=${submit}><label class="hidden" for="t-name">Name</label><input id="t-name" required placeholder="Name, such as grafana" value=${form.name} onInput=${(e) => setForm({ ...form, name: e.target.value })} />
      <label class="hidden" for="t-role">Role</label><select id="t-role" value=${form.role} onChange=${(e) => setForm({ ...form, role: e.target.value })}>${ROLES.map(([role, may]) => html`<option value=${role}>${role}: ${may}</option>`)}</select>
      <label class="hidden" for="t-days">Expires</label><select id="t-days" value=${form.days} onChange=${(e) => setForm({ ...form, days: e.target.value })}>${DAYS.map(([days, label]) => html`<option value=${days}>${label}</option>`)}</select>
      <button type="submit" class="primary">Make a token</button></form><${Problem}>${wrong}</${Problem}>
    ${made && html`<${Dialog} title=${`Token ${made.name}`} onClose=${() => setMade(null)}><p>Copy it now: it is never shown again.</p><pre class="code">${made.token}</pre><footer><${Copy} text=${made.token} label="Copy the token" /></footer></${Dialog}>`}</section>`;
}

function Audit() {
  const { value, error } = useGet('/audit', 10000);
  return html`<section class="card"><h2>Audit log</h2><p class="dim">Every change that was asked for over the API: by whom, from where, and what came of it.</p><${Problem}>${error?.message}</${Problem}>
    ${value && !value.length && html`<p class="notice">Nothing was changed yet.</p>`}<table class="stack"><thead><tr><th>When</th><th>Who</th><th>From</th><th>What</th><th>Outcome</th></tr></thead>
    <tbody>${(value ?? []).map((it) => html`<tr><th scope="row">${time(it.atMs)}</th><td data-label="Who">${it.who}</td><td data-label="From">${it.address}</td><td data-label="What"><code>${it.action}</code></td><td data-label="Outcome">${it.outcome}</td></tr>`)}</tbody></table></section>`;
}

export function SettingsPage({ tab, theme, setTheme, logOut }) {
  return html`<div class="page-head"><h1>Settings</h1><button type="button" onClick=${logOut}>Forget the token</button></div>
    <${Tabs} tabs=${[['rig', 'This rig'], ['doctor', 'Doctor'], ['tokens', 'Tokens'], ['audit', 'Audit log']]} current=${tab} link=${(id) => `#/settings/${id}`} />
    ${tab === 'doctor' ? html`<${Doctor} />` : tab === 'tokens' ? html`<${Tokens} />` : tab === 'audit' ? html`<${Audit} />` : html`<${Rig} />
      <section class="card"><h2>Appearance</h2><div class="switch" role="group" aria-label="Appearance">${['auto', 'light', 'dark'].map((it) => html`
        <button type="button" aria-pressed=${theme === it} onClick=${() => setTheme(it)}>${it}</button>`)}</div></section>`}`;
}
