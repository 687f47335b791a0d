// What is wrong with this rig, worst first, and what to do about each.

import { html, useEffect, useState } from '../vendor/preact-htm.js';
import { post } from '../api.js';
import { time } from '../format.js';
import { Act, Copy, Problem } from '../ui.js';

/** From bad to good: the tone, the heading, and what it means. */
const VERDICTS = [
  ['problem', 'bad', 'Problems', 'Something does not work, or will soon not.'],
  ['warning', 'warn', 'Warnings', 'It works, and worse than it could.'],
  ['note', 'info', 'Notes', 'They matter for some miners only, or cannot be known here.'],
];
/** Where this dashboard does what a finding asks for. */
const PLACES = { drivers: ['#/drivers', 'Drivers'], programs: ['#/drivers', 'Drivers'], keeper: ['#/', 'Miners'] };

/** Ids are for programs: `hugePages` is “huge pages” to people. */
const words = (id) => ({ api: 'API', msr: 'MSR', cgroup: 'cgroup', nvidia: 'NVIDIA', amd: 'AMD' }[id]
  ?? id.replace(/[A-Z]/g, (it) => ` ${it.toLowerCase()}`).replace(/^./, (it) => it.toUpperCase()));

function Finding({ it, tone }) {
  const place = PLACES[it.id];
  // What says no more than the command below it is left to that.
  const fix = it.fix !== `run: ${it.command}` && it.fix;
  return html`<li class=${`finding ${tone}`}><h3>${words(it.id)}</h3><p class="break">${it.told}</p>
    ${fix && html`<p class="dim break">${fix}</p>`}${it.fix && place && html`<p><a href=${place[0]}>Open ${place[1]}</a></p>`}
    ${it.command && html`<div class="command"><pre class="code" tabindex="0" aria-label=${`Command for ${words(it.id)}`}>${it.command}</pre><${Copy} text=${it.command} label=${`Copy the command for ${words(it.id)}`} /></div>`}</li>`;
}

function Group({ findings, verdict }) {
  const [id, tone, title, meaning] = verdict;
  const all = findings.filter((it) => it.verdict === id);
  if (!all.length) return null;
  return html`<section class="card"><div class="card-head"><h2>${title}</h2><span class=${`tag ${tone}`}>${all.length}</span></div>
    <p class="dim">${meaning}</p><ul class="list">${all.map((it) => html`<${Finding} key=${it.id + it.told} it=${it} tone=${tone} />`)}</ul></section>`;
}

/** What was looked at and found in order. */
function Well({ findings, open }) {
  if (!findings.length) return null;
  return html`<details class="card fold" open=${open}><summary>In order <span class="tag good">${findings.length}</span></summary>
    <ul class="ticks">${findings.map((it) => html`<li><strong>${words(it.id)}</strong> <span class="dim break">${it.told}</span></li>`)}</ul></details>`;
}

export function Doctor() {
  const [answer, setAnswer] = useState(null);
  const [error, setError] = useState(null);
  const look = async () => {
    try {
      const { findings } = await post('/doctor');
      setAnswer({ findings, at: Date.now() });
      setError(null);
    } catch (failure) { setError(failure.message); }
  };
  useEffect(() => { look(); }, []);
  if (!answer) return html`<${Problem}>${error}</${Problem}>${!error && html`<p class="dim" role="status">Looking at the rig…</p>`}`;
  const { findings, at } = answer;
  const well = findings.filter((it) => it.verdict === 'ok');
  return html`<${Problem}>${error}</${Problem}>
    <div class="toolbar"><span class="dim grow" role="status">${findings.length} things were looked at. Last look: ${time(at)}</span><${Act} label="Look again" does=${look} /></div>
    ${well.length === findings.length && html`<div class="empty-state good"><h2>All is well</h2><p>The machine, the state folder, drivers, programs and miners are as they should be. Come back when a miner is slow or something does not start; <code>adit doctor</code> says the same on the command line.</p></div>`}
    ${VERDICTS.map((verdict) => html`<${Group} key=${verdict[0]} findings=${findings} verdict=${verdict} />`)}
    <${Well} findings=${well} open=${well.length === findings.length} />`;
}
