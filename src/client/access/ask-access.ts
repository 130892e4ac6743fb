// The subcommands of access on request. Scripts read the exit codes: 0 done or granted, 77 refused or not permitted, 75 not decided or
// broken off, 64 wrong usage, 69 no daemon there.

import { readSaid } from '../../doveadm/codes/said.js';
import { inputOf } from '../../doveadm/commands/parse.js';
import { readSentCommand } from '../../doveadm/commands/typed-command.js';
import { type AccessStep, type AccessValues, allArguments, optionOf } from '../../doveadm/verbs/verbs.js';
import { whyNoReason } from '../../gate/access/steps.js';
import { pause } from '../../host/concurrency/waiting.js';
import { systemClock } from '../../host/machine/clock.js';
import { isAccessDenied, whyDenied } from '../../host/machine/denied.js';
import { holdProcess } from '../../host/machine/process.js';
import { CommandFault, plain, stderr, stdout, wrongUsage } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines } from '../../host/words/text.js';
import { formatCommand } from '../../journal/records/encode.js';
import { type Access, type AccessItem, type AccessState, CommandFailed, SessionFault } from '../connect.js';
import {
  askDoor,
  clientSettingsFile,
  type DoorOptions,
  exitCodeOf,
  findServerDoor,
  type ServerDoor,
  tempFail,
} from '../doveadm/server-door.js';
import { byUrgency, formatItem, formatList, formatState } from './shown.js';

export interface PlaceOptions extends Pick<DoorOptions, 'http' | 'keyFile' | 'ca'> {
  readonly socket?: string;
  readonly json: boolean;
}

/** The options of the table of verbs, as they are typed. */
interface Typed {
  readonly user?: readonly string[];
  readonly to?: string;
  readonly for?: number;
  readonly uses?: number;
  readonly reason?: string;
}

export interface AskOptions extends PlaceOptions, Typed {
  readonly wait?: number;
}

export interface DecideOptions extends PlaceOptions, Typed {
  readonly admin?: string;
}

const patienceMs = 30_000;
/** Pauses between two checks of an undecided request; they grow. */
const pauseMs = { first: 1_000, last: 10_000 };

export async function request(options: AskOptions, words: readonly string[]): Promise<number> {
  const asked = readAsked(options, words);
  const door = await findDoor(options.socket, options);
  const recorded = await ask(door, (access, signal) => access.request({ ...asked, signal }));
  const { json, wait } = options;
  if (wait === undefined || recorded.state !== 'requested') {
    showStep(recorded, json);
    return wait === undefined ? exitCodes.ok : exitCodeOfState(recorded.state);
  }
  stderr(`dovegate: request ${plain(recorded.id)} is recorded; waiting for a decision`);
  const decided = await waitForDecision(door, recorded, wait);
  showStep(decided, json);
  return exitCodeOfState(decided.state);
}

export async function requests(options: PlaceOptions, id: string | undefined): Promise<number> {
  const door = await findDoor(options.socket, options);
  if (id !== undefined) {
    show(await ask(door, (access, signal) => access.get(id, { signal })), options.json);
    return exitCodes.ok;
  }
  const items = (await ask(door, (access, signal) => access.list({ signal }))).toSorted(byUrgency);
  stdout(options.json ? formatJsonLines(items) : formatList(items));
  return exitCodes.ok;
}

export async function grant(options: AskOptions, words: readonly string[]): Promise<number> {
  const { to = '' } = options;
  const asked = readAsked(options, words);
  const door = await findDoor(options.socket, options);
  const item = await ask(door, (access, signal) => access.grant({ ...asked, to, signal }));
  showStep(item, options.json);
  return exitCodes.ok;
}

export async function decide(verb: AccessStep, options: DecideOptions, id: string): Promise<number> {
  const { reason = '', ...given } = valuesOf(options);
  const door = await findDoor(options.socket, options);
  const item = await ask(door, (access, signal) => {
    if (verb === 'refuse') return access.refuse(id, { reason, signal });
    return access[verb](id, { ...given, ...(options.reason !== undefined && { reason }), signal });
  });
  showStep(item, options.json);
  return exitCodes.ok;
}

