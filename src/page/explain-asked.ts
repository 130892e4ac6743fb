// A question of the playground: what would become of this command, from this person, at this listener. It is judged with the code that
// judges clients, and held to the limits of a client's line and request, so that no question costs more than a command.

import { allSeries } from '../doveadm/commands/catalog.js';
import { readNamedCommand } from '../doveadm/commands/named.js';
import { RequestDecoder } from '../doveadm/http-api/request.js';
import type { CommandLine } from '../doveadm/protocol/command.js';
import { newestMinor } from '../doveadm/protocol/minors.js';
import { contentAtMost } from '../evidence/story/content.js';
import type { DoorWord } from '../gate/door/calls.js';
import { bounds } from '../host/bounds/bounds.js';
import type { NameNumbers } from '../host/machine/accounts.js';
import type { NameService } from '../host/machine/name-service.js';
import { WireFault } from '../host/ports/faults.js';
import type { Clock } from '../host/ports/machine.js';
import type { Peer } from '../host/ports/peer.js';
import { explanationOf } from '../rules/answers/explanation.js';
import { explainQuestion, recordedWords } from '../rules/answers/own-questions.js';
import { policyOfPerson, runTests } from '../rules/answers/policy-tests.js';
import { sayExplanation } from '../rules/answers/read-answer.js';
import { ruleAt } from '../rules/answers/rights.js';
import { commandMeant, placeIn, unknownName } from '../rules/config/problem.js';
import {
  type ListenerSettings,
  type Person,
  routingTableOf,
  type Settings,
} from '../rules/config/settings.js';
import { principalOf } from '../rules/identity/principal.js';
import { fateOf, plainLine } from '../rules/policy/assess.js';
import type { Subject } from '../rules/policy/judge.js';
import { isOutcome, rulesOf } from '../rules/policy/outcome.js';
import type { Policy, RulePlace } from '../rules/policy/policy.js';
import type { RoutingTable } from '../rules/policy/route.js';
import { type Remedy, remedyFor } from '../rules/proposals/granting.js';
import { formatTest } from '../rules/proposals/policy-text.js';
import { policyFor } from '../rules/setup/asker.js';
import { createPolicyChooser } from '../rules/setup/peers.js';
import type { Explained, RuleShown } from './answers/api.js';
import type { Explain } from './answers/endpoints.js';
import { Refusal } from './http/page-request.js';

export interface Judging {
  readonly settings: Settings;
  readonly table: RoutingTable;
  readonly sessionLimits: {
    readonly lineBytesMax: number;
    readonly httpBodyBytesMax: number;
  };
  /** The policy of a peer whom the kernel names; undefined: none. */
  policyOf(peer: Peer): string | undefined;
}

/** Evaluates with the current settings of the daemon. `series`: the Dovecot series of the backends, where known. */
export function judgingBy(
  settings: Settings,
  numbers: NameNumbers,
  series: Readonly<Record<string, string>>,
): Judging {
  const backends = settings.backends.map((backend) => {
    const known = allSeries.find((each) => each === series[backend.name]);
    return known === undefined ? backend : { ...backend, series: known };
  });
  const { lineBytesMax, httpBodyBytesMax } = settings.limits;
  return {
    settings,
    table: routingTableOf({ ...settings, backends }),
    sessionLimits: { lineBytesMax, httpBodyBytesMax },
    policyOf(peer) {
      const listener = settings.listeners.find(({ name }) => name === peer.listener);
      return listener && createPolicyChooser(listener, numbers)(peer);
    },
  };
}

interface Answer {
  readonly explained: Explained;
  readonly recorded: readonly DoorWord[];
}

