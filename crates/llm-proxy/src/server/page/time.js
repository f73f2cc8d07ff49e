// Times come with the proxy's own offset and are shown as they are written, so that the page, the
// log and `llm-proxy status` agree wherever the browser is. One timer moves every countdown; it
// stops while nobody looks.

import { say } from './dom.js';

const DAY = 86_400_000;
const counting = new Map();
const passing = new Map();
let skew = 0;
let offset = 0;
let today = '';
let onSecond = () => {};

/** Sets what is called at every second, with the time and whether a countdown has run out. */
export function watchTime(second) {
  onSecond = second;
  let timer = null;
  const heed = () => {
    clearInterval(timer);
    if (document.hidden) return;
    tick();
    timer = setInterval(tick, 1000);
  };
  document.addEventListener('visibilitychange', heed);
  heed();
}

/** Learns the proxy's clock and zone from its status. */
export function setClock(now, day) {
  today = day;
  const ours = Date.parse(now);
  if (Number.isNaN(ours)) return;
  // The proxy's time has whole seconds: what is within them is no difference.
  const difference = ours + 500 - Date.now();
  skew = Math.abs(difference) < 1500 ? 0 : difference;
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(now) ?? [null, '+', 0, 0];
  offset = (sign === '-' ? -1 : 1) * (hours * 60 + Number(minutes)) * 60_000;
}

/** Now, by the proxy's clock, in milliseconds. */
export const proxyNow = () => Date.now() + skew;

/** A moment in the proxy's zone, written as the proxy writes it but without the offset. */
export const inZone = (millis) => new Date(millis + offset).toISOString().slice(0, 19);

const isoDay = (day, by) => new Date(Date.parse(`${day}T00:00:00Z`) + by * DAY).toISOString().slice(0, 10);

/** `16:40:12`; `midnight`, `tomorrow 09:00`, `24 Nov 09:00` for other days. */
export function clockOf(time) {
  const [day, clock] = time.split('T');
  if (day === today) return clock.slice(0, 8);
  const short = clock.slice(0, 5);
  if (day === isoDay(today, 1) && short === '00:00') return 'midnight';
  if (day === isoDay(today, 1)) return `tomorrow ${short}`;
  if (day === isoDay(today, -1)) return `yesterday ${short}`;
  return `${dayOf(day)} ${short}`;
}

const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** `24 Nov` */
export const dayOf = (day) => `${Number(day.slice(8, 10))} ${months[day.slice(5, 7) - 1] ?? ''}`;

/** `412 ms`, `1.2 s`, `3 min 02 s`, `2 h 05 min`, `3 d 4 h` */
export function span(millis) {
  if (millis < 1000) return `${Math.round(millis)} ms`;
  if (millis < 9950) return `${(millis / 1000).toFixed(1).replace('.0', '')} s`;
  return whole(millis);
}

function whole(millis) {
  const seconds = Math.round(millis / 1000);
  const two = (value) => String(value).padStart(2, '0');
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${two(seconds % 60)} s`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ${two(Math.floor((seconds % 3600) / 60))} min`;
  return `${Math.floor(seconds / 86_400)} d ${Math.floor((seconds % 86_400) / 3600)} h`;
}

/** Makes `node` say something as long as `time` is to come. */
export function sayBefore(node, text, time) {
  const millis = time ? Date.parse(time) : NaN;
  const isAhead = millis > proxyNow();
  if (isAhead) passing.set(node, millis);
  else passing.delete(node);
  say(node, isAhead ? text(time) : '');
}

/** Makes `node` say how long it is until `time`, second by second; null ends that. */
export function countDown(node, time) {
  const millis = time ? Date.parse(time) : NaN;
  if (Number.isNaN(millis)) {
    counting.delete(node);
    say(node, '');
    return;
  }
  counting.set(node, millis);
  say(node, left(millis, proxyNow()));
}

const left = (millis, now) => (millis <= now ? 'due now' : `in ${whole(Math.ceil((millis - now) / 1000) * 1000)}`);

function tick() {
  const now = proxyNow();
  let due = today !== '' && inZone(now).slice(0, 10) > today;
  for (const [node, millis] of counting) {
    if (!node.isConnected) {
      counting.delete(node);
      continue;
    }
    say(node, left(millis, now));
    due ||= millis <= now;
  }
  for (const [node, millis] of passing) {
    if (node.isConnected && millis > now) continue;
    passing.delete(node);
    say(node, '');
  }
  onSecond(inZone(now), due);
}
