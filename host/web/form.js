// A form made from a driver's JSON Schema. Fields that it cannot draw are edited as JSON.

import { html, useRef, useState } from './vendor/preact-htm.js';
import { Order, useOrder } from './order.js';

/** Fields that an operator needs first. */
const FIRST = ['url', 'pool', 'wallet', 'password', 'pass', 'tls', 'pools', 'algo', 'algorithm', 'coin', 'threads'];

/** Words that are no words. */
const SHORT = {
  cpu: 'CPU', gpu: 'GPU', cuda: 'CUDA', opencl: 'OpenCL', msr: 'MSR', numa: 'NUMA', jit: 'JIT', gb: 'GB', api: 'API', tls: 'TLS', url: 'URL',
  id: 'ID', nicehash: 'NiceHash', ms: 'ms', algo: 'algorithm', pass: 'password', randomx: 'RandomX',
};

const title = (name) => name
  .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
  .split(/[-_ ]/)
  .map((it) => SHORT[it.toLowerCase()] ?? it.toLowerCase())
  .join(' ')
  .replace(/^./, (it) => it.toUpperCase());

const types = (field) => [field.type].flat().filter(Boolean);

function resolve(root, field) {
  let found = field;
  for (let depth = 0; depth < 8 && found?.$ref?.startsWith('#/'); depth += 1) {
    found = found.$ref.slice(2).split('/').reduce((at, step) => at?.[step], root);
  }
  return { ...found, ...field };
}

const scalar = (kind) => kind.length > 0 && kind.every((it) => ['string', 'boolean', 'integer', 'number', 'null'].includes(it));

const WORDS = { string: 'text', boolean: 'true or false', integer: 'a number', number: 'a number' };

/** A value of one of several types, from what was typed. */
function typed(text, kind) {
  const word = text.trim();
  if (!word) return undefined;
  if (kind.includes('boolean') && /^(true|false)$/.test(word)) return word === 'true';
  if ((kind.includes('integer') || kind.includes('number')) && Number.isFinite(Number(word))) return Number(word);
  return kind.includes('string') ? text : word;
}

/** Figures with commas between them. */
function Figures({ shared, value, preset, onChange }) {
  const [text, setText] = useState((value ?? []).join(', '));
  const take = (next) => {
    setText(next);
    const all = next.split(/[,\s]+/).filter(Boolean);
    // What is no figure is sent as it is: the host says what is wrong with it.
    onChange(all.length ? all.map((it) => (Number.isFinite(Number(it)) ? Number(it) : it)) : undefined);
  };
  return html`<input ...${shared} autocomplete="off" value=${text} placeholder=${(preset ?? []).join(', ') || 'such as 0, 1, 2'} onInput=${(e) => take(e.target.value)} />`;
}

/** Texts, one on each line. */
function Lines({ shared, value, preset, onChange }) {
  const [text, setText] = useState((value ?? []).join('\n'));
  const take = (next) => {
    setText(next);
    const lines = next.split('\n').map((it) => it.trim()).filter(Boolean);
    onChange(lines.length ? lines : undefined);
  };
  return html`<textarea ...${shared} rows="3" spellcheck=${false} value=${text} placeholder=${(preset ?? []).join('\n') || 'one on each line'}
    onInput=${(e) => take(e.target.value)}></textarea>`;
}

/** `value` with another value of the field `name`; `undefined`: without it. */
function changed(value, name, next) {
  const { [name]: _, ...rest } = value;
  return next === undefined ? rest : { ...rest, [name]: next };
}

/** The fields of an object: first what an operator needs first, the rest when asked for. */
function Fields({ root, schema, prefix, value, preset, inRows, more = 'settings', onChange }) {
  const rank = ([name]) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const required = schema.required ?? [];
  const sorted = Object.entries(schema.properties).sort((a, b) => rank(a) - rank(b));
  const isFirst = (name) => FIRST.includes(name) || required.includes(name) || value[name] !== undefined;
  const [all, setAll] = useState(() => !sorted.some(([name]) => isFirst(name)));
  // What was shown once stays: no field may go while somebody types.
  const kept = useRef(new Set()).current;
  for (const [name] of sorted) if (isFirst(name)) kept.add(name);
  const shown = all ? sorted : sorted.filter(([name]) => kept.has(name));
  return html`${shown.map(([name, field]) => html`<${Field} key=${name} root=${root} name=${name} prefix=${prefix} inRows=${inRows}
      schema=${field} value=${value[name]} preset=${preset?.[name]} required=${required.includes(name)}
      onChange=${(next) => onChange(changed(value, name, next))} />`)}
    ${shown.length < sorted.length && html`<button type="button" class="quiet more" onClick=${() => setAll(true)}>
      Show ${sorted.length - shown.length} more ${more}</button>`}`;
}