/** Does no I/O except to ask the system for the groups of a uid. Rejects with a Refusal for an invalid question. */
export async function explainAsked(
  asked: Explain,
  now: Judging,
  clock: Pick<Clock, 'wallMs'>,
  loginOf: NameService['loginOf'],
): Promise<Answer> {
  const { settings, table } = now;
  const listener = settings.listeners.find(({ name }) => name === asked.listener);
  if (listener === undefined) {
    const names = settings.listeners.map(({ name }) => name);
    throw new Refusal(404, unknownName('listener', asked.listener, names));
  }
  const line = lineOf(asked, now);
  const { policy, principal, person } = await whoAsks(asked, listener, now, clock, loginOf);
  const subject: Subject = { listener: listener.name, principal, clientMinor: newestMinor, policy };
  const found = explainQuestion(table, subject, line, clock.wallMs(), { reason: asked.reason, origin: '' });
  const explanation = explanationOf(found);
  const { judgement } = found;
  const decision = judgement.kind === 'judged' ? rulesOf(judgement.decision) : undefined;
  const done = found.outcomes?.done;
  const unsaid = isOutcome(done, 'no-reason') ? done : undefined;
  const fate =
    explanation.decision === 'allow' && explanation.obstacle !== undefined
      ? 'obstacle'
      : explanation.decision;
  const { sent, backends, series, terms, later, differs } = explanation;
  const rule = decision?.rule && ruleShownAt(policy, decision.rule);
  const nearest = decision?.nearest && ruleShownAt(policy, decision.nearest.rule);
  const attempts = found.readings.flatMap(({ judgement: read }) =>
    read.kind === 'judged' ? [read.attempt] : [],
  );
  const { grants, hindrance }: Remedy =
    decision?.kind === 'deny' && bytesOf(line.user, line.words) <= 4 * 1024
      ? remedyFor({ policy, mailUsers: settings.mailUsers, attempts, decision, nowMs: clock.wallMs() })
      : { grants: [] };
  const test = testOf(asked, listener, policy.name, person, line, sent, fate, settings, clock.wallMs());
  const attempted = judgement.kind === 'judged' ? judgement.attempt : undefined;
  const content = attempted && contentAtMost(attempted.command.name, attempted.content);
  const explained: Explained = {
    decision: unsaid === undefined ? fate : 'deny',
    text: unsaid
      ? `denied: ${unsaid.reason}`
      : sayExplanation(explanation, rule?.place, commandMeant(line.words)),
    principal,
    policy: policy.name,
    ...(rule === undefined ? {} : { rule }),
    ...(nearest === undefined ? {} : { nearest: { ...nearest, missing: decision?.nearest?.missing ?? [] } }),
    ...(grants.length === 0 ? {} : { toAllow: grants }),
    ...(hindrance === undefined ? {} : { cannotAllow: hindrance }),
    sent,
    ...(explanation.concerns === undefined ? {} : { concerns: explanation.concerns }),
    ...(explanation.effect === undefined ? {} : { effect: explanation.effect }),
    ...(content !== undefined && { content }),
    backends,
    ...(explanation.noBackend === undefined ? {} : { noBackend: explanation.noBackend }),
    series,
    terms,
    later,
    differs,
    ...(test === undefined ? {} : { test }),
  };
  return {
    explained,
    recorded: recordedWords(line, judgement).map(({ text, isSecret }) =>
      isSecret ? { secret: text } : text,
    ),
  };
}

function lineOf(asked: Explain, now: Judging): CommandLine {
  const { lineBytesMax, httpBodyBytesMax } = now.sessionLimits;
  const { words, json, user = '' } = asked;
  if (json === undefined) {
    if (bytesOf(user, words ?? []) > lineBytesMax)
      throw new Refusal(400, `the line is longer than ${lineBytesMax} bytes (limits.line)`);
    if ((words?.length ?? 0) > bounds.commandFields)
      throw new Refusal(400, `the line has more than ${bounds.commandFields} words`);
    return plainLine(user, words ?? []);
  }
  if (user !== '') throw new Refusal(400, 'a request of HTTP names its user in its parameters');
  const bytes = Buffer.from(json);
  if (bytes.length > httpBodyBytesMax)
    throw new Refusal(400, `the request is longer than ${httpBodyBytesMax} bytes`);
  const decoder = new RequestDecoder({ commandsMax: 1 });
  try {
    const text = decoder.push(bytes);
    if (text !== undefined) throw new Refusal(400, text);
  } catch (fault) {
    throw fault instanceof WireFault ? new Refusal(400, 'Bad Request') : fault;
  }
  const decoded = decoder.end();
  if (decoded.kind === 'bad') throw new Refusal(400, decoded.text);
  const [command] = decoded.commands;
  if (command === undefined) throw new Refusal(400, 'the request has no command');
  const read = readNamedCommand(command, now.settings.catalog?.added);
  if (read.kind === 'bad') throw new Refusal(400, read.text);
  return read.line;
}

