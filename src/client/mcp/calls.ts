// Calls of tools: each is one command on a connection of its own, one after another, with its reason and the tag of the process. A restart
// of the gate in between does no harm, and an agent never has two commands at once.

import { bounds } from '../../host/bounds/bounds.js';
import { KeyedSemaphore } from '../../host/concurrency/limits.js';
import { systemClock } from '../../host/machine/clock.js';
import { asText, isText } from '../../host/values/values.js';
import { rightsOfRows } from '../../rules/answers/read-answer.js';
import type { AnswerRow } from '../../rules/answers/rights.js';
import {
  type Command,
  CommandFailed,
  type ConnectOptions,
  connect,
  type Session,
  SessionFault,
} from '../connect.js';
import { accessTools, askAccess, cellsOfItem, readAccess, requestableRights } from './access.js';
import { type Answer, type Cells, createAnswers, cursorPattern, failure } from './answers.js';
import { type CommandTool, commandOf, commandTools, type Tool } from './tools.js';

const callsMax = 16;

interface Offer {
  readonly commands: ReadonlyMap<string, CommandTool>;
  readonly access: readonly Tool[];
}

const nextRows: Tool = {
  name: 'next_rows',
  title: 'next rows',
  description:
    'The next rows of a long result, by the cursor that the call before gave. They are kept for some minutes. No command is run.',
  inputSchema: {
    type: 'object',
    properties: { cursor: { type: 'string', pattern: cursorPattern } },
    required: ['cursor'],
    additionalProperties: false,
  },
  annotations: { readOnlyHint: true, destructiveHint: false },
};

const onRequest =
  'The policy does not permit this call alone; a person may. To ask, call the tool "request_access" with the name of this tool and the same arguments.';

const can: Command = { name: 'dovegate can' };

