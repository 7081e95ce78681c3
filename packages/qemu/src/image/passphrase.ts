// The passphrase of an image in LUKS. QEMU gets it; nothing that is shown, recorded or listed ever has it.
import { inspect } from 'node:util';

export class Passphrase {
  /** The id of QEMU's secret object, and nothing secret. */
  readonly objectId: string;
  readonly #value: Uint8Array;

  /** @param name which secret it is: letters, digits and dashes, such as libvirt's UUID of it */
  constructor(name: string, value: Uint8Array) {
    if (!/^[\w-]+$/.test(name)) throw new TypeError(`not a name for an object: ${name}`);
    this.objectId = `blockferry-${name}`;
    this.#value = value;
  }

  /** For whoever hands it to QEMU, encrypted or where only QEMU reads it. */
  reveal(): Uint8Array {
    return this.#value;
  }

  toJSON(): string {
    return this.objectId;
  }

  toString(): string {
    return this.objectId;
  }

  [inspect.custom](): string {
    return this.objectId;
  }
}
