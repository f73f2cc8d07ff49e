// Usage by time and provider as stacked bars, drawn here, with the same figures as a table.

import { compact, dollars, draw, find, h, keyed, many, number, say, show } from './dom.js';
import { read } from './link.js';
import { dayOf, inZone, proxyNow } from './time.js';

const HEIGHT = 170;
const COLOURS = 7;
const AGAIN = 10_000;
const RANGES = {
  day: { label: '24 hours', by: 'hour', since: '24h', slots: 24 },
  week: { label: '7 days', by: 'day', since: '7d', slots: 7 },
  month: { label: '30 days', by: 'day', since: '30d', slots: 30 },
};
const METRICS = {
  requests: { label: 'requests', of: (row) => row.requests, write: compact },
  total_tokens: { label: 'tokens', of: (row) => row.total_tokens, write: compact },
  failures: { label: 'failed attempts', of: (row) => row.failures, write: compact },
  cost_usd: { label: 'cost', of: (row) => row.cost_usd ?? 0, write: dollars },
};

let range = 'week';
let metric = 'requests';
let answer = null;
let stale = false;
let asked = 0;
let timer = null;

/** Wires the choices and the drawing. */
export function startUsage() {
  find('#usage-choices').append(
    radios('Time span', RANGES, range, (value) => {
      range = value;
      load();
    }),
    radios('Figure', METRICS, metric, (value) => {
      metric = value;
      render();
    }),
  );
  new ResizeObserver(render).observe(find('#chart'));
}

function radios(title, choices, first, chosen) {
  const options = Object.entries(choices).map(([value, { label }]) => {
    const input = h('input', { type: 'radio', name: title, value });
    input.checked = value === first;
    input.addEventListener('change', () => chosen(value));
    return h('label', { class: 'chip', 'data-value': value }, input, h('span', {}, label));
  });
  return h('fieldset', { class: 'chips' }, h('legend', { class: 'unseen' }, title), ...options);
}

/** Something was used: the figures are read anew, though not more often than every ten seconds. */
export function usageChanged() {
  stale = true;
  if (timer !== null || document.hidden) return;
  timer = setTimeout(() => {
    timer = null;
    if (stale) load();
  }, Math.max(0, asked + AGAIN - Date.now()));
}

async function load() {
  const { by, since } = RANGES[range];
  const wanted = range;
  asked = Date.now();
  stale = false;
  try {
    const told = await read(`usage?by=${by},provider&since=${since}`);
    if (wanted !== range) return;
    answer = told;
    render();
  } catch (error) {
    say(find('#usage-total'), `Usage cannot be read: ${error.message}`);
  }
}

/** The slots of the time axis, each with the figures of its providers. */
function slotsOf({ rows }) {
  const { by, slots } = RANGES[range];
  const length = by === 'hour' ? 13 : 10;
  const step = by === 'hour' ? 3_600_000 : 86_400_000;
  const found = new Map();
  for (let back = slots - 1; back >= 0; back -= 1) {
    const name = inZone(proxyNow() - back * step).slice(0, length);
    found.set(name, { name, label: by === 'hour' ? `${name.slice(11)}:00` : dayOf(name), rows: new Map(), sum: 0, told: [] });
  }
  for (const row of rows) {
    const slot = found.get(row[by]?.slice(0, length));
    if (!slot) continue;
    const value = METRICS[metric].of(row);
    const name = row.provider ?? 'nobody';
    slot.rows.set(name, (slot.rows.get(name) ?? 0) + value);
    slot.sum += value;
    slot.told.push(row);
  }
  return [...found.values()];
}

/** The providers by what they have served, the smallest ones together. */
function seriesOf(slots) {
  const sums = new Map();
  for (const slot of slots) {
    for (const [name, value] of slot.rows) sums.set(name, (sums.get(name) ?? 0) + value);
  }
  const sorted = [...sums].filter(([, sum]) => sum > 0).sort((one, other) => other[1] - one[1] || one[0].localeCompare(other[0]));
  const tooMany = sorted.length > COLOURS + 1;
  const series = sorted.slice(0, tooMany ? COLOURS : COLOURS + 1).map(([name, sum], place) => ({ name, sum, place, names: [name] }));
  if (!tooMany) return series;
  const rest = sorted.slice(COLOURS);
  series.push({ name: `${rest.length} others`, sum: rest.reduce((all, [, sum]) => all + sum, 0), place: COLOURS, names: rest.map(([name]) => name) });
  return series;
}

const valueOf = (slot, one) => one.names.reduce((sum, name) => sum + (slot.rows.get(name) ?? 0), 0);

function render() {
  if (answer === null) return;
  const paid = answer.rows.some((row) => row.cost_usd);
  show(find('label[data-value="cost_usd"]'), paid);
  const slots = slotsOf(answer);
  const series = seriesOf(slots);
  say(find('#usage-total'), total(slots.flatMap((slot) => slot.told)));
  chart(slots, series);
  legend(series);
  table(slots, series);
}

