// What would run or runs: the plan that a driver made, with secrets masked.

import { html } from '../vendor/preact-htm.js';
import { part } from '../api.js';
import { Problem, useGet } from '../ui.js';

/** JSON that a program reads, with line breaks for people. */
function readable(text) {
  if (!/^\s*[{[]/.test(text)) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

const list = (items) => items.map((it) => html`<code class="word">${it}</code> `);

function Device({ device }) {
  const steps = (all) => (all?.length ? html`<pre>${all.map((it) => JSON.stringify(it)).join('\n')}</pre>` : 'nothing');
  return html`<dt>Addresses of the device</dt><dd>${list(device.addresses ?? [])}</dd>
    <dt>Said at the start</dt><dd>${steps(device.start)}</dd><dt>Said at the end</dt><dd>${steps(device.stop)}</dd>`;
}

export function Plan({ plan }) {
  const env = Object.entries(plan.env ?? {});
  return html`<dl class="plan">
    ${plan.device && html`<${Device} device=${plan.device} />`}
    ${plan.program && html`<dt>Program</dt><dd><code>${plan.program}</code></dd>`}
    ${plan.args?.length > 0 && html`<dt>Arguments</dt><dd>${list(plan.args)}</dd>`}
    ${env.length > 0 && html`<dt>Environment</dt><dd>${list(env.map(([name, value]) => `${name}=${value}`))}</dd>`}
    ${plan.cwd && html`<dt>Working directory</dt><dd><code>${plan.cwd}</code></dd>`}
    ${plan.console && html`<dt>Console</dt><dd>${plan.console}</dd>`}
    ${plan.apiPort && html`<dt>API port</dt><dd>${plan.apiPort}</dd>`}
    ${Object.entries(plan.files ?? {}).map(([path, text]) => html`<dt>File <code>${path}</code></dt><dd><pre>${readable(text)}</pre></dd>`)}</dl>`;
}

export function PlanTab({ name }) {
  const { value, error } = useGet(`/miners/${part(name)}/plan`);
  return html`<section class="card"><h2>What runs</h2><p class="dim">Made by the driver from the configuration. Wallets, passwords and tokens are masked.</p>
    <${Problem}>${error?.message}</${Problem}>${value && html`<${Plan} plan=${value} />`}</section>`;
}
