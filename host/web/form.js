// A form made from a driver's JSON Schema. Fields that it cannot draw are edited as JSON.

import { html, useState } from './vendor/preact-htm.js';

/** Fields that an operator needs first. */
const FIRST = ['pool', 'pools', 'wallet', 'password', 'algo', 'algorithm', 'coin', 'threads'];

const title = (name) => name
  .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
  .replace(/[-_]/g, ' ')
  .replace(/^./, (it) => it.toUpperCase());

const types = (field) => [field.type].flat().filter(Boolean);

function resolve(root, field) {
  let found = field;
  for (let depth = 0; depth < 8 && found?.$ref?.startsWith('#/'); depth += 1) {
    found = found.$ref.slice(2).split('/').reduce((at, step) => at?.[step], root);
  }
  return { ...found, ...field };
}

function Field({ root, name, schema, value, preset, required, onChange }) {
  const field = resolve(root, schema);
  const id = `field-${name}`;
  const kind = types(field);
  const help = `${id}-help`;
  const shared = { id, 'aria-describedby': help, required };
  let input;
  if (field.enum) {
    input = html`<select ...${shared} value=${value ?? ''} onChange=${(e) => onChange(e.target.value || undefined)}>
      <option value="">${preset === undefined ? 'not set' : `default: ${preset}`}</option>
      ${field.enum.map((it) => html`<option value=${it}>${it}</option>`)}</select>`;
  } else if (kind.includes('boolean') && kind.length === 1) {
    input = html`<input ...${shared} required=${false} type="checkbox" checked=${value ?? preset ?? false}
      onChange=${(e) => onChange(e.target.checked)} />`;
  } else if (kind.length === 1 && ['integer', 'number'].includes(kind[0])) {
    input = html`<input ...${shared} type="number" min=${field.minimum} max=${field.maximum}
      step=${kind[0] === 'integer' ? 1 : 'any'} value=${value ?? ''} placeholder=${preset ?? ''}
      onInput=${(e) => onChange(e.target.value === '' ? undefined : Number(e.target.value))} />`;
  } else if (kind.length === 1 && kind[0] === 'string') {
    const choices = field.examples?.length ? `${id}-choices` : undefined;
    input = html`<input ...${shared} type=${field.writeOnly && /pass|secret|token/i.test(name) ? 'password' : 'text'}
      autocomplete="off" spellcheck=${false} list=${choices} value=${value ?? ''} placeholder=${preset ?? ''}
      onInput=${(e) => onChange(e.target.value || undefined)} />
      ${choices && html`<datalist id=${choices}>${field.examples.map((it) => html`<option value=${it} />`)}</datalist>`}`;
  } else {
    input = html`<${Json} id=${id} help=${help} value=${value} example=${field.examples?.[0]} onChange=${onChange} />`;
  }
  return html`<div class="field"><label for=${id}>${title(name)}${required && html`<span title="required"> *</span>`}</label>
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
  const [all, setAll] = useState(false);
  const properties = Object.entries(schema?.properties ?? {});
  if (!schema?.properties) {
    return html`<div class="field"><label for="field-config">Configuration</label>
      <${Json} id="field-config" help="" value=${value} onChange=${(it) => onChange(it ?? {})} /></div>`;
  }
  const rank = ([name]) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const required = schema.required ?? [];
  const sorted = properties.slice().sort((a, b) => rank(a) - rank(b));
  const first = sorted.filter(([name]) => FIRST.includes(name) || required.includes(name) || value[name] !== undefined);
  const shown = all || !first.length ? sorted : first;
  const set = (name, next) => {
    const { [name]: _, ...rest } = value;
    onChange(next === undefined ? rest : { ...rest, [name]: next });
  };
  return html`<div class="fields">${shown.map(([name, field]) => html`<${Field} key=${name} root=${schema} name=${name}
      schema=${field} value=${value[name]} preset=${defaults?.[name]} required=${required.includes(name)}
      onChange=${(next) => set(name, next)} />`)}
    ${shown.length < sorted.length && html`<button type="button" class="quiet" onClick=${() => setAll(true)}>
      Show ${sorted.length - shown.length} more settings</button>`}</div>`;
}
