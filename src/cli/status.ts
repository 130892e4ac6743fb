// `dovegate status`: what the running daemon does, as a table.

import { systemClock } from '../adapters/host/clock.js';
import { holdProcess } from '../adapters/host/process.js';
import { exitCodes } from '../ports/machine.js';
import { type AskDaemon, exitCodeOf, findDaemon, type WhichDaemon } from './operate.js';
import { CommandFault, formatColumns, plain } from './output/output.js';
import { openScreen, type Screen } from './output/screen.js';

export interface StatusOptions extends WhichDaemon {
  readonly json: boolean;
  /** Shows it again and again, until it is interrupted or nobody answers. */
  readonly watch: boolean;
}

const watchMs = 2_000;
/** Clears the terminal. */
const clear = '\u001b[H\u001b[2J';

/** Exit code 0, also when nobody reads any more; 1: it cannot be printed; 69: no daemon; 77: not permitted; 78: configuration. */
export async function status(options: StatusOptions): Promise<number> {
  const daemon = findDaemon(options);
  const screen = openScreen();
  if (!options.watch) return show(daemon, options, screen, '');
  const release = holdProcess();
  try {
    for (;;) {
      const code = await show(daemon, options, screen, screen.columns === undefined ? '' : clear);
      if (code !== exitCodes.ok || screen.isGone) return code;
      await new Promise<void>((resolve) => {
        systemClock.setTimer(watchMs, resolve);
      });
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
  const answer = await daemon('GET', '/status.json');
  if (answer.status !== 200) throw new CommandFault(exitCodeOf(answer.status), answer.body.trimEnd());
  const told: unknown = JSON.parse(answer.body);
  await screen.print(before + (json ? answer.body.trimEnd() : formatStatus(told)));
  await screen.flush();
  return isClosed(told) ? exitCodes.configuration : exitCodes.ok;
}

type Values = Readonly<Record<string, unknown>>;

/** Several lines, without the last LF. */
export function formatStatus(told: unknown): string {
  const values = valuesOf(told);
  const journal = valuesOf(values['journal']);
  const isServing = !isClosed(told);
  const head = [
    ['dovegate', `${text(values['version'])}, ${text(values['state'])} since ${text(values['started'])}`],
    ...(isServing
      ? [['configuration', `${text(values['config']).slice(0, 16)}${reloadOf(valuesOf(values['reload']))}`]]
      : []),
    ['ready', values['ready'] === true ? 'yes' : `no: ${reasonsOf(values['reasons'])}`],
    ...(isServing
      ? [
          ['journal', `${text(journal['state'])}, space ${text(journal['space'])}${unsyncedOf(journal)}`],
          ...memoryOf(journal),
        ]
      : []),
  ];
  return [
    formatColumns(head),
    ...problemsOf(values['problems']),
    ...table('LISTENER SESSIONS ADDRESS', listOf(values['listeners']), (each) => [
      text(each['listener']),
      `${text(each['sessions'])}/${text(each['sessions_max'])}`,
      text(each['address']),
    ]),
    ...table('BACKEND STATE UPSTREAMS WAITING ADDRESS', listOf(values['backends']), (each) => [
      text(each['backend']),
      stateOf(each),
      `${number(each['leased'])} in use, ${number(each['idle'])} idle of ${text(each['connections'])}`,
      text(each['waiters']),
      text(each['address']),
    ]),
    ...table('KEY POLICY EXPIRES LAST-USED REFUSED', listOf(values['keys']), (each) => [
      `${text(each['key'])}@${text(each['listener'])}`,
      text(each['policy']),
      text(each['expires']).slice(0, 10) || 'never',
      text(each['last_used']) || '-',
      text(each['failures']),
    ]),
    ...table('ID PRINCIPAL USER COMMAND BACKEND SECONDS', listOf(values['exchanges']), (each) => [
      text(each['id']),
      text(each['principal']),
      text(each['user']) || '-',
      text(each['command']) || '-',
      text(each['backend']) || '-',
      (number(each['duration_ms']) / 1000).toFixed(1),
    ]),
  ].join('\n');
}

/** Whether the daemon refuses all clients because its configuration had problems at the start. */
export function isClosed(told: unknown): boolean {
  return valuesOf(told)['state'] === 'closed';
}

function problemsOf(problems: unknown): string[] {
  if (!Array.isArray(problems)) return [];
  return ['', ...problems.flatMap((each) => String(each).split('\n').map(plain))];
}

function stateOf(backend: Values): string {
  const drained = backend['drained'];
  if (Array.isArray(drained) && drained.length > 0) return `drained (${drained.map(text).join('; ')})`;
  return backend['up'] === true ? 'up' : `down (${text(backend['text'])})`;
}

function reloadOf(reload: Values): string {
  if (reload['time'] === undefined) return '';
  const restart = reload['restart_needed'];
  const waiting =
    Array.isArray(restart) && restart.length > 0 ? `; after a restart: ${restart.map(text).join(' ')}` : '';
  return `, ${reload['success'] === true ? 'reloaded' : 'RELOAD FAILED'} ${text(reload['time'])}${waiting}`;
}

/** A disk in order takes milliseconds. */
function unsyncedOf(journal: Values): string {
  const ms = number(journal['unsynced_ms']);
  return ms < 1000 ? '' : `, oldest record not on disk for ${(ms / 1000).toFixed(1)} s`;
}

/** Where records survive a crash of the daemon before they are on disk. */
function memoryOf(journal: Values): readonly string[][] {
  const fault = text(journal['memory_fault']);
  const shown =
    fault === '' ? text(journal['memory']) : `none, so every command waits for the disk: ${fault}`;
  return shown === '' ? [] : [['memory', shown]];
}

function reasonsOf(reasons: unknown): string {
  return listOf(reasons)
    .map((each) => text(each['text']))
    .join('; ');
}

function table(
  head: string,
  rows: readonly Values[],
  cellsOf: (row: Values) => readonly string[],
): readonly string[] {
  return rows.length === 0 ? [] : ['', formatColumns([head.split(' '), ...rows.map(cellsOf)])];
}

function valuesOf(value: unknown): Values {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {};
}

function listOf(value: unknown): readonly Values[] {
  return Array.isArray(value) ? value.map(valuesOf) : [];
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function text(value: unknown): string {
  if (typeof value === 'string') return plain(value);
  return typeof value === 'number' ? String(value) : '';
}
