// Whether the Dovecot of this machine serves doveadm at TCP ports of its own, past dovegate, who else needs them, and which commands it
// takes, as its `doveconf -n` says.

import { dropInFolder } from '../../host/machine/process.js';
import { isOfThisMachine } from '../../host/ports/peer.js';
import type { Settings } from '../../rules/config/settings.js';
import type { DoveadmPort, DovecotFacts } from '../../rules/setup/doveconf.js';
import { type Look, ok, warning } from './look.js';

const name = "Dovecot's own port";

/** Empty: Dovecot accepts all commands. */
export function lookAtAllowedCommands({ allowedCommands }: DovecotFacts): readonly Look[] {
  if (allowedCommands === '') return [];
  const what = 'the Dovecot of this machine takes only the commands of doveadm_allowed_commands';
  return [ok("Dovecot's commands", `${what}: ${allowedCommands}; it refuses others (backend-refused)`)];
}

type Neighbours = Pick<DovecotFacts, 'series' | 'ports' | 'isApiKeySet' | 'replica' | 'proxyPort'>;

/** Other programs and hosts that use doveadm by these settings, with what each needs before a port or a password may go. */
export function lookAtNeighbours(dovecot: Neighbours): readonly Look[] {
  const { series, ports, isApiKeySet, replica, proxyPort } = dovecot;
  // A process of 2.3.19 that has served a user asks with the rights of that user.
  const reused =
    series === '2.3'
      ? '; 2.3 refuses so each second command of a connection: give the backend of dovegate "idle: 0" and "max_lifetime: 1ms"'
      : '';
  const panel = warning(
    'panel',
    'a program that has doveadm_api_key gets all of doveadm over HTTP, past dovegate',
    'give it a key of dovegate (docs/client-http.md), then take doveadm_api_key out',
  );
  const replication = warning(
    'replication',
    `this Dovecot replicates (${replica}): the partners send dsync-server to the doveadm ports of each other`,
    "leave that port and doveadm_password, and let only the partner's address reach it (firewall)",
  );
  const proxy = warning(
    'doveadm_port',
    `doveadm_port = ${proxyPort}, as for proxies and directors, which need the doveadm ports of their backends: doveadm asks the passdb where each user is, which only root may, so "doveadm -S" of others ends with "passdb lookup failed"`,
    `they use dovegate send, the drop-in (PATH=${dropInFolder()}:$PATH), or doveadm -o doveadm_port=0${reused}`,
  );
  return [
    ...(isApiKeySet && ports.some(({ isHttp }) => isHttp) ? [panel] : []),
    ...(replica === '' ? [] : [replication]),
    ...(proxyPort === '' ? [] : [proxy]),
  ];
}

type DovecotHere = Pick<DovecotFacts, 'series' | 'ports' | 'isPasswordSet' | 'isApiKeySet'>;

export function lookAtDovecotPorts(
  dovecot: DovecotHere,
  { backends }: Pick<Settings, 'backends'>,
): readonly Look[] {
  if (dovecot.ports.length === 0)
    return [ok(name, 'the Dovecot of this machine serves doveadm at no TCP port')];
  return dovecot.ports.map((each) => {
    const isUsed = backends.some(({ address }) => address.kind === 'tcp' && address.port === each.port);
    return lookAtPort(each, dovecot, isUsed);
  });
}

function lookAtPort(
  { port, addresses, isHttp }: DoveadmPort,
  { series, isPasswordSet, isApiKeySet }: DovecotHere,
  isUsed: boolean,
): Look {
  const places = addresses.map((each) => `${each.includes(':') ? `[${each}]` : each}:${port}`).join(', ');
  const what = `the Dovecot of this machine serves doveadm${isHttp ? ' over HTTP' : ''} at ${places}`;
  const secrets = [
    ...(isPasswordSet ? ['doveadm_password'] : []),
    ...(isHttp && isApiKeySet ? ['doveadm_api_key'] : []),
  ].join(' or ');
  if (secrets === '') return ok(name, `${what}, and refuses all: no password is set`);
  if (addresses.every(isOfThisMachine))
    return ok(name, `${what}, for programs of this machine that know ${secrets}`);
  const line = `${series === '2.3' ? 'address' : 'listen'} = 127.0.0.1`;
  const todo = isUsed
    ? `write "${line}" into that inet_listener of service doveadm, then doveadm reload`
    : 'once no job uses it, take that inet_listener out of service doveadm, or write "port = 0" into it, then doveadm reload';
  return warning(name, `${what}: others who reach it and know ${secrets} get past dovegate`, todo);
}
