// The nodes that this one knows, and what they mine.

import { html, useState } from '../vendor/preact-htm.js';
import { part, post, put, remove } from '../api.js';
import { ago, hashrate, number } from '../format.js';
import { Act, Dialog, Empty, Phase, Problem, Tile, useGet, words } from '../ui.js';
import { Bulk } from './bulk.js';

function Init({ again }) {
  const [name, setName] = useState('');
  const [role, setRole] = useState('dual');
  const [error, setError] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    try { await post('/node/init', { name, role }); again(); } catch (failure) { setError(failure.message); }
  };
  return html`<${Empty} title="This rig stands alone"><p>Give it an identity, then pair it with others by a one-time invite. Rigs dial out to their
    controller: no port need be opened at the rig.</p><form class="narrow" onSubmit=${submit}>
    <div class="field"><label for="node-name">Name of this node</label><input id="node-name" required maxlength="64" value=${name} onInput=${(e) => setName(e.target.value)} /></div>
    <div class="field"><label for="node-role">Role</label><select id="node-role" value=${role} onChange=${(e) => setRole(e.target.value)}>
      <option value="controller">controller: commands others</option><option value="worker">worker: obeys</option><option value="dual">dual: both</option></select></div>
    <${Problem}>${error}</${Problem}><button class="primary" type="submit">Create the identity</button></form></${Empty}>`;
}

function Pair({ onClose }) {
  const [invite, setInvite] = useState(null);
  const [tags, setTags] = useState('');
  const [code, setCode] = useState('');
  const [done, setDone] = useState(null);
  return html`<${Dialog} title="Pair with another node" onClose=${onClose}>
    <h3>Invite a node</h3><p class="dim">Make a code here and enter it there with <code>adit node join CODE</code>. It is good once, for 15 minutes.</p>
    ${invite ? html`<pre class="code">${invite.invite}</pre>` : html`<div class="field"><label for="invite-tags">Its tags</label>
      <input id="invite-tags" placeholder="such as basement, gpu" value=${tags} onInput=${(e) => setTags(e.target.value)} /></div>
      <${Act} label="Make an invite" kind="primary" does=${async () => setInvite(await post('/node/invite', { tags: words(tags) }))} />`}
    <h3>Join a node</h3><div class="field"><label for="join">Invite</label><input id="join" value=${code} autocomplete="off" spellcheck=${false} onInput=${(e) => setCode(e.target.value.trim())} /></div>
    ${done ? html`<p>Paired with ${done.name}. Compare the whole id on both sides:</p><pre class="code">${done.id}</pre>`
    : html`<${Act} label="Join" disabled=${!code} does=${async () => setDone(await post('/node/join', { invite: code }))} />`}</${Dialog}>`;
}

/** What a peer may do here, and the tags by which many are commanded at once. */
function Edit({ peer, onClose }) {
  const [tags, setTags] = useState((peer.tags ?? []).join(', '));
  const [rights, setRights] = useState(peer.rights ?? []);
  const [error, setError] = useState(null);
  const turn = (right) => setRights(rights.includes(right) ? rights.filter((it) => it !== right) : [...rights, right]);
  const submit = async (event) => {
    event.preventDefault();
    try { await put(`/peers/${part(peer.id)}`, { tags: words(tags), rights }); onClose(); } catch (failure) { setError(failure.message); }
  };
  return html`<${Dialog} title=${`Node ${peer.name}`} onClose=${onClose}><form onSubmit=${submit}>
    <div class="field"><label for="peer-tags">Tags</label><input id="peer-tags" value=${tags} onInput=${(e) => setTags(e.target.value)} /><small>With commas between them. Commands to many nodes go by tags.</small></div>
    <fieldset><legend>What it may do on this rig</legend>${RIGHTS.map(([right, may]) => html`<label class="check"><input type="checkbox" checked=${rights.includes(right)} onChange=${() => turn(right)} /> <span><strong>${right}</strong> <span class="dim">${may}</span></span></label>`)}</fieldset>
    <p class="dim">${peer.granted?.length ? `There, this node may: ${peer.granted.join(', ')}.` : 'There, this node may do nothing; its owner decides that.'}</p>
    <${Problem}>${error}</${Problem}><footer><button type="button" onClick=${onClose}>Cancel</button><button type="submit" class="primary">Save</button></footer></form></${Dialog}>`;
}

