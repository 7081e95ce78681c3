// A move as a record, and streams that remember: for the tests of views and words.
import type { MoveRecord } from '@blockferry/engine';
import type { Io } from '../terminal/io.ts';

/** A shallow move of web's vda from /old/web.qcow2 to /new/web.qcow2. */
export function sampleMove(changes: Partial<MoveRecord> = {}): MoveRecord {
  const origin = { source: { kind: 'file', path: '/old/web.qcow2' }, format: 'qcow2' } as const;
  return {
    version: 1,
    id: 'c0ffee01',
    domain: { name: 'web', uuid: '11111111-2222-3333-4444-555555555555' },
    disk: 'vda',
    strategy: 'mirror',
    scope: 'shallow',
    origin,
    destination: { source: { kind: 'file', path: '/new/web.qcow2' }, format: 'qcow2' },
    ownership: { kind: 'created' },
    sources: [origin],
    jobMode: 'transient-job',
    options: { synchronousWrites: false, converge: false, deleteSource: false },
    destinationXml: "<disk type='file'><source file='/new/web.qcow2'/></disk>",
    phase: 'copying',
    goal: 'pivot',
    ...changes,
  };
}

export interface RecordedIo extends Io {
  /** What was written so far. */
  readonly written: { out: string; err: string };
}

/** @param answer what the operator types when asked; undefined: nobody is there */
export function recordedIo(
  options: { readonly terminal?: boolean; readonly columns?: number; readonly answer?: string } = {},
): RecordedIo {
  const written = { out: '', err: '' };
  return {
    written,
    out: (text) => {
      written.out += text;
    },
    outBytes: async (bytes) => {
      // One character a byte: what is no text stays what it is.
      written.out += Buffer.from(bytes).toString('latin1');
      return true;
    },
    err: (text) => {
      written.err += text;
    },
    errIsTerminal: options.terminal ?? false,
    canAsk: options.answer !== undefined,
    columns: () => options.columns ?? 80,
    ask: async (question) => {
      written.err += question;
      return options.answer;
    },
  };
}
