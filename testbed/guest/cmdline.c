/*
 * Waits until the machine's kernel command line, as QEMU offers it now, says no longer bf.wait, and prints it. The kernel's
 * own /proc/cmdline is that of the boot: a guest that was saved here, and is started from there as another machine, gets to
 * know so what it is to do (testbed/src/guest/booted.ts). QEMU's docs/specs/fw_cfg.txt: selector and data ports, keys.
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <unistd.h>

enum { SELECTOR = 0x510, DATA = 0x511, CMDLINE_SIZE = 0x14, CMDLINE_DATA = 0x15 };

static void get(uint16_t key, void *to, size_t size)
{
	outw(key, SELECTOR);
	for (size_t i = 0; i < size; i++)
		((uint8_t *)to)[i] = inb(DATA);
}

static const char *command_line(void)
{
	static char line[4096];
	uint32_t size;
	get(CMDLINE_SIZE, &size, sizeof size);
	memset(line, 0, sizeof line);
	get(CMDLINE_DATA, line, size < sizeof line ? size : sizeof line - 1);
	return line;
}

int main(void)
{
	if (iopl(3))
		return 1;
	for (int told = 0; strstr(command_line(), "bf.wait"); usleep(10000))
		if (!told++)
			dprintf(2, "@guest waits\n");
	puts(command_line()); /* anew: the one above may have been saved half read */
	return 0;
}
