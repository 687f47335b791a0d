// Profiles, and the wallets and pools that they refer to.

import { html, useEffect, useState } from '../vendor/preact-htm.js';
import { get, getTagged, part, post, put, remove } from '../api.js';
import { refresh } from '../state.js';
import { Act, Dialog, Empty, Problem, Tabs, useGet, words } from '../ui.js';
import { SchemaForm } from '../form.js';
import { Exchange } from './exchange.js';
import { Plan } from './plan.js';
import { PoolOrder, besidePools, nameOf } from './pools.js';

function Editor({ id, onClose }) {
  const [types, setTypes] = useState([]);
  const [pools, setPools] = useState([]);
  const [profile, setProfile] = useState(id ? null : { name: '', minerType: '', config: {}, pools: [], tags: [], autostart: false });
  const [etag, setEtag] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    get('/miners/available').then(setTypes, () => {});
    get('/pools').then(setPools, () => {});
    if (id) getTagged(`/profiles/${part(id)}`).then((it) => { setProfile(it.value); setEtag(it.etag); }, (it) => setError(it.message));
  }, [id]);
  if (!profile) return html`<${Dialog} title="Profile" onClose=${onClose}><${Problem}>${error}</${Problem}></${Dialog}>`;
  const change = (fields) => setProfile({ ...profile, ...fields });
  const type = types.find((it) => it.name === profile.minerType);
  const chosen = profile.pools ?? [];
  const submit = async (event) => {
    event.preventDefault();
    const { name, minerType, config, tags, autostart, restart } = profile;
    const body = { name, minerType, config, pools: chosen, tags, autostart, ...(restart ? { restart } : {}) };
    try {
      await (id ? put(`/profiles/${part(id)}`, body, etag) : post('/profiles', body));
      onClose(true);
    } catch (failure) { setError(failure.message); }
  };
  return html`<${Dialog} title=${id ? `Profile ${profile.name}` : 'New profile'} onClose=${onClose}><form onSubmit=${submit}>
    <div class="field"><label for="p-name">Name</label><input id="p-name" required maxlength="100" value=${profile.name} onInput=${(e) => change({ name: e.target.value })} /></div>
    <div class="field"><label for="p-type">Driver</label><select id="p-type" required disabled=${Boolean(id)} value=${profile.minerType}
      onChange=${(e) => change({ minerType: e.target.value, config: {} })}><option value="">Choose…</option>
      ${types.map((it) => html`<option value=${it.name}>${it.title || it.name}</option>`)}</select></div>
    ${pools.length > 0 && html`<div class="field"><label for="p-pools">Pools, first choice first</label>
      <${PoolOrder} id="p-pools" saved=${pools} chosen=${chosen} onChange=${(next) => change({ pools: next })} /></div>`}
    ${type && html`<${SchemaForm} key=${type.name} schema=${chosen.length ? besidePools(type.configSchema, profile.config ?? {}) : type.configSchema}
      defaults=${type.defaults} value=${profile.config ?? {}} onChange=${(config) => change({ config })} />`}
    <div class="field"><label for="p-tags">Tags</label><input id="p-tags" value=${(profile.tags ?? []).join(', ')} onChange=${(e) => change({ tags: words(e.target.value) })} /></div>
    <label class="check"><input type="checkbox" checked=${profile.autostart} onChange=${(e) => change({ autostart: e.target.checked })} /> Start a miner of it when the host starts</label>
    <${Problem}>${error}</${Problem}>
    <footer><button type="button" onClick=${() => onClose()}>Cancel</button><button type="submit" class="primary">Save</button></footer>
  </form></${Dialog}>`;
}

function Explain({ profile, onClose }) {
  const { value, error } = useGet(`/profiles/${part(profile.id)}/plan`);
  return html`<${Dialog} title=${`What ${profile.name} would run`} onClose=${onClose} wide><${Problem}>${error?.message}</${Problem}>
    ${value && html`<${Plan} plan=${value.plan ?? value} />`}
    ${value?.origins && html`<h3>Where values come from</h3><table><tbody>${(Array.isArray(value.origins) ? value.origins : Object.entries(value.origins).map(([path, origin]) => ({ path, origin })))
    .map((it) => html`<tr><th scope="row"><code>${it.path ?? it.field}</code></th><td>${typeof it.origin === 'string' ? it.origin : JSON.stringify(it.origin)}</td></tr>`)}</tbody></table>`}</${Dialog}>`;
}

function Profiles() {
  const { value, error, again } = useGet('/profiles');
  const [editing, setEditing] = useState(null);
  const [explaining, setExplaining] = useState(null);
  const editor = editing !== null && html`<${Editor} id=${editing || null} onClose=${(saved) => { setEditing(null); if (saved) again(); }} />`;
  const add = html`<button type="button" class="primary" onClick=${() => setEditing('')}>New profile</button>`;
  const start = (profile) => async () => { const miner = await post(`/profiles/${part(profile.id)}/start`, {}); await refresh(); location.hash = `#/miners/${part(miner.name)}`; };
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (value && !value.length) return html`<${Empty} title="No profiles yet"><p>A profile is a saved configuration: start one miner or many from it, here or on other rigs. Save a <a href="#/profiles/wallets">wallet</a> and a <a href="#/profiles/pools">pool</a> first, and every profile can use them, or <a href="#/profiles/exchange">import</a> what another rig has.</p>${add}</${Empty}>${editor}`;
  return html`<div class="row-end">${add}</div><ul class="cards">${(value ?? []).map((it) => html`<li class="card" key=${it.id}>
      <div class="card-head"><span class="name">${it.name}</span><span class="dim">${it.minerType}</span></div>
      ${it.problem && html`<p class="reason">${it.problem}</p>`}
      <p class="tags">${(it.tags ?? []).map((tag) => html`<span class="tag">${tag}</span>`)}${it.autostart && html`<span class="tag">starts with the host</span>`}</p>
      ${it.pools?.length > 0 && html`<p class="dim break">Pools: ${it.pools.map(nameOf).join(', ')}</p>`}
      <p class="dim">${it.miners?.length ? `Miners: ${it.miners.map((miner) => miner.name ?? miner).join(', ')}` : 'No miner of it yet.'}</p>
      <div class="actions"><${Act} label="Start" kind="primary" disabled=${Boolean(it.problem)} does=${start(it)} />
        <button type="button" onClick=${() => setEditing(it.id)}>Edit</button><button type="button" onClick=${() => setExplaining(it)}>Explain</button>
        <${Act} label="Delete" kind="danger" confirm=${`The profile ${it.name} is deleted. Miners that were started from it stay, with what they were started with last.`} does=${async () => { await remove(`/profiles/${part(it.id)}`); again(); }} /></div></li>`)}</ul>
    ${editor}${explaining && html`<${Explain} profile=${explaining} onClose=${() => setExplaining(null)} />`}`;
}

