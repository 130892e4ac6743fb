// Goal: what an outage or a drain has cost is whole over restarts, and where a part of it is not known, it says so; reloads and kills are
// there, with who did them. incidents.txt has the rows of each story, and behind `narrow` what a limited view has instead.
import { test } from 'node:test';
import { foldIncidents, isTurn, type Turn } from '../../../src/evidence/story/incidents.js';
import { notUpBefore } from '../../../src/journal/records/turns.js';
import { narrowIncident } from '../../../src/page/now-answers.js';
import { type Asked, compareAnswers } from '../../kit/plain/approved.js';

type Given = Readonly<Record<string, unknown>>;
const mail1 = { event: 'backend', backend: 'mail1' } as const;
const down = { ...mail1, action: 'down', error: 'no-such-code' };
const drain = { event: 'operator', action: 'drain', backend: 'mail1', by: 'anna', outcome: 'ok' };
const enable = { ...drain, action: 'enable' };
const stop = { event: 'stop' };
const start = { event: 'start', last_seq: 7 };
const paid = (action: string, count: number, requesters: number) => ({ ...mail1, action, count, requesters });
const freed = (count: number, requesters: number) => ({ ...paid('enable', count, requesters), ...enable });
const by = (...requesters: readonly string[]) => ({
  args: ['address=127.0.0.1', ...requesters.map((each) => `requester=${each}`)],
});
const upBy = { ...paid('up', 1_215, 3), ...by('anna@desk 1200', 'a b@desk 15') };
const costBy = { ...paid('cost', 8, 2), ...by('bob@desk 7', 'anna@desk 1') };
const stuck = { ...mail1, action: 'stuck', error: 'dial-timeout', duration_ms: 12_000 };
const sofar = { ...paid('stop', 40, 3), error: 'backend-drained' };
const drainCost = { ...paid('cost', 16, 2), error: 'backend-drained' };
const noFile = { ...start, reason: 'dovegate.yaml:3:1: no backend "x"' };
const reload = { event: 'operator', action: 'reload', by: 'SIGHUP' };
const text = 'the configuration is not replaced: dovegate.yaml:3:1: no backend "x"';
const killed = { id: 'E1', to: 'bob@support', command: 'expunge', duration_ms: 20_100 };
const kill = { ...reload, action: 'kill', by: 'anna', ...killed };
const args = ['/etc/dovegate/dovegate.yaml: of uid 0'];

const at = (seconds: number): string => `2026-11-28T10:00:${String(seconds).padStart(2, '0')}.000Z`;
const left = (...backends: readonly string[]) =>
  backends.map((backend, index) => ({ id: `E${index}`, backend }));
const stuckFirst: Turn = { record: { time: at(30), ...stuck } };
const crash: Turn = { record: { time: at(39), ...start }, before: at(38), left: left('mail1') };
const again = { time: at(46), ...down, text: 'no greeting', reason: notUpBefore };
const upAgain: Turn = { record: { time: at(50), ...paid('up', 72, 6) } };

