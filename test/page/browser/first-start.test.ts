// Goal: a gate that nobody has used says what to do first, with commands that can be copied, and stops when one has come. What must not
// happen: a command that does not work as it stands.
import assert from 'node:assert/strict';
import { runDovegate } from '../../kit/gate/daemon.js';
import { browserTest, settled, shareDesk } from '../../kit/gate/page-daemon.js';
import { findOverflow, phone } from '../../kit/plain/browser.js';

const desk = shareDesk();

browserTest('three steps of a first start, up to the first command', async (t) => {
  const { page, context, faults } = await desk.signIn(t, 'viewer', '/', { size: phone });
  await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: desk.daemon.origin });
  const steps = page.locator('.first-steps li');
  await steps.first().waitFor();
  await settled(page);
  assert.equal(await steps.count(), 3);
  assert.deepEqual(await findOverflow(page), []);
  const commands: string[] = [];
  for (const step of await steps.all()) {
    await step.getByRole('button', { name: /^Copy dovegate|^Copy sudo dovegate/ }).click();
    await step.getByText('Copied.').waitFor();
    commands.push(await page.evaluate<string>('navigator.clipboard.readText()'));
    assert.equal(commands.at(-1), await step.locator('code').innerText());
  }
  assert.match(commands.join('\n'), /^dovegate can .*\ndovegate send .*\nsudo dovegate audit search .*$/);

  const { daemon } = desk.daemon;
  const run = async (command = ''): Promise<string> => {
    const words = command.replace(/^(sudo )?dovegate /, '').replace('USER', 'alice@example.org');
    const place = words.startsWith('audit') ? ` --config ${daemon.configFile}` : '';
    const { exit, text } = await runDovegate(`${words}${place}`.split(' '), { cwd: daemon.folder });
    assert.equal(exit, 0, `${command}: ${text}`);
    return text;
  };
  assert.match(await run(commands[0]), /mailbox list/);
  assert.match(await run(commands[1]), /INBOX/);
  assert.match(await run(commands[2]), /mailbox list/);
  await steps.first().waitFor({ state: 'detached' });
  assert.deepEqual(faults, []);
});