const RIGHTS = [
  ['stats', 'sees figures'], ['logs', 'reads what miners print'], ['control', 'starts and stops what is configured'],
  ['config', 'sends other configurations'], ['payout', 'changes wallets and pools'], ['deploy', 'installs programs'],
];

function Log({ peer, miner, onClose }) {
  const { value, error } = useGet(`/remote/${part(peer.id)}/logs/${part(miner)}`, 5000);
  const lines = Array.isArray(value) ? value : value?.lines ?? [];
  return html`<${Dialog} title=${`${miner} on ${peer.name}`} onClose=${onClose} wide><${Problem}>${error?.message}</${Problem}>
    <pre class="tail" tabindex="0" aria-label=${`Output of ${miner}`}>${lines.join('\n') || 'Nothing was printed yet.'}</pre></${Dialog}>`;
}

function Node({ peer, remote, again, chosen, onChoose, canChoose }) {
  const [editing, setEditing] = useState(false);
  const [log, setLog] = useState(null);
  const miners = Object.entries(remote?.miners ?? {});
  const id = part(peer.id);
  const command = (verb, minerName) => async () => { await post(`/remote/${id}/${verb}`, { minerName }); again(); };
  const off = (it) => ['stopped', 'failed'].includes(it.phase) || it.running === false;
  return html`<li class="card"><div class="card-head">
      ${canChoose ? html`<label class="check"><input type="checkbox" checked=${chosen} onChange=${onChoose} /><span class="name">${peer.name}</span></label>` : html`<span class="name">${peer.name}</span>`}
      <span class=${`tag ${peer.connected ? 'good' : 'bad'}`}>${peer.connected ? 'connected' : 'away'}</span></div>
    <p class="dim fine break">${peer.id}</p>
    <p class="dim fine">${[peer.role, peer.version && `version ${peer.version}`, typeof peer.pingMs === 'number' && `${number(peer.pingMs, 1)} ms`, peer.lastSeen && !peer.connected && `seen ${ago(peer.lastSeen)}`].filter(Boolean).join(' · ')}</p>
    ${peer.tags?.length > 0 && html`<p class="tags">${peer.tags.map((tag) => html`<span class="tag">${tag}</span>`)}</p>`}
    ${peer.problem && html`<p class="reason">${peer.problem}</p>`}
    ${miners.length > 0 && html`<table><caption class="hidden">Miners of ${peer.name}</caption><tbody>${miners.map(([name, it]) => html`<tr key=${name}><th scope="row">
        <button type="button" class="quiet inline" title="What it prints" onClick=${() => setLog(name)}>${name}</button></th><td><${Phase} phase=${it.phase} /></td>
      <td>${hashrate(off(it) ? undefined : it.hashrate ?? it.stats?.hashrate)}</td><td class="end">${off(it)
    ? html`<${Act} label="Start" title=${`Start ${name}`} does=${command('start', name)} />` : html`<${Act} label="Stop" title=${`Stop ${name}`} does=${command('stop', name)} />`}</td></tr>`)}</tbody></table>`}
    <div class="actions">${peer.connected ? html`<${Act} label="Ping" does=${async () => { await post(`/peers/${id}/ping`); again(); }} />`
    : html`<${Act} label="Connect" does=${async () => { await post(`/peers/${id}/connect`); again(); }} />`}
      <button type="button" onClick=${() => setEditing(true)}>Tags and rights</button>
      <${Act} label="Revoke" kind="danger" confirm=${`The session of ${peer.name} ends at once, and it is not let in again without a new invite.`} does=${async () => { await remove(`/peers/${id}`); again(); }} /></div>
    ${editing && html`<${Edit} peer=${peer} onClose=${() => { setEditing(false); again(); }} />`}
    ${log && html`<${Log} peer=${peer} miner=${log} onClose=${() => setLog(null)} />`}</li>`;
}