/** A group of fields; what it makes is absent when none is filled in. */
function Group({ root, id, name, field, value = {}, preset, inRows, onChange }) {
  const set = (key, next) => {
    const all = changed(value, key, next);
    onChange(Object.keys(all).length ? all : undefined);
  };
  return html`<details class="group" open=${Object.keys(value).length > 0}><summary>${title(name)}</summary>
    <p class="dim fine">${field.description}</p>
    ${Object.entries(field.properties).map(([key, part]) => html`<${Field} key=${key} root=${root} name=${key} prefix=${`${id}-`} schema=${part} inRows=${inRows}
      value=${value[key]} preset=${preset?.[key]} required=${(field.required ?? []).includes(key)} onChange=${(next) => set(key, next)} />`)}</details>`;
}

/** One of several, as “pool” is of “pools”. */
const single = (name) => title(name).toLowerCase().replace(/ies$/, 'y').replace(/([^s])s$/, '$1');

/** Objects in an order that counts; absent when there is none. */
function Rows({ root, id, name, field, item, value = [], required, onChange }) {
  const order = useOrder(value, (next) => onChange(next.length ? next : undefined));
  const word = single(name);
  const article = /^[aeiou]/.test(word) ? 'an' : 'a';
  // What was pressed may be gone or far away: the focus goes where one would go on.
  const go = (to) => requestAnimationFrame(() => document.getElementById(id)?.querySelector(to)?.focus());
  const add = () => { order.add({}); go(':scope > ol > li:last-child input'); };
  const remove = (at) => { order.remove(at); go(':scope > .add'); };
  return html`<fieldset class="rows" id=${id} aria-describedby=${`${id}-help`}><legend>${title(name)}${required && html`<span title="required"> *</span>`}</legend>
    <small class="dim" id=${`${id}-help`}>${field.description}</small>
    ${value.length > 0 && html`<ol class="list">${value.map((it, at) => html`<li class="row-item" key=${order.marks[at]}>
      <div class="card-head"><strong>${word.replace(/^./, (first) => first.toUpperCase())} ${at + 1}</strong>
        <${Order} what=${`${word} ${at + 1}`} at=${at} count=${value.length} onMove=${order.move} onRemove=${remove} /></div>
      <div class="row-fields"><${Fields} root=${root} schema=${item} prefix=${`${id}-${order.marks[at]}-`} value=${it} inRows more=${`settings of ${word} ${at + 1}`} onChange=${(next) => order.set(at, next)} /></div></li>`)}</ol>`}
    ${value.length < (field.maxItems ?? Infinity) && html`<button type="button" class="add" onClick=${add}>Add ${article} ${word}</button>`}</fieldset>`;
}

/** A schema of objects with fields that can be drawn, and of nothing else. */
const drawable = (schema) => types(schema).join() === 'object' && schema.properties;

/** Whether a value is what rows can show: it may come from a file. */
const listed = (value) => value === undefined || (Array.isArray(value) && value.every((it) => it && typeof it === 'object' && !Array.isArray(it)));

