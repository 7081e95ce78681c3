// A move in layers as it stands in its record, for tests of what is decided and said of one.
import type { ImageRef, MoveRecord } from '../record.ts';

export function qcow2(path: string): ImageRef {
  return { source: { kind: 'file', path }, format: 'qcow2' };
}

/** Of the disk `vda` of `web`, one image, from /old/web to /new/web; while it is copied, unless it is changed. */
export function layeredMove(
  changes: Partial<MoveRecord> = {},
): MoveRecord & Required<Pick<MoveRecord, 'layered'>> {
  const [origin, destination] = [qcow2('/old/web'), qcow2('/new/web')];
  const layered = {
    layers: [{ from: origin, to: destination, how: 'bytes' }],
    overlay: qcow2('/old/overlay'),
    carrier: qcow2('/new/carrier'),
    verify: true,
  } as const;
  return {
    version: 1,
    id: 'c0ffee01',
    domain: { name: 'web', uuid: '11111111-2222-3333-4444-555555555555' },
    disk: 'vda',
    strategy: 'layered',
    scope: 'chain',
    origin,
    destination,
    ownership: { kind: 'created' },
    sources: [origin],
    jobMode: 'transient-job',
    options: { synchronousWrites: false, converge: false, deleteSource: false },
    destinationXml: '',
    phase: 'copying',
    goal: 'pivot',
    ...changes,
    layered: changes.layered ?? layered,
  };
}
