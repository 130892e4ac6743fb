// Asks a daemon about its journal at `admin.page.unix`, as the user of this process, without reading the configuration or the
// journal. An answer without its last line is incomplete, and never shown as complete.

import * as z from 'zod';
import { GlobList } from '../../doveadm/names/glob.js';
import type { SignedExtract } from '../../gate/door/extract-head.js';
import { pickFilter } from '../../gate/door/filter.js';
import type { TrailFilter } from '../../gate/door/trail-filter.js';
import { bounds } from '../../host/bounds/bounds.js';
import { type Answer, ask as askHttp } from '../../host/http/ask.js';
import { systemClock } from '../../host/machine/clock.js';
import { whyDenied } from '../../host/machine/denied.js';
import { CommandFault } from '../../host/output/output.js';
import type { Screen } from '../../host/output/screen.js';
import { exitCodes } from '../../host/ports/machine.js';
import { count, text as textOf, time } from '../../host/values/shape.js';
import { isObject, isText, parseLine, type StoredRecord } from '../../host/values/values.js';
import { foldAscii, printable } from '../../host/words/text.js';
import type { Found } from '../reading/find-exchange.js';
import type { AnswerEnd } from '../reading/read-trail.js';
import type { AccessTold } from '../story/row.js';
import type { ExchangeRow } from '../trail/search.js';
import type { Verdict } from '../trail/verify.js';
import type { Cursor } from '../views/asked.js';
import { type Look, lookPath } from '../views/look.js';
import type { Verified, VerifyProgress } from '../views/proof.js';
import type { Surveyed } from '../views/trail.js';
import { type Places, viewWords } from './audit-places.js';

const word = textOf(bounds.longestLineBytes);
const myself = z.object({
  name: word,
  roles: z.array(word).readonly(),
  users: z.array(word).readonly().optional(),
});
export type Myself = Readonly<z.infer<typeof myself>>;

const stored = z.custom<StoredRecord>(isObject);
/** Lines of a daemon of our own release; any other line is refused. */
const answerLine = z.union([
  z.object({
    row: z.object({
      fields: stored,
      admittedSeq: count.optional(),
      completedSeq: count.optional(),
      completedTime: time.optional(),
      said: word.optional(),
      argumentSeqs: z.array(count).optional(),
    }),
  }),
  z.object({ found: z.object({ record: stored, file: word, line: count }) }),
  z.object({ access: z.custom<AccessTold>((value) => isObject(value) && isObject(value['said'])) }),
  z.object({ end: z.custom<AnswerEnd>(isObject) }),
]);
const signedLine = z.object({ signed: z.object({ head: word, signature: word }) });

/** The longest silence in a check of a whole journal; other answers must be complete within `daemonAnswerTime`. */
const pieceMs = 30_000;
const triesMax = 5;

export type AskedPage = ReturnType<typeof askPage>;

