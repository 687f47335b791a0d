// The nodes that this one knows.

import { html, useState } from '../vendor/preact-htm.js';
import { part, post, remove } from '../api.js';
import { ago, hashrate, number } from '../format.js';
import { Act, Dialog, Empty, Phase, Problem, Tile, useGet } from '../ui.js';

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
  const [code, setCode] = useState('');
  const [done, setDone] = useState(null);
  return html`<${Dialog} title="Pair with another node" onClose=${onClose}>
    <h3>Invite a node</h3><p class="dim">Make a code here and enter it there with <code>adit node join CODE</code>. It is good once, for 15 minutes.</p>
    ${invite ? html`<pre class="code">${invite.invite}</pre>` : html`<${Act} label="Make an invite" kind="primary" does=${async () => setInvite(await post('/node/invite', {}))} />`}
    <h3>Join a node</h3><div class="field"><label for="join">Invite</label><input id="join" value=${code} autocomplete="off" spellcheck=${false} onInput=${(e) => setCode(e.target.value.trim())} /></div>
    ${done ? html`<p>Paired with ${done.name}. Compare the whole id on both sides:</p><pre class="code">${done.id}</pre>`
    : html`<${Act} label="Join" disabled=${!code} does=${async () => setDone(await post('/node/join', { invite: code }))} />`}</${Dialog}>`;
}

function Node({ peer, remote, again }) {
  const miners = remote?.miners ?? [];
  const id = part(peer.id);
  const command = (verb, miner) => async () => { await post(`/remote/${id}/${verb}`, { minerName: miner.name }); again(); };
  return html`<li class="card"><div class="card-head"><span class="name">${peer.name}</span>
      <span class=${`tag ${peer.connected ? 'good' : 'bad'}`}>${peer.connected ? 'connected' : 'away'}</span></div>
    <p class="dim clip">${peer.id}</p>
    <p class="dim">${[peer.role, peer.version && `version ${peer.version}`, peer.pingMs !== undefined && `${number(peer.pingMs, 1)} ms`, peer.lastSeen && `seen ${ago(peer.lastSeen)}`].filter(Boolean).join(' · ')}</p>
    <p class="tags">${(peer.tags ?? []).map((tag) => html`<span class="tag">${tag}</span>`)}</p>
    ${peer.problem && html`<p class="reason">${peer.problem}</p>`}
    ${miners.length > 0 && html`<table><tbody>${miners.map((it) => html`<tr key=${it.name}><th scope="row">${it.name}</th><td><${Phase} phase=${it.phase} /></td>
      <td>${hashrate(it.hashrate ?? it.stats?.hashrate)}</td><td>${it.running === false || it.phase === 'stopped'
    ? html`<${Act} label="Start" does=${command('start', it)} />` : html`<${Act} label="Stop" does=${command('stop', it)} />`}</td></tr>`)}</tbody></table>`}
    <div class="actions"><${Act} label="Ping" does=${async () => { await post(`/peers/${id}/ping`); again(); }} />
      <${Act} label="Revoke" kind="danger" confirm=${`Revoke ${peer.name}? Its session ends at once.`} does=${async () => { await remove(`/peers/${id}`); again(); }} /></div></li>`;
}

export function FleetPage() {
  const info = useGet('/node/info', 10000);
  const ready = info.value?.hasIdentity;
  const peers = useGet(ready ? '/peers' : null, 5000);
  const fleet = useGet(ready ? '/remote/stats' : null, 10000);
  const [pairing, setPairing] = useState(false);
  const [tag, setTag] = useState('');
  if (info.error) return html`<${Problem}>${info.error.message}</${Problem}>`;
  if (!info.value) return html`<p class="dim">Asking the host…</p>`;
  if (!ready) return html`<${Init} again=${info.again} />`;
  const { identity, problem } = info.value;
  const all = peers.value ?? [];
  const shown = tag ? all.filter((it) => it.tags?.includes(tag)) : all;
  const tags = [...new Set(all.flatMap((it) => it.tags ?? []))].sort();
  const answer = fleet.value ?? {};
  const totals = Object.entries(answer.totals?.algorithms ?? answer.algorithms ?? {});
  const remotes = answer.peers ?? {};
  const again = () => { peers.again(); fleet.again(); };
  return html`<div class="page-head"><h1>Fleet</h1>${tags.length > 0 && html`<select aria-label="Tag" value=${tag} onChange=${(e) => setTag(e.target.value)}>
      <option value="">all tags</option>${tags.map((it) => html`<option>${it}</option>`)}</select>`}
      <button type="button" class="primary" onClick=${() => setPairing(true)}>Pair a node</button></div>
    <${Problem}>${problem ?? peers.error?.message}</${Problem}>
    <section class="tiles"><${Tile} label="This node" value=${identity.name} detail=${html`<span class="clip">${identity.id}</span>`} />
      <${Tile} label="Nodes" value=${`${all.filter((it) => it.connected).length} of ${all.length}`} detail="connected" />
      ${totals.map(([algorithm, it]) => html`<${Tile} label=${algorithm} value=${hashrate(it.hashrate ?? it)} tone="accent" />`)}</section>
    ${all.length ? html`<ul class="cards">${shown.map((it) => html`<${Node} key=${it.id} peer=${it} remote=${Array.isArray(remotes) ? remotes.find((one) => one.id === it.id) : remotes[it.id]} again=${again} />`)}</ul>`
    : html`<${Empty} title="No other nodes yet"><p>Make an invite here and enter it on the other rig.</p></${Empty}>`}
    ${pairing && html`<${Pair} onClose=${() => { setPairing(false); again(); }} />`}`;
}
