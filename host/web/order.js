// Lists whose order counts: moving and removing what is in them, also with the keyboard alone.

import { html, useEffect, useRef, useState } from './vendor/preact-htm.js';

/** The list with what is at `from` put at `to`. */
export function moved(list, from, to) {
  const all = list.slice();
  all.splice(to, 0, ...all.splice(from, 1));
  return all;
}

/**
 * Buttons that move one of `count` things up and down, and remove it. `what` says which to those who
 * do not see it, such as “pool 2”. The focus stays with what was moved.
 */
export function Order({ what, at, count, onMove, onRemove }) {
  const box = useRef(null);
  const wanted = useRef(null);
  useEffect(() => {
    if (!wanted.current) return;
    const buttons = [...box.current.querySelectorAll('button:not(:disabled)')];
    (buttons.find((it) => it.dataset.way === wanted.current) ?? buttons[0])?.focus();
    wanted.current = null;
  });
  const move = (way, to) => { wanted.current = way; onMove(at, to); };
  return html`<span class="order" ref=${box}>
    <button type="button" class="quiet icon" data-way="up" aria-label=${`Move ${what} up`} disabled=${at === 0} onClick=${() => move('up', at - 1)}>↑</button>
    <button type="button" class="quiet icon" data-way="down" aria-label=${`Move ${what} down`} disabled=${at === count - 1} onClick=${() => move('down', at + 1)}>↓</button>
    <button type="button" class="quiet icon" data-way="remove" aria-label=${`Remove ${what}`} onClick=${() => onRemove(at)}>×</button></span>`;
}

/**
 * Marks that stay with the things of `list` however they are moved, and what moves both. Nothing in
 * a thing itself tells two of them apart.
 */
export function useOrder(list, onChange) {
  const next = useRef(0);
  const make = () => { next.current += 1; return next.current; };
  const [kept, setMarks] = useState(() => list.map(make));
  // Never fewer than there are things, whoever changed the list.
  const marks = list.map((_, at) => kept[at] ?? `new-${at}`);
  return {
    marks,
    add: (thing) => { setMarks([...marks, make()]); onChange([...list, thing]); },
    set: (at, thing) => onChange(list.map((it, index) => (index === at ? thing : it))),
    move: (from, to) => { setMarks(moved(marks, from, to)); onChange(moved(list, from, to)); },
    remove: (at) => { setMarks(marks.filter((_, index) => index !== at)); onChange(list.filter((_, index) => index !== at)); },
  };
}