export function FleetPage() {
  const info = useGet('/node/info', 10000);
  const ready = info.value?.hasIdentity;
  const peers = useGet(ready ? '/peers' : null, 5000);
  const fleet = useGet(ready ? '/remote/stats' : null, 5000);
  const [pairing, setPairing] = useState(false);
  const [tag, setTag] = useState('');
  const [chosen, setChosen] = useState([]);
  if (info.error) return html`<div class="page-head"><h1>Fleet</h1></div><${Problem}>${info.error.message}</${Problem}>`;
  if (!info.value) return html`<div class="page-head"><h1>Fleet</h1></div><p class="dim">Asking the host…</p>`;
  if (!ready) return html`<${Init} again=${info.again} />`;
  const { identity, problem } = info.value;
  const all = peers.value ?? [];
  const shown = tag ? all.filter((it) => it.tags?.includes(tag)) : all;
  const tags = [...new Set(all.flatMap((it) => it.tags ?? []))].sort();
  const totals = Object.entries(fleet.value?.totals?.algorithms ?? {});
  const remotes = fleet.value?.peers ?? {};
  const again = () => { peers.again(); fleet.again(); };
  const workers = shown.filter((it) => it.role !== 'controller');
  const picked = all.filter((it) => chosen.includes(it.id));
  const miners = [...new Set(picked.flatMap((it) => Object.keys(remotes[it.id]?.miners ?? {})))].sort();
  const everybody = workers.length > 0 && workers.every((it) => chosen.includes(it.id));
  const choose = (id) => setChosen(chosen.includes(id) ? chosen.filter((it) => it !== id) : [...chosen, id]);
  return html`<div class="page-head"><h1>Fleet</h1>
      <button type="button" class="primary" onClick=${() => setPairing(true)}>Pair a node</button></div>
    <${Problem}>${problem ?? peers.error?.message}</${Problem}>
    <section class="tiles" aria-label="Summary"><${Tile} label="This node" value=${identity.name} detail=${html`<span class="break">${identity.role} · ${identity.id}</span>`} />
      <${Tile} label="Nodes" value=${`${all.filter((it) => it.connected).length} of ${all.length}`} detail="connected" />
      ${fleet.value?.totals && html`<${Tile} label="Their miners" value=${`${fleet.value.totals.running} of ${fleet.value.totals.miners}`} detail="running" />`}
      ${totals.map(([algorithm, it]) => html`<${Tile} label=${algorithm} value=${hashrate(it.hashrate)} detail=${it.miners === 1 ? '1 miner' : `${it.miners} miners`} tone="accent" />`)}</section>
    ${all.length ? html`<div class="toolbar">
        ${workers.length > 0 && html`<label class="check"><input type="checkbox" checked=${everybody} onChange=${() => setChosen(everybody ? [] : workers.map((it) => it.id))} /> Select all${tag ? ` with ${tag}` : ''}</label>`}
        ${tags.length > 0 && html`<select aria-label="Tag" value=${tag} onChange=${(e) => setTag(e.target.value)}><option value="">All tags</option>${tags.map((it) => html`<option value=${it}>${it}</option>`)}</select>`}
        ${picked.length > 0 && html`<${Bulk} peers=${picked} miners=${miners} again=${again} />`}</div>
      <ul class="cards">${shown.map((it) => html`<${Node} key=${it.id} peer=${it} remote=${remotes[it.id]} again=${again} canChoose=${it.role !== 'controller'} chosen=${chosen.includes(it.id)} onChoose=${() => choose(it.id)} />`)}</ul>`
    : peers.value && html`<${Empty} title="No other nodes yet"><p>Make an invite here and enter it on the other rig with <code>adit node join CODE</code>, or on its page Fleet.</p>
        <button type="button" class="primary" onClick=${() => setPairing(true)}>Pair a node</button></${Empty}>`}
    ${pairing && html`<${Pair} onClose=${() => { setPairing(false); again(); }} />`}`;
}
