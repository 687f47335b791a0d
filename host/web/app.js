// The dashboard: who is asked in, which page is shown, and the frame around it.

import { html, render, useEffect, useState } from './vendor/preact-htm.js';
import { checkToken, dropToken, findToken, keepToken, onRefused } from './api.js';
import { end, start, useLive } from './state.js';
import { Problem } from './ui.js';
import { MinersPage } from './pages/miners.js';
import { MinerPage } from './pages/miner.js';
import { ProfilesPage } from './pages/profiles.js';
import { DriversPage } from './pages/drivers.js';
import { FleetPage } from './pages/fleet.js';
import { EventsPage } from './pages/events.js';
import { SettingsPage } from './pages/settings.js';

const PAGES = [['', 'Miners'], ['profiles', 'Profiles'], ['drivers', 'Drivers'], ['fleet', 'Fleet'], ['events', 'Events'], ['settings', 'Settings']];
const THEME = 'adit-theme';

const route = () => location.hash.replace(/^#\/?/, '').split('/').map((it) => {
  try { return decodeURIComponent(it); } catch { return it; }
});

function Login({ onIn, given }) {
  const [token, setToken] = useState('');
  const [forGood, setForGood] = useState(false);
  const [error, setError] = useState(given);
  // The link may be opened in the very tab that asks: then only the fragment changes.
  useEffect(() => {
    const look = () => { if (location.hash.startsWith('#token=') && findToken()) onIn(); };
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  const submit = async (event) => {
    event.preventDefault();
    const known = await checkToken(token.trim());
    if (known === null) setError('The host does not answer.');
    else if (!known) setError('This token is not known. `adit token show` prints yours.');
    else { keepToken(token.trim(), forGood); onIn(); }
  };
  return html`<main id="main" class="login" tabindex="-1"><form class="card" onSubmit=${submit}>
    <p class="brand"><img src="/web/icon.svg" alt="" width="40" height="40" /></p><h1>Welcome to Adit</h1>
    <p class="dim">Open the link that <code>adit up</code> printed, or enter the token that <code>adit token show</code> prints.</p>
    <div class="field"><label for="token">Token</label><input id="token" type="password" required autocomplete="off" value=${token} onInput=${(e) => setToken(e.target.value)} /></div>
    <label class="check"><input type="checkbox" checked=${forGood} onChange=${(e) => setForGood(e.target.checked)} /> Keep it in this browser</label><p class="dim fine">Without this it is forgotten when the tab is closed.</p>
    <${Problem}>${error}</${Problem}><button type="submit" class="primary">Enter</button></form></main>`;
}

function Page({ theme, setTheme, logOut }) {
  const [path, setPath] = useState(route());
  useEffect(() => {
    const turn = () => { setPath(route()); document.getElementById('main')?.focus({ preventScroll: true }); window.scrollTo(0, 0); };
    addEventListener('hashchange', turn);
    return () => removeEventListener('hashchange', turn);
  }, []);
  const [page, sub, tab] = path;
  const { connected, miners } = useLive();
  useEffect(() => { document.title = page === 'miners' && sub ? `${sub} · Adit` : 'Adit'; }, [page, sub]);
  const shown = {
    miners: () => (sub ? html`<${MinerPage} name=${sub} tab=${tab || 'overview'} />` : html`<${MinersPage} />`),
    profiles: () => html`<${ProfilesPage} tab=${sub || 'list'} />`,
    drivers: () => html`<${DriversPage} />`,
    fleet: () => html`<${FleetPage} />`,
    events: () => html`<${EventsPage} tab=${sub || 'feed'} />`,
    settings: () => html`<${SettingsPage} tab=${sub || 'rig'} theme=${theme} setTheme=${setTheme} logOut=${logOut} />`,
  };
  const current = page === 'miners' ? '' : page;
  return html`<header class="top"><a class="brand" href="#/"><img src="/web/icon.svg" alt="" width="28" height="28" />Adit</a>
      <nav aria-label="Pages">${PAGES.map(([id, label]) => html`<a href=${`#/${id}`} aria-current=${id === current ? 'page' : undefined}>${label}</a>`)}</nav>
      <span class=${`link ${connected ? 'on' : 'off'}`} role="status">${connected ? 'live' : miners ? 'host away' : 'connecting'}</span></header>
    ${!connected && miners && html`<p class="banner" role="alert">The host does not answer. Miners run on without it; this page comes back by itself.</p>`}
    <main id="main" tabindex="-1">${(shown[page] ?? shown.miners)()}</main>`;
}

function App() {
  const [inside, setInside] = useState(Boolean(findToken()));
  const [refused, setRefused] = useState(null);
  const [theme, setTheme] = useState(localStorage.getItem(THEME) ?? 'auto');
  const logOut = (reason) => { end(); dropToken(); setRefused(typeof reason === 'string' ? reason : null); setInside(false); };
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(THEME, theme);
    document.dispatchEvent(new Event('adit-theme'));
  }, [theme]);
  useEffect(() => {
    if (!inside) return undefined;
    onRefused(() => logOut('The token is not known any more.'));
    start();
    return end;
  }, [inside]);
  return inside ? html`<${Page} theme=${theme} setTheme=${setTheme} logOut=${logOut} />` : html`<${Login} given=${refused} onIn=${() => setInside(true)} />`;
}

// The fragment of the address is the page, so this link must not change it.
document.querySelector('.skip').addEventListener('click', (event) => {
  event.preventDefault();
  document.getElementById('main')?.focus();
});

render(html`<${App} />`, document.getElementById('app'));