/** Over the socket of the page. All methods reject with a CommandFault (69: no daemon answers; 77: not permitted). */
export function askPage(socket: string) {
  const read = (look: Look, asked: object): Promise<WholeAnswer> => readAt(socket, look, asked);
  async function* parts(look: Look, filter: TrailFilter): AsyncGenerator<WholeAnswer> {
    let cursor: Cursor | undefined;
    do {
      const part = await read(look, { filter: pickFilter(filter), cursor });
      yield part;
      ({ cursor } = part.end);
    } while (cursor !== undefined);
  }
  return {
    async me(): Promise<Myself> {
      const { status, body } = await ask(socket, 'me', {});
      if (status !== 200) throw refusal(socket, status, body);
      const me = myself.safeParse(parseLine(body)).data;
      if (me === undefined) throw notDovegate(socket);
      return me;
    },
    /** The matching rows, request by request. `hear` gets the end of each answer. */
    async *rows(
      look: 'search' | 'export' | 'report',
      filter: TrailFilter,
      hear: (end: AnswerEnd) => void,
    ): AsyncGenerator<ExchangeRow> {
      for await (const { lines, end } of parts(look, filter)) {
        yield* rowsIn(lines);
        hear(end);
      }
    },
    async *extracts(
      filter: TrailFilter,
    ): AsyncGenerator<{ readonly rows: readonly ExchangeRow[]; readonly signed: SignedExtract }> {
      for await (const { lines, signed } of parts('extract', filter)) {
        if (signed === undefined) throw notDovegate(socket);
        yield { rows: rowsIn(lines), signed };
      }
    },
    async survey(filter: TrailFilter): Promise<Surveyed> {
      let all: Surveyed | undefined;
      for await (const { end } of parts('survey', filter)) {
        if (end.surveyed === undefined) throw notDovegate(socket);
        all = all === undefined ? end.surveyed : joined(all, end.surveyed);
      }
      if (all === undefined) throw notDovegate(socket);
      return all;
    },
    async show(wanted: string): Promise<{ readonly found: readonly Found[]; readonly end: AnswerEnd }> {
      const { lines, end } = await read('show', { wanted });
      return { found: lines.flatMap((line) => ('found' in line ? [line.found] : [])), end };
    },
    /** Requests for access and grants, with sentences that sum them up. */
    async requests(filter: TrailFilter) {
      const { lines, end } = await read('requests', { filter: pickFilter(filter) });
      const { sentences, leftOut = 0, notes = [] } = end;
      if (sentences === undefined) throw notDovegate(socket);
      const told = lines.flatMap((line) => ('access' in line ? [line.access] : []));
      return { told, sentences, leftOut, notes };
    },
    async verify(): Promise<Verdict> {
      const { end } = await read('verify', {});
      if (end.verdict === undefined) throw notDovegate(socket);
      return end.verdict;
    },
    /** Checks the whole journal, whatever time that takes. */
    async check(hear: (progress: VerifyProgress) => void): Promise<Verified> {
      let found: Verified | undefined;
      await eventsAt(socket, '/page/verify', {}, (name, data) => {
        if (name === 'progress') {
          const progress: VerifyProgress = JSON.parse(data);
          hear(progress);
        } else if (name === 'result') {
          const result: Verified = JSON.parse(data);
          found = result;
        }
      });
      if (found === undefined || !Array.isArray(found.findings)) throw notDovegate(socket);
      return found;
    },
    /** The signed report of a mailbox as its owner sees it. */
    async ownerReport(mailbox: string, fromMs: number | undefined): Promise<string> {
      let text = '';
      let isWhole = false;
      await eventsAt(socket, '/page/owner-report', { mailbox, fromMs, form: 'owner' }, (name, data) => {
        if (name === 'text') text += String(JSON.parse(data));
        isWhole ||= name === 'end';
      });
      if (!isWhole) throw new CommandFault(exitCodes.unavailable, `${socket}: ${tooEarly}`);
      return text;
    },
  };
}

const tooEarly = 'the answer ended too early; try again';

