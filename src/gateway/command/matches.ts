// How many mails a command would concern, found out just before it by a search with the same query on the same upstream.
// The search is an exchange of its own: it has an admission on disk before it is sent, and a completion. Its rows are counted
// and dropped. The count is a moment old when the command runs; the records say so by their order.

import type { AuditRecord } from '../../domain/audit/record.js';
import { canonicalWords } from '../../domain/commands/canonical.js';
import { commandNamed } from '../../domain/commands/catalog.js';
import { replyCells } from '../../domain/commands/columns.js';
import { parseArguments } from '../../domain/commands/parse.js';
import type { Judged } from '../../domain/policy/judge.js';
import { TransportFault } from '../../ports/transport-fault.js';
import { encodeCommandLine } from '../../protocol/command.js';
import { createCellCounter } from '../../protocol/reply.js';
import type { Status } from '../../protocol/status.js';
import { WireFault } from '../../protocol/wire-fault.js';
import { appendQuietly } from '../outcome/append.js';
import type { Ending } from '../outcome/outcome.js';
import type { Outcome } from '../outcome/verdict.js';
import type { LeaseEnd } from '../pool/lease.js';
import type { Upstream } from '../pool/upstream.js';
import type { ExchangeContext } from './exchange-context.js';
import type { SessionNames } from './exchange-records.js';

/** What the search is made for. */
export interface MatchesAsked {
  readonly context: ExchangeContext;
  readonly upstream: Upstream;
  readonly names: SessionNames;
  readonly judgement: Judged;
  /** Of the command; the caller writes it, with what was found. */
  readonly admission: AuditRecord;
  /** Id of the command's exchange. */
  readonly exchange: string;
  readonly most: number;
  readonly policy: string;
}

/** The number of mails, within the limit; or how the exchange ends. `matches` is undefined where nobody counted. */
export type MatchesFound =
  | { readonly kind: 'within'; readonly matches: number }
  | { readonly kind: 'refused'; readonly matches: number | undefined; readonly end: LeaseEnd<Ending> };

/** Rejects with a JournalFault where the search could not be recorded, and with what the upstream rejects with. */
export async function countMatches(asked: MatchesAsked): Promise<MatchesFound> {
  const { context, upstream, judgement, admission, policy, most } = asked;
  const search = searchOf(judgement, upstream);
  if (search === undefined) throw new Error('a command without a query has max_matches');
  const id = context.newId();
  const twin = { time: context.clock.wallMs(), id, for: asked.exchange, command: 'search' } as const;
  const args = search.words.map((word) => (word.isSecret ? context.redact(word.text) : word.text));
  await context.journal.append({ ...admission, ...twin, args, effect: 'read' }, { durable: true });
  let result: { readonly status: Status; readonly cells: number } | undefined;
  let isSent = false;
  try {
    if (upstream.state.at === 'closed') throw new TransportFault('closed', 'closed while that was recorded');
    isSent = true;
    result = await askSearch(asked, search.line);
  } finally {
    const outcome = outcomeOf(result?.status, isSent);
    const { session, listener, principal } = asked.names;
    const { user } = judgement;
    const { backend, id: upstreamId } = upstream;
    const status = result?.status.raw.toString('latin1');
    const end = {
      outcome,
      sent: isSent,
      cells: result?.cells,
      status,
      backend,
      upstream: upstreamId,
      user,
    } as const;
    const record = { ...twin, ...end, event: 'completion', session, listener, principal } as const;
    appendQuietly(context.journal, context.observe, { ...record, time: context.clock.wallMs() });
  }
  if (result.status.kind !== 'ok') {
    const reason = `the search before the command failed (${result.status.code})`;
    const end = { value: { kind: 'unroutable', reason }, closeFor: 'not-reusable' } as const;
    return { kind: 'refused', matches: undefined, end };
  }
  const matches = Math.ceil(result.cells / search.rowCells);
  if (matches <= most) return { kind: 'within', matches };
  const reason = `${matches} mails match, and its rule allows at most ${most}`;
  return {
    kind: 'refused',
    matches,
    end: { value: { kind: 'denied', reason, policy }, closeFor: undefined },
  };
}

function outcomeOf(status: Status | undefined, isSent: boolean): Outcome {
  if (status === undefined) return isSent ? 'unknown' : 'failed';
  return status.kind === 'ok' ? 'ok' : 'failed';
}

/** The same query as a search. */
function searchOf(judgement: Judged, upstream: Upstream) {
  const query = judgement.attempt.parsed.values.get('query');
  const command = commandNamed(upstream.series, 'search');
  if (query === undefined || command === undefined) return undefined;
  const parsed = parseArguments(upstream.series, command, ['--', ...query]);
  if (parsed.kind === 'unparsable') throw new Error('a query that was read as part of a command is no query');
  const words = canonicalWords(parsed);
  const args = words.map((word) => word.text);
  const line = encodeCommandLine({ user: judgement.user, name: 'search', args });
  return { words, line, rowCells: replyCells(parsed, upstream.serverMinor) ?? 2 };
}

/** What the backend said without being asked would be taken for the answer of the command. */
export function behindSearch(): WireFault {
  return new WireFault('unexpected-input', 'an answer came behind that of the search');
}

/** Sends the search and counts the cells of its reply. The upstream is closed when it takes longer than a read may. */
async function askSearch(
  { context, upstream }: MatchesAsked,
  line: Buffer,
): Promise<{ readonly status: Status; readonly cells: number }> {
  const { clock, limits } = context;
  const counter = createCellCounter();
  const timer = clock.setTimer(limits.deadlineMs.read, () => upstream.close('reply-timeout', true));
  try {
    upstream.write([line])?.catch(() => undefined);
    for (;;) {
      let status: Status | undefined;
      for (const event of await upstream.next()) {
        if (event.kind === 'log') continue;
        // Up to 2.3.16 a second status line follows a failure, after which nothing is sent.
        if (status?.kind === 'ok') throw behindSearch();
        if (status !== undefined) continue;
        if (event.kind === 'body') counter.push(event.bytes);
        else ({ status } = event);
      }
      if (status !== undefined) return { status, cells: counter.cells };
    }
  } finally {
    timer.cancel();
  }
}