function Field({ root, name, prefix = 'field-', schema, value, preset, required, inRows, onChange }) {
  const field = resolve(root, schema);
  const id = `${prefix}${name}`;
  const kind = types(field);
  const help = `${id}-help`;
  const shared = { id, 'aria-describedby': help, required };
  let input;
  if (drawable(field)) {
    return html`<${Group} root=${root} id=${id} name=${name} field=${field} value=${value} preset=${preset} inRows=${inRows} onChange=${onChange} />`;
  }
  const item = kind.join() === 'array' ? resolve(root, field.items ?? {}) : {};
  // Rows within rows would be a maze.
  if (drawable(item) && !inRows && listed(value)) {
    return html`<${Rows} root=${root} id=${id} name=${name} field=${field} item=${item} value=${value} required=${required} onChange=${onChange} />`;
  }
  if (field.enum) {
    input = html`<select ...${shared} value=${value ?? ''} onChange=${(e) => onChange(e.target.value || undefined)}>
      <option value="">${preset === undefined ? 'not set' : `default: ${preset}`}</option>
      ${field.enum.map((it) => html`<option value=${it}>${it}</option>`)}</select>`;
  } else if (kind.includes('boolean') && kind.length === 1) {
    input = html`<input ...${shared} required=${false} type="checkbox" checked=${value ?? preset ?? false}
      onChange=${(e) => onChange(e.target.checked)} />`;
  } else if (kind.length === 1 && ['integer', 'number'].includes(kind[0])) {
    input = html`<input ...${shared} type="number" min=${field.minimum ?? field.exclusiveMinimum} max=${field.maximum}
      step=${kind[0] === 'integer' ? 1 : 'any'} value=${value ?? ''} placeholder=${preset ?? ''}
      onInput=${(e) => onChange(e.target.value === '' ? undefined : Number(e.target.value))} />`;
  } else if (kind.length === 1 && kind[0] === 'string') {
    const choices = field.examples?.length ? `${id}-choices` : undefined;
    input = html`<input ...${shared} type=${field.writeOnly && /pass|secret|token/i.test(name) ? 'password' : 'text'}
      maxlength=${field.maxLength} autocomplete="off" spellcheck=${false} list=${choices} value=${value ?? ''} placeholder=${preset ?? ''}
      onInput=${(e) => onChange(e.target.value || undefined)} />
      ${choices && html`<datalist id=${choices}>${field.examples.map((it) => html`<option value=${it} />`)}</datalist>`}`;
  } else if (kind.length === 1 && kind[0] === 'array' && types(item).join() === 'string') {
    input = html`<${Lines} shared=${shared} value=${value} preset=${preset} onChange=${onChange} />`;
  } else if (kind.length === 1 && kind[0] === 'array' && ['integer', 'number'].includes(types(item).join())) {
    input = html`<${Figures} shared=${shared} value=${value} preset=${preset} onChange=${onChange} />`;
  } else if (scalar(kind)) {
    input = html`<input ...${shared} autocomplete="off" spellcheck=${false} value=${value ?? ''} placeholder=${preset ?? kind.filter((it) => it !== 'null').map((it) => WORDS[it]).join(' or ')}
      onInput=${(e) => onChange(typed(e.target.value, kind))} />`;
  } else {
    input = html`<${Json} id=${id} help=${help} value=${value} example=${field.examples?.[0]} onChange=${onChange} />`;
  }
  return html`<div class=${`field ${kind.join() === 'boolean' ? 'flag' : ''}`}><label for=${id}>${title(name)}${required && html`<span title="required"> *</span>`}</label>
    ${input}<small id=${help}>${field.description}</small></div>`;
}

function Json({ id, help, value, example, onChange }) {
  const [text, setText] = useState(value === undefined ? '' : JSON.stringify(value, null, 2));
  const [wrong, setWrong] = useState(null);
  const take = (next) => {
    setText(next);
    if (!next.trim()) { setWrong(null); onChange(undefined); return; }
    try { onChange(JSON.parse(next)); setWrong(null); } catch (error) { setWrong(error.message); }
  };
  return html`<textarea id=${id} aria-describedby=${help} rows="4" spellcheck=${false} value=${text}
    placeholder=${example === undefined ? 'JSON' : JSON.stringify(example)}
    aria-invalid=${Boolean(wrong)} onInput=${(e) => take(e.target.value)}></textarea>
    ${wrong && html`<span class="problem">${wrong}</span>`}`;
}

export function SchemaForm({ schema, defaults = {}, value, onChange }) {
  if (!schema?.properties) {
    return html`<div class="field"><label for="field-config">Configuration</label>
      <${Json} id="field-config" help="" value=${value} onChange=${(it) => onChange(it ?? {})} /></div>`;
  }
  return html`<div class="fields"><${Fields} root=${schema} schema=${schema} value=${value} preset=${defaults} onChange=${onChange} /></div>`;
}
