// Goal: one human is one human by each way in and for each act. A table, made from the lists in the code: every act of every kind of
// socket, by every way that leads there, for a human who is locked, for one who asked for it, and for a second one.
// What must not happen: an act of a locked human, a decision by whoever asked for it, an act or a way without a row.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { accessSteps } from '../../../src/doveadm/verbs/verbs.js';
import {
  type Act,
  checkActs,
  type Items,
  isFirst,
  isOwnRequest,
  noItems,
} from '../../kit/gate/human-acts.js';
import { openHumanWays, type Way, type Who, whos } from '../../kit/gate/human-ways.js';
import { skipped } from '../../kit/plain/skipped.js';

/**
 * What became of an act. `self`: refused to whoever asked; `nobody`: refused, because it is not known which human acts; `stranger`: no
 * right here; `done`: it went past all that asks who acts.
 */
type Outcome = 'locked' | 'self' | 'nobody' | 'stranger' | 'done';

/** By the way, the act and who acts, and by nothing else; an object: why there is no such cell. */
function expected(way: Way, act: string, who: Who): Outcome | { readonly none: string } {
  if (way.isNobodys !== undefined && who !== 'second') return { none: way.isNobodys };
  if (way.isStrange === true) return 'stranger';
  if (who === 'locked') return 'locked';
  if (way.isRoot === false && /^(?:un)?lock/.test(act)) return 'nobody';
  if (act === isOwnRequest) return 'self';
  if (way.isGroup === true && accessSteps.some((step) => act.endsWith(step))) return 'nobody';
  if (way.acts[act]?.decides !== true) return 'done';
  if (!way.proves) return 'nobody';
  return who === 'asked' && act !== isFirst ? 'self' : 'done';
}

const isEach = Number(process.env['DOVEGATE_ROUNDS'] ?? 1) > 2;

/**
 * Whether a cell is tried: all are with DOVEGATE_ROUNDS=3. What depends on the way is tried by each. An act that nobody but the locked is
 * refused is tried by two ways of its kind of socket, by others than the act before it: one place for all acts asks who is locked.
 */
function isTried(ways: readonly Way[], way: Way, act: string, who: Who): boolean {
  const right = expected(way, act, who);
  if (isEach || way.acts[act]?.decides === true || (right !== 'locked' && right !== 'done')) return true;
  const same = ways.filter((each) => each.kind === way.kind && expected(each, act, who) === right);
  const turn = Object.keys(way.acts).indexOf(act) + whos.indexOf(who);
  return [turn, turn + Math.ceil(same.length / 2)].some((at) => same[at % same.length] === way);
}

const sentences: readonly (readonly [Outcome, RegExp])[] = [
  ['locked', / is locked by /],
  ['stranger', /is not in admin\.page\.people/],
  ['self', /nobody (?:approves|reviews) a request of their own/],
  ['self', /asked to lift it, and the second is another person/],
  ['nobody', /(?:approves?|reviews?) nothing|not that of the same person|nobody knows which person/],
  ['nobody', /you are none of them|gives no approval|only root, at the admin socket/],
];

function outcomeOf(text: string, act: Act<unknown> | undefined): Outcome | undefined {
  if (act?.locked?.test(text) === true) return 'locked';
  if (act?.done.test(text) === true) return 'done';
  return sentences.find(([, sentence]) => sentence.test(text))?.[0];
}

function whyNot(): object {
  if (process.getuid?.() !== 0) return skipped('only root can be somebody else');
  const login = readFileSync('/proc/self/loginuid', 'utf8').trim();
  return login === String(2 ** 32 - 1) ? {} : skipped(`this process has the login ${login} already`);
}

test('every act of the code has a row', checkActs);

test('each act by each way: of who is locked, who asked, and the second one', whyNot(), async (t) => {
  const world = await openHumanWays(t);
  const { ways } = world;
  assert.deepEqual(world.missing, []);
  await world.refresh();
  const items = new Map<Way, Items>();
  for (const way of ways) items.set(way, await world.itemsOf(way));
  const red: string[] = [];
  const counts = { cells: 0, none: 0 };
  for (const who of whos) {
    await world.refresh();
    const askers = new Map<Way, Awaited<ReturnType<Way['open']>>>();
    // Four at a time: with all at once a handshake may be later than the page waits for.
    const others = ways.values();
    const signIns = async (): Promise<void> => {
      for (const way of others) askers.set(way, await way.open(who));
    };
    await Promise.all([signIns(), signIns(), signIns(), signIns()]);
    if (who === 'locked') await world.lockAll();
    const look = async (way: Way, act: string): Promise<void> => {
      if (!isTried(ways, way, act, who)) return;
      const right = expected(way, act, who);
      counts.cells += 1;
      if (typeof right === 'object') counts.none += 1;
      else {
        const text = (await askers.get(way)?.(act, items.get(way) ?? noItems)) ?? '';
        const became = outcomeOf(text, way.acts[act]);
        const cell = `${way.name} | ${act} | ${who}`;
        if (became !== right) red.push(`${cell}: ${right}, and it was ${became}: ${text.slice(0, 300)}`);
      }
    };
    // A thread that reads the journal is made for each that looks at once.
    const left = ways.values();
    const some = async (): Promise<void> => {
      for (const way of left)
        for (const act of Object.keys(way.acts)) if (act !== 'reload') await look(way, act);
    };
    await Promise.all([some(), some(), some()]);
    // What the page asks meanwhile would be stale.
    await Promise.all(ways.map(async (way) => 'reload' in way.acts && look(way, 'reload')));
  }
  t.diagnostic(`${counts.cells} cells, ${counts.none} do not apply`);
  assert.ok(counts.none <= counts.cells / 10);
  assert.equal(red.length, 0, `${red.length} cells are red:\n${red.join('\n')}`);
});
