// Answers the page about the journal as a whole: what is known of it, a check of all of it with its progress, and the report of one
// mailbox, which begins with such a check. Checks and reports are answered only with a record of them. Answers for everybody hold no names
// of mail users, and a report in a limited view is never complete.

import { GlobList } from '../doveadm/names/glob.js';
import { foldFor } from '../doveadm/names/user-name.js';
import { type LongPart } from '../evidence/reading/read-long.js';
import { type OwnerAsked, ownerLines } from '../evidence/report/owner.js';
import { type ReportAsked, whyNoReport } from '../evidence/report/report.js';
import { digestOfLines, formatOwnerExtract } from '../evidence/views/extract.js';
import type { NoticesNow, Proof, Verified, VerifyProgress } from '../evidence/views/proof.js';
import type { MailboxEnd } from '../evidence/views/trail.js';
import { noticeState } from '../gate/now/running.js';
import { noticeCodes } from '../gate/telemetry/codes.js';
import type { Log } from '../gate/telemetry/log.js';
import type { Clock } from '../host/ports/machine.js';
import { formatTime } from '../host/words/instants.js';
import { measureTrail, type TrailSize } from '../journal/files/trail-size.js';
import type { NoticeReceiver } from '../rules/config/receiver.js';
import type { AskReport } from './answers/endpoints.js';
import type { Daemon } from './daemon.js';
import type { createFleetNow } from './fleet-look.js';
import {
  jsonReply,
  type PageHandlers,
  type PageReply,
  type PageRequest,
  Refusal,
  refusalOf,
  toldBy,
} from './http/page-request.js';
import type { Looks } from './looks.js';
import { seesOwnOnly } from './now-answers.js';

export interface ProofParts {
  readonly clock: Pick<Clock, 'now' | 'wallMs' | 'setTimer'>;
  readonly log: Pick<Log, 'report'>;
  readonly daemon: Pick<Daemon, 'told' | 'record' | 'flush' | 'facts' | 'sign'>;
  readonly looks: Pick<Looks, 'readLong'>;
  readonly fleet: ReturnType<typeof createFleetNow>;
}

/** How long the measured size is reused: measuring looks at every file, and everybody may ask. */
const measuredMs = 1_000;

