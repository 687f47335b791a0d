// This rig, who may use it, and who did what.

import { html, useState } from '../vendor/preact-htm.js';
import { part, post, remove } from '../api.js';
import { duration, number, time } from '../format.js';
import { Act, Dialog, Problem, Tabs, Tile, useGet } from '../ui.js';

function Rig() {
  const { value, error } = useGet('/info', 10000);
  const history = useGet('/history/status', 10000);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (!value) return null;
  const kept = history.value;
  return html`<section class="tiles"><${Tile} label="Rig" value=${value.worker} detail=${`${value.os} ${value.architecture}`} />
    <${Tile} label="Processors" value=${number(value.available_cpu_cores)} /><${Tile} label="Memory" value=${`${number(value.total_system_ram_gb, 1)} GiB`} />
    <${Tile} label="Adit" value=${value.version} detail=${`up for ${duration(value.uptime_s)}`} />
    ${kept && html`<${Tile} label="History" value=${kept.enabled ? `${kept.retentionDays} days` : 'off'} detail=${kept.error ?? ''} tone=${kept.error ? 'warn' : ''} />`}</section>`;
}

function Tokens() {
  const { value, error, again } = useGet('/tokens');
  const [made, setMade] = useState(null);
  const [form, setForm] = useState({ name: '', role: 'view' });
  const [wrong, setWrong] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try { setMade(await post('/tokens', form)); setForm({ name: '', role: 'view' }); setWrong(null); again(); } catch (failure) { setWrong(failure.message); }
  };
  return html`<section class="card"><h2>Tokens</h2><p class="dim">Give each person and program a token of its own, with no more rights than it needs.</p><${Problem}>${error?.message}</${Problem}>
    <table><thead><tr><th>Name</th><th>Role</th><th>Expires</th><th></th></tr></thead><tbody>${(value ?? []).map((it) => html`<tr key=${it.id}><th scope="row">${it.name}</th><td>${it.role}</td>
      <td>${it.expiresAtMs ? time(it.expiresAtMs) : 'never'}</td><td>${it.id !== undefined && html`<${Act} label="Remove" kind="danger" confirm=${`Remove the token ${it.name}?`} does=${async () => { await remove(`/tokens/${part(it.id)}`); again(); }} />`}</td></tr>`)}</tbody></table>
    <form class="inline" onSubmit=${submit}><label class="hidden" for="t-name">Name</label><input id="t-name" required placeholder="Name, such as grafana" value=${form.name} onInput=${(e) => setForm({ ...form, name: e.target.value })} />
      <label class="hidden" for="t-role">Role</label><select id="t-role" value=${form.role} onChange=${(e) => setForm({ ...form, role: e.target.value })}><option>view</option><option>operate</option><option>admin</option></select>
      <button type="submit" class="primary">Make a token</button></form><${Problem}>${wrong}</${Problem}>
    ${made && html`<${Dialog} title=${`Token ${made.name}`} onClose=${() => setMade(null)}><p>Copy it now: it is never shown again.</p><pre class="code">${made.token}</pre></${Dialog}>`}</section>`;
}

function Audit() {
  const { value, error } = useGet('/audit', 10000);
  return html`<section class="card scroll"><h2>Audit log</h2><${Problem}>${error?.message}</${Problem}><table><thead><tr><th>When</th><th>Who</th><th>From</th><th>What</th><th>Outcome</th></tr></thead>
    <tbody>${(value ?? []).map((it) => html`<tr><td>${time(it.atMs)}</td><td>${it.who}</td><td>${it.address}</td><td><code>${it.action}</code></td><td>${it.outcome}</td></tr>`)}</tbody></table></section>`;
}

export function SettingsPage({ tab, theme, setTheme, logOut }) {
  return html`<div class="page-head"><h1>Settings</h1><button type="button" onClick=${logOut}>Forget the token</button></div>
    <${Tabs} tabs=${[['rig', 'This rig'], ['tokens', 'Tokens'], ['audit', 'Audit log']]} current=${tab} link=${(id) => `#/settings/${id}`} />
    ${tab === 'tokens' ? html`<${Tokens} />` : tab === 'audit' ? html`<${Audit} />` : html`<${Rig} />
      <section class="card"><h2>Appearance</h2><div class="switch" role="group" aria-label="Appearance">${['auto', 'light', 'dark'].map((it) => html`
        <button type="button" aria-pressed=${theme === it} onClick=${() => setTheme(it)}>${it}</button>`)}</div></section>`}`;
}
