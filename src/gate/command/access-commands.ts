// Carries out dovegate's own commands for access on request: reads their arguments, judges the command inside as under a grant, counts its
// mails, and passes all that to the desk, which records and decides. A request names literal users and one command without input. dovegate
// counts the mails, and only approvers see the number.

import type { ParsedArguments } from '../../doveadm/commands/parse.js';
import type { CanonicalWord } from '../../doveadm/meaning/canonical.js';
import {
  type AccessArgument,
  type AccessValues,
  type AccessVerb,
  accessArguments,
  accessVerbs,
  isAccessStep,
  isAccessVerb,
  optionOf,
  verbRow,
  wantedOf,
} from '../../doveadm/verbs/verbs.js';
import { bounds } from '../../host/bounds/bounds.js';
import { formatDuration, parseDuration } from '../../host/words/durations.js';
import { recordedWords } from '../../rules/answers/own-questions.js';
import { parsePrincipal } from '../../rules/identity/principal.js';
import { assess, plainLine } from '../../rules/policy/assess.js';
import { lineOf } from '../../rules/policy/grant.js';
import { isAllowed, type Judged } from '../../rules/policy/judge.js';
import type { Policy } from '../../rules/policy/policy.js';
import { regexWords } from '../../rules/policy/regex.js';
import { nothingAsked } from '../../rules/policy/route.js';
import { mostMatches } from '../../rules/policy/terms.js';
import { type Asker, loginOf, otherOriginsOf, whyBlind, whyNotAsk } from '../access/asker.js';
import type { CountedCommand, CountMails } from '../access/live-entry.js';
import { type AccessResult, invalid, type Refused, refused, reloaded } from '../access/result.js';
import { type AccessWish, whyNoReason } from '../access/steps.js';
import { isEnding, judgeEnding } from '../outcome/outcome.js';
import { assessCommand } from './assessment.js';
import type { BackendAttempt, DispatchedCommand } from './backend-attempt.js';
import type { ExchangeContext, ExchangeSession } from './context.js';
import { countMails } from './dispatch.js';
import { admissionOf, redactedWords } from './exchange-records.js';
import { nothingStated } from './stated.js';

const prefix = 'dovegate ';

function verbOf(command: string): AccessVerb | undefined {
  const verb = command.slice(prefix.length);
  return command.startsWith(prefix) && isAccessVerb(verb) ? verb : undefined;
}

export function isAccessCommand(name: string): boolean {
  return verbOf(name) !== undefined;
}

/** The budget of one of dovegate's own commands, for each principal. `none`: it ends a request or grant, which can be done once only. */
export type OwnBudget = 'questions' | 'steps' | 'none';

/** Ending access is not rate-limited. A command that ends nothing counts as a question. */
export function budgetOf(
  context: ExchangeContext,
  session: ExchangeSession,
  read: ParsedArguments,
): OwnBudget {
  const verb = verbOf(read.command.name);
  if (verb === undefined || accessVerbs[verb].costs === 'question') return 'questions';
  if (accessVerbs[verb].costs === 'step') return 'steps';
  const given = readValues(verb, read, session);
  const isEnd = !('kind' in given) && context.access.wouldEnd(askerOf(session), verb, given.id ?? '');
  return isEnd ? 'none' : 'questions';
}

/** The client as one who requests and approves. It keeps what it asked for, even if its entry of `persons` loses an identity. */
export function askerOf({ names, subject, proof, human }: ExchangeSession): Asker {
  const { session, listener, origin, principal, peer, recorded } = names;
  return {
    session,
    listener,
    principal,
    origin,
    otherOrigins: otherOriginsOf(peer, proof),
    policy: subject.policy,
    peer: recorded,
    ...human,
    login: loginOf(peer),
    credential: proof.kind === 'kernel' ? undefined : proof.stamp,
    whyNotAsk: whyNotAsk(peer, proof),
  };
}

