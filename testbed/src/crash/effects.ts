// Counts what a move changes on its host and in libvirt, so that a test can stop it between any two changes.
import { Connection, Domain } from '@blockferry/libvirt';
import type { Host } from '@blockferry/qemu';

/** Names the call, such as `host.unlink` or `domain.setMetadata`. */
export type Effect = string;

const HOST_EFFECTS: ReadonlySet<string> = new Set([
  'writeFileAtomic',
  'createExclusive',
  'unlink',
  'mkdir',
  'rename',
  'chown',
  'chmod',
]);
const DOMAIN_EFFECTS = ['setMetadata', 'undefine', 'blockCopy', 'blockJobAbort', 'setAutostart'] as const;

type AnyCall = (...args: readonly unknown[]) => Promise<unknown>;

/**
 * Wraps a host, and (from `watch()` on) libvirt's calls in this process. `note` is called when a change has been
 * made and answered, before anyone else hears of it.
 */
export function countEffects(host: Host, note: (effect: Effect) => void): { host: Host; watch: () => void } {
  const noting = (name: Effect, call: AnyCall): AnyCall =>
    async function (this: unknown, ...args) {
      const result = await call.apply(this, args);
      note(name);
      return result;
    };
  const wrapped = new Proxy(host, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== 'function' || typeof property !== 'string' || !HOST_EFFECTS.has(property))
        return value;
      return noting(`host.${property}`, value as AnyCall);
    },
  });
  const patch = (prototype: object, name: string, label: string) => {
    const original: unknown = Reflect.get(prototype, name);
    if (typeof original !== 'function') throw new Error(`libvirt has no ${label}`);
    Reflect.set(prototype, name, noting(label, original as AnyCall));
  };
  return {
    host: wrapped,
    watch: () => {
      for (const name of DOMAIN_EFFECTS) patch(Domain.prototype, name, `domain.${name}`);
      patch(Connection.prototype, 'defineDomainXml', 'connection.defineDomainXml');
    },
  };
}
