// `dovegate status`: the state of the running daemon, as a table.

import { pause } from '../../host/concurrency/waiting.js';
import { systemClock } from '../../host/machine/clock.js';
import { holdProcess } from '../../host/machine/process.js';
import { CommandFault, formatColumns, plain } from '../../host/output/output.js';
import { openScreen, type Screen } from '../../host/output/screen.js';
import { type Column, createTable } from '../../host/output/table.js';
import { exitCodes } from '../../host/ports/machine.js';
import { asList, asNumber, asObject } from '../../host/values/values.js';
import { formatJsonLines } from '../../host/words/text.js';
import { durationWords, plural } from '../../host/words/words.js';
import { reviewWords } from '../access/ending-words.js';
import { listOf, textOf, type Values, valuesOf } from '../health/daemon-look.js';
import { loadedWords } from '../now/operator.js';
import { slowMsMin } from '../now/running.js';
import { type AskDaemon, exitCodeOf, findDaemon, type WhichDaemon } from './operate.js';

export interface StatusOptions extends WhichDaemon {
  readonly json: boolean;
  /** Repeats the output until it is interrupted or the daemon stops answering. */
  readonly watch: boolean;
}

const watchMs = 2_000;
const clear = '\u001b[H\u001b[2J';

/** Exit code 0, also if the reader has gone; 1: it cannot be printed; 69: no daemon; 77: not permitted; 78: configuration. */
export async function status(options: StatusOptions): Promise<number> {
  const daemon = await findDaemon(options);
  const screen = openScreen();
  if (!options.watch) return show(daemon, options, screen, '');
  const release = holdProcess();
  try {
    for (;;) {
      const code = await show(daemon, options, screen, screen.columns === undefined ? '' : clear);
      if (code !== exitCodes.ok || screen.isGone) return code;
      await pause(systemClock, watchMs);
    }
  } finally {
    release();
  }
}

async function show(
  daemon: AskDaemon,
  { json }: StatusOptions,
  screen: Screen,
  before: string,
): Promise<number> {
  const answer = await daemon('GET', '/status.json').catch((fault: unknown) => {
    if (!(fault instanceof CommandFault) || fault.exitCode !== exitCodes.unavailable) throw fault;
    throw new CommandFault(
      fault.exitCode,
      `${fault.message}; if it is stopped: systemctl start dovegate; if it refuses clients, systemctl status dovegate says why`,
      fault,
    );
  });
  if (answer.status !== 200) throw new CommandFault(exitCodeOf(answer.status), answer.body.trimEnd());
  const told: unknown = JSON.parse(answer.body);
  await screen.print(before + (json ? formatJsonLines(told) : formatStatus(told, screen)));
  await screen.flush();
  return exitCodes.ok;
}

/** Several lines, without the last LF. */
export function formatStatus(told: unknown, screen: Pick<Screen, 'columns' | 'paint'>): string {
  const values = valuesOf(told);
  const journal = valuesOf(values['journal']);
  const isReady = values['ready'] === true;
  const head = [
    ['dovegate', `${text(values['version'])}, ${stateWords(values, screen)} ${text(values['started'])}`],
    [
      'configuration',
      `${text(values['config']).slice(0, 16)}${loadedOf(valuesOf(values['loaded']))}${reloadOf(valuesOf(values['reload']), screen)}`,
    ],
    [
      'ready',
      isReady
        ? screen.paint('good', 'yes')
        : screen.paint(
            'bad',
            `no: ${listOf(values['reasons'])
              .map((each) => text(each['text']))
              .join('; ')}`,
          ),
    ],
    ...missingOf(values['not_shown'], screen),
    ...observersOf(values['observing']),
    ...candidatesOf(values['candidates']),
    ['journal', journalOf(journal, screen)],
    ...memoryOf(journal, screen),
    ...accessOf(values['access'], screen),
    ...personsOf(values['access'], screen),
  ];
  const hidden: string[] = [];
  const table = <Of extends Values>(
    columns: readonly Column<Of>[],
    rows: readonly Of[],
  ): readonly string[] => {
    const made = createTable(columns, screen);
    const lines = [...rows.flatMap(made.add), ...made.finish()];
    hidden.push(...made.hidden().map((name) => `${columns[0]?.name ?? ''} ${name}`));
    return lines.length === 0 ? [] : ['', ...lines];
  };
  const lines = [
    ...foundOf(values['problems'], screen),
    formatColumns(head),
    ...table(listenerColumns, listOf(values['listeners'])),
    ...table(backendColumns, listOf(values['backends'])),
    ...table(keyColumns, listOf(values['keys'])),
    ...table(noticeColumns, listOf(valuesOf(values['ship'])['notices'])),
    ...table(lockColumns, listOf(values['locks'])),
    ...table(accessColumns, listOf(valuesOf(values['access'])['list'])),
    ...table(exchangeColumns, listOf(values['exchanges'])),
  ];
  if (hidden.length > 0)
    lines.push('', `no room for ${hidden.join(', ')}: make the terminal wider, or use --json`);
  return lines.join('\n');
}

