// From options to the engine's request.
import { describe, expect, it } from 'vitest';
import { type MoveOptions, moveArguments } from './move-request.ts';
import { UsageError } from './usage-error.ts';

const XML = "<disk type='file'><source file='/x'/></disk>";

function parse(options: MoveOptions, destination: string | undefined = '/dir/copy.qcow2') {
  return moveArguments({ domain: 'web', disk: 'vda', destination }, options, async (path) => {
    return path === '/tmp/d.xml' ? XML : 'not asked for';
  });
}

/** As it is typed where the destination is an option. */
function parseWithout(options: MoveOptions) {
  return moveArguments({ domain: 'web', disk: 'vda', destination: undefined }, options, async () => XML);
}

describe('the request of a move', () => {
  it('asks for nothing that was not asked for', async () => {
    expect(await parse({})).toEqual({
      request: {
        domain: 'web',
        disk: 'vda',
        destination: '/dir/copy.qcow2',
        scope: 'chain',
        strategy: 'auto',
        verify: true,
        guard: 2,
        reuseExternal: false,
        hold: false,
        undefine: false,
        options: { synchronousWrites: false, converge: false, deleteSource: false },
      },
    });
  });

  it('takes over every option', async () => {
    const { request } = await parse({
      shallow: true,
      strategy: 'mirror',
      verify: 'none',
      format: 'raw',
      bandwidth: '200M',
      granularity: '64K',
      bufSize: '16M',
      synchronousWrites: true,
      converge: true,
      reuseExternal: true,
      hold: true,
      deleteSource: true,
      transientJob: false,
    });
    expect(request).toMatchObject({
      scope: 'shallow',
      strategy: 'mirror',
      verify: false,
      format: 'raw',
      reuseExternal: true,
      hold: true,
      undefine: true,
      options: {
        bandwidth: 200n << 20n,
        granularity: 65_536,
        bufSize: 16n << 20n,
        synchronousWrites: true,
        converge: true,
        deleteSource: true,
      },
    });
  });

  it('has no limit for a bandwidth of 0', async () => {
    expect((await parse({ bandwidth: '0' })).request.options).not.toHaveProperty('bandwidth');
  });

  it('keeps the scope that was chosen', async () => {
    expect((await parse({ flatten: true })).request.scope).toBe('flatten');
  });

  it('understands what virsh calls things', async () => {
    const virsh = { transientJob: true, pivot: true, raw: true };
    expect((await parse(virsh)).request).toMatchObject({ format: 'raw', undefine: false, hold: false });
    expect((await parseWithout({ dest: '/dir/x' })).request.destination).toBe('/dir/x');
  });

  it.each(['destXml', 'xml'] as const)(
    'reads the destination of --%s, and needs no DEST then',
    async (name) => {
      const { request } = await parseWithout({ [name]: '/tmp/d.xml' });
      expect(request.destinationXml).toBe(XML);
      expect(request).not.toHaveProperty('destination');
    },
  );
});

describe('a command line that contradicts itself', () => {
  it.each<[string, MoveOptions]>([
    ['two scopes', { shallow: true, flatten: true }],
    ['two destinations', { dest: '/dir/x' }],
    ['a destination and its XML', { destXml: '/tmp/d.xml' }],
    ['--raw and another format', { raw: true, format: 'qcow2' }],
    ['--hold and --pivot', { hold: true, pivot: true }],
    ['a strategy of no known name', { strategy: 'magic' }],
    ['a rate that is none', { bandwidth: 'fast' }],
    ['a granularity that is none', { granularity: 'fine' }],
  ])('is refused: %s', async (_, options) => {
    await expect(parse(options)).rejects.toThrow(UsageError);
  });

  it('is refused without a destination', async () => {
    await expect(parseWithout({})).rejects.toThrow(/no destination/);
  });

  it('is told what --finish is called here', async () => {
    const error = await parse({ finish: true }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).hint).toMatch(/--hold.*abort.*--keep/);
  });
});
