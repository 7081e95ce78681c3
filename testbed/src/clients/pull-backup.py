# A backup client as they are in the field: plain python3-libvirt and python3-libnbd, a pull-mode backup of one disk.
#
# pull-backup.py URI DOMAIN DISK FILE SOCKET CHECKPOINT [SINCE]
#
# Without SINCE the whole disk goes into FILE, raw. With it, what has changed since that checkpoint is written over FILE.
# Makes CHECKPOINT in the same instant. Prints how many bytes it took.
import os
import sys

import libvirt
import nbd

uri, name, disk, path, socket, checkpoint, *since = sys.argv[1:]
CHUNK = 1 << 20

domain = libvirt.open(uri).lookupByName(name)
incremental = "".join(f"<incremental>{each}</incremental>" for each in since)
domain.backupBegin(
    f"""<domainbackup mode='pull'>{incremental}
      <server transport='unix' socket='{socket}'/>
      <disks><disk name='{disk}' backup='yes' type='file'><scratch file='{socket}.scratch'/></disk></disks>
    </domainbackup>""",
    f"""<domaincheckpoint><name>{checkpoint}</name>
      <disks><disk name='{disk}' checkpoint='bitmap'/></disks>
    </domaincheckpoint>""",
)
taken = 0
try:
    handle = nbd.NBD()
    context = f"qemu:dirty-bitmap:backup-{disk}" if since else "base:allocation"
    handle.add_meta_context(context)
    handle.set_export_name(disk)
    handle.connect_unix(socket)
    size = handle.get_size()
    # Dirty is a flag that is set; data is a flag that is not (2: it reads as zeros).
    wanted = (lambda flags: flags & 1) if since else (lambda flags: not flags & 2)
    with open(path, "r+b" if since else "w+b") as file:
        os.ftruncate(file.fileno(), size)
        offset = 0
        while offset < size:
            extents = []
            handle.block_status(
                min(CHUNK * 64, size - offset),
                offset,
                lambda _, at, entries, error: extents.extend(entries),
            )
            for length, flags in zip(extents[::2], extents[1::2]):
                end = min(offset + length, size)
                at = offset if wanted(flags) else end
                while at < end:
                    data = handle.pread(min(CHUNK, end - at), at)
                    os.pwrite(file.fileno(), data, at)
                    at += len(data)
                    taken += len(data)
                offset = end
    handle.shutdown()
finally:
    domain.abortJob()
print(taken)
