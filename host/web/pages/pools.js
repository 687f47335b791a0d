// Saved pools in the order in which they are tried: in a profile, and at a miner that runs.

import { html, useState } from '../vendor/preact-htm.js';
import { part, post } from '../api.js';
import { refresh } from '../state.js';
import { Order, useOrder } from '../order.js';
import { Act, Empty, Problem, Tile, useGet } from '../ui.js';

/** A pool of a profile is a name, or an object with more than its name. */
export const nameOf = (choice) => (typeof choice === 'string' ? choice : choice.pool);

/** Names that drivers have for a pool beside the list where saved ones go. */
const OF_POOLS = ['pool', 'pools', 'url', 'wallet', 'user', 'password', 'pass', 'tls', 'tlsFingerprint'];

/**
 * A profile's `schema` when it has saved pools: nothing is required, as the host fills in what is, and
 * what they take the place of is left out, unless `config` has it and must lose it.
 */
export function besidePools(schema, config) {
  const all = Object.entries(schema?.properties ?? {});
  const takes = (field) => field?.['x-adit-pool'] !== undefined;
  // A driver that does not say where pools go is told by placeholders in these fields.
  if (!all.some(([, field]) => takes(field))) return { ...schema, required: [] };
  const stays = ([name, field]) => config[name] !== undefined || !(takes(field) || OF_POOLS.includes(name));
  return { ...schema, required: [], properties: Object.fromEntries(all.filter(stays)) };
}

/** Chooses among `saved` pools. */
export function PoolOrder({ id, saved, chosen, onChange }) {
  const order = useOrder(chosen, onChange);
  const left = saved.filter((it) => !chosen.some((choice) => nameOf(choice) === it.name));
  const add = (event) => { if (event.target.value) order.add(event.target.value); event.target.value = ''; };
  const remove = (at) => { order.remove(at); requestAnimationFrame(() => document.getElementById(id)?.focus()); };
  return html`${chosen.length > 0 && html`<ol class="list chain">${chosen.map((choice, at) => {
    const pool = saved.find((it) => it.name === nameOf(choice));
    return html`<li key=${order.marks[at]}><span class="rank">${at + 1}</span>
      <span class="grow"><strong class="break">${nameOf(choice)}</strong> <span class="dim fine break">${pool ? `${pool.url}${choice.wallet ?? pool.wallet ? ` · wallet ${choice.wallet ?? pool.wallet}` : ''}` : 'is not saved any more'}</span></span>
      <${Order} what=${`pool ${nameOf(choice)}`} at=${at} count=${chosen.length} onMove=${order.move} onRemove=${remove} /></li>`;
  })}</ol>`}
    <select id=${id} disabled=${!left.length} value="" onChange=${add}><option value="">${left.length ? (chosen.length ? 'Add another…' : 'Choose a saved pool…') : 'All saved pools are chosen'}</option>
      ${left.map((it) => html`<option value=${it.name}>${it.name} (${it.url})</option>`)}</select>`;
}

/** What the host said about other pools: they are there, or what is seen instead. */
function Said({ answer }) {
  if (answer.verified) return html`<p class="notice good" role="status">The miner is connected to the new pool. Its own figures say so.</p>`;
  return html`<p class="reason" role="status">${answer.reason ?? 'The miner took the new pools; nothing tells whether it is connected. Look at its log.'}</p>`;
}

/** Other pools for a miner that runs, until it is started again. */
export function LivePools({ miner }) {
  const types = useGet('/miners/available');
  const saved = useGet('/pools');
  const [chosen, setChosen] = useState([]);
  const [answer, setAnswer] = useState(null);
  if (types.error || saved.error) return html`<${Problem}>${(types.error ?? saved.error).message}</${Problem}>`;
  if (!types.value || !saved.value) return html`<p class="dim">Asking the host…</p>`;
  const type = types.value.find((it) => it.name === miner.minerType);
  const { pool } = miner.stats ?? {};
  const now = html`<section class="tiles"><${Tile} label="Pool now" value=${html`<span class="small">${miner.running ? pool?.url ?? '–' : '–'}</span>`}
      detail=${!miner.running ? 'the miner does not run' : pool?.connected === false ? 'not connected' : pool ? 'connected' : ''} tone=${miner.running && pool?.connected === false ? 'warn' : ''} /></section>`;
  if (!type?.commands?.includes('set-pools')) {
    return html`${now}<${Empty} title="It takes its pools at the start"><p>${type?.title ?? miner.minerType} cannot change pools while it runs. Change them in its <a href="#/profiles">profile</a>, then restart the miner.</p></${Empty}>`;
  }
  if (!miner.running) {
    return html`${now}<${Empty} title="It does not run"><p>Start it, and its pools can be changed here without a restart. For good they are changed in its <a href="#/profiles">profile</a>.</p></${Empty}>`;
  }
  if (!saved.value.length) {
    return html`${now}<${Empty} title="No pools are saved yet"><p>Save a <a href="#/profiles/wallets">wallet</a> and a <a href="#/profiles/pools">pool</a>, then move this miner there without a restart.</p></${Empty}>`;
  }
  const change = async () => {
    setAnswer(null);
    const said = await post(`/miners/${part(miner.name)}/pools`, { pools: chosen });
    setAnswer(said);
    await refresh();
  };
  return html`${now}<section class="card"><h2>Other pools</h2>
    <p class="dim">The miner goes there at once, without a restart, first choice first. At its next start it has its own pools again.</p>
    <div class="field"><label for="live-pools">Pools, first choice first</label><${PoolOrder} id="live-pools" saved=${saved.value} chosen=${chosen} onChange=${(next) => { setChosen(next); setAnswer(null); }} /></div>
    ${answer && html`<${Said} answer=${answer} />`}
    <div class="actions"><${Act} label="Move the miner there" kind="primary" disabled=${!chosen.length} does=${change} /></div></section>`;
}
