// Small parts that several pages use.

import { html, useEffect, useRef, useState } from './vendor/preact-htm.js';
import { get } from './api.js';

const LABELS = {
  starting: 'starting', preparing: 'preparing', connecting: 'connecting', waiting: 'waiting for a share',
  mining: 'mining', paused: 'paused', degraded: 'degraded', stopping: 'stopping',
  backoff: 'will retry', stopped: 'stopped', failed: 'failed',
};

export function Phase({ phase }) {
  return html`<span class=${`phase phase-${LABELS[phase] ? phase : 'unknown'}`}>
    <span class="dot" aria-hidden="true"></span>${LABELS[phase] ?? phase ?? 'unknown'}</span>`;
}

/**
 * A button that shows that it works, and tells what went wrong beside itself. With `confirm`, a
 * sentence, it asks first; `sure` is what the button of consent says.
 */
export function Act({ label, does, kind = '', title, confirm, sure, disabled }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const [asking, setAsking] = useState(false);
  const run = async () => {
    setAsking(false);
    setBusy(true);
    setError(null);
    try { await does(); } catch (failure) { setError(failure.message); }
    setBusy(false);
  };
  return html`<span class="act"><button type="button" class=${kind} disabled=${busy || disabled}
      title=${title} aria-busy=${busy} onClick=${confirm ? () => setAsking(true) : run}>${busy ? html`<span class="spinner" aria-hidden="true"></span>` : ''}${label}</button>
    ${error && html`<span class="problem" role="alert">${error}
      <button type="button" class="quiet" aria-label="Close" onClick=${() => setError(null)}>×</button></span>`}
    ${asking && html`<${Dialog} title=${label} onClose=${() => setAsking(false)}><p>${confirm}</p>
      <footer><button type="button" onClick=${() => setAsking(false)}>Cancel</button>
        <button type="button" class=${kind || 'primary'} onClick=${run}>${sure ?? label}</button></footer></${Dialog}>`}</span>`;
}

/** Puts `text` on the clipboard, also over plain HTTP, where browsers have no `navigator.clipboard`. */
async function toClipboard(text) {
  try { await navigator.clipboard.writeText(text); return; } catch { /* the old way, then */ }
  const field = document.createElement('textarea');
  field.value = text;
  field.className = 'hidden';
  // Inside the dialog, if there is one: nothing else takes the focus then.
  (document.querySelector('dialog[open]') ?? document.body).append(field);
  const before = document.activeElement;
  field.select();
  const done = document.execCommand('copy');
  field.remove();
  before?.focus();
  if (!done) throw new Error('the browser does not let pages copy: mark the text and copy it');
}

/** A button that copies `text`; `label` says what to those who do not see it. */
export function Copy({ text, label = 'Copy' }) {
  const [said, setSaid] = useState(null);
  useEffect(() => {
    if (!said) return undefined;
    const timer = setTimeout(() => setSaid(null), 2500);
    return () => clearTimeout(timer);
  }, [said]);
  const copy = async () => { try { await toClipboard(text); setSaid('Copied'); } catch (failure) { setSaid(failure.message); } };
  return html`<button type="button" class="copy" aria-label=${said ?? label} onClick=${copy}><span aria-live="polite">${said ?? 'Copy'}</span></button>`;
}

export function Sparkline({ points, label }) {
  if (!points || points.length < 2) return html`<span class="spark empty" aria-hidden="true"></span>`;
  const [width, height] = [120, 32];
  const [low, high] = [Math.min(...points), Math.max(...points)];
  const span = high - low || 1;
  const place = (value, index) => {
    const x = (index / (points.length - 1)) * width;
    const y = height - 3 - ((value - low) / span) * (height - 6);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  };
  return html`<svg class="spark" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img"
    aria-label=${label}><polyline points=${points.map(place).join(' ')} /></svg>`;
}

export function Tile({ label, value, detail, tone = '' }) {
  return html`<div class=${`tile ${tone}`}><div class="tile-label">${label}</div>
    <div class="tile-value">${value}</div>${detail && html`<div class="tile-detail">${detail}</div>`}</div>`;
}

/** A list of words with commas between them. */
export const words = (text) => text.split(',').map((it) => it.trim()).filter(Boolean);

/** Nothing here yet: says what to do next. */
export function Empty({ title, children }) {
  return html`<div class="empty-state"><h2>${title}</h2><div>${children}</div></div>`;
}

export function Problem({ children }) {
  return children ? html`<p class="problem" role="alert">${children}</p>` : null;
}

export function Dialog({ title, onClose, children, wide }) {
  const box = useRef(null);
  useEffect(() => {
    const dialog = box.current;
    dialog.showModal();
    const cancel = (event) => { event.preventDefault(); onClose(); };
    dialog.addEventListener('cancel', cancel);
    document.documentElement.classList.add('locked');
    return () => { document.documentElement.classList.remove('locked'); dialog.removeEventListener('cancel', cancel); dialog.close(); };
  }, []);
  return html`<dialog ref=${box} class=${wide ? 'wide' : ''} aria-label=${title}
    onClick=${(event) => { if (event.target === box.current) onClose(); }}>
    <header><h2>${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${onClose}>×</button></header>
    ${children}</dialog>`;
}

/** What a GET answers: `{value, error, again}`. Asked anew when `path` changes or `again` is called. */
export function useGet(path, every) {
  const [answer, setAnswer] = useState({ value: null, error: null });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    if (!path) return undefined;
    let over = false;
    const ask = async () => {
      try {
        const value = await get(path);
        if (!over) setAnswer({ value, error: null });
      } catch (error) {
        if (!over) setAnswer((it) => ({ value: it.value, error }));
      }
    };
    ask();
    const timer = every ? setInterval(ask, every) : null;
    return () => { over = true; clearInterval(timer); };
  }, [path, turn]);
  return { ...answer, again: () => setTurn((it) => it + 1) };
}

export function Tabs({ tabs, current, link }) {
  return html`<nav class="tabs" aria-label="Sections">${tabs.map(([id, label]) => html`
    <a href=${link(id)} aria-current=${id === current ? 'page' : undefined}>${label}</a>`)}</nav>`;
}
