// What the pages show: the miners, kept up to date by events.

import { get, listen } from './api.js';
import { useEffect, useState } from './vendor/preact-htm.js';

/** Points of a sparkline that are kept per miner. */
const POINTS = 60;
const FEED = 300;

const state = {
  miners: null,
  info: null,
  connected: false,
  error: null,
  /** Hashrates by miner, newest last. */
  trails: new Map(),
  /** Newest first. */
  feed: [],
};
const watchers = new Set();
let stop = null;
let pending = null;

function tell() {
  for (const watch of watchers) watch();
}

/** Re-renders the caller whenever something changed. */
export function useLive() {
  const [, turn] = useState(0);
  useEffect(() => {
    const watch = () => turn((it) => it + 1);
    watchers.add(watch);
    return () => watchers.delete(watch);
  }, []);
  return state;
}

export async function refresh() {
  try {
    const miners = await get('/miners?all=true&brief=true');
    // While events come, each of them brings a point; an answer would bring it once more.
    if (!state.connected) for (const miner of miners) trail(miner.name, miner.stats?.hashrate);
    state.miners = miners;
    state.error = null;
  } catch (error) {
    state.error = error.message;
  }
  tell();
}

/** Asks soon, once, however many events say that something changed. */
function refreshSoon() {
  pending ??= setTimeout(() => { pending = null; refresh(); }, 150);
}

function trail(name, hashrate) {
  if (hashrate === null || hashrate === undefined) return;
  const points = state.trails.get(name) ?? [];
  points.push(hashrate);
  if (points.length > POINTS) points.shift();
  state.trails.set(name, points);
}

async function begin(name) {
  try {
    const points = await get(`/miners/${encodeURIComponent(name)}/hashrate-history`);
    const values = points.map((it) => it.mean ?? it.hashrate).slice(-POINTS);
    if (values.length) state.trails.set(name, values);
    tell();
  } catch { /* a miner without a history has no sparkline yet */ }
}

function take(event) {
  if (event.type === 'miner.stats') {
    const { name, pool, latencyMs, ...figures } = event.data;
    const miner = state.miners?.find((it) => it.name === name);
    if (miner) {
      miner.stats = { ...miner.stats, ...figures };
      // An event has the address alone, the list has all that is known of the pool.
      if (pool !== undefined) miner.stats.pool = { ...miner.stats.pool, url: pool, latencyMs };
      if (figures.phase) miner.phase = figures.phase;
      trail(name, figures.hashrate);
    }
    refreshSoon();
  } else if (event.type !== 'state.sync') {
    state.feed.unshift(event);
    state.feed.length = Math.min(state.feed.length, FEED);
    refreshSoon();
  }
  tell();
}

/** Begins to listen; ends with `end`. */
export async function start() {
  await refresh();
  try { state.info = await get('/info'); } catch { /* shown as the connection's state */ }
  for (const miner of state.miners ?? []) begin(miner.name);
  stop = listen(take, (connected) => {
    const back = connected && !state.connected;
    state.connected = connected;
    if (back) refresh();
    tell();
  });
}

export function end() {
  stop?.();
  stop = null;
  state.miners = null;
  state.connected = false;
  // Whoever comes next may be told less.
  state.trails.clear();
  state.feed = [];
}