/** Users of `persons` whose uid is unknown or not certain. */
function personsOf(told: unknown, screen: Pick<Screen, 'paint'>): string[][] {
  const { unknown_users: unknown, moved_users: moved } = valuesOf(told);
  const names = texts(unknown);
  const lines = [
    ...(names.length === 0
      ? []
      : [`no request is approved: the uid of ${names.join(', ')} (persons) was never known`]),
    ...listOf(moved).map(
      ({ user, uids }) =>
        `${text(user)} has had the uids ${texts(uids).join(', ')}: all count until dovegate confirm ${text(user)}`,
    ),
  ];
  return lines.map((line) => ['persons', screen.paint('doubtful', line)]);
}

function accessOf(told: unknown, screen: Pick<Screen, 'paint'>): string[][] {
  const access = valuesOf(told);
  const listed = listOf(access['list']).length;
  const [requests = 0, grants = 0, unreviewed = 0] = ['requests', 'grants', 'unreviewed'].map((key) =>
    number(access[key]),
  );
  if (requests + grants + unreviewed === 0) return [];
  const review =
    unreviewed === 0 ? [] : [screen.paint('doubtful', `${unreviewed} without approval to be reviewed`)];
  return [
    [
      'access',
      [
        plural(requests, 'request waits', 'requests wait'),
        `${plural(grants, 'grant')} live`,
        ...review,
        ...(requests + grants > listed && listed > 0 ? [`the first ${listed} are listed`] : []),
      ].join(', '),
    ],
  ];
}

const named =
  (key: string, none = '') =>
  (row: Values): string =>
    text(row[key]) || none;

/** The colors repeat what a word or a number says. */
const listenerColumns: readonly Column<Values>[] = [
  { name: 'LISTENER', text: named('name') },
  {
    name: 'SESSIONS',
    text: (row) => `${text(row['sessions'])}/${text(row['sessions_max'])}`,
    paint: (row) => (number(row['sessions']) >= 0.9 * number(row['sessions_max']) ? 'doubtful' : undefined),
  },
  { name: 'ADDRESS', text: named('address'), cellsMin: 12, goes: 1 },
];

const backendColumns: readonly Column<Values>[] = [
  { name: 'BACKEND', text: named('name') },
  {
    name: 'STATE',
    text: stateOf,
    cellsMin: 8,
    paint: (row) => (isDrained(row) ? 'doubtful' : row['up'] === true ? 'good' : 'bad'),
  },
  {
    name: 'UPSTREAMS',
    text: (row) =>
      `${number(row['leased'])} in use, ${number(row['idle'])} idle of ${text(row['connections'])}`,
    goes: 1,
  },
  {
    name: 'WAITING',
    text: named('waiters'),
    paint: (row) => (number(row['waiters']) > 0 ? 'doubtful' : undefined),
  },
  { name: 'ADDRESS', text: named('address'), cellsMin: 12, goes: 2 },
];

const keyColumns: readonly Column<Values>[] = [
  { name: 'KEY', text: (row) => `${text(row['name'])}@${text(row['listener'])}` },
  { name: 'POLICY', text: named('policy'), goes: 1 },
  {
    name: 'EXPIRES',
    text: (row) => `${text(row['expires']).slice(0, 10) || 'never'}${isOver(row) ? ' EXPIRED' : ''}`,
    paint: (row) => (isOver(row) ? 'bad' : undefined),
  },
  { name: 'LAST-USED', text: named('last_used', 'not since the start'), goes: 2 },
  { name: 'REFUSED', text: named('failures') },
];

const isOver = ({ left_ms: leftMs }: Values): boolean => (asNumber(leftMs) ?? 1) <= 0;

function lockedUntil({ until, hold, asked, asked_until: askedUntil }: Values): string {
  const [end, askEnd] = [until, askedUntil].map((time) => text(time).slice(0, 16).replace('T', ' '));
  if (hold !== true) return end ?? '';
  const asker = text(asked);
  return `${end || 'two lift it'} (hold${asker && `; ${asker} asked to lift it, until ${askEnd}`})`;
}

