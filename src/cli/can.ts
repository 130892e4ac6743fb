// `dovegate can`: what a listener may do, as `sudo -l` says it. It judges no command; it reads the configuration, or asks the daemon.

import { formatListenerSocket, type ListenerSettings } from '../domain/config/settings.js';
import { describeRule } from '../domain/policy/describe-rule.js';
import { effectOfName, type Rights, rightsOf, rightsOfRows } from '../domain/policy/rights.js';
import type { Policy, Rule } from '../domain/policy/rule.js';
import { exitCodes } from '../ports/exit-codes.js';
import { askDaemon } from './ask-daemon.js';
import { peersOf } from './check.js';
import { type ListenerChoice, openListener, principalAt } from './named-listener.js';
import { formatJson, formatPlace, plain, stdout } from './output/output.js';
import { formatRights } from './output/rights-text.js';

/** Whose rights, and how to show them. */
export type CanOptions = {
  readonly json: boolean;
} & (
  | ListenerChoice
  /** Of who runs this, asked of the daemon. */
  | { readonly socket: string }
);

/** Exit code 0; 64: no such listener; 69: no daemon at the socket; 78: configuration. */
export async function can(options: CanOptions): Promise<number> {
  if ('socket' in options) {
    const rights = await askDaemon(options.socket, 'dovegate can', [], rightsOfRows);
    if (typeof rights === 'number') return rights;
    stdout(options.json ? formatJson(rightsAsJson(rights)) : formatRights(rights));
    return exitCodes.ok;
  }
  const opened = openListener(options);
  if (typeof opened === 'number') return opened;
  const { listener, policy } = opened;
  const isNamed = options.uid !== undefined || options.account !== undefined;
  const principal = isNamed ? principalAt(listener.name, options).text : undefined;
  const places = {
    listener: `(${plain(socketOf(listener))})${whoMayConnect(listener)}`,
    policy: formatPlace(policy.place),
    allow: policy.allow.map(({ place }) => formatPlace(place)),
    deny: policy.deny.map(({ place }) => formatPlace(place)),
  };
  stdout(
    options.json
      ? formatJson({ principal, ...asJson(listener, policy) })
      : formatRights(rightsOf(policy, listener.name, principal), places),
  );
  return exitCodes.ok;
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

/** Whom the listener lets in, and whether others have other policies there. */
function whoMayConnect({ peers, policies, accounts, from }: ListenerSettings): string {
  const only = peers === undefined ? '' : `, only${peersOf(peers)}`;
  const places = from.length === 0 ? '' : `, from ${from.join(' ')}`;
  const others = policies.filter((choice) => choice.peers !== undefined);
  const rest = others.map((choice) => `; policy ${choice.policy} for${peersOf(choice.peers)}`);
  const logins = accounts.map(({ name, policy }) => `; policy ${policy} for account ${name}`);
  return plain(`${only}${places}${[...rest, ...logins].join('')}`);
}

/** Under the keys of the other one, as far as the daemon tells it. */
function rightsAsJson({ isObserving, ...rights }: Rights): Readonly<Record<string, unknown>> {
  return { ...rights, mode: isObserving ? 'observe' : 'enforce' };
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
    users: policy.users.texts,
    except: policy.except.texts,
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
    effect: effectOfName(command),
    rule: formatPlace(place),
    says: describeRule(rule),
    written: meaning,
  };
}
