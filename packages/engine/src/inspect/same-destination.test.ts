// The same command continues its move; one to another place does not.
import { localHost } from '@blockferry/qemu';
import { describe, expect, it } from 'vitest';
import type { ImageRef, MoveRecord } from '../model/record.ts';
import { OpenMoves } from '../record/open-moves.ts';
import type { Context } from '../run/context.ts';
import { Link } from '../run/link.ts';
import { meansDestinationOf } from './same-destination.ts';

const host = localHost();
const context: Context = {
  link: new Link('qemu:///system'),
  host,
  openMoves: new OpenMoves(host, '/nonexistent'),
};

function means(
  asked: { readonly destination?: string; readonly destinationXml?: string },
  source: ImageRef['source'],
  ownership: MoveRecord['ownership'] = { kind: 'created' },
): boolean {
  // Only what the question is about: the rest of neither is looked at.
  const move = { destination: { source, format: 'qcow2' }, ownership } as MoveRecord;
  return meansDestinationOf(context, { domain: 'web', disk: 'vda', ...asked } as never, move);
}

describe('a destination', () => {
  const file = { kind: 'file', path: '/new/web.qcow2' } as const;

  it.each(['/new/web.qcow2', '/new/', '/new', '/new//web.qcow2', '/new/./x/../web.qcow2'])(
    'is the same file when %s is asked for',
    (destination) => {
      expect(means({ destination }, file)).toBe(true);
    },
  );

  it.each(['/new/other.qcow2', '/old/', 'pool:new', 'nbd://host/vol'])(
    'is another one: %s',
    (destination) => {
      expect(means({ destination }, file)).toBe(false);
    },
  );

  it('is the same volume by pool, with or without its name', () => {
    const volume = { kind: 'volume', pool: 'fast', volume: 'web.qcow2', capacity: 1n } as const;
    expect(means({ destination: 'pool:fast' }, file, volume)).toBe(true);
    expect(means({ destination: 'pool:fast/web.qcow2' }, file, volume)).toBe(true);
    expect(means({ destination: 'pool:fast/other' }, file, volume)).toBe(false);
    expect(means({ destination: 'pool:slow' }, file, volume)).toBe(false);
  });

  it('is the same export of the same server', () => {
    const export_ = {
      kind: 'network',
      protocol: 'nbd',
      name: 'vol',
      hosts: [{ name: 'host2', port: '10809' }],
    } as const;
    expect(means({ destination: 'nbd://host2/vol' }, export_)).toBe(true);
    expect(means({ destination: 'nbd://host2:10810/vol' }, export_)).toBe(false);
  });

  it('is the same by libvirt XML', () => {
    const xml = (path: string) => `<disk type='file'><source file='${path}'/></disk>`;
    expect(means({ destinationXml: xml('/new/web.qcow2') }, file)).toBe(true);
    expect(means({ destinationXml: xml('/new/other') }, file)).toBe(false);
  });
});