export function createProofHandlers(
  parts: ProofParts,
): Required<Pick<PageHandlers, 'proof' | 'verify' | 'report'>> {
  const { clock, log, daemon, looks, fleet } = parts;
  let measured: { readonly atMs: number; readonly size: Promise<TrailSize> } | undefined;
  let last: Verified | undefined;
  let running: (NonNullable<Proof['running']> & { readonly signal: AbortSignal }) | undefined;

  return { proof, verify, report };

  /** One measurement at a time: on a disk that hangs, each would block one of the few threads for system calls. */
  function measureFrom(directory: string): NonNullable<typeof measured> {
    const begun = { atMs: Infinity, size: measureTrail(directory) };
    const finish = (): void => void (begun.atMs = clock.now());
    begun.size.then(finish, finish);
    return begun;
  }

  async function proof({ who }: PageRequest): Promise<PageReply> {
    const asSeen = <T extends { readonly by: string }>(check: T): T =>
      seesOwnOnly(who) && check.by !== who.name ? { ...check, by: 'somebody else' } : check;
    const { head } = toldBy(daemon);
    const nowMs = clock.now();
    if (measured === undefined || nowMs - measured.atMs >= measuredMs) measured = measureFrom(head.directory);
    const [size, others, facts] = await Promise.all([measured.size, fleet(), daemon.facts()]);
    const { signal, ...now } = running ?? {};
    const shown: Proof = {
      at: formatTime(clock.wallMs()),
      journal: head.journal,
      seq: facts.seq,
      key: head.ownKey,
      ...size,
      last: last && asSeen(last),
      ...(signal?.aborted === false && 'by' in now && { running: asSeen(now) }),
      started: head.started,
      receivers: facts.receivers,
      notices: noticesNow(facts.notices),
      fleet: others,
    };
    return jsonReply(200, shown);
  }

  function verify(request: PageRequest): Promise<PageReply> {
    const { who, signal } = request;
    const { directory, ownKey } = toldBy(daemon).head;
    const read = looks.readLong({ long: 'verify', directory, ownKey }, who.name, signal);
    const mine = { by: who.name, since: formatTime(clock.wallMs()), signal };
    const show = (progress: VerifyProgress): void => {
      running = { ...mine, ...progress };
    };
    const leave = (): void => {
      if (running?.signal === signal) running = undefined;
    };
    show({ bytes: 0, ofBytes: 0, seq: 0 });
    return eventReply(request, steps(), leave);

    async function* steps(): AsyncGenerator<string> {
      for await (const part of read) {
        if (part.part === 'progress') {
          show(part.progress);
          yield eventText('progress', part.progress);
        } else if (part.part === 'verified') {
          const { result } = part;
          const state = result.isWhole ? 'whole' : `faults=${result.faultCount}`;
          await record(request, 'audit-verify', [state, `to=${result.toSeq ?? 0}`], 0);
          last = { ...result, at: formatTime(clock.wallMs()), by: who.name };
          yield eventText('result', last);
        }
      }
    }
  }

  async function report(
    request: PageRequest,
    { mailbox, fromMs, toMs, content = false, form }: AskReport,
  ): Promise<PageReply> {
    if (form === 'owner' && (content || toMs !== undefined))
      throw new Refusal(400, 'the report for an owner is of everything, up to now');
    const why = whyNoReport({ mailbox, fromMs, toMs });
    if (why === 'mailbox') throw new Refusal(400, 'name one mailbox, without *');
    if (why === 'time') throw new Refusal(400, 'the time must begin before it ends');
    const { who, signal } = request;
    const { name, users } = who;
    const question = [
      `user=${mailbox}`,
      ...(fromMs === undefined ? [] : [`since=${formatTime(fromMs)}`]),
      ...(toMs === undefined ? [] : [`until=${formatTime(toMs)}`]),
      ...(content ? ['content'] : []),
    ];
    const fold = foldFor(toldBy(daemon).settings.mailUsers.case);
    if (users !== undefined && !new GlobList(users).matches(fold(mailbox))) {
      const text = `you see the records of ${users.join(' ')} only, and "${mailbox}" is not one of these`;
      await record(request, 'audit-report', ['refused', ...question], 0);
      throw new Refusal(403, text);
    }
    if (form === 'owner' && users !== undefined)
      throw new Refusal(403, 'the report for an owner needs a person who sees all records');
    const nowMs = clock.wallMs();
    const { directory, ownKey, host } = toldBy(daemon).head;
    if (form === 'owner') {
      const owned: OwnerAsked = { mailbox: fold(mailbox), fromMs, nowMs };
      await daemon.flush().catch(() => undefined);
      const made = looks.readLong({ long: 'owner', directory, ownKey, asked: owned }, name, signal);
      return eventReply(request, ownerSteps(request, made, owned), () => undefined);
    }
    const madeBy = `${name} on ${host}`;
    const full: ReportAsked = { mailbox, fromMs, toMs, nowMs, isContentOnly: content, host, madeBy };
    const limits =
      users === undefined
        ? undefined
        : {
            viewer: name,
            text:
              `${name} sees the records of ${users.join(' ')} only: commands that touch other users too, or all of them, ` +
              'are hidden; a person without "users" in admin.page.people can make a complete report',
          };
    const task = { long: 'report', directory, ownKey, report: full, form, users, limits } as const;
    // A failure here also fails the record of the look, which decides.
    await daemon.flush().catch(() => undefined);
    const read = looks.readLong(task, name, signal);
    return eventReply(request, steps(read), () => undefined);

    async function* steps(read_: AsyncIterable<LongPart>): AsyncGenerator<string> {
      for await (const part of read_) {
        if (part.part === 'progress') yield eventText('progress', part.progress);
        else if (part.part === 'counted') await record(request, 'audit-report', question, part.commands);
        else if (part.part === 'event') yield `event: ${part.event}\ndata: ${part.data}\n\n`;
      }
    }
  }

  async function* ownerSteps(
    { who }: PageRequest,
    parts_: AsyncIterable<LongPart>,
    { mailbox, fromMs }: OwnerAsked,
  ): AsyncGenerator<string> {
    for await (const part of parts_) {
      if (part.part === 'progress') yield eventText('progress', part.progress);
      if (part.part !== 'owner') continue;
      const { report: made, fromSeq, toSeq, isDamaged } = part.made;
      const lines = ownerLines(made);
      const facts = { fromSeq, toSeq, isDamaged, sha256: digestOfLines(lines) };
      const filter = { user: mailbox, sinceMs: fromMs };
      const asked = { facts, filter, after: [], rows: lines.length, shown: 'owner' } as const;
      const text = formatOwnerExtract(await daemon.sign(who, asked), lines);
      if (text === undefined) throw new Error('the signature of the daemon does not fit');
      yield eventText('text', `${text.join('\n')}\n`);
      yield eventText('end', { commands: lines.length - 1 } satisfies MailboxEnd);
    }
  }

  /** Waits for the first event, since the request can be refused until then. Ends with `failed` and a sentence if the events break off. */
  async function eventReply(
    request: PageRequest,
    steps: AsyncGenerator<string>,
    leave: () => void,
  ): Promise<PageReply> {
    request.signal.addEventListener('abort', leave, { once: true });
    const first = await steps.next().catch((fault: unknown) => {
      leave();
      throw fault;
    });
    return { status: 200, type: 'text/event-stream', pieces: pieces() };

    async function* pieces(): AsyncGenerator<string> {
      try {
        for (let next = first; next.done !== true; next = await steps.next()) {
          if (!request.isStill()) {
            yield eventText('failed', { text: 'the configuration was changed meanwhile; ask again' });
            break;
          }
          yield next.value;
        }
      } catch (fault) {
        if (!request.signal.aborted)
          yield eventText('failed', { text: refusalOf(fault, request.endpoint, log).message });
      } finally {
        leave();
        // The client may have left after the first event.
        await steps.return(undefined);
      }
    }
  }

  function record(
    { who }: PageRequest,
    action: 'audit-verify' | 'audit-report',
    args: readonly string[],
    rows: number,
  ): Promise<void> {
    return daemon.record(who, { action, args, rows });
  }
}

function eventText(event: string, data: unknown): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

function noticesNow(receivers: readonly NoticeReceiver[]): readonly NoticesNow[] | undefined {
  if (receivers.length === 0) return undefined;
  return receivers.map(({ name, delivered, dropped, fault }) => ({
    name,
    delivered,
    dropped,
    state: noticeState({ delivered, fault }),
    ...(fault && { text: noticeCodes[fault.code][0] }),
  }));
}
