// One command to many nodes.

import { html, useState } from '../vendor/preact-htm.js';
import { post } from '../api.js';
import { Dialog, Problem } from '../ui.js';

const COMMANDS = [
  ['start', 'Start a miner', 'minerName', 'Miner', 'Its name on those nodes.'],
  ['stop', 'Stop a miner', 'minerName', 'Miner', 'Its name on those nodes.'],
  ['install', 'Install a program', 'minerType', 'Driver', 'Such as xmrig. They need the right to deploy.'],
];

/** What became of it at each node. */
function Outcomes({ peers, outcomes }) {
  const name = (id) => peers.find((it) => it.id === id)?.name ?? id;
  return html`<table><thead><tr><th>Node</th><th>Outcome</th></tr></thead><tbody>${outcomes.map((it) => html`<tr key=${it.id}><th scope="row">${name(it.id)}</th>
    <td>${it.error ? html`<span class="bad">${it.error.message ?? it.error.error ?? it.error.code}</span>` : html`<span class="tag good">done</span>`}</td></tr>`)}</tbody></table>`;
}

/** `miners`: names of miners that these nodes have. */
export function Bulk({ peers, miners, again }) {
  const [verb, setVerb] = useState(null);
  const [name, setName] = useState('');
  const [canary, setCanary] = useState(true);
  const [outcomes, setOutcomes] = useState(null);
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const [, title, field, label, help] = COMMANDS.find(([id]) => id === verb) ?? [];
  const close = () => { setVerb(null); setOutcomes(null); setError(null); };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const answer = await post(`/remote/${verb}`, {
        targets: { peers: peers.map((it) => it.id) },
        waves: canary && peers.length > 1 ? { canary: 1 } : {},
        command: { [field]: name.trim() },
      });
      setOutcomes(Array.isArray(answer) ? answer : answer.outcomes ?? []);
      again();
    } catch (failure) { setError(failure.message); }
    setBusy(false);
  };
  return html`<span class="dim" role="status">${peers.length} selected</span>
    ${COMMANDS.map(([id, text]) => html`<button type="button" onClick=${() => setVerb(id)}>${text}</button>`)}
    ${verb && html`<${Dialog} title=${`${title} on ${peers.length} ${peers.length === 1 ? 'node' : 'nodes'}`} onClose=${close}>
      ${outcomes ? html`<${Outcomes} peers=${peers} outcomes=${outcomes} /><footer><button type="button" class="primary" onClick=${close}>Close</button></footer>`
    : html`<form onSubmit=${submit}><p class="dim">${peers.map((it) => it.name).join(', ')}</p>
        <div class="field"><label for="bulk-name">${label}</label><input id="bulk-name" required autocomplete="off" list=${field === 'minerName' ? 'bulk-names' : undefined} value=${name} onInput=${(e) => setName(e.target.value)} /><datalist id="bulk-names">${miners.map((it) => html`<option value=${it} />`)}</datalist><small>${help}</small></div>
        ${peers.length > 1 && html`<label class="check"><input type="checkbox" checked=${canary} onChange=${(e) => setCanary(e.target.checked)} /> Try one node first, and go on only when that worked</label>`}
        <${Problem}>${error}</${Problem}>
        <footer><button type="button" onClick=${close}>Cancel</button><button type="submit" class=${verb === 'stop' ? 'danger' : 'primary'} disabled=${busy}>${title}</button></footer></form>`}</${Dialog}>`}`;
}
