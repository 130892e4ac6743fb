// Whole handshakes, step by step, of both sides: answers/handshakes.txt, which a person approved.
import { test } from 'node:test';
import { HandshakeAccept, type HandshakeAcceptOptions } from '../../../src/protocol/handshake/accept.js';
import {
  HandshakeDial,
  type HandshakeDialOptions,
  shakeHands,
} from '../../../src/protocol/handshake/dial.js';
import {
  formatPlain,
  formatVersion,
  readPlain,
  readVersion,
} from '../../../src/protocol/handshake/greeting.js';
import { type Asked, compareAnswers } from '../../kit/approved.js';
import { outcome, plain } from '../../kit/decoded.js';
import { createMemoryTransport } from '../../kit/memory-transport.js';

const file = (name: string): string => `test/protocol/handshake/answers/${name}.txt`;
const json = JSON.stringify;

const hello = (minor: number | string, major = 1): string => `VERSION\tdoveadm-client\t${major}\t${minor}\n`;
const theirs = (minor: number | string, major = 1): string => `VERSION\tdoveadm-server\t${major}\t${minor}\n`;
const login = 'PLAIN\tAGRvdmVhZG0Ac2VjcmV0\n';

void test('handshakes', async () => {
  const accepted = (options: Partial<HandshakeAcceptOptions>, said: readonly string[]): string => {
    const machine = new HandshakeAccept({
      minor: 3,
      preauthenticated: false,
      tls: 'none',
      plainAllowed: true,
      lineBytesMax: 40,
      ...options,
    });
    const call = (text: string): unknown => {
      if (text === 'TLS') return machine.tlsStarted();
      if (text === 'RIGHT' || text === 'WRONG') return machine.verified(text === 'RIGHT');
      if (text === 'END') return machine.end();
      return machine.push(Buffer.from(text, 'latin1'));
    };
    return said.map((text) => `${outcome(() => call(text))} ${machine.pendingBytes}`).join('\n');
  };
  const accepts: readonly (readonly [Partial<HandshakeAcceptOptions>, readonly string[]])[] = [
    [{ preauthenticated: true }, ['VERS', `${theirs(2).slice(4)}\tu\tc\n`, 'more', 'END']],
    [{ preauthenticated: true, minor: 0 }, [theirs(4)]],
    [{ preauthenticated: true }, [theirs(0)]],
    [{ preauthenticated: true }, [theirs(2, 2)]],
    [{ preauthenticated: true }, [theirs(2, 0)]],
    [{ preauthenticated: true }, [hello(2)]],
    [{}, [theirs(4), login, 'ahead', 'END', 'RIGHT', 'RIGHT', 'END']],
    [{}, [theirs(4), login, 'WRONG', login]],
    [{}, [theirs(0), 'END', 'END']],
    [{}, ['V'.repeat(40), 'V', '\n']],
    [{}, [theirs(1) + login, 'x'.repeat(40), 'x', 'RIGHT']],
    [{}, [theirs(1), 'STARTTLS\n']],
    [{}, [theirs(1), `PLAIN\t${Buffer.from('x\0doveadm\0secret').toString('base64')}\n`]],
    [{}, [theirs(1), 'TLS']],
    [{}, ['RIGHT', 'TLS', theirs(1)]],
    [{ tls: 'starttls', plainAllowed: false }, [theirs(2), 'STARTTLS\nhello', 'TLS', login, 'RIGHT']],
    [{ tls: 'starttls', plainAllowed: false }, [theirs(2), 'STARTTLS\n', 'TLS', 'STARTTLS\n']],
    [{ tls: 'starttls', plainAllowed: false }, [theirs(2), 'STARTTLS\n', 'x', 'END']],
    [{ tls: 'starttls', plainAllowed: false }, [theirs(2), 'STARTTLS\n', 'END']],
    [{ tls: 'starttls', plainAllowed: false }, [theirs(2), login]],
    [{ tls: 'starttls', plainAllowed: true }, [theirs(2), login]],
    [{ tls: 'done', plainAllowed: false }, [theirs(2), login]],
    [{ tls: 'done', plainAllowed: false }, [theirs(2), 'STARTTLS\n']],
    [{ tls: 'none', plainAllowed: false }, [theirs(2), login]],
  ];
  const credentials = { user: 'doveadm', password: Buffer.from('secret') };
  const dialed = (options: Partial<HandshakeDialOptions>, said: readonly string[]): string => {
    const machine = new HandshakeDial({
      minor: 2,
      tls: 'none',
      credentials,
      mayAuthenticateInClear: true,
      lineBytesMax: 40,
      ...options,
    });
    const call = (text: string): unknown => {
      if (text === 'START') return machine.start();
      if (text === 'TLS') return machine.tlsStarted();
      if (text === 'END') return machine.end();
      return machine.push(Buffer.from(text, 'latin1'));
    };
    return said.map((text) => `${outcome(() => call(text))} ${machine.pendingBytes}`).join('\n');
  };
  const secured = { tls: 'starttls', mayAuthenticateInClear: false } as const;
  const dials: readonly (readonly [Partial<HandshakeDialOptions>, readonly string[]])[] = [
    [{}, ['START', 'START', 'VERS', `${hello(4).slice(4)}+\nrest`, 'more', 'END']],
    [{}, ['x', 'START']],
    [{}, ['TLS']],
    [{}, ['START', '+\n', 'x']],
    [{}, ['START', `+\n${hello(1)}x`]],
    [{}, ['START', '+\nVER', `${hello(1).slice(3)}x`]],
    [{}, ['START', '+\nVERx']],
    [{}, ['START', '+\nVERSION\tdoveadm-client\tx', '\n']],
    [{}, ['START', `+\n${hello(5)}`]],
    [{}, ['START', `${hello(3)}+\n${hello(3)}`]],
    [{ minor: 0 }, ['START', `+\n${hello(1)}`]],
    [{}, ['START', `${hello(2)}-\n`, '+\nrest']],
    [{}, ['START', `-\n${hello(2)}`, '+\n']],
    [{ minor: 0 }, ['START', '-\n', hello(2)]],
    [{ minor: 1 }, ['START', '-\n', `${hello(0)}+\n`]],
    [{}, ['START', `${hello(2)}-\n`, hello(2)]],
    [{}, ['START', `${hello(2)}-\n`, '-\n', '+\n']],
    [{}, ['START', '-\n', hello(2, 2)]],
    [{}, ['START', `${hello(2)}-\n`, 'END', 'END']],
    [{}, ['START', 'END']],
    [{ credentials: undefined }, ['START', '-\n']],
    [{ mayAuthenticateInClear: false }, ['START', `${hello(2)}-\n`]],
    [{ credentials: { user: 'a\0', password: Buffer.from('x') } }, ['START', '-\n']],
    [{}, ['START', hello(5)]],
    [{}, ['START', hello(4), hello(4)]],
    [{}, ['START', theirs(2)]],
    [{}, ['START', 'x'.repeat(40), 'x']],
    [{}, ['START', `${'x'.repeat(40)}\n`]],
    [secured, ['START', `${hello(2)}-\n`, 'TLS', '+\nrest']],
    [secured, ['START', `${hello(2)}-\n+`]],
    [secured, ['START', `${hello(2)}-\n`, '+']],
    [secured, ['START', `${hello(2)}-\n`, 'END']],
    [secured, ['START', `${hello(1)}-\n`]],
    [secured, ['START', '-\n']],
    [secured, ['START', `${hello(2)}+\n`]],
    [{ ...secured, minor: 0 }, ['START', '-\n', 'TLS', '-\n']],
    [{ ...secured, credentials: undefined }, ['START', `${hello(2)}-\n`]],
    [{ ...secured, tls: 'done' }, ['START', `${hello(2)}-\n`, '+\n']],
    [{ ...secured, tls: 'done' }, ['START', `${hello(2)}+\n`]],
  ];
  const shaken = async (
    tls: 'off' | 'implicit' | 'starttls',
    said: readonly (string | null)[],
  ): Promise<string> => {
    const { transport, peer } = createMemoryTransport();
    const phases: string[] = [];
    const demand = { serverName: 'x', ca: undefined, keyPins: [], protocols: [] };
    const done = shakeHands(
      transport,
      { minor: 2, tls, demand, credentials, mayAuthenticateInClear: tls === 'off' },
      (phase) => phases.push(phase),
    ).catch((fault: unknown) => ({ fault: String(fault), ...(typeof fault === 'object' ? fault : {}) }));
    for (const text of said) {
      if (text === null) peer.end();
      else peer.send(text);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const how = await done;
    return `${plain(how)}\nphases ${phases.join(' ')}, ${peer.tlsDemands.length} TLS\nsent ${plain(peer.received())}`;
  };
  const shakes: readonly (readonly ['off' | 'implicit' | 'starttls', readonly (string | null)[]])[] = [
    ['off', [`${hello(2)}+\nrest`]],
    ['off', [`${hello(4)}-\n`, '+\n']],
    ['off', [`${hello(4)}-\n`, '-\n']],
    ['off', [`${hello(4)}-\n`, null]],
    ['off', ['x\n']],
    ['off', ['+\nVERS', hello(1).slice(4)]],
    ['off', [null]],
    ['implicit', [`${hello(2)}-\n`, '+\n']],
    ['implicit', [null]],
    ['starttls', [`${hello(2)}-\n`, '+\n']],
    ['starttls', [`${hello(2)}-\n`, null]],
    ['starttls', [`${hello(2)}+\n`]],
  ];
  const answersOfShakes = new Map<string, string>();
  for (const [tls, said] of shakes)
    answersOfShakes.set(`shake hands ${tls} ${json(said)}`, await shaken(tls, said));
  const fault = (minor: number): string => outcome(() => formatVersion('doveadm-server', minor));
  compareAnswers(file('handshakes'), [
    ...accepts.map(
      ([options, said]): Asked => [`accept ${json(options)} ${json(said)}`, () => accepted(options, said)],
    ),
    ...dials.map(
      ([options, said]): Asked => [
        `dial ${plain(options).replace('{}', 'as usual')}${'credentials' in options && options.credentials === undefined ? ' without credentials' : ''} ${json(said)}`,
        () => dialed(options, said),
      ],
    ),
    ...[...answersOfShakes].map(([question, answer]): Asked => [question, () => answer]),
    ...[0, 4294967295, 4294967296, -1, 1.5].map(
      (minor): Asked => [`write version ${minor}`, () => fault(minor)],
    ),
    ...['1\t4294967295', '1\t4294967296', '4294967295\t0', '4294967296\t0', '0\t00', '1\t', '1\t2\t'].map(
      (numbers): Asked => [
        `version ${numbers}`,
        () => plain(readVersion(Buffer.from(`VERSION\tdoveadm-server\t${numbers}`), 'doveadm-server')),
      ],
    ),
    ...['\0u\0p', 'a\0u\0p\0q', 'u\0p', '\0u', '\0\0', '\xff\0u\0p', '\0\xff\0p', '\0u\0\xff'].map(
      (decoded): Asked => [
        `plain ${json(decoded)}`,
        () => plain(readPlain(Buffer.from(`PLAIN\t${Buffer.from(decoded, 'latin1').toString('base64')}`))),
      ],
    ),
    ...[
      ['u', 'p'],
      ['', ''],
      ['u\0', 'p'],
      ['u', '\0'],
    ].map(
      ([user = '', password = '']): Asked => [
        `write plain ${json([user, password])}`,
        () => plain(formatPlain(user, Buffer.from(password))),
      ],
    ),
  ]);
});
