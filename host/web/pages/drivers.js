// Drivers and the programs they run.

import { html } from '../vendor/preact-htm.js';
import { part, post, remove } from '../api.js';
import { ago, bytes, time } from '../format.js';
import { Act, Empty, Problem, useGet } from '../ui.js';

const STEPS = { finding: 'Looking for the release', downloading: 'Downloading', verifying: 'Checking sums and signature', unpacking: 'Unpacking', trying: 'Trying the program', activating: 'Activating' };
/** How it is known that a program is what its publisher made. */
const PROOFS = { signed: 'signature', pinned: 'sum in the driver', given: 'sum you gave', firstUse: 'nothing, at first use' };
const STATES = {
  loaded: ['good', 'loaded'], quarantined: ['bad', 'quarantined'], wedged: ['bad', 'wedged'], failed: ['bad', 'failed'],
  refused: ['bad', 'refused'], untrusted: ['warn', 'not trusted'],
};

function Installing({ it }) {
  return html`<div role="status"><p>${STEPS[it.step] ?? it.step}${it.version ? ` ${it.version}` : ''}…</p>
    ${it.total ? html`<progress aria-label="Download" max=${it.total} value=${it.bytes}></progress><p class="dim">${bytes(it.bytes)} of ${bytes(it.total)}</p>`
    : html`<progress aria-label=${STEPS[it.step] ?? it.step}></progress>`}</div>`;
}

/** The versions of a driver's program; nothing for a driver that needs none or has the operator's. */
function Program({ id, known }) {
  const { value, error, again } = useGet(`/miners/${part(id)}/versions`, 2000);
  if (error) return html`<p class="dim">${error.message}</p>`;
  if (!value) return null;
  const { versions = [], installing, failed } = value;
  const path = `/miners/${part(id)}`;
  const installs = !/does not install its program|no program/.test(known?.problem ?? '');
  if (!versions.length && !installing && known?.installed) return html`<p class="dim">Ready to run: its program needs no installation.</p>`;
  if (!versions.length && !installs) return html`<div class="program"><p class="notice">${known.problem}</p></div>`;
  return html`<div class="program">
    ${installing && html`<${Installing} it=${installing} />`}
    ${failed && !installing && html`<${Problem}>${failed}</${Problem}>`}
    ${versions.length > 0 && html`<table><thead><tr><th>Version</th><th>Proven by</th><th>Installed</th></tr></thead><tbody>${versions.map((it) => html`<tr key=${it.version}>
      <th scope="row">${it.version} ${it.active && html`<span class="tag good">runs</span>`}${it.previous && html`<span class="tag">rollback</span>`}</th>
      <td title=${it.proven?.fingerprint}>${PROOFS[it.proven?.by] ?? it.proven?.by ?? '–'}</td><td>${time(it.installedAt)}</td></tr>`)}</tbody></table>`}
    ${!versions.length && !installing && html`<p class="dim">Its program is not installed. What is downloaded is verified before it runs.</p>`}
    <div class="actions"><${Act} label=${versions.length ? 'Update' : 'Install'} kind=${versions.length ? '' : 'primary'} disabled=${Boolean(installing)} does=${async () => { setTimeout(again, 300); try { await post(`${path}/install`, {}); } finally { again(); } }} />
      ${versions.some((it) => it.previous) && html`<${Act} label="Roll back" does=${async () => { await post(`${path}/rollback`); again(); }} />`}
      ${versions.length > 0 && html`<${Act} label="Uninstall" kind="danger" confirm=${`Every version of the program of ${id} is removed from this rig. A version that runs is kept.`} does=${async () => { await remove(`${path}/uninstall`); again(); }} />`}</div></div>`;
}

/** Why a driver is not asked any more, since when and after how many failures. */
function Quarantine({ driver, again }) {
  const { value } = useGet(`/drivers/${part(driver.id)}`, 10000);
  const kept = value?.quarantine;
  return html`<p class="reason">${kept ? html`<strong>${kept.count} failures within ${kept.withinS ?? kept.within_s} s, ${ago(kept.since)}.</strong> ${kept.reason}` : driver.reason ?? 'It failed too often.'}</p>
    <p class="dim">It is not asked any more. Its miners run on; they are served again once you clear it.</p>
    <div class="actions"><${Act} label="Clear the quarantine" kind="primary" does=${async () => { await post(`/drivers/${part(driver.id)}/clear`); again(); }} /></div>`;
}

function Card({ driver, known, again }) {
  const [tone, word] = STATES[driver.state] ?? ['', driver.state];
  const held = driver.state === 'quarantined';
  const stuck = ['wedged', 'failed'].includes(driver.state);
  const trust = async () => { await post(`/drivers/${part(driver.id)}/trust`, { sha256: driver.sha256 }); again(); };
  return html`<li class="card"><div class="card-head"><span class="name">${known?.title || driver.id || driver.path.split('/').pop()}</span>
      <span class=${`tag ${tone}`}>${word}</span></div>
    ${known?.description && html`<p>${known.description}</p>`}
    ${known?.algorithms?.length > 0 && html`<p class="tags">${known.algorithms.slice(0, 6).map((it) => html`<span class="tag">${it}</span>`)}${known.algorithms.length > 6 && html`<span class="tag">${known.algorithms.length - 6} more</span>`}</p>`}
    <p class="dim fine">${[driver.id, driver.version && `version ${driver.version}`, driver.api && `interface ${driver.api}`, driver.isolation].filter(Boolean).join(' · ')}</p>
    <p class="dim fine break">${driver.path}</p>
    ${driver.reason && !held && html`<p class="reason">${driver.reason}</p>`}
    ${held && html`<${Quarantine} driver=${driver} again=${again} />`}
    ${stuck && driver.id && html`<div class="actions"><${Act} label="Load it anew" does=${async () => { await post(`/drivers/${part(driver.id)}/clear`); again(); }} /></div>`}
    ${driver.state === 'untrusted' && driver.id && html`<p class="dim fine break">SHA-256 ${driver.sha256}</p><div class="actions">
      <${Act} label="Trust this file" kind="primary" confirm=${`The code of ${driver.path} will run. Compare its SHA-256 with what its author published: ${driver.sha256}`} does=${trust} /></div>`}
    ${driver.state === 'loaded' && html`<${Program} id=${driver.id} known=${known} />`}</li>`;
}

export function DriversPage() {
  const { value, error, again } = useGet('/drivers', 5000);
  const known = useGet('/miners/available', 5000);
  const head = html`<div class="page-head"><h1>Drivers</h1></div>`;
  if (error) return html`${head}<${Problem}>${error.message}</${Problem}>`;
  if (!value) return html`${head}<p class="dim">Asking the host…</p>`;
  if (!value.length) {
    return html`${head}<${Empty} title="No drivers"><p>Drop a driver file into the folder <code>drivers</code> beside the binary, or say <code>adit driver add FILE.so</code>: it is listed here within two seconds.</p></${Empty}>`;
  }
  const find = (id) => known.value?.find((it) => it.name === id);
  return html`${head}<ul class="cards">${value.map((it) => html`<${Card} key=${it.path} driver=${it} known=${find(it.id)} again=${() => { again(); known.again(); }} />`)}</ul>`;
}
