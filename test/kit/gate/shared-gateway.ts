// One daemon for the tests of a file, one after the other: each gets its configuration and its script by a reload, which costs a third of
// a start. What the tests before it caused is not seen: their commands and connections at the backend are left out.
import { fileOwner } from '../plain/file-owner.js';
import type { Owner } from '../plain/folder.js';
import { openRawClient } from '../plain/raw-client.js';
import { configurationOf, type Gateway, type GatewayOptions, openGateway } from './gateway.js';
import { cannedScript } from './script.js';
import type { ScriptedDovecot } from './scripted-dovecot.js';

/** A gateway for a test; clients end with it. Only the script of `backend` counts, and `files` do not. */
export type OpenShared = (t: Owner, options: GatewayOptions) => Promise<Gateway>;

/** Called at the top of the file. */
export function shareGateway(): OpenShared {
  const owner = fileOwner();
  let opened: Promise<Gateway> | undefined;
  return async (t, options) => {
    const isFirst = opened === undefined;
    opened ??= openGateway(owner, options);
    const gateway = await opened;
    const { daemon, backend } = gateway;
    if (!isFirst) {
      backend.change({ script: options.backend?.script ?? cannedScript() });
      await daemon.reload(configurationOf(backend.address, options));
    }
    return {
      ...gateway,
      backend: sinceNow(backend),
      configuration: (changed) => configurationOf(backend.address, { ...options, ...changed }),
      client: (asked = {}) =>
        openRawClient({ path: daemon.path('support.sock'), minor: 2, ...asked, owner: t }),
    };
  };
}

/** Of the same backend, without the connections and commands so far. */
function sinceNow(backend: ScriptedDovecot): ScriptedDovecot {
  const [records, commands] = [backend.records.length, backend.commands.length];
  const view: ScriptedDovecot = {
    ...backend,
    get records() {
      return backend.records.slice(records);
    },
    get commands() {
      return backend.commands.slice(commands);
    },
    get live() {
      return backend.live;
    },
    waitFor: (isTrue, what, ms) => backend.waitFor(() => isTrue(view), what, ms),
  };
  return view;
}
