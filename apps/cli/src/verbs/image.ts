// blockferry image: one standalone image of one disk, the domain staying as it is; or continues that where it stopped.
import {
  type Context,
  findBootDisk,
  findDisk,
  findDomain,
  findMoves,
  type MoveRecord,
  meansDestinationOf,
  type Plan,
  planOf,
  preflightCopies,
  Refusal,
  readDefinitions,
} from '@blockferry/engine';
import type { Command } from 'commander';
import { GUARD_OPTION } from '../arguments/guard.ts';
import { type ImageOptions, imageRequest } from '../arguments/image-request.ts';
import { ExitCode } from '../exit-code.ts';
import { showPlan } from '../views/show-plan.ts';
import { lookCommand, moveCommand } from './commands.ts';
import { addDryRun } from './dry-run.ts';
import { runToResult } from './run-to-result.ts';
import type { Invocation, Verb } from './verb.ts';

const EXAMPLES = `
Examples:
  blockferry image web /backup/web.qcow2
      the boot disk of a running domain, its whole chain as one image; the domain stays on its own
  blockferry image web /backup/web.qcow2 --compress --bandwidth 100M
  blockferry image web /backup/data.vmdk --disk vdb --format vmdk
  blockferry image web /backup/web.qcow2 --quiesce require
      its file systems frozen through the guest's agent for the instant of the image
  blockferry image web /backup/web.qcow2 --dry-run

The image of a disk in LUKS is in LUKS, and the same secret of libvirt's opens it.
Ctrl-C stops cleanly: the same command, or blockferry resume web, goes on; blockferry abort web removes the image.
`;

export const image: Verb = {
  configure(command: Command, run) {
    addDryRun(command, 'say what would be done, step by step, and touch nothing')
      .argument('<domain>', 'name, UUID or id')
      .argument('<file>', "the image to make; or a directory, in which it is called as the disk's image")
      .usage('DOMAIN FILE [options]')
      .option('--disk <disk>', 'a target (vda), or the path of its image (default: the disk it boots from)')
      .option(
        '--format <format>',
        "qcow2, raw, vmdk, vdi or vhdx (default: the disk's, or qcow2 with --compress)",
      )
      .option('--compress', 'compress the image (qcow2)')
      .option('--quiesce <how>', "auto, require or off: freeze the guest's file systems for the instant")
      .option('--verify <how>', 'full or none: read the image back and compare')
      .option(...GUARD_OPTION)
      .option('--overlay-dir <dir>', "where the guest's writes go meanwhile; beside its image by default")
      .option('--bandwidth <rate>', 'limit the copy: 100M, 1.5G, or a plain number in MiB/s')
      .option('--bytes', 'a plain --bandwidth is in bytes a second')
      .option('--json', 'one JSON object a line on stdout')
      .addOption(command.createOption('-y, --yes', 'nothing is asked anyway').hideHelp())
      .addHelpText('after', EXAMPLES)
      .action((domain: string, file: string, options: ImageOptions) =>
        run((invocation) =>
          options.dryRun
            ? planImage(invocation, domain, file, options)
            : runImage(invocation, domain, file, options),
        ),
      );
  },
};

function planImage(invocation: Invocation, domain: string, file: string, options: ImageOptions) {
  return lookCommand(invocation, options.json ?? false, async ({ context, show }) => {
    showPlan(show, await makePlan(context, domain, file, options));
    return ExitCode.DONE;
  });
}

function runImage(
  invocation: Invocation,
  domain: string,
  file: string,
  options: ImageOptions,
): Promise<ExitCode> {
  const { afterStep } = invocation;
  const names = { json: options.json ?? false, domain, ...(options.disk && { disk: options.disk }) };
  return moveCommand(invocation, names, async ({ session, context, view, signal, unlessStopped, end }) => {
    const prepared = await unlessStopped(prepare(context, domain, file, options));
    const recorded = prepared.kind === 'continue';
    const move = prepared.kind === 'continue' ? prepared.move : prepared.plan.move;
    if (prepared.kind === 'continue') view.continuing(move);
    else view.plan(prepared.plan);
    return end(await runToResult(session, move, view, { asked: 'move', recorded, signal, afterStep }));
  });
}

type Prepared =
  | { readonly kind: 'new'; readonly plan: Plan }
  | { readonly kind: 'continue'; readonly move: MoveRecord };

/** A new plan; or, where this very image is being made already, that one. @throws Refusal with nothing touched */
async function prepare(
  context: Context,
  domain: string,
  file: string,
  options: ImageOptions,
): Promise<Prepared> {
  try {
    return { kind: 'new', plan: await makePlan(context, domain, file, options) };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const open = await sameImage(context, domain, file, options).catch(() => undefined);
    if (open === undefined) throw error;
    return { kind: 'continue', move: open };
  }
}

async function makePlan(
  context: Context,
  domain: string,
  file: string,
  options: ImageOptions,
): Promise<Plan> {
  const disk = await diskOf(context, domain, options);
  const { disks } = await preflightCopies(context, imageRequest(domain, disk, file, options));
  const [found] = disks;
  if (found === undefined) throw new Error('one disk was asked for');
  return planOf(found);
}

/** @throws Refusal `no-such-domain`, `no-such-disk` */
async function diskOf({ link }: Context, domain: string, { disk }: ImageOptions): Promise<string> {
  const connection = await link.connection();
  const { uuid } = await findDomain(connection, domain);
  const definitions = await readDefinitions(connection, uuid);
  const xml = definitions?.live ?? definitions?.config;
  if (xml === undefined) throw new Error(`${domain} is gone`);
  return (disk === undefined ? findBootDisk(xml) : findDisk(xml, disk)).target;
}

async function sameImage(
  context: Context,
  domain: string,
  file: string,
  options: ImageOptions,
): Promise<MoveRecord | undefined> {
  const disk = await diskOf(context, domain, options);
  const open = await findMoves(context, domain);
  return open.find(
    (one) =>
      one.copy !== undefined &&
      one.group === undefined &&
      one.disk === disk &&
      meansDestinationOf(context, { destination: file }, one),
  );
}