export function createAgentCalls({
  connect: server,
  tag,
}: {
  readonly connect: ConnectOptions;
  readonly tag: string;
}) {
  const answers = createAnswers(systemClock);
  let offer: Offer | undefined;
  let inLine = 0;
  const turns = new KeyedSemaphore();

  /** Runs one call at a time. Resolves to undefined if too many wait. A call that is canceled while it waits leaves the line at once. */
  async function inTurn<T>(signal: AbortSignal, use: () => Promise<T>): Promise<T | undefined> {
    signal.throwIfAborted();
    if (inLine >= callsMax) return undefined;
    inLine += 1;
    let leave: (() => void) | undefined;
    try {
      leave = await turns.take('call', 1, signal);
      signal.throwIfAborted();
      return await use();
    } finally {
      inLine -= 1;
      leave?.();
    }
  }

  async function withSession<T>(signal: AbortSignal, use: (session: Session) => Promise<T>): Promise<T> {
    await using session = await connect({ ...server, replyBytesMax: 4 * 1024 ** 2, signal });
    return await use(session);
  }

  async function refresh(signal: AbortSignal): Promise<Offer> {
    const rows = await withSession(signal, (session) => session.run({ ...can, tag, signal }));
    const pairs = rows.map(([what = '', value = '']): AnswerRow => [what, value]);
    const rights = rightsOfRows(pairs);
    if (rights === undefined) throw new SessionFault('unexpected-reply', 'it is not an answer of dovegate');
    const requestable = requestableRights(pairs);
    const commands = commandTools(rights, requestable);
    offer = {
      commands: new Map(commands.map((each) => [each.tool.name, each])),
      access: accessTools(
        commands
          .filter(({ tool }) => requestable.some(({ command }) => command === tool.title))
          .map(({ tool }) => tool.name),
      ),
    };
    return offer;
  }

  async function send(name: string, given: Readonly<Record<string, unknown>>, signal: AbortSignal) {
    let known = offer ?? (await refresh(signal));
    const isAccess = (): boolean => known.access.some((each) => each.name === name);
    if (!known.commands.has(name) && !isAccess()) known = await refresh(signal);
    const tool = known.commands.get(name);
    if (tool === undefined && !isAccess())
      return failure({
        error: 'unknown-tool',
        message: `There is no tool "${name.slice(0, 64)}": the policy does not permit such a command, or does not any longer.`,
      });
    const problem = name === 'request_status' ? undefined : reasonProblem(given['reason']);
    if (problem !== undefined) return failure({ error: 'reason', message: problem });
    const reading = tool === undefined ? readAccess(name, given, known.commands) : commandOf(tool, given);
    if (reading.kind === 'wrong') return failure({ error: reading.code, message: reading.text, ran: 'no' });
    if (reading.kind !== 'command') {
      const items = await withSession(signal, ({ access }) => askAccess(access, reading, { tag, signal }));
      return answers.rows({ tag }, items.map(cellsOfItem));
    }
    const command = { ...reading.command, reason: String(given['reason']), tag };
    const rows = await withSession(signal, (session) => cellsOf(session, { ...command, signal }));
    const said = { command: command.name, tag, ...(command.dryRun === true ? { dry_run: true } : {}) };
    return answers.rows(said, rows);
  }

  return {
    /** The tools that are permitted now. Rejects with a sentence if the gate does not answer. */
    async list(signal: AbortSignal): Promise<readonly Tool[]> {
      try {
        const found = await inTurn(signal, () => refresh(signal));
        if (found === undefined) throw new Error('too many calls at once');
        return [...[...found.commands.values()].map(({ tool }) => tool), ...found.access, nextRows];
      } catch (fault) {
        signal.throwIfAborted();
        throw fault instanceof CommandFailed || fault instanceof SessionFault
          ? new Error(`dovegate did not say what is permitted: ${fault.message}`, { cause: fault })
          : fault;
      }
    },
    /** Rejects with the signal's reason when it is aborted, but never for what the gate or the agent did. */
    async call(name: string, given: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<Answer> {
      const { cursor } = given;
      if (name === nextRows.name) return answers.next(asText(cursor) ?? '');
      try {
        return (
          (await inTurn(signal, () => send(name, given, signal))) ??
          failure({
            error: 'too-many-calls',
            message: `More than ${callsMax} calls wait. Call again when others have ended.`,
            ran: 'no',
          })
        );
      } catch (fault) {
        signal.throwIfAborted();
        if (fault instanceof CommandFailed) return failureOf(fault);
        if (fault instanceof SessionFault)
          return failure({
            error: fault.code,
            message:
              fault.code === 'unexpected-reply'
                ? `${fault.message}; ask for fewer fields, or narrow the query`
                : fault.message,
            ran: fault.mayHaveRun ? 'perhaps' : 'no',
          });
        throw fault;
      }
    },
  };
}

/** Rows by the names of their columns; where these are not known, by number. */
async function cellsOf(session: Session, command: Command): Promise<readonly Cells[]> {
  try {
    return await session.named(command);
  } catch (fault) {
    // Nothing was sent. A command that cannot be sent at all fails again.
    if (!(fault instanceof SessionFault) || fault.code !== 'unsendable') throw fault;
    const rows = await session.run(command);
    return rows.map((row) => Object.fromEntries(row.map((cell, at) => [String(at + 1), cell])));
  }
}

/** dovegate's own sentences are passed on as such. A mail server's are marked as untrusted: they may have names that strangers chose. */
function failureOf(fault: CommandFailed): Answer {
  const { kind, code, reason, mayHaveRun, mayRetry, retryAfterMs, id, message } = fault;
  const said = {
    error: kind,
    code: reason ?? code,
    ran: mayHaveRun ? 'perhaps' : 'no',
    ...(mayRetry ? { may_retry: true } : {}),
    ...(retryAfterMs === undefined ? {} : { retry_after_s: Math.ceil(retryAfterMs / 1000) }),
    ...(id === undefined ? {} : { record: id }),
  };
  // The gate names a shell command, which an agent does not have.
  if (reason === 'on-request') return failure({ ...said, message: onRequest });
  const isOwn = reason !== undefined && reason !== 'backend-failed';
  const text = message.replace(/^the server answered \w+: (?:dovegate: )?/, '').slice(0, 4096);
  return isOwn ? failure({ ...said, message: text }) : failure(said, { message: text });
}

function reasonProblem(reason: unknown): string | undefined {
  if (!isText(reason) || reason.trim() === '')
    return 'reason is missing: say in one line why the call is made';
  if (Buffer.byteLength(reason) > bounds.reasonBytes)
    return `reason has more than ${bounds.reasonBytes} bytes`;
  return /\p{Cc}/u.test(reason) ? 'reason must be one line of text' : undefined;
}
