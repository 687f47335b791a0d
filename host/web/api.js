// Talks to the REST API: token, requests, and the stream of events.

export const BASE = document.querySelector('meta[name="adit-base"]').content;
const KEY = 'adit-token';

let token = null;

/** Takes the token of the link that `adit up` printed, once, or the one that is kept. */
export function findToken() {
  const given = /^#token=([A-Za-z0-9_\-.~+/=]+)$/.exec(location.hash);
  if (given) {
    // Not in the history, not in a bookmark, not in the next screenshot.
    history.replaceState(null, '', location.pathname + '#/');
    keepToken(given[1], false);
  }
  token ??= sessionStorage.getItem(KEY) ?? localStorage.getItem(KEY);
  return token;
}

/** Keeps the token for this tab, or for this browser too. */
export function keepToken(value, forGood) {
  token = value;
  sessionStorage.setItem(KEY, value);
  if (forGood) localStorage.setItem(KEY, value);
}

export function dropToken() {
  token = null;
  sessionStorage.removeItem(KEY);
  localStorage.removeItem(KEY);
}

/** An answer that is no success: `message` is the host's own sentence. */
export class ApiError extends Error {
  constructor(status, code, message, details) {
    super(message);
    Object.assign(this, { status, code, details });
  }
}

let whenRefused = () => {};
export const onRefused = (call) => { whenRefused = call; };

async function ask(method, path, body, headers = {}) {
  const options = { method, headers: { Authorization: `Bearer ${token}`, ...headers } };
  if (body !== undefined) {
    options.headers['Content-Type'] = 'application/json';
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(BASE + path, options);
  } catch {
    throw new ApiError(0, 'NO_HOST', 'the host does not answer');
  }
  const text = await response.text();
  let value = null;
  try { value = text ? JSON.parse(text) : null; } catch { value = null; }
  if (response.ok) return { value, text, etag: response.headers.get('ETag') };
  if (response.status === 401) whenRefused();
  const message = value?.error ?? `the host answered ${response.status}`;
  throw new ApiError(response.status, value?.code ?? '', message, value?.details);
}

export const get = async (path) => (await ask('GET', path)).value;
/** An answer that is no JSON, or whose text is wanted as it is. */
export const getText = async (path) => (await ask('GET', path)).text;
export const getTagged = (path) => ask('GET', path);
export const post = async (path, body) => (await ask('POST', path, body)).value;
export const put = async (path, body, etag) =>
  (await ask('PUT', path, body, etag ? { 'If-Match': etag } : {})).value;
export const patch = async (path, body) => (await ask('PATCH', path, body)).value;
export const remove = async (path, body) => (await ask('DELETE', path, body)).value;
export const part = encodeURIComponent;

/** Whether the token is known: true, false, or null when the host does not answer. */
export async function checkToken(value) {
  try {
    const headers = { Authorization: `Bearer ${value}` };
    const response = await fetch(`${BASE}/info`, { headers });
    return response.status !== 401 && response.status !== 429;
  } catch {
    return null;
  }
}

/**
 * Listens to events until `stop` is called; comes back by itself, after the last event seen.
 * `EventSource` cannot send a token, a streamed answer can.
 */
export function listen(onEvent, onState) {
  const ended = new AbortController();
  let last = null;
  let pause = 500;
  (async () => {
    while (!ended.signal.aborted) {
      try {
        const headers = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' };
        if (last) headers['Last-Event-ID'] = last;
        const response = await fetch(`${BASE}/events`, { headers, signal: ended.signal });
        if (response.status === 401) { whenRefused(); return; }
        if (!response.ok) throw new Error();
        onState(true);
        pause = 500;
        await read(response.body, (event) => {
          if (event.id) last = event.id;
          onEvent(event);
        });
      } catch { /* told below */ }
      if (ended.signal.aborted) return;
      onState(false);
      await new Promise((done) => setTimeout(done, pause + Math.random() * pause));
      pause = Math.min(pause * 2, 10_000);
    }
  })();
  return () => ended.abort();
}

async function read(stream, onEvent) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const blocks = rest.split(/\r?\n\r?\n/);
    rest = blocks.pop();
    for (const block of blocks) {
      const event = { id: null, type: 'message', data: '' };
      for (const line of block.split(/\r?\n/)) {
        const at = line.indexOf(':');
        if (at <= 0) continue;
        const field = line.slice(0, at);
        const text = line.slice(at + 1).replace(/^ /, '');
        if (field === 'id') event.id = text;
        if (field === 'event') event.type = text;
        if (field === 'data') event.data += text;
      }
      if (!event.data) continue;
      let message;
      try { message = JSON.parse(event.data); } catch { continue; }
      onEvent({
        id: event.id ?? message.id ?? null,
        type: message.type ?? event.type,
        timestamp: message.timestamp,
        data: message.data ?? message,
      });
    }
  }
}
