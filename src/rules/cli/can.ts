// `dovegate can`: the rights of a listener, in the style of `sudo -l`. It reads the configuration, or asks the daemon.

import { formatColumns, formatPlace, plain, stdout } from '../../host/output/output.js';
import { exitCodes } from '../../host/ports/machine.js';
import { formatJsonLines } from '../../host/words/text.js';
import { exampleOfRequest } from '../answers/example.js';
import { isForRealDoveadm, rightsOfRows } from '../answers/read-answer.js';
import {
  describeDeny,
  describeRequestable,
  describeRule,
  effectOfName,
  type Right,
  type Rights,
  rightsOf,
  sayRequestable,
} from '../answers/rights.js';
import { formatListenerSocket, isSocket, type ListenerSettings } from '../config/settings.js';
import type { Policy, Rule } from '../policy/policy.js';
import type { Rate } from '../policy/rate.js';
import { formatPeers } from '../setup/asker.js';
import type { AskDaemon, ListenerChoice } from './named-listener.js';

/** Whose rights: at a listener, of the user of this process at a daemon's socket, or of a key. */
export type CanOptions = { readonly json: boolean } & (
  | ListenerChoice
  | { readonly socket: string }
  | { readonly http: string; readonly keyFile: string | undefined; readonly ca: string | undefined }
);

/** Exit code 0; 64: no such listener; 69: no daemon at the socket; 78: configuration. */
export async function can(options: CanOptions, ask: AskDaemon): Promise<number> {
  if ('socket' in options || 'http' in options) {
    const place = 'socket' in options ? options.socket : options;
    const rights = await ask(place, 'dovegate can', [], rightsOfRows);
    // Under the keys of `asJson`, as far as the daemon reports them.
    const { isObserving, hasCandidate, ...same } = rights;
    const allow = same.allow.map((right) => ({ ...right, doveadm: isForRealDoveadm(right) }));
    const onRequest = same.onRequest.map(({ terms, ...right }) => ({ ...right, ...terms }));
    const json = {
      ...same,
      allow,
      onRequest,
      mode: isObserving ? 'observe' : 'enforce',
      candidate: hasCandidate,
    };
    stdout(options.json ? formatJsonLines(json) : formatRights(rights));
    return exitCodes.ok;
  }
  // Loaded on demand: reading configurations takes most of a command's time.
  const { openListener, principalAt } = await import('./named-listener.js');
  const { listener, policy } = openListener(options);
  const isNamed = options.uid !== undefined || options.account !== undefined;
  const principal = isNamed ? principalAt(listener.name, options).text : undefined;
  const text = options.json
    ? formatJsonLines({ principal, ...asJson(listener, policy) })
    : formatRights(rightsOf(policy, listener.name, principal), { listener, policy });
  stdout(text);
  return exitCodes.ok;
}

function asJson(listener: ListenerSettings, policy: Policy): Readonly<Record<string, unknown>> {
  const { rate, distinctUsers, atOnce } = policy.limits;
  const { socket } = listener;
  const rateAsJson = (each: Rate | undefined) => each && { count: each.count, window_ms: each.windowMs };
  return {
    listener: listener.name,
    [socket.kind]: formatListenerSocket(socket).slice(socket.kind.length + 1),
    policy: policy.name,
    place: formatPlace(policy.place),
    version: policy.version,
    mode: policy.mode,
    candidate: policy.shadow && formatPlace(policy.shadow.place),
    users: policy.users.texts,
    except: policy.except.texts,
    limits: { rate: rateAsJson(rate), distinct_users: rateAsJson(distinctUsers), at_once: atOnce },
    logs: policy.logs,
    debug: policy.debug,
    contact: policy.contact,
    allow: policy.allow.map((rule) => ({
      ...ruleAsJson(rule, describeRule(rule, policy)),
      doveadm: isForRealDoveadm({ command: rule.command, says: describeRule(rule, policy) }),
    })),
    deny: policy.deny.map((rule) => ruleAsJson(rule, describeDeny(rule, policy))),
    onRequest: policy.onRequest.map((rule) => {
      const { terms, says } = describeRequestable(rule, policy);
      return { ...ruleAsJson(rule, says), ...terms, example: exampleOfRequest(rule, policy) };
    }),
    approve: policy.approve,
  };
}

function ruleAsJson(rule: Rule, says: readonly string[]): Readonly<Record<string, unknown>> {
  const { place, command, meaning } = rule;
  return {
    command,
    effect: effectOfName(command),
    rule: formatPlace(place),
    says,
    written: meaning,
  };
}

