// The page of the REST API: shows openapi.json, and sends requests. Text only, never markup.

const BASE = document.querySelector('meta[name="adit-base"]').content;
const KEY = 'adit-token';
const main = document.getElementById('main');

/** An element with attributes and children; texts become text nodes. */
function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value !== undefined && value !== false) node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.filter((it) => it !== null && it !== undefined));
  return node;
}

/** A schema as a short example of what it describes. */
function example(schema, doc, depth = 0) {
  if (schema === undefined || schema === true || depth > 6) return null;
  if (schema.$ref) return example(doc.components.schemas[schema.$ref.split('/').pop()], doc, depth + 1);
  if (schema.default !== undefined && schema.default !== null) return schema.default;
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices) return example(choices.find((it) => it.type !== 'null') ?? choices[0], doc, depth + 1);
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((it) => example(it, doc, depth + 1)));
  const type = Array.isArray(schema.type) ? schema.type.find((it) => it !== 'null') : schema.type;
  switch (type) {
    case 'object': {
      const all = {};
      for (const [name, inner] of Object.entries(schema.properties ?? {})) all[name] = example(inner, doc, depth + 1);
      return all;
    }
    case 'array': return schema.items ? [example(schema.items, doc, depth + 1)] : [];
    case 'string': return schema.format === 'date-time' ? '2026-01-31T18:00:00Z' : 'text';
    case 'integer': case 'number': return schema.minimum ?? 0;
    case 'boolean': return false;
    default: return null;
  }
}

const shown = (value) => JSON.stringify(value, null, 2);

function answers(operation, doc) {
  const rows = Object.entries(operation.responses).map(([status, told]) => {
    const whole = told.$ref ? doc.components.responses[told.$ref.split('/').pop()] : told;
    const [kind, content] = Object.entries(whole.content ?? {})[0] ?? [];
    const body = !told.$ref && kind === 'application/json' ? el('pre', {}, shown(example(content.schema, doc))) : null;
    return el('tr', {}, el('th', { scope: 'row' }, el('code', {}, status)), el('td', {}, whole.description, kind && !body ? ` (${kind})` : '', body));
  });
  return el('table', {}, el('tbody', {}, ...rows));
}

async function send(method, path, operation, form, output) {
  let url = path;
  const query = new URLSearchParams();
  const headers = {};
  for (const parameter of operation.parameters ?? []) {
    const value = form.elements[`${parameter.in}:${parameter.name}`].value;
    if (parameter.in === 'path') url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value !== '' && parameter.in === 'query') query.set(parameter.name, value);
    else if (value !== '') headers[parameter.name] = value;
  }
  const token = document.getElementById('token').value.trim();
  if (token) headers.Authorization = `Bearer ${token}`;
  const options = { method: method.toUpperCase(), headers };
  const body = form.elements.body?.value.trim();
  if (body) {
    headers['Content-Type'] = 'application/json';
    options.body = body;
  }
  output.textContent = '…';
  try {
    const answer = await fetch(BASE + url + (query.size ? `?${query}` : ''), options);
    const text = await answer.text();
    let told = text;
    try { told = shown(JSON.parse(text)); } catch { /* It is no JSON. */ }
    output.textContent = `${answer.status} ${answer.statusText}\n\n${told}`;
  } catch {
    output.textContent = 'the host does not answer';
  }
}

function field(parameter) {
  const name = `${parameter.in}:${parameter.name}`;
  const label = parameter.required ? parameter.name : `${parameter.name} (may be left out)`;
  return el('label', {}, el('code', {}, label), ` ${parameter.description ?? ''}`, el('input', { name, required: parameter.required, autocomplete: 'off' }));
}

function tryIt(method, path, operation, doc) {
  const output = el('pre', { 'aria-live': 'polite' });
  const form = el('form', {}, ...(operation.parameters ?? []).map(field));
  const schema = operation.requestBody?.content['application/json']?.schema;
  if (schema) {
    const text = el('textarea', { name: 'body', rows: 8, spellcheck: 'false' });
    text.value = operation.requestBody.required ? shown(example(schema, doc)) : '';
    form.append(el('label', {}, operation.requestBody.required ? 'Body' : 'Body (may be left out)', text));
  }
  form.append(el('button', { class: 'send' }, 'Send'));
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    send(method, path, operation, form, output);
  });
  return [form, output];
}

function operation(method, path, told, doc) {
  const streams = '101' in told.responses || path === '/events';
  const content = el('div');
  const box = el('details', { class: 'op', id: told.operationId },
    el('summary', {}, el('span', { class: `verb ${method}` }, method.toUpperCase()), el('code', {}, path), el('span', {}, told.summary), el('span', { class: 'role' }, told['x-role'] ?? 'no token')),
    content);
  // Only what is looked at is built.
  box.addEventListener('toggle', () => {
    if (content.childElementCount) return;
    if (told.description) content.append(el('p', {}, told.description));
    if (!streams) content.append(el('h3', {}, 'Try it'), ...tryIt(method, path, told, doc));
    content.append(el('h3', {}, 'Answers'), answers(told, doc));
  });
  return box;
}

function page(doc) {
  const sections = doc.tags.map(({ name }) => {
    const all = Object.entries(doc.paths).flatMap(([path, methods]) => Object.entries(methods).filter(([, told]) => told.tags[0] === name).map(([method, told]) => operation(method, path, told, doc)));
    return el('section', {}, el('h2', {}, name), ...all);
  });
  const filter = el('input', { type: 'search', placeholder: 'such as miners or POST' });
  filter.addEventListener('input', () => {
    const wanted = filter.value.toLowerCase();
    for (const section of sections) {
      const boxes = [...section.querySelectorAll('.op')];
      for (const box of boxes) box.hidden = !box.firstChild.textContent.toLowerCase().includes(wanted);
      section.hidden = boxes.every((it) => it.hidden);
    }
  });
  const token = el('input', { id: 'token', type: 'password', autocomplete: 'off', placeholder: 'adit token show prints yours' });
  token.value = sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY) ?? '';
  main.replaceChildren(
    el('div', { class: 'page-head' }, el('h1', {}, `REST API of Adit ${doc.info.version}`), el('a', { href: '/openapi.json' }, 'openapi.json')),
    el('p', {}, doc.info.description, ` Every route begins with `, el('code', {}, doc.servers[0].url), '.'),
    el('div', { class: 'tools' }, el('label', {}, 'Find', filter), el('label', {}, 'Token', token)),
    ...sections);
  const wanted = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted?.matches('.op')) {
    wanted.open = true;
    wanted.scrollIntoView();
  }
}

try {
  page(await (await fetch('/openapi.json')).json());
} catch {
  main.replaceChildren(el('p', { class: 'bad' }, 'The document cannot be read: the host does not answer.'));
}
