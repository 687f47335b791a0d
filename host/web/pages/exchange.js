// Profiles, wallets and pools as one document: out of this rig, and into it.

import { html, useState } from '../vendor/preact-htm.js';
import { getText, post } from '../api.js';
import { refresh } from '../state.js';
import { Act, Copy, Problem } from '../ui.js';

const KINDS = [['wallets', 'Wallets'], ['pools', 'Pools'], ['profiles', 'Profiles']];
/** What happens to a name: the tone of its tag, and the word for before and for after. */
const FATES = [
  ['created', 'good', 'new', 'made'], ['replaced', 'warn', 'is changed', 'changed'],
  ['skipped', '', 'differs, stays', 'left as it was'], ['unchanged', '', 'the same', 'the same'],
];
const CONFLICTS = [
  ['refuse', 'Refuse', 'Nothing is imported when something of the same name is here and differs.'],
  ['skip', 'Skip', 'What is here stays as it is; the rest is imported.'],
  ['replace', 'Replace', 'What is here becomes as the document says.'],
];
const today = () => new Date().toLocaleDateString('en-CA');

function save(text, name, kind) {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([text], { type: kind }));
  link.download = name;
  link.click();
  // The browser reads it after the click has returned.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function Export() {
  const [format, setFormat] = useState('toml');
  const [shown, setShown] = useState(null);
  const load = async () => {
    const text = await getText(`/profiles/export?format=${format}`);
    return format === 'json' ? `${JSON.stringify(JSON.parse(text), null, 2)}\n` : text;
  };
  const turn = (next) => { setFormat(next); setShown(null); };
  return html`<section class="card"><h2>Export</h2>
    <p class="dim">Every profile, wallet and pool of this rig as one document, to keep or to take to another rig. Passwords and other secrets are not in it: <code>***</code> stands where one is.</p>
    <div class="toolbar"><div class="switch" role="group" aria-label="Format of the export">${[['toml', 'TOML'], ['json', 'JSON']].map(([id, label]) => html`
        <button type="button" aria-pressed=${format === id} onClick=${() => turn(id)}>${label}</button>`)}</div>
      <${Act} label="Download" kind="primary" does=${async () => save(await load(), `adit-${today()}.${format}`, format === 'json' ? 'application/json' : 'application/toml')} />
      <${Act} label="Show" does=${async () => setShown(await load())} />${shown !== null && html`<${Copy} text=${shown} label="Copy the export" />`}</div>
    ${shown !== null && html`<pre class="tail" tabindex="0" aria-label="What is exported">${shown}</pre>`}</section>`;
}

/** Each name with what happens to it. `refused`: what is in the way stops all of it. */
function Outcome({ outcome, done, refused }) {
  const rows = KINDS.flatMap(([kind, title]) => FATES.flatMap(([fate, tone, before, after]) =>
    (outcome[kind]?.[fate] ?? []).map((name) => (fate === 'skipped' && refused
      ? { title, name, tone: 'bad', word: 'differs' } : { title, name, tone, word: done ? after : before }))));
  if (!rows.length) return html`<p class="notice">The document is empty: it has no wallets, pools or profiles.</p>`;
  return html`<table class="stack outcome"><thead><tr><th>Name</th><th>Kind</th><th>${done ? 'What was done' : 'What would happen'}</th></tr></thead>
    <tbody>${rows.map((it) => html`<tr key=${it.title + it.name}><th scope="row">${it.name}</th><td data-label="Kind">${it.title.replace(/s$/, '').toLowerCase()}</td>
      <td data-label=${done ? 'What was done' : 'What would happen'}><span class=${`tag ${it.tone}`}>${it.word}</span></td></tr>`)}</tbody></table>`;
}

/** What is sent for a text: JSON as it is, everything else as TOML. */
function sent(text) {
  if (!/^\s*[{[]/.test(text)) return { toml: text };
  try { return JSON.parse(text); } catch (error) { throw new Error(`this is no JSON: ${error.message}`); }
}

function Import() {
  const [text, setText] = useState('');
  const [conflicts, setConflicts] = useState('refuse');
  const [tried, setTried] = useState(null);
  const [error, setError] = useState(null);
  const change = (next) => { setText(next); setTried(null); setError(null); };
  const ask = (how, dryRun) => post(`/profiles/import?conflicts=${how}&dryRun=${dryRun}`, sent(text));
  const attempt = async (work) => { setError(null); try { await work(); } catch (failure) { setTried(null); setError(failure.message); } };
  const check = () => attempt(async () => {
    try {
      setTried({ outcome: await ask(conflicts, true) });
    } catch (failure) {
      if (failure.code !== 'CONFLICTS') throw failure;
      // All of it is refused; what would be without those in the way says which they are.
      setTried({ outcome: await ask('skip', true), refused: failure.message });
    }
  });
  const take = () => attempt(async () => { setTried({ outcome: await ask(conflicts, false), done: true }); await refresh(); });
  const read = (event) => attempt(async () => {
    const [file] = event.target.files;
    if (!file) return;
    if (file.size > 1 << 20) throw new Error(`${file.name} is larger than 1 MiB, which no document is`);
    change(await file.text());
  });
  const [, , meaning] = CONFLICTS.find(([id]) => id === conflicts);
  const makes = tried && KINDS.some(([kind]) => tried.outcome[kind]?.created.length || tried.outcome[kind]?.replaced.length);
  return html`<section class="card"><h2>Import</h2>
    <p class="dim">Takes in what another rig exported, all of it or nothing. Write secrets where <code>***</code> stands. Nothing is changed before you have seen what would happen.</p>
    <div class="field"><label for="import-file">From a file</label><input id="import-file" type="file" accept=".toml,.json,application/json,application/toml" onChange=${read} /></div>
    <div class="field"><label for="import-text">Or its text</label><textarea id="import-text" class="code" rows="9" spellcheck=${false} autocomplete="off" placeholder="TOML or JSON" value=${text} onInput=${(e) => change(e.target.value)}></textarea></div>
    <fieldset class="choice"><legend>What is here and differs</legend><div class="switch">${CONFLICTS.map(([id, label]) => html`
      <button type="button" aria-pressed=${conflicts === id} onClick=${() => { setConflicts(id); setTried(null); }}>${label}</button>`)}</div><small class="dim">${meaning}</small></fieldset>
    <${Problem}>${error}</${Problem}>
    ${tried && html`<div role="status">${tried.refused && html`<p class="reason">${tried.refused}</p>`}
      ${tried.done && html`<p class="notice">Imported. See <a href="#/profiles">profiles</a>, <a href="#/profiles/wallets">wallets</a> and <a href="#/profiles/pools">pools</a>.</p>`}
      ${!tried.done && !tried.refused && !makes && html`<p class="notice">There is nothing to do: this rig has all of it already.</p>`}
      <${Outcome} outcome=${tried.outcome} done=${tried.done} refused=${Boolean(tried.refused)} /></div>`}
    <div class="actions end-actions"><${Act} label="See what would happen" kind=${makes && !tried.refused ? '' : 'primary'} disabled=${!text.trim()} does=${check} />
      ${tried && !tried.done && !tried.refused && makes && html`<${Act} label="Import" kind="primary" does=${take} />`}</div></section>`;
}

export function Exchange() {
  return html`<div class="pair"><${Import} /><${Export} /></div>`;
}