const lockColumns: readonly Column<Values>[] = [
  { name: 'LOCKED', text: named('target'), cellsMin: 10 },
  { name: 'BY', text: named('by') },
  { name: 'UNTIL', text: lockedUntil },
  { name: 'LOCK', text: named('id'), goes: 2 },
  { name: 'REASON', text: named('reason'), cellsMin: 10, goes: 1 },
];

const accessColumns: readonly Column<Values>[] = [
  { name: 'ACCESS', text: named('id') },
  { name: 'STATE', text: accessStateOf, cellsMin: 10 },
  { name: 'REQUESTER', text: named('to'), cellsMin: 10 },
  { name: 'USERS', text: (row) => texts(row['users']).join(' '), cellsMin: 10, goes: 2 },
  { name: 'UNTIL', text: (row) => text(row['until']).slice(0, 16).replace('T', ' '), goes: 3 },
  {
    name: 'COMMAND',
    text: (row) => texts(row['rule']).join(', ') || text(row['command']),
    cellsMin: 10,
    goes: 1,
  },
];

/** `waits, 1 of 2 approvals`, `granted, used 1 of 3`. */
function accessStateOf(row: Values): string {
  const { state, used, uses, approvals, approved_by: by } = row;
  if (state === 'requested')
    return `waits, ${asList(by)?.length ?? 0} of ${plural(number(approvals), 'approval')}`;
  const count = uses === undefined ? `used ${number(used)}x` : `used ${number(used)} of ${number(uses)}`;
  // Of ended grants, only those without a review are shown.
  return state === 'granted' ? `granted, ${count}` : `over, ${reviewWords()}`;
}

const noticeColumns: readonly Column<Values>[] = [
  { name: 'NOTICES', text: named('name') },
  {
    name: 'STATE',
    text: (row) => (row['fault'] === undefined ? text(row['state']) : faultOf(valuesOf(row['fault']))),
    paint: (row) => (row['fault'] !== undefined ? 'bad' : row['state'] === 'up' ? 'good' : undefined),
  },
  { name: 'DELIVERED', text: named('delivered') },
  { name: 'FAILED', text: named('failed'), goes: 2 },
  {
    name: 'DROPPED',
    text: named('dropped'),
    paint: (row) => (number(row['dropped']) > 0 ? 'doubtful' : undefined),
    goes: 1,
  },
];

function faultOf({ code, status: shown, for_ms: forMs }: Values): string {
  const seconds = Math.round(number(forMs) / 1000);
  return `failed for ${seconds} s (${[text(code), text(shown)].filter((each) => each !== '').join(' ')})`;
}

const exchangeColumns: readonly Column<Values>[] = [
  { name: 'ID', text: named('id') },
  { name: 'REQUESTER', text: named('principal'), cellsMin: 10, goes: 1 },
  { name: 'USER', text: named('user', '-'), cellsMin: 10, goes: 2 },
  { name: 'COMMAND', text: named('command', '-'), cellsMin: 10 },
  { name: 'BACKEND', text: named('backend', '-'), goes: 3 },
  {
    name: 'WAITS',
    text: (row) =>
      row['waiting'] === true
        ? 'for the backend'
        : row['overdue'] === true
          ? 'overdue'
          : number(row['client_ms']) >= slowMsMin
            ? 'for its client'
            : '-',
    paint: (row) =>
      row['overdue'] === true || number(row['client_ms']) >= slowMsMin ? 'doubtful' : undefined,
    goes: 4,
  },
  { name: 'SECONDS', text: (row) => (number(row['duration_ms']) / 1000).toFixed(1) },
];

/** The state, up to the time of the start. Without a reachable backend the daemon is "not serving". */
function stateWords({ state, reasons }: Values, { paint }: Pick<Screen, 'paint'>): string {
  const isReachable = listOf(reasons).every(({ code }) => code !== 'backends-down');
  return `${isReachable ? text(state) : paint('bad', 'not serving')}, started`;
}

/** The problems, those that degrade first, each with what to try or who acknowledged it. */
function foundOf(problems: unknown, { paint }: Pick<Screen, 'paint'>): string[] {
  const found = listOf(problems).flatMap(({ text: what, try: hint, degrading, acknowledged }) => {
    if (what === undefined) return [];
    const { by, until } = valuesOf(acknowledged);
    if (by !== undefined) return [text(what), `  acknowledged by ${text(by)} until ${text(until)}`];
    return [
      paint(degrading === true ? 'bad' : 'doubtful', text(what)),
      ...(hint === undefined ? [] : [`  try: ${text(hint)}`]),
    ];
  });
  return found.length === 0 ? [] : [...found, ''];
}