/**
 * Sends a command. Where policy denies it: asks for it, or finds the own open request for it, waits, and sends it once that is granted.
 * Resolves to the exit code; what happens is written to stderr. `send`: calls its argument instead of printing a denial.
 */
export async function sendRequesting(
  options: DoorOptions & { readonly socket?: string; readonly user?: string; readonly reason?: string },
  words: readonly string[],
  waitMs: number,
  send: (onDenied?: () => void) => Promise<number>,
): Promise<number> {
  const { user, reason } = options;
  const asked = readAsked(
    { ...(user !== undefined && { user: [user] }), ...(reason !== undefined && { reason }) },
    words,
  );
  let isDenied = false;
  const code = await send(() => {
    isDenied = true;
  });
  if (!isDenied) return code;
  const door = await findDoor(options.socket, options);
  const open = await ask(door, (access, signal) => access.list({ signal }).catch(noneOf), tempFail);
  const same = open.find((item) => isSame(item, asked));
  const item = same ?? (await ask(door, (access, signal) => access.request({ ...asked, signal }), tempFail));
  if (item.state === 'requested')
    stderr(
      `dovegate: request ${plain(item.id)} ${same === undefined ? 'is recorded' : 'asks for this already'}; waiting for a decision`,
    );
  const decided = item.state === 'requested' ? await waitForDecision(door, item, waitMs) : item;
  stderr(`dovegate: request ${plain(decided.id)}: ${formatState(decided)}`);
  return decided.state === 'granted' ? send() : exitCodeOfState(decided.state);
}

/** An approver without an entry in `persons` is refused the list, and has no own requests. */
function noneOf(fault: unknown): readonly AccessItem[] {
  if (fault instanceof CommandFailed && fault.code === 'NOPERM') return [];
  throw fault;
}

/** Whether an undecided request is the reader's own, with that command line, user and reason. One with secrets never matches. */
function isSame(
  { mine, state, users, command, reason }: AccessItem,
  asked: ReturnType<typeof readAsked>,
): boolean {
  const isOpen = mine && state === 'requested' && reason === asked.reason;
  return isOpen && users[0] === asked.user?.[0] && command === formatCommand([asked.name, ...asked.args]);
}

/** Throws a CommandFault for what no server would take. */
function readAsked(options: Typed, words: readonly string[]) {
  const { users = [], to: _, ...given } = valuesOf(options);
  const typed = readSentCommand(words);
  const wrong = (text: string): never => {
    throw wrongUsage(`dovegate: ${text}`);
  };
  if (typed.isAllUsers || typed.userFile !== undefined || typed.socket !== undefined)
    wrong('-A, -F and -S cannot be requested: name each user with --user');
  if (inputOf(typed.command, typed.parsed) !== 'none')
    wrong(`"${typed.command.name}" takes a text, and commands with a text cannot be requested`);
  if (typed.user !== undefined && users.length > 0) wrong('the user is named twice: by --user, and by -u');
  const named = typed.user === undefined ? users : [typed.user];
  const repeated = named.find((name, at) => named.indexOf(name) !== at);
  if (repeated !== undefined) wrong(`--user ${repeated} is given twice`);
  const mask = named.find((name) => /[*?]/.test(name));
  if (mask !== undefined) wrong(`a request names its users one by one: ${mask} is a mask`);
  return { ...given, ...(named.length > 0 && { user: named }), name: typed.command.name, args: typed.args };
}

/** What was typed, by the names of the library. Throws a CommandFault for what no server would take. */
function valuesOf(typed: Typed): AccessValues {
  const read: Readonly<Record<string, unknown>> = { ...typed };
  const values: AccessValues = Object.fromEntries(
    allArguments.flatMap((name) => {
      const value = read[optionOf(name)];
      return value === undefined ? [] : [[name, value]];
    }),
  );
  if (values.forMs === 0) throw wrongUsage('dovegate: --for must be longer than 0');
  const why = whyNoReason('revoke', values.reason);
  if (why !== undefined) throw wrongUsage(`dovegate: ${why}`);
  return values;
}

function exitCodeOfState(state: AccessState): number {
  if (state === 'granted') return exitCodes.ok;
  return state === 'refused' || state === 'revoked' ? exitCodes.notPermitted : tempFail;
}

