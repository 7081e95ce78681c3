// The points that a round of torture makes of a guest's disk, and what each of them must hold.
import assert from 'node:assert/strict';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DomainXml } from '@blockferry/libvirt';
import { expectBackups, expectOfInstant, type Instant, imageAt, pointsIn } from '../crash/backed-up.ts';
import type { Berth } from '../crash/berth.ts';
import { ends } from '../crash/endings.ts';
import { run } from '../process/run.ts';

export class Points {
  readonly #berth: Berth;
  readonly #directory: string;
  readonly #instants = new Map<string, Instant>();

  constructor(berth: Berth, directory: string) {
    this.#berth = berth;
    this.#directory = directory;
  }

  /** Makes one, undisturbed. */
  async make(options: readonly string[]): Promise<void> {
    const before = await this.#berth.guest.acknowledged();
    await ends(this.#backUp(options), 'done');
    const found = await this.find({ before, after: await this.#berth.guest.acknowledged() });
    assert.equal(found, 1, 'one backup was made');
  }

  /** Those that are there, and were not told of yet. */
  async unknown(): Promise<readonly string[]> {
    const points = await pointsIn(this.#directory);
    return points.map(({ name }) => name).filter((name) => !this.#instants.has(name));
  }

  /** They are of this instant. @returns how many there are */
  async find(instant: Instant): Promise<number> {
    const found = await this.unknown();
    for (const point of found) this.#instants.set(point, instant);
    return found.length;
  }

  /**
   * The next increment holds all that the disk holds, byte for byte; or it is refused with one of `lost`, and a full backup
   * and an increment on that are made instead. Then every point is what the disk was at its instant, and the newest can be
   * restored.
   */
  async expectToGoOn(what: string, lost: readonly string[]): Promise<void> {
    const { guest } = this.#berth;
    await guest.waitForWrites(15);
    if (!(await this.#next(what, lost))) {
      await this.make(['--guard', 'off']);
      await guest.waitForWrites(15);
      await this.#next(what, []);
    }
    const points = await expectBackups(this.#berth, this.#directory, what);
    assert.deepEqual(new Set(points), new Set(this.#instants.keys()), `${what}: its points`);
    for (const [point, instant] of this.#instants) {
      await expectOfInstant(await imageAt(this.#directory, point), instant, `${what}: ${point}`);
    }
    await this.#expectRestored(what, points.at(-1) ?? '');
  }

  /** Forgets all of it: neither points nor checkpoints are left. */
  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true });
    const names = (await this.#berth.virsh('checkpoint-list', '--name')).split('\n');
    for (const name of names.filter((each) => each.startsWith('blockferry-')))
      await this.#berth.virsh('checkpoint-delete', name);
  }

  #backUp(options: readonly string[]) {
    return this.#berth.ferry(['backup', this.#berth.name, this.#directory, ...options]);
  }

  /** While the guest stands still, so that the disk can be compared. @returns whether it was made */
  async #next(what: string, lost: readonly string[]): Promise<boolean> {
    const berth = this.#berth;
    await berth.virsh('suspend');
    try {
      const before = await berth.guest.acknowledged();
      const { outcome, error } = await this.#backUp(['--incremental']).result();
      if (outcome === 'refused' && lost.includes(error?.code ?? '')) return false;
      assert.equal(outcome, 'done', `${what}: the next increment: ${JSON.stringify(error)}`);
      const [point = '', ...rest] = await this.unknown();
      assert.deepEqual(rest, [], `${what}: one increment`);
      await this.find({ before, after: await berth.guest.acknowledged() });
      const { path } = await imageAt(this.#directory, point);
      await expectSame(berth.disk, path, `${what}: the next increment`);
      return true;
    } finally {
      await berth.virsh('resume');
    }
  }

  async #expectRestored(what: string, point: string): Promise<void> {
    const { host, name } = this.#berth;
    const again = `${name}-again`;
    const to = join(host.imagesDir, again);
    await mkdir(to);
    await ends(
      this.#berth.ferry(['restore', this.#directory, '--point', point, '--name', again, '--to', to]),
      'done',
    );
    const image = DomainXml.parse(await host.virsh('dumpxml', again)).disk('vda')?.source;
    assert.ok(image?.kind === 'file', `${what}: ${point} restored`);
    const { path } = await imageAt(this.#directory, point);
    await expectSame(path, image.path, `${what}: ${point} restored`);
    await host.virsh('undefine', again);
    await rm(to, { recursive: true });
  }
}

async function expectSame(one: string, other: string, what: string): Promise<void> {
  const argv = ['qemu-img', 'compare', '-U', '-f', 'qcow2', '-F', 'qcow2', one, other];
  const { stdout } = await run(argv, { accept: [0, 1] });
  assert.match(stdout, /identical/, `${what}: ${one} and ${other}`);
}
