// Figures for people. What nobody reported is a dash, never 0.

const UNITS = ['H/s', 'kH/s', 'MH/s', 'GH/s', 'TH/s', 'PH/s', 'EH/s'];
export const NONE = '–';

export function hashrate(value) {
  if (value === null || value === undefined || !Number.isFinite(value)) return NONE;
  let unit = 0;
  let scaled = value;
  while (scaled >= 1000 && unit < UNITS.length - 1) { scaled /= 1000; unit += 1; }
  const digits = scaled >= 100 ? 1 : 2;
  return `${scaled.toFixed(unit === 0 && scaled >= 100 ? 0 : digits)} ${UNITS[unit]}`;
}

/** What the figures of an axis that goes up to `most` are divided by, and their unit. */
export function scale(most) {
  const unit = Math.min(UNITS.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, most)) / 3)));
  return [1000 ** unit, UNITS[unit]];
}

export function number(value, digits = 0) {
  if (value === null || value === undefined) return NONE;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || seconds < 0) return NONE;
  const s = Math.floor(seconds);
  const [d, h, m] = [Math.floor(s / 86400), Math.floor(s / 3600) % 24, Math.floor(s / 60) % 60];
  if (d > 0) return `${d} d ${h} h`;
  if (h > 0) return `${h} h ${m} min`;
  if (m > 0) return `${m} min ${s % 60} s`;
  return `${s} s`;
}

export function time(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return NONE;
  const today = new Date().toDateString() === date.toDateString();
  const clock = date.toLocaleTimeString('en-GB');
  return today ? clock : `${date.toLocaleDateString('en-CA')} ${clock}`;
}

/** Unix seconds on an axis whose marks are `step` seconds apart. */
export function clock(seconds, step) {
  const date = new Date(seconds * 1000);
  if (step >= 86400) return date.toLocaleDateString('en-CA').slice(5);
  return date.toLocaleTimeString('en-GB').slice(0, step < 60 ? 8 : 5);
}

export function ago(value) {
  const seconds = (Date.now() - new Date(value).getTime()) / 1000;
  return Number.isFinite(seconds) ? `${duration(Math.max(0, seconds))} ago` : NONE;
}

export function bytes(value) {
  if (value === null || value === undefined) return NONE;
  const units = ['B', 'KiB', 'MiB', 'GiB'];
  let unit = 0;
  let scaled = value;
  while (scaled >= 1024 && unit < units.length - 1) { scaled /= 1024; unit += 1; }
  return `${scaled.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

/** The largest value of a field over all devices; null when no device has it. */
export function most(devices, field) {
  const values = (devices ?? []).map((it) => it[field]).filter((it) => it !== null && it !== undefined);
  return values.length ? Math.max(...values) : null;
}

export function sum(devices, field) {
  const values = (devices ?? []).map((it) => it[field]).filter((it) => it !== null && it !== undefined);
  return values.length ? values.reduce((a, b) => a + b, 0) : null;
}