/** Records are a second apart. */
const stories: Readonly<Record<string, readonly (Given | Turn)[]>> = {
  'a reload and a start that opened something: in words for whom may see all mail users': [
    { record: { time: at(0), event: 'reload', args }, widens: ['desk no longer excepts: ceo@a.org'] },
    { ...reload, outcome: 'ok' },
    { record: { time: at(2), event: 'reload', args }, widens: [] },
    { ...reload, outcome: 'ok' },
    { record: { time: at(4), ...stop } },
    { record: { time: at(5), ...start, args }, widens: ['desk may now: expunge'] },
  ],
  'a backend is down': [down],
  'an outage is over by itself': [down, paid('up', 12, 2)],
  'over by a restart': [down, paid('stop', 1, 1), stop, start],
  'over by a crash': [down, start],
  'over by a restart, and down again since: a head carries both': [
    { ...down, carried: true, at: at(1), until: at(2) },
    { ...paid('stop', 1, 1), carried: true, until: at(2) },
    { ...down, carried: true, at: at(4) },
  ],
  'what it has cost by now': [down, paid('cost', 4, 1), paid('cost', 8, 2)],
  'what it has cost at the end is what counts': [down, paid('cost', 8, 2), paid('up', 12, 2)],
  'what it had cost at a crash': [down, paid('cost', 8, 2), start],
  'its cost by requester, and not to whom names are not shown': [down, upBy],
  'its cost by requester, over a restart': [down, costBy, start, { ...down, reason: notUpBefore }, upBy],
  'the cost of a drain by requester': [drain, { ...freed(9, 1), ...by('bob@desk 9') }],
  'a backend is stuck': [stuck],
  'stuck, and at last down, is one incident since its commands hang': [
    { record: { time: at(12), ...stuck } },
    { record: { time: at(20), ...down } },
    { record: { time: at(40), ...paid('up', 3, 1) } },
  ],
  'it was stuck': [stuck, paid('up', 0, 0)],
  'stuck at a crash: what had not ended there': [
    { record: { time: at(12), ...stuck } },
    { record: { time: at(12), ...start }, left: left('mail1', 'mail2', 'mail1') },
  ],
  'stuck at a crash: what had failed by then': [
    { record: { time: at(12), ...stuck } },
    { record: { time: at(12), ...paid('cost', 2, 1), error: 'dial-timeout' } },
    { record: { time: at(12), ...start }, left: left('mail1', 'mail2', 'mail1') },
  ],
  'a restart found it again at its first attempt: one outage': [stuckFirst, crash, { record: again }],
  'that outage is over': [stuckFirst, crash, { record: again }, upAgain],
  'a restart found another one': [stuckFirst, crash, { record: { ...again, reason: undefined } }, upAgain],
  'the run between is not known': [
    stuckFirst,
    crash,
    { record: { time: at(45), ...start }, before: at(44) },
    { record: again },
  ],
  'a drain': [drain],
  'a drain is over': [drain, freed(0, 0)],
  'a drain over a restart': [drain, sofar, stop, start],
  'a drain over a restart is over': [drain, sofar, stop, start, freed(2, 1)],
  'a drain over a crash is over': [drain, start, freed(1, 1)],
  'a drain over a crash is over, with what was counted before': [drain, drainCost, start, freed(1, 1)],
  'what an outage has cost is none of a drain': [drain, down, paid('stop', 9, 9), stop, start],
  'a start that did not take its file, after a stop': [stop, noFile],
  'a start that did not take its file, after a crash': [noFile],
  'a reload': [reload, { event: 'reload', args }, { ...reload, outcome: 'ok' }],
  'a reload, and no file had changed': [{ event: 'reload' }, { ...reload, outcome: 'ok' }],
  'a reload that was refused': [{ ...reload, by: 'root', outcome: 'failed', text }],
  'a kill': [kill, { ...kill, outcome: 'ok' }],
  // What was not done, or may not have been.
  none: [{ ...kill, outcome: 'failed' }, ...[undefined, 'failed'].map((outcome) => ({ ...drain, outcome }))],
  'a restart with another file': [{ ...start, args }],
  'after a crash: from when on nothing was counted, and what was lost': [
    { record: { time: at(0), ...down } },
    { record: { time: at(7), ...paid('cost', 68, 2) } },
    { record: { time: at(9), ...start }, before: at(8), left: [] },
  ],
  'what goes on comes first, and then what began last': [
    down,
    { ...down, backend: 'mail2' },
    paid('up', 3, 1),
    { ...drain, backend: 'mail3' },
    down,
    paid('up', 3, 1),
  ],
};

const isTurnGiven = (each: Given | Turn): each is Turn => 'record' in each;
const sorted = (row: object): string =>
  JSON.stringify(
    Object.fromEntries(Object.entries(row).toSorted(([one], [other]) => (one < other ? -1 : 1))),
  );

function tale(story: readonly (Given | Turn)[]): string {
  const turns = story.map(
    (each, seconds): Turn => (isTurnGiven(each) ? each : { record: { time: at(seconds), ...each } }),
  );
  const rows = foldIncidents(turns.filter(({ record }) => isTurn(record))).flatMap((row) => {
    const [own, narrow] = [sorted(row), sorted(narrowIncident(row))];
    return own === narrow ? [own] : [own, `  narrow ${narrow}`];
  });
  return rows.join('\n');
}

void test('incidents', () => {
  const asked = Object.entries(stories).map(([what, story]): Asked => [what, () => tale(story)]);
  compareAnswers('test/evidence/story/incidents.txt', asked);
});