/** Named objects of a few fields: wallets and pools. */
function Named({ path, what, fields, hint }) {
  const { value, error, again } = useGet(path);
  const [item, setItem] = useState(null);
  const [wrong, setWrong] = useState(null);
  const isNew = item && !item.old;
  const save = async (event) => {
    event.preventDefault();
    const body = {};
    for (const [id] of fields) if (item[id] !== undefined && item[id] !== '') body[id] = item[id];
    try {
      const { name, ...rest } = body;
      await (isNew ? post(path, body) : put(`${path}/${part(item.old)}`, { name, ...rest }));
      setItem(null);
      setWrong(null);
      again();
    } catch (failure) { setWrong(failure.message); }
  };
  const add = html`<button type="button" class="primary" onClick=${() => setItem({})}>New ${what}</button>`;
  const dialog = item && html`<${Dialog} title=${isNew ? `New ${what}` : item.old} onClose=${() => setItem(null)}><form onSubmit=${save}>
    ${fields.map(([id, label, help, kind]) => (kind === 'flag'
    ? html`<label class="check"><input type="checkbox" checked=${item[id] ?? false} onChange=${(e) => setItem({ ...item, [id]: e.target.checked })} /> ${label}</label>`
    : html`<div class="field"><label for=${`n-${id}`}>${label}</label><input id=${`n-${id}`} type=${kind ?? 'text'} value=${item[id] ?? ''} autocomplete="off" disabled=${!isNew && id === 'name'}
        onInput=${(e) => setItem({ ...item, [id]: e.target.value })} /><small>${help}</small></div>`))}
    <${Problem}>${wrong}</${Problem}><footer><button type="button" onClick=${() => setItem(null)}>Cancel</button><button type="submit" class="primary">Save</button></footer></form></${Dialog}>`;
  if (error) return html`<${Problem}>${error.message}</${Problem}>`;
  if (value && !value.length) return html`<${Empty} title=${`No ${what}s yet`}><p>${hint}</p>${add}</${Empty}>${dialog}`;
  return html`<div class="row-end">${add}</div><ul class="list">${(value ?? []).map((it) => html`<li class="card row" key=${it.name}>
    <div><span class="name">${it.name}</span> <span class="dim">${it.coin ?? ''}</span><div class="break dim">${it.url ?? it.address}</div></div>
    <div class="actions"><button type="button" onClick=${() => setItem({ ...it, old: it.name })}>Edit</button>
      <${Act} label="Delete" kind="danger" confirm=${`${it.name} is deleted. That is refused while a profile or a pool refers to it.`} does=${async () => { await remove(`${path}/${part(it.name)}`); again(); }} /></div></li>`)}</ul>${dialog}`;
}

const POOL = [
  ['name', 'Name', 'Lower-case letters, digits and dashes.'], ['url', 'Address', 'host:port'], ['protocol', 'Protocol', 'Only where the pool speaks another one than the miner uses for the coin: stratum, stratum1, epic.'], ['coin', 'Coin', 'Such as XMR.'],
  ['wallet', 'Wallet', 'Name of a saved wallet.'], ['user', 'User', 'What to log in with; ${wallet} without it.'],
  ['password', 'Password', 'Kept, and never shown again.', 'password'], ['tls', 'Encrypted (TLS)', '', 'flag'],
  ['tlsFingerprint', 'Fingerprint', 'SHA-256 of the certificate, to accept no other.'],
];
const WALLET = [['name', 'Name', 'Lower-case letters, digits and dashes.'], ['coin', 'Coin', 'Such as XMR.'], ['address', 'Address', 'Where the income goes.']];

export function ProfilesPage({ tab }) {
  return html`<div class="page-head"><h1>Profiles</h1></div>
    <${Tabs} tabs=${[['list', 'Profiles'], ['wallets', 'Wallets'], ['pools', 'Pools'], ['exchange', 'Import and export']]} current=${tab} link=${(id) => `#/profiles/${id}`} />
    ${tab === 'exchange' ? html`<${Exchange} />` : tab === 'wallets' ? html`<${Named} key="w" path="/wallets" what="wallet" fields=${WALLET} hint="Name a wallet once, and refer to it from pools and profiles. When it changes, it changes in one place." />`
    : tab === 'pools' ? html`<${Named} key="p" path="/pools" what="pool" fields=${POOL} hint="Name a pool once, and use it in any profile, in order of priority. The watchdog moves a miner to the next one when the first is no use." />`
      : html`<${Profiles} />`}`;
}