/** Carries out one of these commands. Never rejects. */
export async function carryOutAccess(
  context: ExchangeContext,
  session: ExchangeSession,
  read: ParsedArguments,
  count: CountMails,
): Promise<AccessResult> {
  const verb = verbOf(read.command.name);
  if (verb === undefined) throw new Error(`${read.command.name} is no command about access`);
  const given = readValues(verb, read, session);
  if ('kind' in given) return given;
  const { access } = context;
  const asker = askerOf(session);
  if (isAccessStep(verb)) return access.decide(asker, verb, given, count);
  const asked = { context, session, given };
  switch (verb) {
    case 'request': {
      const found = await readWish(asked, session.subject.policy, asker.principal, asker.listener ?? '');
      return 'kind' in found ? found : access.request(asker, found, count);
    }
    case 'grant': {
      const owner = await readOwner(asked, asker);
      return 'kind' in owner ? owner : access.grant(asker, owner.asker, owner.wish, count);
    }
    case 'requests': {
      const { items, more } = access.list(asker, given.after);
      const why = items.length === 0 ? whyBlind(asker, access.rights.persons) : undefined;
      return why === undefined ? { kind: 'done', items, more } : refused('access-denied', why);
    }
    case 'access':
      return access.show(asker, given.id ?? '', count);
    default:
      return verb satisfies never;
  }
}

/** The words to record of such a command: the command inside it as it is judged, with secrets marked; ids and texts as they are. */
export function accessWords(
  { router, clock }: ExchangeContext,
  { subject }: ExchangeSession,
  { values }: ParsedArguments,
): readonly CanonicalWord[] {
  const plain = (text: string): CanonicalWord => ({ text, isSecret: false });
  const options = [...values].flatMap(([name, given]) =>
    name === 'command' || name === 'id' ? [] : given.map((value) => plain(`--${name}=${value}`)),
  );
  const command = values.get('command');
  if (command === undefined) return [...options, ...(values.get('id') ?? []).map(plain)];
  const line = plainLine(values.get('user')?.[0] ?? '', command);
  const { judgement } = assess(line, subject, router.table, nothingAsked, clock.wallMs());
  const named = values.has('user') ? { ...judgement, user: '' } : judgement;
  return [...options, ...recordedWords(line, named)];
}

interface Asked {
  readonly context: ExchangeContext;
  readonly session: ExchangeSession;
  readonly given: AccessValues;
}

/** The arguments of a line, each in its shape. The reason of a session counts where the line has none. */
function readValues(
  verb: AccessVerb,
  { values }: Pick<ParsedArguments, 'values'>,
  { stated }: Pick<ExchangeSession, 'stated'>,
): AccessValues | Refused {
  const { takes } = verbRow(verb);
  const read: AccessValues = Object.fromEntries(
    takes.map((name) => [
      name,
      valueOf(name, values.get(optionOf(name))) ?? (name === 'reason' ? stated.reason : undefined),
    ]),
  );
  for (const name of takes) {
    // `whyNoReason` checks the reason.
    const wanted = name === 'reason' ? undefined : wantedOf(name, read[name]);
    if (wanted !== undefined && accessArguments[name].shape === 'duration')
      return invalid('a time is a number with a unit, as 30m, 2h or 1d');
    if (wanted !== undefined) return invalid(`${optionOf(name)} must be ${wanted}`);
  }
  const why = takes.includes('reason') ? whyNoReason(verb, read.reason) : undefined;
  return why === undefined ? read : invalid(why);
}

/** Returns the text as it is written if it does not have the shape of its argument. */
function valueOf(name: AccessArgument, given: readonly string[] | undefined): unknown {
  const [text = ''] = given ?? [];
  const { shape } = accessArguments[name];
  if (given === undefined || shape === 'texts') return given;
  if (shape === 'duration') return parseDuration(text) ?? text;
  return shape === 'count' && /^[1-9]\d*$/.test(text) ? Number(text) : text;
}

/**
 * The access that is requested or given: a rule of `on_request` must allow the command for these users. It is judged as the command will
 * be, for the backend of each user and with the user's aliases, so that approvers see whose mail it is.
 */
