// Whether the library is installed, without loading it.

export const installCommand = 'npm install @nats-io/transport-node@3.3.1';

/** The advice for installing it. */
export const howToInstall = `run \`${installCommand}\` where dovegate is installed`;

export function hasNatsLibrary(): boolean {
  try {
    import.meta.resolve('@nats-io/transport-node');
    return true;
  } catch {
    return false;
  }
}
