// Notes whatever this process changes on its host and in libvirt, so that it can be stopped between any two changes.
import { Connection, Domain } from '@blockferry/libvirt';
import { localHost } from '@blockferry/qemu';

const HOST = ['writeFileAtomic', 'createExclusive', 'unlink', 'mkdir', 'rmdir', 'rename', 'chown', 'chmod'];
const DOMAIN = [
  ...['setMetadata', 'undefine', 'blockCopy', 'blockJobAbort', 'setAutostart'],
  ...['checkpointCreateXml', 'backupBegin', 'fsFreeze', 'fsThaw'],
];
const CONNECTION = ['defineDomainXml'];

type Call = (...args: unknown[]) => Promise<unknown>;

/** `note` hears of each change when it has been made and answered, before the code that asked for it does. */
export function watchEffects(note: (effect: string) => void): void {
  const watch = (object: object, names: readonly string[], label: string) => {
    for (const name of names) {
      const owner = ownerOf(object, name);
      const original: unknown = Reflect.get(owner, name);
      if (typeof original !== 'function') throw new Error(`there is no ${label}.${name}`);
      Reflect.set(
        owner,
        name,
        noting(original as Call, () => note(`${label}.${name}`)),
      );
    }
  };
  watch(localHost(), HOST, 'host');
  watch(Domain.prototype, DOMAIN, 'domain');
  watch(Connection.prototype, CONNECTION, 'connection');
}

/** The object in the prototype chain that has the method. */
function ownerOf(object: object, name: string): object {
  let owner: object | null = object;
  while (owner !== null && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null;
  return owner ?? object;
}

function noting(original: Call, note: () => void): Call {
  return async function (this: unknown, ...args) {
    const result = await original.apply(this, args);
    note();
    return result;
  };
}