async function readWish(
  asked: Asked,
  policy: Policy,
  principal: string,
  listener: string,
): Promise<Refused | AccessWish> {
  const { context, session, given } = asked;
  const { users: written = [], reason = '', command: words = [] } = given;
  const { rights } = context.access;
  const { userNames } = context.router.table;
  if (written.length > bounds.accessUsers)
    return invalid(`a request names at most ${bounds.accessUsers} users`);
  const names: string[] = [];
  for (const user of written) {
    const name = userNames.normalise(user);
    if (name.kind === 'refused') return invalid(name.message);
    if (!names.includes(name.name)) names.push(name.name);
  }
  const digest = (text: string): string => context.redact(text).hmac;
  const grants = { grants: 'all', digest } as const;
  const subject = { ...session.subject, listener, principal, policy, grants };
  let first: Judged | undefined;
  const users = new Set(names);
  const others = new Set<string>();
  for (const user of names.length === 0 ? [''] : names) {
    const line = plainLine(user, words);
    const { judgement, obstacle, aliases } = await assessCommand(
      context,
      subject,
      line,
      session.names.origin,
    );
    if (judgement.kind === 'judged' && judgement.decision.kind === 'deny')
      return judgement.decision.code === 'no-user'
        ? invalid('say for whose mail, with --user')
        : refused('access-denied', judgement.decision.reason);
    // Without an answer of the userdb an alias would stay hidden. A user without a backend is no obstacle: who exists is a secret.
    if (isEnding(obstacle, 'unresolved'))
      return refused('access-changed', judgeEnding(obstacle).text ?? obstacle.code);
    if (judgement.kind === 'unparsable') return invalid(judgement.message);
    if (judgement.decision.grant === undefined) return invalid('policy allows it already; just send it');
    if (isEnding(obstacle, 'unparsable')) return invalid(obstacle.reason);
    if (judgement.attempt.command.input !== 'none')
      return invalid('a command with input cannot be requested');
    first ??= judgement;
    if (ruleOf(judgement, policy) !== ruleOf(first, policy))
      return invalid('these users need different rules');
    for (const name of judgement.attempt.users) users.add(name);
    for (const name of aliases) others.add(name);
  }
  if (context.access.rights !== rights) return reloaded();
  if (users.size === 0) return invalid('say for whose mail, with --user');
  if (users.size > bounds.accessUsers) return invalid(`a request names at most ${bounds.accessUsers} users`);
  const rule = first && ruleOf(first, policy);
  if (first === undefined || rule === undefined) return invalid('no rule of on_request offers it');
  const { terms } = rule;
  if (names.length > 1 && terms.scope === 'command')
    return invalid('one command line has one user; make a request for each');
  if (names.length > 1 && first.attempt.effect === 'destroy')
    return invalid('what deletes is requested user by user, so that an approver sees the number of each');
  const usesMax = terms.uses ?? (terms.scope === 'command' ? 1 : undefined);
  const { forMs = terms.forMs, uses = usesMax } = given;
  if (forMs > terms.forMs) return invalid(`its rule gives ${formatDuration(terms.forMs)} at most`);
  if (usesMax !== undefined && (uses ?? Infinity) > usesMax)
    return invalid(`its rule gives ${usesMax} uses at most`);
  const { quietMs } = given;
  if (quietMs !== undefined && terms.quietMs === undefined)
    return invalid('its rule keeps nothing from the owner (quiet)');
  if ((quietMs ?? 0) > (terms.quietMs ?? 0))
    return invalid(`its rule keeps it from the owner for ${formatDuration(terms.quietMs ?? 0)} at most`);
  if (terms.reason !== undefined && !terms.reason.matches(reason))
    return invalid(`its rule wants a reason that ${regexWords(terms.reason)}`);
  const command = first.attempt.command.name;
  const canonical = [command, ...first.args.map(({ text }) => text)];
  const everybody = [...new Set([...users, ...others])];
  const bytes = [...canonical, ...everybody, reason].reduce(
    (sum, text) => sum + Buffer.byteLength(text) + 1,
    0,
  );
  if (bytes > bounds.accessTextBytes) return invalid(`it is longer than ${bounds.accessTextBytes} bytes`);
  return {
    rule,
    users: everybody,
    case: userNames.nameCase === 'keep' ? 'keep' : undefined,
    command,
    args: redactedWords(first.args, context.redact),
    effect: first.attempt.effect,
    reason,
    forMs,
    uses,
    quietMs,
    line: digest(lineOf(command, first.args)),
    words: canonical,
  };
}

function ruleOf({ decision: { rule } }: Judged, { onRequest }: Policy) {
  return onRequest.find(({ place }) => place === rule);
}

