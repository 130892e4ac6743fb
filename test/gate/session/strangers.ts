// The access of a listener whose peers must log in.
import { createLoginGuard, Logins } from '../../../src/gate/login/logins.js';
import { kernelAccess } from '../../../src/gate/session/greet-peer.js';
import { createFakeClock } from '../../kit/plain/fake-clock.js';

/** An account of its own certificate alone. */
const robot = { name: 'robot', policy: 'support', passwordHash: undefined, certificateName: 'robot' };

export function accessByLogin() {
  const logins = new Logins('support', [robot], createLoginGuard(createFakeClock()));
  return { ...kernelAccess, isPreauthenticated: false, logins } as const;
}
