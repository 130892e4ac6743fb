// The status of a daemon as text for people. It takes what status.json says and does not ask for it.
// The rule: a newer or older daemon may say more or less; what is not there is shown as nothing, and never fails.

import { formatColumns, plain } from './output/output.js';

type Values = Readonly<Record<string, unknown>>;

/** Several lines, without the last LF. */
export function formatStatus(status: unknown): string {
  const values = valuesOf(status);
  const journal = valuesOf(values['journal']);
  const isServing = !isClosed(status);
  const head = [
    ['dovegate', `${text(values['version'])}, ${text(values['state'])} since ${text(values['started'])}`],
    ...(isServing
      ? [['configuration', `${text(values['config']).slice(0, 16)}${reloadOf(valuesOf(values['reload']))}`]]
      : []),
    ['ready', values['ready'] === true ? 'yes' : `no: ${reasonsOf(values['reasons'])}`],
    ...(isServing ? [['journal', `${text(journal['state'])}, space ${text(journal['space'])}`]] : []),
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

/** Whether the daemon serves nobody, since its configuration had problems at the start. */
export function isClosed(status: unknown): boolean {
  return valuesOf(status)['state'] === 'closed';
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