function isDrained({ health }: Values): boolean {
  return health === 'drained';
}

function stateOf(backend: Values): string {
  // The problem at the top says by whom and why.
  if (isDrained(backend)) return 'drained';
  // Only the code, which fits into the column: the problem at the top has the sentence.
  if (backend['up'] !== true)
    return `down (${text(valuesOf(backend['fault'])['code']) || text(backend['health'])})`;
  const { newer } = backend;
  return newer === undefined ? 'up' : `up, newer than dovegate knows (newer: ${text(newer)})`;
}

function loadedOf(loaded: Values): string {
  if (loaded['since'] === undefined) return '';
  const before = asObject(loaded['before']);
  const words = loadedWords({ ...loadIn(loaded), ...(before && { before: loadIn(before) }) });
  return `, ${words.replaceAll(/[{}]/g, '')}`;
}

function loadIn({ since, by, files }: Values) {
  return {
    since: text(since),
    ...(by !== undefined && { by: text(by) }),
    ...(files !== undefined && { files: texts(files) }),
  };
}

function reloadOf(reload: Values, { paint }: Pick<Screen, 'paint'>): string {
  const restart = texts(reload['restart']);
  const waiting = restart.length > 0 ? `; after a restart: ${restart.join(' ')}` : '';
  if (reload['success'] !== false) return waiting;
  const failed = reload['last_read'] === undefined ? 'RELOAD FAILED' : 'SERVES THE LAST CONFIGURATION SINCE';
  return `, ${paint('bad', failed)} ${text(reload['at'])}${waiting}`;
}

function journalOf(journal: Values, { paint }: Pick<Screen, 'paint'>): string {
  const { state, space } = journal;
  const unsynced = unsyncedOf(journal);
  const { seq } = valuesOf(journal['missing']);
  const missing = seq === undefined ? '' : `, records up to ${text(seq)} are missing`;
  const free = asNumber(journal['free_bytes']);
  const isReserve = state === 'writable' && space === 'reserve';
  const inReserve = `writable only in its reserve${free === undefined ? '' : ` (${Math.floor(free / 1024 ** 2)} MiB free)`}`;
  return [
    isReserve ? paint('bad', inReserve) : paint(state === 'writable' ? 'good' : 'bad', text(state)),
    isReserve ? '' : `, space ${space === 'reserve' ? paint('bad', text(space)) : text(space)}`,
    unsynced === '' ? '' : paint('doubtful', unsynced),
    missing === '' ? '' : paint('bad', missing),
  ].join('');
}

/** A working disk takes milliseconds. */
function unsyncedOf(journal: Values): string {
  const ms = number(journal['unsynced_ms']);
  return ms < 1000 ? '' : `, oldest record not on disk for ${durationWords(ms)}`;
}

/** Where records survive a crash of the daemon before they are on disk. */
function memoryOf(journal: Values, { paint }: Pick<Screen, 'paint'>): readonly string[][] {
  const fault = text(journal['memory_fault']);
  const shown =
    fault === ''
      ? text(journal['memory'])
      : paint('doubtful', `none, so every command waits for the disk: ${fault}`);
  return shown === '' ? [] : [['memory', shown]];
}

/** Parts that the daemon could not make; their absence below says nothing. */
function missingOf(missing: unknown, { paint }: Pick<Screen, 'paint'>): readonly string[][] {
  const names = texts(missing);
  if (names.length === 0) return [];
  return [['not shown', paint('doubtful', `${names.join(', ')}: the log of dovegate says why; report it`)]];
}

/** Policies that only observe: a reader must not take them for a protection. */
function observersOf(observing: unknown): readonly string[][] {
  const names = texts(observing);
  if (names.length === 0) return [];
  const which = `${names.length === 1 ? 'policy' : 'policies'} ${names.join(', ')}`;
  return [['observes', `${which}: nothing is denied that only touches mailboxes of users named one by one`]];
}

function candidatesOf(candidates: unknown): readonly string[][] {
  return listOf(candidates).map((each) => {
    const differing = number(each['differing']);
    const told =
      differing === 0
        ? 'no command would have ended differently since the start'
        : `${plural(differing, 'command')} would have ended differently since the start: audit search --shadow any`;
    return ['candidate', `of policy ${text(each['policy'])}, ${text(each['place'])}: ${told}`];
  });
}

function texts(value: unknown): readonly string[] {
  return (asList(value) ?? []).map(text).filter((each) => each !== '');
}

function number(value: unknown): number {
  return asNumber(value) ?? 0;
}

function text(value: unknown): string {
  return plain(textOf(value));
}
