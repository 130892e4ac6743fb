// A UNIX datagram socket to receive on, which Node has none of: what systemd listens on for notifications. Everything sent to it
// before a `receive` lies in the kernel's queue.
import koffi from 'koffi';

const library = koffi.load(null);
const socket = library.func('int socket(int, int, int)');
const bind = library.func('int bind(int, const void *, uint32_t)');
const recv = library.func('intptr_t recv(int, void *, uintptr_t, int)');
const close = library.func('int close(int)');

const afUnix = 1;
const sockDgramCloexec = 2 | 0o2000000;
const msgDontwait = 0x40;

export interface DatagramSocket {
  /** All datagrams that have come, in order. */
  receive(): string[];
  close(): void;
}

/** Binds it at a path, or at an abstract name with NUL in front. */
export function openDatagramSocket(address: string): DatagramSocket {
  const descriptor = Number(socket(afUnix, sockDgramCloexec, 0));
  const name = Buffer.from(address.startsWith('\0') ? address : `${address}\0`);
  const to = Buffer.concat([Buffer.from([afUnix, 0]), name]);
  if (Number(bind(descriptor, to, to.length)) !== 0) throw new Error(`bind: errno ${koffi.errno()}`);
  return {
    receive() {
      const received: string[] = [];
      const bytes = Buffer.alloc(65_536);
      for (;;) {
        const count = Number(recv(descriptor, bytes, bytes.length, msgDontwait));
        if (count < 0) return received;
        received.push(bytes.toString('utf8', 0, count));
      }
    },
    close: () => close(descriptor),
  };
}
