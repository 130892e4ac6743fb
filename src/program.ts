// What the parts of dovegate bring: their subcommands, and what a part does for one below it. The code of a subcommand is imported when it
// is called, so that the others cost no start time.

import type { Command } from 'commander';
import { addAccess } from './client/access/access-commands.js';
import { addCompletion } from './client/doveadm/completion.js';
import { addSend } from './client/doveadm/send-command.js';
import { registerAudit } from './evidence/cli/audit.js';
import { addEvidenceCommands } from './evidence/cli/evidence-commands.js';
import { registerFleet } from './evidence/fleet-cli/fleet.js';
import { addGateCommands } from './gate/cli/gate-commands.js';
import { type End, runCommands } from './host/output/run-commands.js';
import { addPage } from './page/page-commands.js';
import { addPolicyCommands } from './rules/cli/rules-commands.js';
import { addShip } from './ship/ship-commands.js';

/** The parts with subcommands, in the order of `--help`. */
type Part = 'gate' | 'rules' | 'evidence' | 'ship' | 'page' | 'client';

const parts: Readonly<Record<Part, (program: Command, end: End) => void>> = {
  gate: (program, end) =>
    addGateCommands(program, end, {
      looks: {
        ways: async (...asked) => (await import('./client/doveadm/way-look.js')).lookAtWays(...asked),
        journal: async (...asked) => (await import('./evidence/cli/journal-look.js')).lookAtJournal(...asked),
        stores: async (...asked) =>
          (await import('./evidence/fleet-cli/store-look.js')).lookAtStores(...asked),
      },
    }),
  rules: (program, end) =>
    addPolicyCommands(program, end, {
      ask: async (...asked) => (await import('./client/doveadm/ask-daemon.js')).askDaemon(...asked),
      whyNoStart: async (...asked) => (await import('./gate/cli/ask-status.js')).whyNoStartNow(...asked),
      whyUnproven: async () => (await import('./evidence/cli/prove.js')).whyUnproven,
      replay: async (options) => (await import('./evidence/cli/replay.js')).replay(options),
    }),
  evidence(program, end) {
    addEvidenceCommands(program, end);
    registerFleet(registerAudit(program, end), end);
  },
  ship: addShip,
  page: addPage,
  client(program, end) {
    addSend(program, end);
    addAccess(program, end);
    addCompletion(program, end);
  },
};

/** Runs the subcommand that the arguments after the program's name select, and resolves to the exit code. */
export function runDovegate(args: readonly string[]): Promise<number> {
  return runCommands(args, (program, end) => {
    for (const add of Object.values(parts)) add(program, end);
  });
}
