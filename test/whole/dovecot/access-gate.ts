// A gate before a real Dovecot at which access is asked for, and the two persons who approve it.
import type { TestContext } from 'node:test';
import type { AccessItem } from '../../../src/gate/access/access-item.js';
import { authority, filesOf, hash, openAccount } from '../../kit/gate/tcp-gate.js';
import { runWarm } from '../../kit/gate/warm-program.js';
import type { Lab } from '../../kit/plain/dovecot-lab.js';
import { freePorts } from '../../kit/plain/free-ports.js';
import { ends } from '../../kit/plain/program.js';
import type { RawClient } from '../../kit/plain/raw-client.js';
import { openRealGateway, type RealGatewayOptions } from './real-gateway.js';

/** `onRequest`: rules of the policy, as YAML; `carol` and `dave` approve what is asked for at `support.sock`. */
export async function openAccessGate(
  t: TestContext,
  lab: Lab,
  onRequest: string,
  { listeners = '', policies = '', ...options }: RealGatewayOptions = {},
) {
  const [port = 0] = await freePorts(1);
  const gateway = await openRealGateway(t, lab, {
    ...options,
    listeners: `  leads:
    tcp: "127.0.0.1:${port}"
    tls: { mode: implicit, certificate: gate.crt, key: gate.key }
    accounts:
      carol: { password_hash: "${hash}", policy: leads }
      dave: { password_hash: "${hash}", policy: leads }
${listeners}`,
    policy: `
    users: ["*@example.org"]
    allow: [quota get]
    on_request: [${onRequest}]`,
    policies: `  leads: { users: ["*@example.org"], allow: [mailbox list], approve: [support] }\n${policies}`,
    more: `persons: { carol: { accounts: [carol] }, dave: { accounts: [dave] } }\n${options.more ?? ''}`,
    files: filesOf(authority),
  });
  const socket = gateway.daemon.path('support.sock');
  const clients = new Map<string, Promise<RawClient>>();
  t.after(async () => {
    for (const client of clients.values()) (await client).close();
  });
  type Told = Partial<AccessItem> & { readonly said: string };
  /** What becomes of a request by a command of `carol` or `dave`; `said`: the lines of the log. */
  const tell = async (name: 'carol' | 'dave', ...fields: string[]): Promise<Told> => {
    const client = clients.get(name) ?? openAccount(port, name);
    clients.set(name, client);
    const { body, logs } = await (await client).ask({ user: '', fields });
    const [, item = '{}'] = /access\t(\{.*?\})\t/.exec(body.toString()) ?? [];
    return { ...JSON.parse(item), said: JSON.stringify(logs) };
  };
  /** `more`: options of `dovegate request`. */
  const request = async (
    user: string,
    reason: string,
    line: readonly string[],
    ...more: string[]
  ): Promise<AccessItem> => {
    const words = ['--socket', socket, '--user', user, '--reason', reason, ...more];
    const asked = await ends(0, runWarm(['request', '--json', ...words, '--', ...line]));
    return JSON.parse(asked.stdout.toString());
  };
  return { gateway, socket, tell, request };
}
