// Checks a running daemon over its admin socket: it serves this very configuration, is ready, and has file descriptors left.

import { descriptorsMax } from '../../host/machine/process.js';
import { asList, asNumber, asObject, asText, isCount, isText } from '../../host/values/values.js';
import { agoWords } from '../../host/words/words.js';
import { isDistanceMs } from '../../journal/records/record.js';
import { forkedTodo } from '../../rules/config/fault.js';
import type { Settings } from '../../rules/config/settings.js';
import { expirySentence, warnMs } from '../../rules/setup/certificates.js';
import { noticeCodes } from '../telemetry/codes.js';
import { bad, type Look, ok, warning } from './look.js';

export type Values = Readonly<Record<string, unknown>>;

export type Told =
  | { readonly status: Values; readonly metrics: string }
  /** `isDenied`: the user of this process may not ask it. */
  | { readonly why: string; readonly isDenied?: true };

export interface DaemonCommands {
  readonly start: string;
  /** The command that shows why its service fails at each start; undefined: that is not known. */
  readonly log?: string | undefined;
  readonly reload: string;
  /** The command that restarts it; undefined: that depends on how it was started. */
  readonly restart?: string | undefined;
  /** The command that makes the folder of its sockets again, and then the sockets; undefined: as `restart`. */
  readonly remake?: string | undefined;
  readonly status: string;
  readonly check: string;
}

export type Expected = Pick<Settings, 'listeners' | 'backends'> & {
  readonly admin?: object;
  readonly audit: Pick<Settings['audit'], 'ship'>;
  /** Undefined: the file has errors, so no daemon serves it as it is. */
  readonly hash: string | undefined;
  /** The journal is not writable: another start would fail like the last one. */
  readonly isJournalShut?: boolean;
  readonly unit?: string | undefined;
  /** Its unit is active: another start does nothing. */
  readonly isRunning?: boolean;
  readonly refuses?: string | undefined;
  readonly isFolderGone?: boolean;
};

export function lookAtDaemon(told: Told, settings: Expected, commands: DaemonCommands): readonly Look[] {
  if (settings.admin === undefined)
    return [
      warning(
        'daemon',
        'the configuration has no admin socket, so it cannot be asked',
        'add admin: { unix: PATH }',
        commands.check,
      ),
    ];
  if ('why' in told) {
    if (told.isDenied === true) return [warning('daemon', told.why)];
    return [lookAtStart(told.why, settings, commands)];
  }
  const { status } = told;
  const version = `dovegate ${textOf(status['version'])}`;
  const looks: Look[] = [];
  if (valuesOf(status['reload'])['success'] === false)
    looks.push(
      bad(
        'daemon',
        `${version} could not take the file, and serves what it had before`,
        'status names the cause',
        commands.status,
      ),
    );
  else if (settings.hash !== undefined && status['config'] !== settings.hash)
    looks.push(
      warning(
        'daemon',
        `${version} serves another configuration than this file`,
        'reload it',
        commands.reload,
      ),
    );
  const reasons = listOf(status['reasons']).map((each) => textOf(each['text']));
  const restart = asList(valuesOf(status['reload'])['restart']) ?? [];
  if (restart.length > 0) {
    const text = `${restart.map(textOf).join(', ')}: changed in the file, and read only at a start`;
    looks.push(
      settings.isJournalShut === true
        ? warning(
            'daemon restart',
            text,
            'restart it only after the journal is repaired as below: it would not start',
          )
        : warning('daemon restart', text, 'restart it when that suits', commands.restart),
    );
  }
  if (status['ready'] !== true)
    looks.push(bad('daemon', `${version} is not ready: ${reasons.join('; ')}`, 'see below', commands.status));
  const before = settings.hash === undefined ? ', with the configuration that it read before' : '';
  if (looks.every(({ name }) => name !== 'daemon'))
    looks.unshift(
      ok('daemon', `${version}, ${textOf(status['state'])}, started ${textOf(status['started'])}${before}`),
    );
  return [
    ...looks,
    ...receiversIn(status),
    ...shipIn(status),
    ...pageIn(status),
    ...endingIn(told.metrics, settings),
    lookAtDescriptors(told.metrics, settings),
  ];
}

/** For a daemon that does not answer. A start is no advice while the file has errors or the journal is not writable: it would fail. */
function lookAtStart(
  why: string,
  { hash, isJournalShut, unit = 'its unit', isRunning, refuses, isFolderGone }: Expected,
  { start, log, restart, remake, check }: DaemonCommands,
): Look {
  if (isRunning === true && isFolderGone === true)
    return bad(
      'daemon',
      `${unit} runs, and the folder of its sockets is gone: ${why}`,
      'make the folder again, and restart it',
      remake,
    );
  if (isRunning === true && refuses !== undefined)
    return bad('daemon', `${unit} refuses all clients: ${refuses}`, 'repair that, then restart it', restart);
  if (isRunning === true)
    return bad('daemon', `${unit} runs, and does not answer: ${why}`, 'restart it', restart);
  if (hash === undefined) return bad('daemon', why, 'repair the file, then start it', check);
  const failing = log === undefined ? why : `${why}; ${unit} fails at each start`;
  if (isJournalShut === true) {
    const seen = log === undefined ? '' : ` (why it failed: ${log})`;
    return bad('daemon', failing, `repair the journal as below, then start it${seen}`);
  }
  return log === undefined
    ? bad('daemon', why, 'start it', start)
    : bad('daemon', failing, `repair what its log says, then ${start}`, log);
}

