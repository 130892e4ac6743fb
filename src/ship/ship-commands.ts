// The command line of `dovegate ship`.

import type { Command } from 'commander';
import { configOption, type End } from '../host/output/run-commands.js';
import type { ShipOptions } from './ship.js';

export function addShip(program: Command, end: End): void {
  program
    .command('ship')
    .description("send records and notices to the configuration's receivers, beside dovegate serve")
    .addOption(configOption('the configuration file, which names audit.door; it need not be readable'))
    .option('--door <path>', 'audit.door itself; no file is read then')
    .option(
      '--state <directory>',
      'its own state: how far receivers are; default: $STATE_DIRECTORY, else /var/lib/dovegate-ship',
    )
    .action(async (options: ShipOptions) => {
      end(await (await import('./ship.js')).ship(options));
    });
}