function total(rows) {
  const sum = (of) => rows.reduce((all, row) => all + (of(row) ?? 0), 0);
  const cost = sum((row) => row.cost_usd);
  const refused = sum((row) => row.refused);
  const estimated = sum((row) => row.estimated_tokens);
  const told = [
    `${many(sum((row) => row.requests), 'request')} answered`,
    many(sum((row) => row.failures), 'failed attempt'),
    `${compact(sum((row) => row.total_tokens))} tokens${estimated > 0 ? ` (${compact(estimated)} estimated)` : ''}`,
  ];
  if (refused > 0) told.splice(1, 0, `${compact(refused)} refused`);
  if (cost > 0) told.push(dollars(cost));
  return `${RANGES[range].label}: ${told.join(', ')}`;
}

/** A round number that is at least `most`. */
function ceiling(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((value) => value >= most);
}

function chart(slots, series) {
  const box = find('#chart');
  const width = Math.max(240, box.clientWidth);
  const most = Math.max(...slots.map((slot) => slot.sum));
  const { label, write } = METRICS[metric];
  if (most === 0) {
    box.replaceChildren(h('p', { class: 'quiet' }, `No ${label} in this time.`));
    return;
  }
  const top = ceiling(most);
  const area = { left: 46, top: 8, width: width - 48, height: HEIGHT - 30 };
  const y = (value) => area.top + area.height * (1 - value / top);
  const step = area.width / slots.length;
  const title = `${label} by ${RANGES[range].by === 'hour' ? 'hour' : 'day'} and provider, ${RANGES[range].label}; at most ${write(most)}. A table follows.`;
  const picture = draw('svg', { role: 'img', 'aria-label': title, width, height: HEIGHT, viewBox: `0 0 ${width} ${HEIGHT}` });
  for (const value of [0, top / 2, top]) {
    picture.append(draw('line', { class: 'grid', x1: area.left, x2: width, y1: y(value), y2: y(value) }));
    picture.append(draw('text', { x: area.left - 6, y: y(value) + 4, 'text-anchor': 'end' }, write(value)));
  }
  const every = Math.ceil(52 / step);
  slots.forEach((slot, index) => {
    const x = area.left + index * step;
    let sum = 0;
    for (const one of series) {
      const value = valueOf(slot, one);
      if (value === 0) continue;
      const bar = { x: x + step * 0.12, width: step * 0.76, y: y(sum + value), height: Math.max(1, y(sum) - y(sum + value) - 0.5) };
      picture.append(draw('rect', { class: `s${one.place}`, ...bar }, draw('title', {}, `${slot.label}, ${one.name}: ${write(value)} ${label}`)));
      sum += value;
    }
    if ((slots.length - 1 - index) % every === 0) {
      // The last label has no room to its right where the bars are thin.
      const thin = index === slots.length - 1 && step < 52;
      picture.append(draw('text', { x: thin ? x + step : x + step / 2, y: HEIGHT - 6, 'text-anchor': thin ? 'end' : 'middle' }, slot.label));
    }
  });
  box.replaceChildren(picture);
}

function legend(series) {
  const { write } = METRICS[metric];
  keyed(find('#legend'), series, (one) => one.name, () => {
    const swatch = draw('svg', { class: 'icon', 'aria-hidden': 'true', viewBox: '0 0 16 16' }, draw('rect', { x: 2, y: 2, width: 12, height: 12, rx: 2 }));
    const name = h('span');
    const value = h('b');
    const node = h('li', {}, swatch, name, ' ', value);
    node.show = (one) => {
      swatch.firstChild.setAttribute('class', `s${one.place}`);
      say(name, one.name);
      say(value, write(one.sum));
    };
    return node;
  });
}

function table(slots, series) {
  const box = find('#figures');
  // What nobody looks at is not built, but it is there when it is opened.
  box.ontoggle = () => table(slots, series);
  if (!box.open) return;
  const { label, write } = METRICS[metric];
  const exact = metric === 'cost_usd' ? write : number;
  const head = h('tr', {}, h('th', { scope: 'col' }, RANGES[range].by), ...series.map((one) => h('th', { scope: 'col' }, one.name)), h('th', { scope: 'col' }, 'all'));
  const rows = [...slots].reverse().map((slot) => h('tr', {}, h('th', { scope: 'row' }, slot.label),
    ...series.map((one) => h('td', {}, exact(valueOf(slot, one)))), h('td', {}, exact(slot.sum))));
  box.lastElementChild.replaceChildren(h('table', {}, h('caption', {}, `${label}, ${RANGES[range].label}`), h('thead', {}, head), h('tbody', {}, ...rows)));
}