/** Looks at the request until it is decided or the time is over. A daemon that is restarted meanwhile is asked again. */
async function waitForDecision(door: ServerDoor, asked: AccessItem, waitMs: number): Promise<AccessItem> {
  const endMs = systemClock.now() + waitMs;
  const release = holdProcess();
  let item = asked;
  let nextMs: number = pauseMs.first;
  let isComplained = false;
  try {
    while (item.state === 'requested') {
      const leftMs = endMs - systemClock.now();
      if (leftMs <= 0) break;
      await pause(systemClock, Math.min(nextMs, leftMs));
      nextMs = Math.min(nextMs * 1.5, pauseMs.last);
      try {
        item = await openAnd(door, (access, signal) => access.get(item.id, { signal }));
      } catch (fault) {
        if (fault instanceof CommandFailed && fault.code === 'NOTFOUND')
          throw new CommandFault(tempFail, whyForgotten(item.id));
        if (fault instanceof CommandFailed && fault.kind !== 'temporary')
          throw faultOf(fault, door, tempFail);
        if (!(fault instanceof CommandFailed || fault instanceof SessionFault)) throw fault;
        if (!isComplained) stderr(`${messageOf(fault, door)}; asking again`);
        isComplained = true;
      }
    }
  } finally {
    release();
  }
  return item;
}

/** The daemon knows the ends of its own run, and the last ones before its start. */
function whyForgotten(id: string): string {
  return `dovegate: request ${plain(id)} is over: it was decided or it ended while dovegate was restarted, and only the journal says how; ask an approver or an auditor (dovegate audit search --grant ${plain(id)})`;
}

async function findDoor(socket: string | undefined, options: DoorOptions): Promise<ServerDoor> {
  const { ca } = options;
  if (socket !== undefined && ca !== undefined && socket.includes('/'))
    throw wrongUsage('dovegate: --ca is for --http and HOST:PORT');
  const door = await findServerDoor(socket, process.env, options);
  if (door !== undefined) return door;
  throw wrongUsage(
    `dovegate: no socket: give one with --socket, in DOVEADM_SOCKET, or in ${clientSettingsFile}`,
  );
}

/** `gone`: the exit code if no daemon answers. */
async function ask<T>(
  door: ServerDoor,
  run: (access: Access, signal: AbortSignal) => Promise<T>,
  gone: number = exitCodes.unavailable,
): Promise<T> {
  try {
    return await openAnd(door, run);
  } catch (fault) {
    if (fault instanceof CommandFailed || fault instanceof SessionFault) throw faultOf(fault, door, gone);
    throw fault;
  }
}

function openAnd<T>(door: ServerDoor, run: (access: Access, signal: AbortSignal) => Promise<T>): Promise<T> {
  return askDoor(door, patienceMs, (session, signal) => run(session.access, signal));
}

function faultOf(fault: CommandFailed | SessionFault, door: ServerDoor, gone: number): CommandFault {
  const text = messageOf(fault, door);
  if (fault instanceof CommandFailed) return new CommandFault(exitCodeOf(fault.code), text);
  const isDenied = fault.code === 'auth-rejected' || isAccessDenied(fault);
  return new CommandFault(isDenied ? exitCodes.notPermitted : gone, text);
}

/** The text for a person: dovegate's own sentence if there is one. */
function messageOf(fault: CommandFailed | SessionFault, door: ServerDoor): string {
  if (fault instanceof SessionFault) {
    if (isAccessDenied(fault)) return `dovegate: ${whyDenied(door.name)}`;
    return `dovegate: ${plain(door.name)}: ${plain(fault.message)}`;
  }
  const said = fault.logs.at(-1)?.text ?? '';
  const sentence = readSaid(said)?.sentence ?? said;
  return `dovegate: ${plain(sentence === '' ? fault.message : sentence)}`;
}

/** Prints the result of a step, then the item. */
function showStep(item: AccessItem, isJson: boolean): void {
  if (!isJson) stdout(plain(`${formatState(item)}: ${item.id}`));
  show(item, isJson);
}

function show(item: AccessItem, isJson: boolean): void {
  stdout(isJson ? formatJsonLines(item) : formatItem(item));
}
