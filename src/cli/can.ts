// `dovegate can`: what a listener may do, as `sudo -l` says it. It judges no command.

import { commandNamed, type Effect, strongerEffect } from '../catalog/catalog.js';
import { allSeries } from '../catalog/series.js';
import { describeRule, formatRate } from '../judgement/describe-rule.js';
import { formatListenerSocket, type ListenerSettings } from '../listening/settings.js';
import type { GlobList } from '../policy/glob.js';
import type { Policy, Rule } from '../policy/rule.js';
import { exitCodes } from '../terminal/exit-codes.js';
import { formatColumns, formatJson, formatPlace, plain, stdout } from '../terminal/output.js';
import { peersOf } from './describe-settings.js';
import { openListener, principalAt } from './named-listener.js';

/** Whose rights, and how to show them. */
export interface CanOptions {
  readonly config: string;
  readonly listener: string;
  /** Whose; undefined: of whoever is nobody in particular. */
  readonly uid?: number | undefined;
  readonly json: boolean;
}

/** Exit code 0; 64: no such listener; 78: configuration. */
export function can(options: CanOptions): Promise<number> {
  const opened = openListener(options.config, options.listener, options);
  if (typeof opened === 'number') return Promise.resolve(opened);
  const { listener, policy } = opened;
  const principal = options.uid === undefined ? undefined : principalAt(listener.name, options).text;
  stdout(
    options.json
      ? formatJson({ principal, ...asJson(listener, policy) })
      : asText(listener, policy, principal),
  );
  return Promise.resolve(exitCodes.ok);
}

/** The path alone for a socket that has one: what a client is given. */
function socketOf({ socket }: ListenerSettings): string {
  return socket.kind === 'unix' ? socket.path : formatListenerSocket(socket);
}

function socketAsJson({ socket }: ListenerSettings): Readonly<Record<string, string>> {
  if (socket.kind === 'unix') return { unix: socket.path };
  if (socket.kind === 'systemd') return { systemd: socket.name };
  return { tcp: formatListenerSocket(socket).slice('tcp:'.length) };
}

function asText(listener: ListenerSettings, policy: Policy, principal: string | undefined): string {
  const head = [
    ['listener', `${listener.name} (${plain(socketOf(listener))})${whoMayConnect(listener)}`],
    ...(principal === undefined ? [] : [['asked by', plain(principal)]]),
    ['policy', `${policy.name} (${formatPlace(policy.place)})${modeOf(policy)}`],
    ['for users', patternsOf(policy.users) || 'nobody'],
    ...(policy.except.globs.length === 0 ? [] : [['except', patternsOf(policy.except)]]),
    ...limitRows(policy),
    ['log lines', logsOf(policy)],
  ];
  return [
    formatColumns(head),
    '',
    policy.allow.length === 0 ? 'may run nothing.' : 'may run:',
    ...rulesOf(policy.allow),
    ...(policy.deny.length === 0 ? [] : ['', 'and never:', ...rulesOf(policy.deny)]),
    '',
    'What is not listed is denied. So is an argument that names a file, a socket, another user, a program or a',
    'remote place, or that destroys more than its command does, unless a rule above names that parameter.',
  ].join('\n');
}

/** Whom the listener lets in, and whether others have other policies there. */
function whoMayConnect({ peers, policies }: ListenerSettings): string {
  const only = peers === undefined ? '' : `, only${peersOf(peers)}`;
  const others = policies.filter((choice) => choice.peers !== undefined);
  return plain(
    `${only}${others.map((choice) => `; policy ${choice.policy} for${peersOf(choice.peers)}`).join('')}`,
  );
}

function modeOf(policy: Policy): string {
  if (policy.mode === 'enforce') return '';
  return ', observes only: other ordinary commands are allowed too, and recorded';
}

function limitRows({ limits }: Policy): string[][] {
  const { rate, distinctUsers, atOnce } = limits;
  const texts = [
    ...(rate === undefined ? [] : [formatRate(rate)]),
    ...(distinctUsers === undefined ? [] : [`${formatRate(distinctUsers)} of different users`]),
    ...(atOnce === undefined ? [] : [`${atOnce} at once`]),
  ];
  return texts.length === 0 ? [] : [['at most', texts.join(', ')]];
}

function logsOf({ logs, debug }: Policy): string {
  const shown = {
    none: 'no log lines of the backend',
    filtered: 'why a command failed, in words of dovegate',
    full: 'log lines of the backend as they are',
  };
  return `${shown[logs]}${debug ? ', and debug lines for who asks' : ''}`;
}

/** The rules of each command below one another, the commands in the order of the file. */
function rulesOf(rules: readonly Rule[]): string[] {
  const names = [...new Set(rules.map((rule) => rule.command))];
  const heads = rules.map((rule) => [rule.command, effectOf(rule.command), formatPlace(rule.place)]);
  const lines = formatColumns(heads, '  ').split('\n');
  const shown = rules.map((rule, at) => [
    lines[at] ?? '',
    ...describeRule(rule).map((text) => `      ${plain(text)}`),
  ]);
  return names.flatMap((name) => shown.filter((_, at) => rules[at]?.command === name).flat());
}

/** Of the command alone, in the series where it does most. */
function effectOf(name: string): Effect {
  return allSeries
    .map((series) => commandNamed(series, name)?.effect ?? 'read')
    .reduce((most, effect) => strongerEffect(most, effect));
}

function patternsOf(globs: GlobList): string {
  return plain(globs.globs.map((glob) => glob.text).join(' '));
}

function asJson(listener: ListenerSettings, policy: Policy): Readonly<Record<string, unknown>> {
  const { rate, distinctUsers, atOnce } = policy.limits;
  return {
    listener: listener.name,
    ...socketAsJson(listener),
    policy: policy.name,
    place: formatPlace(policy.place),
    version: policy.version,
    mode: policy.mode,
    users: policy.users.globs.map((glob) => glob.text),
    except: policy.except.globs.map((glob) => glob.text),
    limits: {
      rate: rate && { count: rate.count, window_ms: rate.windowMs },
      distinct_users: distinctUsers && { count: distinctUsers.count, window_ms: distinctUsers.windowMs },
      at_once: atOnce,
    },
    logs: policy.logs,
    debug: policy.debug,
    allow: policy.allow.map(ruleAsJson),
    deny: policy.deny.map(ruleAsJson),
  };
}

function ruleAsJson(rule: Rule): Readonly<Record<string, unknown>> {
  const { place, command, meaning } = rule;
  return {
    command,
    effect: effectOf(command),
    rule: formatPlace(place),
    says: describeRule(rule),
    written: meaning,
  };
}