function receiversIn(status: Values): Look[] {
  return listOf(status['shipping']).map((sink) => {
    const name = `receiver ${textOf(sink['name'])}`;
    const why = textOf(valuesOf(sink['fault'])['text']);
    if (sink['state'] === 'forked') return bad(name, why, forkedTodo);
    if (sink['state'] !== 'away') return ok(name, textOf(sink['state']));
    return bad(name, why === '' ? 'it is away' : why, 'look at the receiver: records wait on this disk');
  });
}

/** The page's own process; nothing where the configuration has no page. */
function pageIn(status: Values): Look[] {
  if (status['page'] === undefined) return [];
  const { connected, problem, version, people } = valuesOf(status['page']);
  if (isText(problem))
    return [warning('page', problem, 'its log has more', 'journalctl -u dovegate-page -n 20')];
  if (connected === true)
    return [ok('page', `dovegate page ${textOf(version)}, ${String(people)} signed in`)];
  const text = 'its process does not ask the daemon, so nobody can open the page or search as a person';
  return [
    warning('page', text, 'start it, and read its log', 'systemctl enable --now dovegate-page.service'),
  ];
}

/** The process that ships records and notices; nothing where the configuration has no receivers. */
function shipIn(status: Values): Look[] {
  if (status['ship'] === undefined) return [];
  const { connected, problem, notices } = valuesOf(status['ship']);
  if (connected !== true)
    return [
      warning(
        'ship',
        'dovegate ship does not ask the daemon, so receivers get nothing',
        'start it, and read its log',
        'systemctl start dovegate-ship.path',
      ),
    ];
  const faults = isText(problem)
    ? [warning('ship', problem, 'its log has more', 'journalctl -u dovegate-ship -n 20')]
    : [];
  return [...faults, ...noticesIn(listOf(notices))];
}

function noticesIn(notices: readonly Values[]): Look[] {
  return notices.map((receiver) => {
    const name = `notices ${textOf(receiver['name'])}`;
    if (receiver['state'] === 'unknown')
      return ok(name, 'none has been sent since dovegate ship was started');
    if (receiver['fault'] === undefined) return ok(name, `${textOf(receiver['delivered'])} delivered`);
    const { code, status, for_ms: forMs } = valuesOf(receiver['fault']);
    const known = Object.entries(noticeCodes).find(([each]) => each === code)?.[1];
    const [means, ask] = known ?? [textOf(code), undefined];
    const shown = isCount(status) ? ` (${status})` : '';
    const seconds = isDistanceMs(forMs) ? ` for ${agoWords(forMs)}` : '';
    return warning(name, `has failed${seconds}: ${means}${shown}`, ask ?? 'look at the receiver');
  });
}

/** Certificates that receivers showed last, and that end soon. Checks of the configuration cover those that receivers are shown. */
function endingIn(metrics: string, { audit }: Expected): Look[] {
  return audit.ship.flatMap(({ name }) => {
    const label = `dovegate_certificate_expiry_seconds{role="receiver",name="${name}"} `;
    const line = metrics.split('\n').find((each) => each.startsWith(label));
    const leftMs = Number(line?.slice(label.length)) * 1000;
    if (!(leftMs < warnMs)) return [];
    return [warning(`receiver ${name}`, expirySentence('receiver', leftMs), 'renew it there')];
  });
}

/** Refused sessions or connections are no reason for an alarm; having no free descriptor is. */
function lookAtDescriptors(metrics: string, settings: Expected): Look {
  const of = (name: string): number | undefined => {
    const found = new RegExp(`^(?:dovegate_)?${name} (\\d+(?:\\.\\d+)?)$`, 'm').exec(metrics)?.[1];
    return found === undefined ? undefined : Number(found);
  };
  const most = of('process_max_fds') ?? descriptorsMax();
  const open = of('process_open_fds');
  if (most === undefined) return ok('descriptors', 'their limit is not known here');
  const sessions = settings.listeners.reduce((sum, each) => sum + each.sessions, 0);
  const connections = settings.backends.reduce((sum, each) => sum + each.connections, 0);
  const used = open === undefined ? '' : `, ${open} in use`;
  const todo = 'raise LimitNOFILE= of the service (ulimit -n)';
  if (open !== undefined && open > most * 0.9) return bad('descriptors', `${most} at most${used}`, todo);
  // Each session and each upstream needs one; files, the log and the admin endpoints need some dozens.
  const needed = sessions + connections + 100;
  if (needed > most)
    return warning(
      'descriptors',
      `${most} at most${used}, and listeners and backends may want ${needed}`,
      todo,
    );
  return ok('descriptors', `${most} at most${used}`);
}

export function valuesOf(value: unknown): Values {
  return asObject(value) ?? {};
}

export function listOf(value: unknown): readonly Values[] {
  return asList(value)?.map(valuesOf) ?? [];
}

export function textOf(value: unknown): string {
  return asText(value) ?? asNumber(value)?.toString() ?? '';
}
