// The command lines of `dovegate page`.

import type { Command } from 'commander';
import { configOption, type End } from '../host/output/run-commands.js';
import type { PageOpenOptions, PageOptions } from './page-open.js';

export function addPage(program: Command, end: End): void {
  const page = program
    .command('page')
    .description("the page's own process, beside dovegate serve")
    .addOption(configOption('the configuration file, which names admin.door; it need not be readable'))
    .option('--door <path>', 'admin.door itself; no file is read then')
    .action(async (options: PageOptions) => {
      end(await (await import('./page-open.js')).servePage(options));
    });
  page
    .command('open')
    .description('print a link that opens the page: once, within a minute, for the user who runs this')
    .addOption(configOption('the configuration file, which names admin.page.unix'))
    .option('--socket <path>', 'admin.page.unix itself; no file is read then')
    .action(async (_own: PageOpenOptions, command: Command) => {
      // `page` takes `--config` wherever it stands.
      const options = command.optsWithGlobals<PageOpenOptions>();
      end(await (await import('./page-open.js')).openLink(options));
    });
}
