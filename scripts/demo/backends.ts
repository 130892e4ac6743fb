// The two stand-ins for Dovecot that the demo talks to. They know a handful of commands and two users.

import { type KeyPairPem, makeAuthority } from '../../test/kit/gate/certificates.js';
import { cannedScript } from '../../test/kit/gate/script.js';
import { openScriptedDovecot, type ScriptedDovecot } from '../../test/kit/gate/scripted-dovecot.js';

/** Two that listen on loopback until `close`; both know the same users, commands and password. */
export interface Backends {
  readonly mail1: ScriptedDovecot;
  readonly mail2: ScriptedDovecot;
  /** PEM of the authority that signed the certificate, which dovegate has for its own listener, too. */
  readonly authority: string;
  readonly certificate: KeyPairPem;
  readonly password: string;
  close(): Promise<void>;
}

const password = 'only-the-daemon-knows-this';

/** Starts both on free ports of loopback. */
export async function openBackends(): Promise<Backends> {
  const authority = makeAuthority({ name: 'demo authority' });
  const certificate = authority.issue({ names: ['localhost', '127.0.0.1'] });
  const script = cannedScript({
    'quota get': {
      rows: [
        ['User quota', 'STORAGE', '1814', '10240', '17'],
        ['User quota', 'MESSAGE', '42', '-', '0'],
      ],
    },
    'mailbox list': { rows: [['INBOX'], ['Archive'], ['Trash']] },
    fetch: { rows: [['From: shop@example.org\nSubject: your invoice\n\n42 EUR, thank you.']] },
  });
  const open = (): Promise<ScriptedDovecot> =>
    openScriptedDovecot({ tls: 'starttls', certificate, password, script, minor: 2 });
  const [mail1, mail2] = await Promise.all([open(), open()]);
  return {
    mail1,
    mail2,
    authority: authority.certificatePem,
    certificate,
    password,
    close: async () => {
      await Promise.all([mail1.close(), mail2.close()]);
    },
  };
}