/** Reads the events of an answer. Rejects with the text of a `failed` event. */
async function eventsAt(
  socket: string,
  path: string,
  asked: object,
  hear: (name: string, data: string) => void,
): Promise<void> {
  let fault: string | undefined;
  let rest = '';
  const take = (piece: string): void => {
    if (rest.length + piece.length > bounds.daemonAnswerBytes) throw new Error('an event has no end');
    const events = (rest + piece).split('\n\n');
    rest = events.pop() ?? '';
    for (const event of events) {
      const [, name = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(event) ?? [];
      if (name === 'failed') fault = String(parseLine(data)?.['text']);
      else hear(name, data);
    }
  };
  const { status, body } = await askAt(socket, path, asked, take);
  if (status !== 200) throw refusal(socket, status, body);
  if (fault !== undefined) throw refusal(socket, 503, fault);
}

/** Joins the surveys of two parts of a journal. */
function joined(one: Surveyed, other: Surveyed): Surveyed {
  const times = [one.firstTime, other.firstTime, one.lastTime, other.lastTime].filter(isText).toSorted();
  return {
    records: one.records + other.records,
    all: one.all + other.all,
    firstTime: times[0],
    lastTime: times.at(-1),
    names: [...new Set([...one.names, ...other.names])].slice(0, 3),
    isNamed: one.isNamed || other.isNamed,
  };
}

type Line = z.infer<typeof answerLine>;

function rowsIn(lines: readonly Line[]): readonly ExchangeRow[] {
  return lines.flatMap((line) => ('row' in line ? [line.row] : []));
}

interface WholeAnswer {
  readonly lines: readonly Line[];
  readonly end: AnswerEnd;
  readonly signed: SignedExtract | undefined;
}

async function readAt(socket: string, look: Look, asked: object): Promise<WholeAnswer> {
  for (let tries = 1; ; tries += 1) {
    const { status, body } = await ask(socket, look, asked);
    if (status === 503 && tries < triesMax) continue;
    if (status !== 200) throw refusal(socket, status, body);
    const texts = body.split('\n').slice(0, -1);
    const lines: Line[] = [];
    for (const [at, text] of texts.entries()) {
      const line = answerLine.safeParse(parseLine(text)).data;
      if (line === undefined) throw notDovegate(socket);
      if ('end' in line) {
        const signed = signedLine.safeParse(parseLine(texts[at + 1] ?? '')).data?.signed;
        return { lines, end: line.end, signed };
      }
      lines.push(line);
    }
    throw new CommandFault(exitCodes.unavailable, `${socket}: ${tooEarly}`);
  }
}

function notDovegate(socket: string): CommandFault {
  return new CommandFault(
    exitCodes.unavailable,
    `${socket}: the server there is not the page of dovegate, or of another release`,
  );
}

function refusal(socket: string, status: number, body: string): CommandFault {
  const text = `${socket}: ${printable(body.trimEnd())}`;
  if (status === 403) return new CommandFault(exitCodes.notPermitted, text);
  return new CommandFault(status === 503 ? exitCodes.unavailable : exitCodes.failed, text);
}

function ask(socketPath: string, look: Look, asked: object): Promise<Answer> {
  return askAt(socketPath, lookPath(look), asked);
}

/** `take` gets the pieces of a good answer, which is not kept. */
async function askAt(
  socketPath: string,
  path: string,
  asked: object,
  take?: (piece: string) => void,
): Promise<Answer> {
  const text = JSON.stringify(asked);
  const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
  const limits = {
    clock: systemClock,
    silentMs: pieceMs,
    ms: take === undefined ? bounds.daemonAnswerTime : undefined,
    bytesMax: bounds.daemonAnswerBytes,
  };
  try {
    return await askHttp({ socketPath, method: 'POST', path, headers, agent: false }, text, limits, take);
  } catch (fault) {
    const isRefused = fault instanceof Error && 'code' in fault && fault.code === 'EACCES';
    if (isRefused) throw new CommandFault(exitCodes.notPermitted, whyDenied(socketPath));
    const why = fault instanceof Error ? fault.message : String(fault);
    throw new CommandFault(exitCodes.unavailable, `no daemon answers at ${socketPath}: ${why}`);
  }
}

/** Whether a daemon is asked, and no file is read. */
export function isAsked({ socket, config, fleet, paths }: Places): boolean {
  return socket !== undefined && config === undefined && fleet === undefined && paths.length === 0;
}

/** Opens the page at the chosen socket; stderr says which part a limited view shows. */
export async function openPage(
  screen: Screen,
  { socket = '' }: Places,
): Promise<{ readonly me: Myself; readonly page: AskedPage }> {
  const page = askPage(socket);
  const me = await page.me();
  const text = describeView(me);
  if (text !== undefined) screen.complain(`dovegate: ${text}`);
  return { me, page };
}

/** Whether the view may show a mailbox. The page decides, since only its server knows whether names keep their case. */
export function isInView({ users }: Myself, mailbox: string): boolean {
  if (users === undefined) return true;
  const visible = new GlobList(users);
  return [mailbox, foldAscii(mailbox)].some((name) => visible.matches(name));
}

/** The scope of a limited view; undefined: everything is visible. */
export function describeView({ name, users }: Myself): string | undefined {
  return users === undefined ? undefined : viewWords(name, users);
}
