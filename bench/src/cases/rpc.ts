// RPC calls a second against one daemon: ours, python3-libvirt and virsh, asking for a domain's state.
import { fileURLToPath } from 'node:url';
import { connect, type Domain } from '@blockferry/libvirt';
import { run, startIdle } from '@blockferry/testbed';
import { type Bench, type Case, turn } from '../bench.ts';
import { type CaseResult, type Figure, timesBetter } from '../result.ts';

/** With Debian's own python3, which knows python3-libvirt. */
const PYTHON = fileURLToPath(new URL('../peers/rpc-calls.py', import.meta.url));
const NAME = 'bench-rpc';
/** What a busy program has under way at once. */
const AT_ONCE = 16;

interface Peer {
  readonly name: string;
  /** Makes so many calls and answers how many milliseconds that took, without start and connecting. */
  readonly call: (count: number) => Promise<number>;
}

export const rpc: Case = {
  name: 'rpc',
  title: 'RPC calls a second (the state of a domain)',
  run: async (bench: Bench): Promise<CaseResult> => {
    await startIdle(bench.host, { name: NAME, disks: [], as: 'off' });
    const connection = await connect(bench.host.uri);
    try {
      const peers = peersOf(bench, await connection.lookupDomainByName(NAME));
      const calls = Math.max(200, Math.round(5_000 * Math.min(1, bench.size)));
      const rates = new Map(peers.map((peer) => [peer, [] as number[]]));
      for (const peer of peers) await peer.call(200);
      for (let round = 0; round < bench.repeat; round++) {
        for (const peer of turn(peers, round))
          rates.get(peer)?.push((calls * 1000) / (await peer.call(calls)));
      }
      const figures = peers.map((peer): Figure => {
        return { peer: peer.name, what: 'calls', unit: 'calls/s', values: rates.get(peer) ?? [] };
      });
      const ratios = ['python3-libvirt', 'virsh'].map((theirs) =>
        timesBetter(figures, 'calls', 'blockferry', theirs),
      );
      const notes = ['virsh looks the domain up for every command: two calls, counted as two'];
      return { ...rpc, figures, ratios: ratios.filter((ratio) => ratio !== undefined), notes };
    } finally {
      await connection.close();
      await bench.host.virsh('undefine', NAME);
    }
  },
};

function peersOf({ host }: Bench, domain: Domain): readonly Peer[] {
  return [
    { name: 'blockferry', call: (count) => clocked(() => oneByOne(domain, count)) },
    { name: `blockferry, ${AT_ONCE} at once`, call: (count) => clocked(() => atOnce(domain, count)) },
    {
      name: 'python3-libvirt',
      call: async (count) =>
        Number((await run(['/usr/bin/python3', PYTHON, host.uri, NAME, String(count)])).stdout),
    },
    { name: 'virsh', call: (count) => virshMs(host.uri, count) },
  ];
}

/** Its start and its connection are those of a virsh with nothing to do. */
async function virshMs(uri: string, count: number): Promise<number> {
  const shell = (input: string) => clocked(() => run(['virsh', '-q', '-c', uri], { input }));
  const nothing = await shell('quit\n');
  return Math.max(1, (await shell(`domstate ${NAME}\n`.repeat(count / 2))) - nothing);
}

async function oneByOne(domain: Domain, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await domain.getState();
}

async function atOnce(domain: Domain, count: number): Promise<void> {
  const share = Math.ceil(count / AT_ONCE);
  await Promise.all(Array.from({ length: AT_ONCE }, () => oneByOne(domain, share)));
}

async function clocked(act: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await act();
  return performance.now() - began;
}
