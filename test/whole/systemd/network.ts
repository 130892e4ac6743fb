// A network of booted machines for a test: one of them is at 192.0.2.1, and has a cable to each of the others. All know all names. It
// also reaches them by `ssh HOST COMMAND`, a program that hands both to the test, with what it reads.
import { once } from 'node:events';
import { chmodSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import type { Owner } from '../../kit/plain/folder.js';
import { runProgram } from '../../kit/plain/program.js';
import type { Machine } from './machine.js';

/** Machines by their host names; `hub` is one of them. */
export async function joinMachines(
  owner: Owner,
  hub: string,
  machines: ReadonlyMap<string, Machine>,
): Promise<void> {
  const middle = machines.get(hub);
  if (middle === undefined) throw new Error(`there is no ${hub}`);
  const ip = async ({ leader }: Machine, ...words: readonly string[]): Promise<void> => {
    const done = await runProgram('nsenter', ['--net', '--target', String(leader), 'ip', ...words]);
    if (done.exit !== 0) throw new Error(`ip ${words.join(' ')}: ${done.text}`);
  };
  const hubAddress = '192.0.2.1';
  const addresses = new Map([[hub, hubAddress]]);
  for (const [name, machine] of machines) {
    if (machine === middle) continue;
    const address = `192.0.2.${10 + addresses.size}`;
    const cable = `cable${addresses.size}`;
    addresses.set(name, address);
    const far = ['peer', 'name', 'host0', 'netns', String(machine.leader)];
    await ip(middle, 'link', 'add', cable, 'type', 'veth', ...far);
    for (const [at, link, own, other] of [
      [middle, cable, hubAddress, address],
      [machine, 'host0', address, hubAddress],
    ] as const) {
      await ip(at, 'address', 'add', own, 'peer', other, 'dev', link);
      await ip(at, 'link', 'set', link, 'up');
    }
  }
  const hosts = [...addresses].map(([name, address]) => `${address} ${name}\n`).join('');
  for (const machine of machines.values()) machine.write('/etc/hosts', `127.0.0.1 localhost\n${hosts}`);
  await openSsh(owner, middle, machines);
}

/** HOST and COMMAND, each ended by a NUL, then what it reads; the answer is what the command printed, and its exit code in one byte. */
const client = `#!/usr/bin/perl
use IO::Socket::UNIX;
my $there = IO::Socket::UNIX->new(Peer => '/mnt/test/ssh.sock') or die "ssh: $!";
print $there shift, "\\0", join(' ', @ARGV), "\\0", -t STDIN ? () : <STDIN>;
shutdown $there, 1;
local $/;
my $answer = <$there>;
print substr $answer, 0, -1;
exit ord substr $answer, -1;
`;

async function openSsh(owner: Owner, hub: Machine, machines: ReadonlyMap<string, Machine>): Promise<void> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    const pieces: Buffer[] = [];
    socket.on('error', () => undefined);
    socket.on('data', (piece: Buffer) => pieces.push(piece));
    socket.once('end', () => {
      const [host = '', command = '', ...input] = Buffer.concat(pieces).toString().split('\0');
      const given = '/root/of-ssh';
      const machine = machines.get(host);
      machine?.write(given, input.join('\0'));
      const ran = machine?.try('sh', '-c', `{ ${command}\n} < ${given}`);
      void (ran ?? Promise.resolve({ text: `no host ${host}\n`, exit: 255 })).then(({ text, exit }) =>
        socket.end(Buffer.concat([Buffer.from(text), Buffer.from([exit])])),
      );
    });
  });
  owner.after(() => void server.close());
  server.listen(join(hub.folder, 'ssh.sock'));
  await once(server, 'listening');
  hub.write('/usr/local/bin/ssh', client);
  chmodSync(hub.path('/usr/local/bin/ssh'), 0o755);
}
