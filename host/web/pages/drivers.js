// Drivers and the programs they run.

import { html } from '../vendor/preact-htm.js';
import { part, post, remove } from '../api.js';
import { bytes, time } from '../format.js';
import { Act, Empty, Problem, useGet } from '../ui.js';

const STEPS = { finding: 'looking for the release', downloading: 'downloading', verifying: 'checking sums and signature', unpacking: 'unpacking', trying: 'trying the program', activating: 'activating' };

function Program({ id }) {
  const { value, error, again } = useGet(`/miners/${part(id)}/versions`, 2000);
  if (error) return html`<p class="dim">${error.message}</p>`;
  if (!value) return null;
  const { versions = [], installing, failed } = value;
  const path = `/miners/${part(id)}`;
  return html`<div class="program">
    ${installing && html`<p role="status">${STEPS[installing.step] ?? installing.step}${installing.version ? ` ${installing.version}` : ''}
      ${installing.total && html`<progress max=${installing.total} value=${installing.bytes}></progress> ${bytes(installing.bytes)} of ${bytes(installing.total)}`}</p>`}
    ${failed && !installing && html`<${Problem}>${failed}</${Problem}>`}
    ${versions.length > 0 && html`<table><thead><tr><th>Version</th><th>Proven by</th><th>Installed</th></tr></thead><tbody>${versions.map((it) => html`<tr key=${it.version}>
      <th scope="row">${it.version} ${it.active && html`<span class="tag">runs</span>`}${it.previous && html`<span class="tag">rollback</span>`}</th>
      <td>${typeof it.proven === 'string' ? it.proven : Object.keys(it.proven ?? {}).join(', ') || '–'}</td><td>${time(it.installedAt)}</td></tr>`)}</tbody></table>`}
    <div class="actions"><${Act} label=${versions.length ? 'Update' : 'Install'} kind=${versions.length ? '' : 'primary'} disabled=${Boolean(installing)} does=${async () => { await post(`${path}/install`, {}); again(); }} />
      ${versions.some((it) => it.previous) && html`<${Act} label="Roll back" does=${async () => { await post(`${path}/rollback`); again(); }} />`}
      ${versions.length > 0 && html`<${Act} label="Uninstall" kind="danger" confirm=${`Remove every version of the program of ${id}?`} does=${async () => { await remove(`${path}/uninstall`); again(); }} />`}</div></div>`;
}

function Card({ driver, again }) {
  const well = driver.state === 'loaded';
  const quarantined = driver.quarantine ?? (driver.condition === 'quarantined');
  return html`<li class="card"><div class="card-head"><span class="name">${driver.id ?? driver.path.split('/').pop()}</span>
      <span class=${`tag ${well ? 'good' : 'bad'}`}>${driver.condition && driver.condition !== 'well' ? driver.condition : driver.state}</span></div>
    <p class="dim">${[driver.version && `version ${driver.version}`, driver.api && `interface ${driver.api}`, driver.isolation].filter(Boolean).join(' · ')}</p>
    ${driver.reason && html`<p class="reason">${driver.reason}</p>`}
    <p class="dim clip">${driver.path}</p>
    ${quarantined && html`<${Act} label="Clear the quarantine" does=${async () => { await post(`/drivers/${part(driver.id)}/clear`); again(); }} />`}
    ${well && html`<${Program} id=${driver.id} />`}</li>`;
}

export function DriversPage() {
  const { value, error, again } = useGet('/drivers', 5000);
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (value && !value.length) {
    return html`<${Empty} title="No drivers"><p>Drop a driver file into the folder of drivers: it is listed within seconds.</p></${Empty}>`;
  }
  return html`<div class="page-head"><h1>Drivers</h1></div><ul class="cards">${(value ?? []).map((it) => html`<${Card} key=${it.path} driver=${it} again=${again} />`)}</ul>`;
}