/** The principal that an approver gives access to, with the first policy there whose rule offers the command. */
async function readOwner(
  asked: Asked,
  asker: Asker,
): Promise<Refused | { readonly asker: Asker; readonly wish: AccessWish }> {
  const { context, given } = asked;
  const to = parsePrincipal(given.to ?? '');
  if (to === undefined) return invalid('say to whom, as --to NAME@LISTENER');
  const { rights } = context.access;
  const { policies, policiesAt, isNamedAt } = rights;
  const names = policiesAt(to.listener).filter((name) => asker.policy.approve.includes(name));
  let refusal: Refused = invalid(`you approve nothing at listener "${to.listener}"`);
  // Only approvers learn which names exist here.
  if (names.length === 0) return refusal;
  if (/[*?\s]/.test(to.name) || !(await isNamedAt(to.listener, to.name)))
    return invalid(`nobody can be "${to.text}"; say NAME@LISTENER as records name them`);
  if (context.access.rights !== rights) return reloaded();
  for (const name of names) {
    const policy = policies.get(name);
    if (policy === undefined) continue;
    const wish = await readWish(asked, policy, to.text, to.listener);
    if ('kind' in wish) {
      refusal = wish;
      continue;
    }
    const { name: person } = to;
    const kinds = ['account', 'key', 'name'];
    const identities = [
      ...kinds.map((kind) => `${kind}:${person}`),
      ...(/^\d+$/.test(person) ? [`uid:${person}`] : []),
    ];
    // Counts for the approver's origin: what others give does not use up the principal's own requests.
    const { origin } = asker;
    const owner = { listener: to.listener, origin, principal: to.text, policy, identities };
    return { asker: { ...owner, login: undefined, credential: undefined }, wish };
  }
  return refusal;
}

export type CountingExchange = Pick<
  DispatchedCommand,
  'context' | 'session' | 'id' | 'abortable' | 'records'
> & {
  /** Attempts are added here, so that a cancellation reaches them. */
  readonly attempts: BackendAttempt[];
};

/**
 * The largest number of mails of one user that a command would affect now. It is found by searches with records of their own, which name
 * the asking client and the request. The command is judged as under a grant of the owner's rule.
 */
export async function countForAccess(
  exchange: CountingExchange,
  { request, principal, policy: name, users, words }: CountedCommand,
): Promise<number | undefined | { readonly failed: string }> {
  const { context, session, attempts, id } = exchange;
  const { names, subject: own } = session;
  const policy = context.access.rights.policies.get(name);
  if (policy === undefined) return { failed: 'its policy is gone' };
  const digest = (text: string): string => context.redact(text).hmac;
  const subject = { ...own, principal, policy, grants: { grants: 'all', digest } as const };
  let most: number | undefined;
  let denied: string | undefined;
  for (const user of users) {
    const line = plainLine(user, words);
    const assessed = await assessCommand(context, subject, line, names.origin);
    const { judgement, obstacle, destinations, aliases } = assessed;
    const why = judgement.kind === 'unparsable' ? judgement.message : judgement.decision.reason;
    if (!isAllowed(judgement)) {
      denied = why;
      continue;
    }
    if (judgement.attempt.parsed.query === undefined) return undefined;
    if (obstacle !== undefined) return { failed: judgeEnding(obstacle).text ?? 'no backend has it' };
    const { clock, redact } = context;
    const { nameCase } = context.router.table.userNames;
    const known = { names, id, subject, judgement, backends: destinations, redact, nameCase };
    const facts = { ...known, time: clock.wallMs(), stated: nothingStated };
    const counted = await countMails(
      {
        ...exchange,
        line,
        judgement,
        destinations,
        aliases,
        grants: subject.grants,
        known: undefined,
        most: mostMatches(judgement.decision.obligations),
        isFresh: false,
        input: undefined,
        tried: { ...admissionOf(facts), request },
      },
      attempts,
    );
    if (typeof counted === 'object') return { failed: judgeEnding(counted).text ?? counted.kind };
    if (counted !== undefined) most = Math.max(most ?? 0, counted);
  }
  // A command that is not allowed for any of them any more has no number to approve.
  return most ?? (denied === undefined ? undefined : { failed: denied });
}