function bytesOf(user: string, words: readonly string[]): number {
  return [user, ...words].reduce((sum, word) => sum + Buffer.byteLength(word) + 1, 0);
}

interface Who {
  readonly policy: Policy;
  readonly principal: string;
  /** The person as a policy test names them. `nobody`: a test cannot name them. */
  readonly person: Person | undefined | 'nobody';
}

async function whoAsks(
  { account, uid }: Explain,
  listener: ListenerSettings,
  now: Judging,
  clock: Pick<Clock, 'wallMs'>,
  loginOf: NameService['loginOf'],
): Promise<Who> {
  const { policies } = now.settings;
  const user = uid === undefined ? undefined : await loginOf(uid);
  const peer: Peer = {
    listener: listener.name,
    ...(uid === undefined ? {} : { uid, groups: user?.gids ?? [] }),
    ...(user?.name === undefined ? {} : { user: user.name }),
  };
  const found = policyFor(listener, { uid, account }, () => now.policyOf(peer));
  if ('wrong' in found) throw new Refusal(400, found.wrong);
  if ('refused' in found) throw new Refusal(400, `${found.refused}: every command of theirs is refused`);
  const policy = policies.get(found.policy);
  if (policy === undefined) throw new Error(`listener ${listener.name}: no policy ${found.policy}`);
  const key = listener.keys.find(({ name }) => name === account);
  if (key?.expiresMs !== undefined && key.expiresMs <= clock.wallMs())
    throw new Refusal(400, `key ${key.name} has expired: it is not let in any more`);
  const principal = principalOf(peer, account).text;
  return {
    policy,
    principal,
    person: personOf(listener, policy.name, account, user?.name ?? uid?.toString()),
  };
}

/** Only groups that the configuration names: a test does not know the groups of this machine. */
function personOf(
  listener: ListenerSettings,
  policy: string,
  account: string | undefined,
  user: string | undefined,
): Who['person'] {
  const isRight = (person: Person | undefined): boolean => policyOfPerson(listener, person) === policy;
  if (account !== undefined) return { account, groups: [] };
  if (user === undefined) return isRight(undefined) ? undefined : 'nobody';
  const peers = [listener.peers, ...listener.policies.map((choice) => choice.peers)];
  const groups = [[], ...peers.flatMap((each) => (each?.groups ?? []).map((group) => [group]))];
  const found = groups.find((each) => isRight({ name: user, groups: each }));
  return found === undefined ? 'nobody' : { name: user, groups: found };
}

/** A case for `dovegate test` that passes today; undefined: there is none, as for a command that only JSON can express. */
function testOf(
  { user = '', words }: Explain,
  listener: ListenerSettings,
  policy: string,
  person: Who['person'],
  line: CommandLine,
  sent: readonly string[],
  fate: Explained['decision'],
  settings: Settings,
  nowMs: number,
): string | undefined {
  if (person === 'nobody') return undefined;
  const place = placeIn(settings.places, `listeners.${listener.name}`);
  const named = words === undefined ? { user: line.user, words: sent } : { user, words };
  if (named.words.length === 0 || named.words.some((word) => word === '')) return undefined;
  const as = person === undefined ? {} : { as: person };
  const test = { listener: listener.name, ...as, ...named, expect: 'allow', place } as const;
  const [outcome] = runTests({ ...settings, tests: [test] }, nowMs);
  if (outcome?.assessment === undefined || outcome.policy !== policy) return undefined;
  const expect = fateOf(outcome.assessment);
  // In words the command may be evaluated differently than in JSON.
  return words === undefined && expect !== fate ? undefined : formatTest({ ...test, expect });
}

/** A rule in words, with its place; without words if the place is not a rule but `users` or `except` of the policy. */
function ruleShownAt(policy: Policy, place: RulePlace): RuleShown {
  const { command, says } = ruleAt(policy, place) ?? { command: '', says: [] };
  return { command, says, place: `${place.file}:${place.line}` };
}