/** `read`: the source of the rights; undefined: the daemon does not say where rules are written. */
function formatRights(rights: Rights, read?: { listener: ListenerSettings; policy: Policy }): string {
  const { principal, isObserving, users, except, limits, logs, debug, contact } = rights;
  const mode = [
    ...(isObserving ? [', observes only: other ordinary commands are allowed too, and recorded'] : []),
    ...(rights.hasCandidate
      ? ['; a candidate is judged beside it, and what it would do is only recorded']
      : []),
  ].join('');
  const head = [
    ...(rights.locked === undefined ? [] : [['locked', plain(rights.locked)]]),
    ...(rights.held ?? []).map((each) => ['held', plain(each)]),
    ['listener', `${plain(rights.listener)}${read === undefined ? '' : ` ${whoMayConnect(read.listener)}`}`],
    ...(principal === undefined ? [] : [['requester', plain(principal)]]),
    [
      'policy',
      `${plain(rights.policy)}${read === undefined ? '' : ` (${formatPlace(read.policy.place)})`}${mode}`,
    ],
    [
      'for users',
      `${plain(users.join(' ')) || 'nobody'}${isObserving ? '; others too, since it observes' : ''}`,
    ],
    ...(except.length === 0 ? [] : [['except', plain(except.join(' '))]]),
    ...(limits.length === 0 ? [] : [['at most', plain(limits.join(', '))]]),
    ['log lines', `${logsShown[logs] ?? plain(logs)}${debug ? ', and debug lines on request' : ''}`],
    ...(contact === undefined ? [] : [['contact', plain(contact)]]),
  ];
  const requestable = rights.onRequest.map((right) => ({
    ...right,
    says: [...sayRequestable(right), ...(right.example === '' ? [] : [`as: ${right.example}`])],
  }));
  return [
    formatColumns(head),
    '',
    rights.allow.length === 0 ? 'may run nothing.' : 'may run:',
    ...formatRules(rights.allow, read?.policy.allow, (right) => !isForRealDoveadm(right)),
    ...(rights.allow.every(isForRealDoveadm) ? [] : ['', notForRealDoveadm]),
    ...(rights.deny.length === 0 ? [] : ['', 'and never:', ...formatRules(rights.deny, read?.policy.deny)]),
    ...(rights.onRequest.length === 0
      ? []
      : ['', 'on request (dovegate request):', ...formatRules(requestable, read?.policy.onRequest)]),
    ...(rights.approve.length === 0
      ? []
      : ['', `may approve requests of: ${plain(rights.approve.join(', '))}`]),
    '',
    isObserving ? whatObservingServes : whatIsDenied,
  ].join('\n');
}

const whatIsDenied = `What is not listed is denied. So is an argument that names a file, a socket, another user, a program or a
remote place, or that destroys more than its command does, unless a rule above names that parameter; and what mails say,
masks of users, all users at once and mailboxes that others share, unless a rule above says "also".`;

const whatObservingServes = `The policy observes: a command that only touches mailboxes of users named one by one is
served and recorded, also where it is not listed, and for users outside of "for users" or under "except" and "never".
No reason is demanded, and no limit refuses. Denied are masks, all users at once, and arguments that name a file, a socket,
another user, a program or a remote place.`;

const notForRealDoveadm = `* Dovecot's own "doveadm -S" cannot send it: it asks its own machine about server commands, and has no place for
  a reason. "dovegate send" can, and so can dovegate under the name of doveadm.`;

const logsShown: Readonly<Record<string, string>> = {
  none: 'no log lines of the backend',
  filtered: 'why a command failed, in words of dovegate',
  full: 'log lines of the backend as they are',
};

/** The socket, its permitted users, and users with another policy there. */
function whoMayConnect({ socket, peers, policies, accounts, keys, from }: ListenerSettings): string {
  const others = policies.filter((choice) => choice.peers !== undefined);
  const parts = [
    `(${isSocket(socket, 'unix') ? socket.path : formatListenerSocket(socket)})`,
    ...(peers === undefined ? [] : [`, only${formatPeers(peers)}`]),
    ...(from.length === 0 ? [] : [`, from ${from.join(' ')}`]),
    ...others.map((choice) => `; policy ${choice.policy} for${formatPeers(choice.peers)}`),
    ...accounts.map(({ name, policy }) => `; policy ${policy} for account ${name}`),
    ...keys.map(({ name, policy }) => `; policy ${policy} for key ${name}`),
  ];
  return plain(parts.join(''));
}

/** The rules of each command below one another, the commands in the order of the file. */
function formatRules(
  rights: readonly Right[],
  rules: readonly Rule[] = [],
  isMarked: (right: Right) => boolean = () => false,
): string[] {
  const places = rights.map((_, at) => rules[at] && formatPlace(rules[at].place));
  const heads = rights.map((right, at) => [
    plain(right.command),
    `${plain(right.effect)}${isMarked(right) ? ' *' : ''}`,
    places[at] ?? '',
  ]);
  const lines = formatColumns(heads, '  ').split('\n');
  return [...new Set(rights.map(({ command }) => command))].flatMap((name) =>
    rights.flatMap(({ command, says }, at) =>
      command === name ? [lines[at] ?? '', ...says.map((text) => `      ${plain(text)}`)] : [],
    ),
  );
}
