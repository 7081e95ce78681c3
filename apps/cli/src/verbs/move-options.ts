// The arguments and options that `move` and `plan` share, virsh's spellings included.
import type { Command } from 'commander';
import { GUARD_OPTION } from '../arguments/guard.ts';

const DISKS = `DISK: a target (vda), or the path of its image;
DEST: a file, a directory, a block device, pool:NAME[/VOLUME], nbd://…, rbd:…`;

export function addMoveArguments(command: Command): Command {
  return command
    .argument('<domain>', 'name, UUID or id')
    .argument('[disk-and-dest...]', DISKS)
    .usage(
      'DOMAIN DISK DEST [options]\n       … DOMAIN DISK=DEST DISK=DEST … [options]\n       … DOMAIN --all DIR [options]',
    );
}

export function addMoveOptions(command: Command): Command {
  return command
    .option('--shallow', 'move the active image, and share the rest of the chain')
    .option('--flatten', 'make one image of the whole chain')
    .option(
      '--strategy <name>',
      'auto, mirror (one block job) or layered (frozen images, copied outside of QEMU)',
    )
    .option('--verify <how>', 'full or none: read the copies back and compare (strategy layered)')
    .option(GUARD_OPTION[0], `${GUARD_OPTION[1]} (strategy layered)`)
    .option(
      '--overlay-dir <dir>',
      "where the guest's writes go while its images are copied; beside the source by default (strategy layered)",
    )
    .option('--format <format>', "the destination's format (default: the source's)")
    .option('--bandwidth <rate>', 'limit the copy: 100M, 1.5G, or a plain number in MiB/s')
    .option('--bytes', 'a plain --bandwidth is in bytes a second')
    .option('--granularity <size>', 'unit in which changes are tracked, a power of two')
    .option('--buf-size <size>', 'most bytes in flight')
    .option('--synchronous-writes', 'write to both images at once, so that the copy surely ends')
    .option('--converge', 'begin synchronous writes by itself if the guest writes too fast')
    .option('--reuse-external', 'use a destination that exists, as it is')
    .option('--dest <dest>', 'the destination, as an option')
    .option('--dest-xml <file>', 'a libvirt <disk> element that names the destination (also --xml)')
    .option('--hold', 'stop when ready, and wait for pivot or abort')
    .option(
      '--all <dir>',
      'move every disk, into a directory: all frozen at one instant, all switched or none',
    )
    .option('--group-pause', 'pause the guest for the moment in which several disks are switched')
    .option('--delete-source', 'delete the images the guest leaves, if nothing else uses them')
    .option('--no-transient-job', 'undefine and define the domain again, as daemons before 3.5 need')
    .option('--json', 'one JSON object a line on stdout')
    .option('-y, --yes', 'do not ask');
}

/** What virsh blockcopy calls things: understood, and not shown in the help. */
export function addVirshOptions(command: Command): Command {
  for (const [flags, description] of [
    ['--transient-job', 'what we do anyway'],
    ['--wait', 'what we do anyway'],
    ['--verbose', 'what we do anyway'],
    ['--pivot', 'what we do anyway'],
    ['--blockdev', 'seen by looking'],
    ['--raw', '--format raw'],
    ['--xml <file>', '--dest-xml'],
    ['--finish', 'see --hold and abort --keep'],
  ] as const) {
    command.addOption(command.createOption(flags, description).hideHelp());
  }
  return command;
}
